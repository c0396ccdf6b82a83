"""RoBoT: 200-epoch test accuracies of NAS-Bench-201, and 12-epoch CIFAR-10 validation with its cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_builders.pickles import load
from data_builders.rows import by_string, cell_column

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data_builders.catalog import Folder
    from hwnasbench.tables.write import ColumnData

_FILES = {"cifar10": "cf10", "cifar100": "cf100", "ImageNet16-120": "im120"}


def columns(files: Folder) -> Iterator[ColumnData]:
    """Yield three test columns, one validation column and its training time."""
    for dataset, short in _FILES.items():
        yield cell_column(
            "robot",
            "accuracy",
            load(files.path(f"data/nb2_{short}_test_accuracy.p")),
            kind="measured",
            keys={"dataset": dataset, "precision": "fp32", "split": "test", "recipe": "standard", "epochs": 200},
        )
    records = load(files.path("data/nb2_cf10_hp12_info.p"))
    by_string("robot", [r["arch"] for r in records], range(len(records)))
    yield cell_column(
        "robot",
        "accuracy",
        [r["valacc"] for r in records],
        kind="measured",
        keys={"dataset": "cifar10", "precision": "fp32", "split": "valid", "recipe": "standard", "epochs": 12},
    )
    yield cell_column(
        "robot",
        "train_time",
        [r["cost"] for r in records],
        kind="measured",
        keys={"dataset": "cifar10", "recipe": "standard", "epochs": 12},
    )
