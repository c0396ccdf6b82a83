"""NAS without training: CIFAR-10 accuracies, parameters and NASWOT scores of NAS-Bench-201."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data_builders.pickles import load_frame
from data_builders.rows import by_string, cell_column, scatter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data_builders.catalog import Folder
    from hwnasbench.tables.write import ColumnData


def columns(files: Folder) -> Iterator[ColumnData]:
    """Yield test and validation accuracy, parameters and score."""
    frame = load_frame(files.path("results/arch_score_acc.pd"))
    rows = by_string("naswot", list(frame["cellstr"]), frame["arch"].tolist())
    for split in ("test", "valid"):
        yield cell_column(
            "naswot",
            "accuracy",
            scatter(rows, frame[f"{split}_top1"]),
            kind="measured",
            keys={"dataset": "cifar10", "precision": "fp32", "split": split, "recipe": "standard", "epochs": 200},
        )
    # In millions in the file. On 199 rows it is a mean over runs of unequal networks, no whole number.
    params = scatter(rows, frame["params"]) * 1e6
    whole = np.rint(params)
    params = np.where(np.abs(params - whole) < 0.01, whole, params)
    yield cell_column("naswot", "params", params, kind="estimated", keys={"dataset": "cifar10"})
    # The score of a cell without a path is NaN: there is no activation to compare.
    score = scatter(rows, frame["score"])
    yield cell_column("naswot", "naswot", score, kind="estimated", keys={"dataset": "cifar10"}, disconnected=True)
