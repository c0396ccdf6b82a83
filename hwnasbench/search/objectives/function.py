"""An objective of one's own: any function of what is known of an architecture."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.errors import InvalidRequest
from hwnasbench.search.objectives.base import Objective, check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hwnasbench.search.objectives.base import Floats


class Found(SimpleNamespace):
    """The metrics of one architecture, as attributes and by name: ``found.accuracy``, ``found["latency@pixel3"]``."""

    def __getitem__(self, name: str) -> float:
        try:
            return float(self.__dict__[name])
        except KeyError:
            raise InvalidRequest(
                f"the objective does not look at {name}; it names {', '.join(self.__dict__)}"
            ) from None


class Function(Objective):
    """Scores by a Python function.

    Parameters
    ----------
    function : callable
        Takes a `Found` of one architecture that has a value for every metric; returns a number, larger is better, or as
        many as `count`.
    metrics : sequence of str
        What it looks at, each ``METRIC`` or ``METRIC@DEVICE``.
    count : int
        How many numbers it returns.
    """

    def __init__(self, function: Callable[[Found], float | Sequence[float]], metrics: Sequence[str], count: int = 1):
        if not callable(function):
            raise InvalidRequest(f"function={function!r}; expected a function of what is found of an architecture")
        if isinstance(metrics, str):
            raise InvalidRequest(f"metrics={metrics!r}; expected a sequence of metrics, such as ({metrics!r},)")
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise InvalidRequest(f"count={count!r}; expected an integer of 1 or more")
        self._function, self.count = function, count
        self.metrics = check(tuple(metrics))

    def score(self, values: Mapping[str, Floats]) -> Floats:
        columns = [np.asarray(values[name]).tolist() for name in self.metrics]
        out = np.full((len(columns[0]), self.count), np.nan)
        for row, numbers in enumerate(zip(*columns, strict=True)):
            if np.isfinite(numbers).all():
                out[row] = self._one(dict(zip(self.metrics, numbers, strict=True)))
        return out if self.count > 1 else out[:, 0]

    def _one(self, found: dict[str, float]) -> Floats:
        shown = ", ".join(f"{name}={value:g}" for name, value in found.items())
        try:
            scores = np.atleast_1d(np.asarray(self._function(Found(**found)), np.float64))
        except Exception as error:
            raise InvalidRequest(f"the objective's function failed at {shown}: {error!r}") from error
        if scores.shape != (self.count,):
            raise InvalidRequest(
                f"the objective's function gave {scores.size} numbers at {shown}; expected {self.count}"
            )
        return scores
