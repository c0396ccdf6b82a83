"""Plausible measurements: values with one draw of the repeatability of training or timing.

For those who study search under noise. The draw says how a second training or timing of the same network
would differ; it knows nothing of a surrogate's error, which is no noise: it is the same each time.

A draw is normal with the standard deviation `Value.noise`. Latency, energy and the like are positive and
their noise is a share of the value, so the draw is of their logarithm; percentages stay within 0 and 100.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.errors import InvalidRequest, NoValue
from hwnasbench.results import Result
from hwnasbench.vocabulary import METRICS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwnasbench.plan import Plan
    from hwnasbench.results import Value

    Floats = NDArray[np.float64] | float


def generator(noise: Any) -> np.random.Generator:
    """Return the generator that a request names, or one with the seed that it names.

    Raises
    ------
    InvalidRequest
        When it is neither a Generator nor an integer of 0 or more.
    """
    if isinstance(noise, np.random.Generator):
        return noise
    if isinstance(noise, (int, np.integer)) and not isinstance(noise, bool) and noise >= 0:
        return np.random.default_rng(int(noise))
    raise InvalidRequest(f"noise={noise!r}: expected a numpy.random.Generator or a seed, 0 or more")


def drawn(metric: str, values: Floats, noise: Floats, normal: Floats) -> Any:
    """Return values with noise.

    Parameters
    ----------
    metric : str
    values : (n,) ndarray or float
    noise : (n,) ndarray or float
        Standard deviation of one measurement.
    normal : (n,) ndarray or float
        Standard normal draws.
    """
    if METRICS[metric].scope == "device" or METRICS[metric].unit == "s":
        return values * np.exp(normal * noise / values)
    noisy = values + normal * noise
    return np.clip(noisy, 0, 100) if METRICS[metric].unit == "%" else noisy


def missing(metric: str, source: str) -> NoValue:
    """Return the error for a column whose repeatability nobody states."""
    return NoValue(f"no noise of {metric} ({source}): its repeatability is not known, so nothing can be drawn")


class NoisyResult(Result):
    """The answer to one query with noise: each metric drawn once, when the query was made."""

    __slots__ = ("_draws",)

    def __init__(self, plan: Plan, where: Any, draws: dict[str, float]) -> None:
        super().__init__(plan, where)
        self._draws = draws

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self._plan.bench, self._plan.key, self._where, self._draws)

    def __getitem__(self, metric: str) -> Value:
        """Return a value with its draw; as it is, and not flagged, where its repeatability is not known."""
        value = super().__getitem__(metric)
        if value.value is None or value.noise is None:
            return value
        number = float(drawn(metric, value.value, value.noise, self._draws[metric]))
        # Intervals are around what was predicted, not around a draw.
        return value._replace(value=number, flags=(*value.flags, "drawn"), residuals=None)


def _again(bench: Any, key: tuple[Any, ...], where: Any, draws: dict[str, float]) -> NoisyResult:
    return NoisyResult(bench.plan_of(key), where, draws)


def measured_again(plan: Plan, where: Any, noise: Any) -> NoisyResult:
    """Draw every metric of one architecture, in the order of the request."""
    rng = generator(noise)
    return NoisyResult(plan, where, {metric: float(rng.standard_normal()) for metric in plan.metrics})


def _reader(metric: str) -> property:
    def read(self: NoisyResult) -> float:
        value = self[metric]
        if value.value is None:
            return float(self._plan.refuse(metric, self._where))
        # What a cost model computes repeats exactly.
        if value.noise is None and value.kind != "simulated":
            raise missing(metric, str(value.source))
        return value.value

    return property(read, doc=METRICS[metric].description)


for _metric in METRICS:
    setattr(NoisyResult, _metric, _reader(_metric))
