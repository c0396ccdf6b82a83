"""Ridge regression: linear in its features, the intercept not penalised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Ridge:
    """Settings.

    Attributes
    ----------
    penalty : float
        On the squares of the weights.
    features : str
    """

    penalty: float = 1.0
    features: str = "one_hot"
    name: str = "ridge"

    def fit(self, x: NDArray[np.float32], y: NDArray[np.float64], seed: int) -> FittedRidge:
        """Fit to (n, features) and (n,) values; nothing is drawn, `seed` has no effect."""
        mean, middle = x.mean(axis=0, dtype=np.float64), float(y.mean())
        centred = x - mean
        normal = centred.T @ centred + self.penalty * np.eye(x.shape[1])
        weights = np.linalg.solve(normal, centred.T @ (y - middle))
        return FittedRidge(weights, float(middle - mean @ weights))


@dataclass
class FittedRidge:
    """A fitted model: ``intercept + x @ weights``."""

    weights: NDArray[np.float64]
    intercept: float

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return one prediction a row of `x`."""
        return np.asarray(self.intercept + x @ self.weights, np.float64)
