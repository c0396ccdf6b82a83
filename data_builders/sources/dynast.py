"""Measured ImageNet accuracies of OFA-MobileNetV3 subnetworks, from five searches."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np

from data_builders.rows import listed_column
from hwnasbench import spaces
from hwnasbench.errors import CorruptFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data_builders.catalog import Folder
    from hwnasbench.tables.write import ColumnData

_COUNTS = {"params": "Model Parameters", "macs": "MACs"}


def columns(files: Folder) -> Iterator[ColumnData]:
    """Yield the accuracy with the supernet's weights, the parameters and the multiply-accumulates."""
    space = spaces.get("ofa_mobilenetv3")
    accuracies: dict[str, list[float]] = {}
    counts: dict[str, tuple[int, ...]] = {}
    for name in files.names("notebooks/data/"):
        with files.path(name).open(encoding="utf-8", newline="") as handle:
            for row in csv.DictReader(handle):
                arch = space.format(space.canonical(row["Sub-network"]))
                accuracies.setdefault(arch, []).append(float(row["Top-1 Acc (%)"]))
                found = tuple(int(row[heading]) for heading in _COUNTS.values())
                if counts.setdefault(arch, found) != found:
                    raise CorruptFile(f"{name}: two counts of {arch}")
    archs = list(accuracies)
    n = np.array([len(values) for values in accuracies.values()])
    yield listed_column(
        space.name,
        "dynast",
        "accuracy",
        archs,
        [np.mean(values) for values in accuracies.values()],
        kind="measured",
        keys={"dataset": "imagenet", "precision": "fp32", "split": "valid", "recipe": "ofa_supernet"},
        noise=np.array([np.std(v, ddof=1) if len(v) > 1 else np.nan for v in accuracies.values()]),
        n=n,
    )
    for number, metric in enumerate(_COUNTS):
        values = [float(counts[arch][number]) for arch in archs]
        keys: dict[str, str | int | None] = {"dataset": "imagenet"}
        yield listed_column(space.name, "dynast", metric, archs, values, kind="measured", keys=keys)
