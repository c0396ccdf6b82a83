"""What a new device answers: a column that is learned from the measurements and the known devices."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.paths import PACKAGE_DATA
from hwnasbench.predictors.base import Quantiles
from hwnasbench.simulated import ComputedColumn
from hwnasbench.vocabulary import STATUSES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwnasbench.onboarding.known import Known
    from hwnasbench.onboarding.learner import Posterior

_OK, _DISCONNECTED = STATUSES.index("ok"), STATUSES.index("disconnected")


class OnboardedColumn(ComputedColumn):
    """One metric of a new device, predicted for every architecture, the measured ones too."""

    kind = "predicted"
    kinds = ("predicted",)

    def __init__(
        self, known: Known, posterior: Posterior, metric: str, source: str, keys: dict[str, Any], of: str, measured: int
    ) -> None:
        super().__init__(known.space, metric, source, keys)
        self.of = of  # type: ignore[assignment]
        self.known = known
        self.posterior = posterior
        self.measured = measured
        self._last: tuple[bytes, float, float] | None = None

    @functools.cached_property
    def _whole(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint8]]:
        """Values, standard deviations and status codes of an enumerable space, in index order."""
        assert self.known.rows is not None
        alive = self.known.rows >= 0
        values, std = np.full(len(alive), np.nan), np.full(len(alive), np.nan)
        values[alive], std[alive] = self.posterior.predict(self.known.features)
        return values, std, np.where(alive, _OK, _DISCONNECTED).astype(np.uint8)

    def _one(self, where: Any) -> tuple[float, float]:
        if self.known.rows is not None:
            values, std, _ = self._whole
            return float(values[where]), float(std[where])
        key = bytes(where)
        if self._last is None or self._last[0] != key:
            value, spread = self.posterior.predict(self.known.at(self.counted.vectors([where])))
            self._last = key, float(value[0]), float(spread[0])
        return self._last[1:]

    def read(self, where: Any) -> float:
        return self._one(where)[0]

    def status(self, where: Any) -> str:
        return STATUSES[_OK if self.known.rows is None else self._whole[2][where]]

    def std_at(self, where: Any) -> float | None:
        std = self._one(where)[1]
        return std if std == std else None

    def batch_of(self, where: NDArray[Any] | None) -> tuple[NDArray[np.float64], NDArray[np.uint8] | None]:
        if self.known.rows is None:
            assert where is not None
            return self.posterior.predict(self.known.at(where))[0], None
        values, _, status = self._whole
        return (values, status) if where is None else (values[where], status[where])

    def quantiles(self) -> Quantiles | None:
        return _quantiles(self.space, self.measured)


@functools.cache
def _scorecard() -> dict[str, Any]:
    return dict(json.loads((PACKAGE_DATA / "transfer.json").read_text("utf-8")))


@functools.cache
def _quantiles(space: str, measured: int) -> Quantiles | None:
    """Return the quantiles of held-out devices' residuals at the number of measurements nearest to this one."""
    card = _scorecard()
    tables = card["quantiles"].get(space)
    if not tables:
        return None
    nearest = min(tables, key=lambda size: (abs(int(size) - measured), int(size)))
    return Quantiles(card["levels"], [], [tables[nearest]])
