"""The subcommand ``hwnasbench measure``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from hwnasbench.errors import HwnasbenchError, InvalidRequest, NoColumn
from hwnasbench.paths import home

if TYPE_CHECKING:
    import pandas as pd

    from data_builders.measure.campaign import Campaign
    from data_builders.measure.worker import Setting
    from hwnasbench.spaces import Space

#: What onboarding takes.
_LEAST, _MOST = 3, 256


def measure(
    space: Annotated[str, typer.Option(help="Name of a space.")] = "nasbench201",
    sample: Annotated[int | None, typer.Option(help="Draw so many architectures; all graphs by default.")] = None,
    backend: Annotated[str, typer.Option(help="The engine: onnxruntime, openvino, litert, torch, ...")] = "onnxruntime",
    precision: Annotated[str, typer.Option(help="fp32, bf16, int8: what the engine runs.")] = "fp32",
    dataset: Annotated[str | None, typer.Option(help="Whose input size; the space's first by default.")] = None,
    batch: Annotated[int, typer.Option(help="Images of one inference.")] = 1,
    threads: Annotated[int, typer.Option(help="Threads of one inference, and cores it is held to.")] = 1,
    passes: Annotated[int, typer.Option(help="Processes that time each network.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of the sample.")] = 0,
    energy: Annotated[bool, typer.Option("--energy", help="Read the energy meter too.")] = False,
    memory: Annotated[bool, typer.Option("--memory", help="Run each network alone; read its memory.")] = False,
    device: Annotated[str | None, typer.Option(help="Its name; my_PROCESSOR_ENGINE_PRECISION by default.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the samples; in the data folder by default.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder where the engine keeps networks it has compiled.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that measure at once, on cores of their own.")] = 1,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler: one worker a device.")] = None,
) -> None:
    """Time networks on this machine; make a device of it that answers queries. A killed run resumes."""
    from data_builders.measure import backends, payload, summary, workloads
    from data_builders.measure.campaign import Campaign
    from data_builders.measure.machine import Machine
    from data_builders.measure.worker import Setting
    from hwnasbench import spaces
    from hwnasbench.executors import dask_executor

    for name, value in (("--batch", batch), ("--threads", threads), ("--passes", passes), ("--workers", workers)):
        if value < 1:
            raise InvalidRequest(f"{name} is {value}; expected 1 or more")
    if energy and workers > 1:
        raise InvalidRequest(f"--energy with --workers {workers}: a meter counts all that runs; expected 1 worker")
    if memory and scheduler is not None:
        raise InvalidRequest("--memory is read on this machine, not on a cluster's; leave out --memory or --scheduler")
    given = spaces.get(space)
    chosen = given.network(given.sample(np.random.default_rng(seed)), dataset).dataset
    if sample is None and not given.enumerable:
        raise InvalidRequest(f"{space} cannot be enumerated; say how many networks to measure with --sample")
    if scheduler is None:
        backends.get(backend).check(precision)
    archs = workloads.graphs(given) if sample is None else workloads.sample(given, chosen, sample, seed)
    networks = workloads.networks(given, archs, chosen)
    setting = Setting(backend, precision, batch, threads, energy)
    words = (backend, precision, space, chosen, f"b{batch}", f"t{threads}", payload.digest(networks)[:8])
    folder = out or home() / "measurements" / "-".join(words)
    campaign = Campaign(folder, networks, setting, passes=passes, cache=cache)
    campaign.run(dask_executor(scheduler) if scheduler is not None else None, workers, typer.echo)
    chunks = summary.of_campaign(campaign)
    found = summary.frame(chunks)
    machine = Machine(**campaign.identity()["machine"])
    called = device or _named(machine.device, setting, space)
    typer.echo(f"{machine.title}: {(found['status'] == 'ok').sum()} of {len(found)} networks timed")
    for status, count in found.loc[found["status"] != "ok", "status"].value_counts().items():
        typer.echo(f"{count} networks: {status}")
    if passes > 1:
        agreement = summary.spread(chunks)
        typer.echo(f"processes differ by {agreement.between:.2%}, and rank with Kendall {agreement.kendall:.3f}")
    _write(campaign, given, found, called, chosen)
    _onboard(campaign, given, found, called, chosen, machine.accelerator or machine.title)
    if memory:
        _write(campaign, given, found.assign(**campaign.memory(workers, typer.echo)), called, chosen)


def _named(processor: str, setting: Setting, space: str) -> str:
    """Return the default name of a device: whatever answers differently has a name of its own."""
    words = ["my", processor, setting.backend.rpartition(":")[2].lower(), setting.precision]
    words += [f"b{setting.batch}"] * (setting.batch != 1) + [f"t{setting.threads}"] * (setting.threads != 1)
    return "_".join(words + [space] * (space != "nasbench201"))


def _write(campaign: Campaign, space: Space, found: pd.DataFrame, device: str, dataset: str) -> None:
    import pyarrow as pa

    from data_builders.measure import raw
    from data_builders.measure.table import columns
    from hwnasbench.tables.write import concat, write_table

    rows = columns(space, found, device, _keys(campaign, dataset), campaign.passes)
    path = campaign.folder / "table.parquet"
    write_table(concat(column.to_table() for column in rows), path)
    summary = campaign.folder / "summary.parquet"
    write_table(pa.Table.from_pandas(found, preserve_index=False), summary)
    parts = [campaign.path(chunk, number) for chunk in range(len(campaign.chunks)) for number in range(campaign.passes)]
    raw.join(parts, campaign.folder / "samples.h5")
    typer.echo(f"table: {path}\nquantiles and rounds: {summary}\nraw samples: {campaign.folder / 'samples.h5'}")


def _keys(campaign: Campaign, dataset: str) -> dict[str, str | int]:
    from data_builders.measure import backends

    setting = campaign.setting
    engine = backends.engine(setting.backend)
    return {
        "dataset": dataset,
        "engine": engine,
        "threads": setting.threads,
        "batch": setting.batch,
        "precision": setting.precision,
    }


def _onboard(campaign: Campaign, space: Space, found: pd.DataFrame, device: str, dataset: str, title: str) -> None:
    """Save a device that answers for the whole space, from the networks that were timed."""
    from hwnasbench.onboarding.device import onboard

    timed = found[found["status"] == "ok"]
    if len(timed) > _MOST:
        typer.echo(f"the device is learned from {_MOST} of {len(timed)} networks, drawn at random; the table has all")
        timed = timed.sample(_MOST, random_state=0).sort_index()
    if len(timed) < _LEAST:
        typer.echo(f"no device is made of {len(timed)} networks: it takes {_LEAST}")
        return
    keys = _keys(campaign, dataset)
    metered = timed["joules"].notna().all()
    try:
        made = onboard(
            device,
            space=space,
            archs=timed["name"].tolist(),
            latency=timed["value"].tolist(),
            energy=(timed["joules"] * 1e3).tolist() if metered else None,
            dataset=dataset,
            title=title,
            batch=int(keys["batch"]),
            precision=str(keys["precision"]),
            engine=str(keys["engine"]),
            threads=int(keys["threads"]),
        )
    except NoColumn as error:
        typer.echo(f"no device is made: {error}")
        return
    except HwnasbenchError as error:
        raise InvalidRequest(f"the times are in {campaign.folder}, but no device is made of them: {error}") from error
    typer.echo(f"device {device!r}: {made.save()}")
    typer.echo(f"ask it: hwnasbench query ARCH --space {space.name} --device {device}")
