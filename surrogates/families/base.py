"""What every family of surrogates offers: fit on features and a transformed target, predict, be shipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Model(Protocol):
    """A fitted surrogate."""

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return one prediction a row of `x`, on the scale of the target it was fitted to."""


class Family(Protocol):
    """A way to fit surrogates; instances are settings only and hold no data.

    Attributes
    ----------
    name : str
        As scorecards name the family.
    features : str
        Name of the feature set that `fit` and `Model.predict` take; see `surrogates.features`.
    """

    @property
    def name(self) -> str:
        """As scorecards name the family."""

    @property
    def features(self) -> str:
        """Name of the feature set that it takes."""

    def fit(self, x: NDArray[np.float32], y: NDArray[np.float64], seed: int) -> Model:
        """Fit to (n, features) and (n,) values; the same arguments give the same model to the last bit."""
