"""Gradient-boosted trees (XGBoost)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: One thread, so that sums are in one order; few bins, because most features are small counts.
_COMMON = {"tree_method": "hist", "min_child_weight": 4, "max_bin": 16, "nthread": 1}


@dataclass(frozen=True)
class Trees:
    """Settings of boosted trees.

    Attributes
    ----------
    features : str
    rounds : int
        Number of trees.
    settings : dict
        What differs from the settings that all trees share, in XGBoost's words.
    """

    features: str
    rounds: int
    settings: dict[str, Any] = field(default_factory=dict)
    name: str = "gradient-boosted trees"

    def fit(self, x: NDArray[np.float32], y: NDArray[np.float64], seed: int) -> FittedTrees:
        """Fit to every row alike."""
        import xgboost as xgb

        settings = {**_COMMON, **self.settings, "seed": seed}
        return FittedTrees(xgb.train(settings, xgb.DMatrix(x, y, nthread=1), self.rounds))


class FittedTrees:
    """A fitted booster."""

    def __init__(self, booster: Any) -> None:
        self.booster = booster

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return one prediction a row."""
        import xgboost as xgb

        return np.asarray(self.booster.predict(xgb.DMatrix(x, nthread=1)), np.float64)
