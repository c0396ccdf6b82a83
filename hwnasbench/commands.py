"""Subcommands that read: query, devices, spaces, cite."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from hwnasbench import load
from hwnasbench import spaces as _spaces
from hwnasbench.results import Result, Value

Space = Annotated[str, typer.Option("--space", "-s", help="Space of architectures.")]
Data = Annotated[str, typer.Option(help="Which data: auto, shipped or built.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Device = Annotated[str | None, typer.Option("--device", "-d", help="Device, by name or alias.")]
Dataset = Annotated[str | None, typer.Option(help="Data set.")]


def query(
    arch: Annotated[str, typer.Argument(help="Architecture: its string, or its published index.")],
    device: Device = None,
    space: Space = "nasbench201",
    dataset: Dataset = None,
    metric: Annotated[list[str] | None, typer.Option("--metric", "-m", help="Only these metrics.")] = None,
    precision: Annotated[str | None, typer.Option(help="Precision, such as fp32 or int8.")] = None,
    batch: Annotated[int | None, typer.Option(help="Batch size.")] = None,
    engine: Annotated[str | None, typer.Option(help="Runtime that ran the network.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads.")] = None,
    split: Annotated[str | None, typer.Option(help="Split of the accuracy: valid or test.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Training recipe of the accuracy.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Training epochs of the accuracy.")] = None,
    input_: Annotated[str | None, typer.Option("--input", help="Input data of a zero-cost proxy.")] = None,
    notation: Annotated[str | None, typer.Option(help="Foreign notation of ARCH, such as eagle or naslib.")] = None,
    source: Annotated[str | None, typer.Option(help="Answer from this source alone.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only measured, estimated, predicted or simulated.")] = None,
    fill: Annotated[str | None, typer.Option(help='"predicted" fills gaps with predictions.')] = None,
    data: Data = "auto",
    as_json: Json = False,
) -> None:
    """Say what one architecture costs and how accurate it is."""
    bench = load(space, data=data)  # type: ignore[call-overload]
    named = bench.space.parse(arch, notation=notation) if notation else arch
    result = bench.query(
        int(arch) if notation is None and re.fullmatch(r"\s*-?[0-9]+\s*", arch) else named,
        device,
        metrics=tuple(metric) if metric else None,
        dataset=dataset,
        precision=precision,
        batch=batch,
        engine=engine,
        threads=threads,
        split=split,
        recipe=recipe,
        epochs=epochs,
        input=input_,
        source=source,
        kinds=tuple(kind) if kind else None,
        fill=fill,
    )
    if as_json:
        typer.echo(json.dumps(result.to_dict(), indent=2))
        return
    _show(result)


def table_of(result: Result) -> Table:
    """Lay a result out as a table."""
    device = result.request["device"]
    table = Table(title=f"{result.arch}" + (f" on {device}" if device else ""))
    for heading in ("metric", "value", "unit", "std", "kind", "source", "data set", "flags"):
        # What was asked for is never cut off; the rest may wrap.
        whole = heading in ("metric", "value", "unit", "std")
        table.add_column(
            heading, justify="right" if heading in ("value", "std") else "left", no_wrap=whole, overflow="fold"
        )
    for name in result:
        table.add_row(name, *_cells(result[name]))
    return table


def _show(result: Result) -> None:
    console = Console()
    console.print(table_of(result))
    console.print(f"data release {result.release}, fingerprint {result.fingerprint[:12]}", highlight=False)


def _cells(value: Value) -> list[str]:
    shown = value.status if value.value is None else f"{value.value:.6g}"
    spread = "" if value.std is None else f"{value.std:.3g}"
    kind = f"{value.kind} (of {value.of})" if value.of else value.kind or ""
    return [
        shown,
        value.unit if value.unit != "1" else "",
        spread,
        kind,
        value.source or "",
        str(value.keys.get("dataset") or ""),
        ", ".join(value.flags),
    ]


def devices(space: Space = "nasbench201", data: Data = "auto", as_json: Json = False) -> None:
    """List the devices of a space."""
    bench = load(space, data=data)  # type: ignore[call-overload]
    found = bench.devices()
    if as_json:
        typer.echo(json.dumps([device.to_dict() for device in found], indent=2))
        return
    table = Table("name", "device", "class", "also called", "metrics")
    for device in found:
        metrics = sorted({c.metric for c in bench.all_columns() if c.keys["device"] == device.name})
        table.add_row(device.name, device.title, device.device_class, ", ".join(device.aliases), ", ".join(metrics))
    Console().print(table)


def spaces(as_json: Json = False) -> None:
    """List the spaces."""
    rows: list[dict[str, Any]] = []
    for name in _spaces.names():
        space = _spaces.get(name)
        rows.append({"name": name, "title": space.title, "architectures": space.size, "datasets": list(space.datasets)})
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table("name", "space", "architectures", "data sets")
    for row in rows:
        table.add_row(row["name"], row["title"], str(row["architectures"]), ", ".join(row["datasets"]))
    Console().print(table)


def cite(
    source: Annotated[list[str] | None, typer.Argument(help="Source ids; all sources of the space by default.")] = None,
    space: Space = "nasbench201",
    data: Data = "auto",
) -> None:
    """Print the BibTeX of sources, space and data."""
    typer.echo(load(space, data=data).cite(source), nl=False)  # type: ignore[call-overload]
