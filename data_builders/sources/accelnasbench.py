"""Accuracies, FPGA latencies and throughputs of 5,125 MnasNet networks of Accel-NASBench."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from data_builders.rows import listed_column
from hwnasbench import spaces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from data_builders.catalog import Folder
    from hwnasbench.tables.write import ColumnData

_DATASET = "imagenet"
_RECIPE = "accelnasbench_proxy"
_EPOCHS = 16


class _Device(NamedTuple):
    """How a device was measured: our name, precision, batch, threads, and what is not stated."""

    device: str
    precision: str
    batch: int
    threads: int | None = None
    flags: tuple[str, ...] = ()


_LATENCY = {"zcu102": _Device("zcu102", "int8", 1, 1), "vck190": _Device("vck190", "int8", 6, 1)}
_THROUGHPUT = {
    "zcu102": _Device("zcu102", "int8", 1, 5, ("assumed:batch",)),
    "vck190": _Device("vck190", "int8", 6, 6, ("assumed:batch",)),
    "a100": _Device("a100", "fp32", 256, None, ("assumed:batch", "assumed:precision")),
    "3090": _Device("rtx_3090", "fp32", 256, None, ("assumed:batch", "assumed:precision")),
    "tpuv2": _Device("tpu_v2", "fp32", 64, None, ("assumed:precision",)),
    "tpuv3": _Device("tpu_v3", "fp32", 128, None, ("assumed:precision",)),
}


def columns(files: Folder) -> Iterator[ColumnData]:
    """Yield accuracy, training time, counts, latencies and throughputs."""
    space = spaces.get("mnasnet")
    networks: dict[str, list[dict[str, Any]]] = {}
    for record in _records(files):
        networks.setdefault(space.format(record["architecture"]), []).append(record)
    archs, groups = list(networks), list(networks.values())

    def column(metric: str, found: tuple[NDArray[Any], ...], keys: dict[str, Any], flags: Any = ()) -> ColumnData:
        values, noise, n = found
        return listed_column(
            space.name,
            "accelnasbench",
            metric,
            archs,
            values,
            kind="measured",
            keys={"dataset": _DATASET, **keys},
            flags=flags,
            missing=True,
            noise=noise,
            n=n,
        )

    training = {"recipe": _RECIPE, "epochs": _EPOCHS}
    accuracy = {"precision": "fp32", "split": "valid", **training}
    yield column("accuracy", _over(groups, "metrics", "val_top1"), accuracy)
    yield column("train_time", _over(groups, "metrics", "train_time"), training)
    for metric, name in (("params", "params"), ("flops", "macs")):
        values, _, _ = _over(groups, "model_info", name)
        counts = np.round(values * 1e6)
        yield listed_column(
            space.name, "accelnasbench", metric, archs, counts, kind="measured", keys={"dataset": _DATASET}
        )
    for metric, devices in (("latency", _LATENCY), ("throughput", _THROUGHPUT)):
        for name, how in devices.items():
            found = _over(groups, "platform_perf", f"{metric}_{name}", f"{metric}_mean", f"{metric}_std")
            keys = {"device": how.device, "precision": how.precision, "batch": how.batch, "threads": how.threads}
            yield column(metric, found, keys, how.flags)


def _records(files: Folder) -> Iterator[dict[str, Any]]:
    """Yield the records in the order of their numbers."""
    with tarfile.open(files.path("anb_dataset/anb_dataset_jsons.tar.gz")) as archive:
        members = [m for m in archive.getmembers() if m.isfile() and m.name.endswith(".json")]
        members.sort(key=lambda member: int(member.name.rpartition("_")[2].removesuffix(".json")))
        for member in members:
            handle = archive.extractfile(member)
            if handle is not None:
                yield json.load(handle)


def _over(groups: list[list[dict[str, Any]]], part: str, name: str, mean: str = "", std: str = "") -> Any:
    """Return the value, its repeatability and the number of trainings of each network.

    Of one record the published standard deviation is the repeatability; of several, their spread.
    """

    def number(value: Any) -> float:
        return float("nan") if value is None else float(value)

    values, noise, repeats = [], [], []
    for records in groups:
        entries = [record[part][name] for record in records]
        means = [number(entry[mean] if mean else entry) for entry in entries]
        known = [value for value in means if not np.isnan(value)]
        values.append(np.mean(known) if known else np.nan)
        alone = number(entries[0][std]) if std else np.nan
        noise.append(np.std(known, ddof=1) if len(known) > 1 else alone)
        repeats.append(max(len(known), 1))
    return np.array(values), np.array(noise), np.array(repeats)
