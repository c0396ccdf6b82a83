"""Accuracies of all 6,561 networks of NAS-Bench-Macro."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from hwnasbench import spaces
from hwnasbench.errors import CorruptFile
from hwnasbench.tables.write import ColumnData

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data_builders.catalog import Folder

_TRAININGS = 3


def columns(files: Folder) -> Iterator[ColumnData]:
    """Yield the test accuracy (mean of three trainings), the parameters and the operations."""
    table = json.loads(files.path("data/nas-bench-macro_cifar10.json").read_text("utf-8"))
    space = spaces.get("nasbench_macro")
    archs = [space.format(arch) for arch in space]
    if set(table) != set(archs):
        raise CorruptFile(f"nas-bench-macro_cifar10.json has {len(table)} networks; expected all {len(archs)}")
    tests = np.array([table[arch]["test_acc"] for arch in archs], np.float64)
    if tests.shape != (len(archs), _TRAININGS):
        raise CorruptFile(f"accuracies of shape {tests.shape}; expected {_TRAININGS} a network")
    index = np.arange(len(archs), dtype=np.int32)
    # Networks that differ by where nothing stands in a stage are one, and were trained as one.
    trained = [space.canonical(arch) for arch in archs]
    if any(table[arch]["test_acc"] != table[once]["test_acc"] for arch, once in zip(archs, trained, strict=True)):
        raise CorruptFile("nas-bench-macro_cifar10.json has two accuracies of one network")
    yield ColumnData(
        space.name,
        "accuracy",
        "nasbench_macro",
        "measured",
        archs,
        tests.mean(axis=1),
        arch_index=index,
        keys={"dataset": "cifar10", "precision": "fp32", "split": "test", "recipe": "standard"},
        noise=tests.std(axis=1),
        n=_TRAININGS,
        flags=[None if arch == once else "copied" for arch, once in zip(archs, trained, strict=True)],
    )
    for metric in ("params", "flops"):
        values = np.array([table[arch][metric] for arch in archs], np.float64)
        keys: dict[str, str | int | None] = {"dataset": "cifar10"}
        yield ColumnData(space.name, metric, "nasbench_macro", "measured", archs, values, arch_index=index, keys=keys)
