"""An objective of one's own: any function of what is known of an architecture."""

from __future__ import annotations

import importlib
import math
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.errors import InvalidRequest, ObjectiveFailed, UnknownName
from hwnasbench.search.objectives.base import Objective, check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from hwnasbench.search.objectives.base import Floats


class Found(SimpleNamespace):
    """The metrics of one architecture, as attributes and by name: ``found.accuracy``, ``found["latency@pixel3"]``."""

    def __getitem__(self, name: str) -> float:
        try:
            return float(self.__dict__[name])
        except KeyError:
            raise UnknownName("metric of the objective", name, self.__dict__) from None

    def __getattr__(self, name: str) -> float:
        raise AttributeError(str(UnknownName("metric of the objective", name, self.__dict__)))


class Function(Objective):
    """Scores by a Python function.

    Parameters
    ----------
    function : callable or str
        Takes a `Found` of one architecture that has a value for every metric; returns a number, larger is better, or as
        many as `count`. Minus infinity and NaN say that the architecture is infeasible. ``MODULE:FUNCTION`` names one
        that is imported.
    metrics : sequence of str
        What it looks at, each ``METRIC``, ``METRIC@DEVICE`` or with keys.
    count : int
        How many numbers it returns.

    Raises
    ------
    InvalidRequest
        When `function` is none, or cannot be imported.

    Notes
    -----
    Where it raises, or returns something else, a problem raises ObjectiveFailed, which names the architecture.
    """

    def __init__(
        self,
        function: Callable[[Found], float | Sequence[float]] | str,
        metrics: Sequence[str],
        count: int = 1,
    ) -> None:
        if isinstance(function, str):
            function = _imported(function)
        if not callable(function):
            raise InvalidRequest(f"function={function!r}; expected a function of what is found of an architecture")
        if isinstance(metrics, str):
            raise InvalidRequest(f"metrics={metrics!r}; expected a sequence of metrics, such as ({metrics!r},)")
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise InvalidRequest(f"count={count!r}; expected an integer of 1 or more")
        self._function, self.count = function, count
        self.metrics = check(tuple(metrics))

    def score(self, values: Mapping[str, Floats]) -> Floats:
        """Return what the function says of each architecture.

        Raises
        ------
        ObjectiveFailed
            When it raises, or returns no such number.
        """
        columns = [np.asarray(values[name]).tolist() for name in self.metrics]
        out = np.full((len(columns[0]), self.count), np.nan)
        for row, numbers in enumerate(zip(*columns, strict=True)):
            if all(map(math.isfinite, numbers)):
                out[row] = self._one(row, dict(zip(self.metrics, numbers, strict=True)))
        return out if self.count > 1 else out[:, 0]

    def _one(self, row: int, found: dict[str, float]) -> list[float]:
        shown = ", ".join(f"{name}={value:g}" for name, value in found.items())
        try:
            said: Any = self._function(Found(**found))
        except Exception as error:
            raise ObjectiveFailed(f"the objective's function raised {error!r} at {shown}", row) from error
        try:
            scores = [float(said)] if self.count == 1 else [float(one) for one in said]
        except (TypeError, ValueError):
            scores = []
        if len(scores) != self.count or math.inf in scores:
            expected = "a finite number" if self.count == 1 else f"{self.count} finite numbers"
            raise ObjectiveFailed(f"the objective's function returned {said!r} at {shown}; expected {expected}", row)
        return scores


def _imported(name: str) -> Any:
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidRequest(f"no function {name!r}: {error}; expected MODULE:FUNCTION") from error
