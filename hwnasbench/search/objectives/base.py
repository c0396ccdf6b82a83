"""How metrics become what a searcher is told: one score, or one an objective of many; larger is better."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hwnasbench.errors import InvalidRequest, UnknownName
from hwnasbench.vocabulary import METRICS, SCOPE_KEYS

#: Keys that a reference may not state: a device has a place of its own, and the others are the problem's, or a search
#: could look at test accuracy.
_ELSEWHERE = ("device", "split", "epochs")
_NUMBERS = ("batch", "threads")

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Reference(NamedTuple):
    """A metric, and what is asked of it besides the problem's own request; written ``METRIC@DEVICE?KEY=VALUE,...``."""

    metric: str
    device: str | None
    keys: tuple[tuple[str, str | int], ...] = ()

    def __str__(self) -> str:
        device = "" if self.device is None else f"@{self.device}"
        return f"{self.metric}{device}" + ("?" + ",".join(f"{k}={v}" for k, v in self.keys) if self.keys else "")


def reference(text: str) -> Reference:
    """Read ``METRIC``, ``METRIC@DEVICE``, ``METRIC?KEY=VALUE,...`` or ``METRIC@DEVICE?KEY=VALUE,...``.

    The keys are those of the metric, less the device, the split and the epochs, and besides ``source`` and ``kinds``.

    Raises
    ------
    UnknownName
        When there is no such metric, or the metric has no such key.
    InvalidRequest
        When a device or a key has no value, a key stands twice, or is the split or the epochs, which are the problem's.
    """
    head, question, tail = str(text).partition("?")
    metric, at, device = head.partition("@")
    if metric not in METRICS:
        raise UnknownName("metric", metric, METRICS)
    if at and not device:
        raise InvalidRequest(f"{text!r}: no device stands after the @; expected METRIC@DEVICE")
    keys = [_key(str(text), metric, part) for part in tail.split(",")] if question else []
    if len(dict(keys)) < len(keys):
        raise InvalidRequest(f"{text!r}: a key stands twice")
    return Reference(metric, device or None, tuple(sorted(keys)))


def _key(text: str, metric: str, part: str) -> tuple[str, str | int]:
    name, _, value = (word.strip() for word in part.partition("="))
    if name in ("split", "epochs"):
        raise InvalidRequest(
            f"{text!r}: {name} is the problem's, and of every accuracy; expected Problem(..., {name}=...)"
        )
    known = {*SCOPE_KEYS[METRICS[metric].scope], "source", "kinds"} - {*_ELSEWHERE}
    if name not in known:
        raise UnknownName(f"key of {metric}", name, known)
    if not value:
        raise InvalidRequest(f"{text!r}: {name} has no value; expected {name}=VALUE")
    if name not in _NUMBERS:
        return name, value
    if not value.isdecimal():
        raise InvalidRequest(f"{text!r}: {name}={value}; expected an integer")
    return name, int(value)


def upward(metric: str) -> bool:
    """Whether more of a metric is better."""
    return METRICS[reference(metric).metric].direction == "max"


class Objective(ABC):
    """What a search is after.

    Attributes
    ----------
    metrics : tuple of str
        What it looks at, as `reference` reads them; of accuracy the searcher's split.
    count : int
        How many scores it gives.
    paper : str
        Where its form was published; empty where it is everybody's.
    """

    metrics: tuple[str, ...]
    count: int = 1
    paper: str = ""

    @abstractmethod
    def score(self, values: Mapping[str, Floats]) -> Floats:
        """Return the scores of many architectures.

        Parameters
        ----------
        values : mapping of str to (n,) ndarray
            Each of `metrics`, in its unit; NaN where an architecture has no value.

        Returns
        -------
        (n,) or (n, count) ndarray
            Larger is better; NaN or minus infinity where there is nothing to score.
        """

    def feasible(self, values: Mapping[str, Floats]) -> NDArray[np.bool_]:
        """Tell which architectures keep the constraints: those with a value for every metric; subclasses have more."""
        return np.asarray(np.logical_and.reduce([np.isfinite(values[name]) for name in self.metrics]))

    def constraints(self) -> list[str]:
        """Return in words what `feasible` asks for besides values."""
        return []


def check(metrics: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of metrics, each once.

    Raises
    ------
    UnknownName
    InvalidRequest
        When there is none.
    """
    if not metrics:
        raise InvalidRequest("an objective looks at one metric or more; got none")
    return tuple(dict.fromkeys(str(reference(name)) for name in metrics))


class Metric(Objective):
    """One metric alone, in its own direction.

    Parameters
    ----------
    metric : str
    """

    def __init__(self, metric: str = "accuracy") -> None:
        self.metrics = check((metric,))
        self._sign = 1.0 if upward(metric) else -1.0

    def score(self, values: Mapping[str, Floats]) -> Floats:
        return np.asarray(self._sign * values[self.metrics[0]])


class Front(Objective):
    """Several metrics side by side, each in its own direction, for searchers of Pareto fronts.

    Parameters
    ----------
    *metrics : str
    """

    def __init__(self, *metrics: str) -> None:
        self.metrics = check(metrics)
        self.count = len(self.metrics)
        if self.count < 2:
            raise InvalidRequest(f"a front is of two metrics or more; got {', '.join(self.metrics)}")
        self._signs = np.array([1.0 if upward(name) else -1.0 for name in self.metrics])

    def score(self, values: Mapping[str, Floats]) -> Floats:
        return np.asarray(np.stack([values[name] for name in self.metrics], axis=-1) * self._signs)


class Constrained(Objective):
    """Another objective, within limits: whatever breaks one is infeasible.

    Parameters
    ----------
    objective : Objective
    limits : mapping of str to float
        For each metric the most that is allowed of it; the least, where more of it is better.
    """

    def __init__(self, objective: Objective, limits: Mapping[str, float]) -> None:
        if not limits:
            raise InvalidRequest("a constraint needs a limit, such as {'latency': 10.0}; got none")
        for name, limit in limits.items():
            if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not np.isfinite(limit):
                raise InvalidRequest(f"the limit of {name} is {limit!r}; expected a number")
        self.objective = objective
        self.limits = {str(reference(name)): float(limit) for name, limit in limits.items()}
        self.metrics = check((*objective.metrics, *self.limits))
        self.count = objective.count
        self.paper = objective.paper

    def score(self, values: Mapping[str, Floats]) -> Floats:
        return self.objective.score(values)

    def constraints(self) -> list[str]:
        return [*self.objective.constraints(), *(f"{name} {limit:g}" for name, limit in self.limits.items())]

    def feasible(self, values: Mapping[str, Floats]) -> NDArray[np.bool_]:
        kept = self.objective.feasible(values)
        for name, limit in self.limits.items():
            kept = kept & (values[name] >= limit if upward(name) else values[name] <= limit)
        return kept
