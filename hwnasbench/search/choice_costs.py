"""What each choice costs: metrics that need no training, as one sum over the decisions of an architecture.

The published searchers look the latency of a network up as the sum of its operators' latencies. `choice_costs` gives
that table for any space: the one that is shipped where there is one, and a least-squares fit where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from hwnasbench.errors import InvalidRequest, NoColumn
from hwnasbench.search.objectives.base import reference
from hwnasbench.tables.columns import LookupColumn
from hwnasbench.vocabulary import METRICS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hwnasbench.search.base import Vector
    from hwnasbench.search.problem import Problem

    Floats = NDArray[np.float64]

#: Architectures that a fit looks at: so many for each of its parameters, within these bounds.
_PER_PARAMETER, _FEWEST, _MOST = 10, 1000, 4000
#: The share of them that is held out of the fit.
_HELD_OUT = 0.25
#: Relative difference below which a table that was shipped says what the benchmark says.
_SAME = 1e-9
#: Metrics of these scopes are what searching is for, or cost training.
_TRAINED = ("training", "training_cost")


@dataclass(frozen=True, eq=False)
class ChoiceCosts:
    """A metric as ``base + sum over positions of costs[position][choice]``, or e to the power of that sum.

    Attributes
    ----------
    metric : str
        ``METRIC`` or ``METRIC@DEVICE``.
    base : float
    costs : tuple of (choices,) ndarray
        One array a position, in the metric's unit (its logarithm with link "exp"); NaN where no network with that
        choice has a value. In a fitted table the cheapest choice of each position costs nothing beyond `base`.
    link : {"identity", "exp"}
    exact : bool
        Whether the benchmark itself computes the metric by this table.
    mape : float
        Mean absolute percentage error on architectures that the table was not fitted to, as a fraction.
    samples : int
        Architectures that `mape` is the mean over.
    """

    metric: str
    base: float
    costs: tuple[Floats, ...]
    link: str
    exact: bool
    mape: float
    samples: int

    def predict(self, vectors: Sequence[Vector] | NDArray[np.int8]) -> Floats:
        """Return the metric of many architectures by the table, in its unit."""
        many = np.asarray(vectors)
        total = np.full(len(many), self.base)
        for position, costs in enumerate(self.costs):
            total += costs[many[:, position]]
        return np.exp(total) if self.link == "exp" else total

    def known(self) -> tuple[NDArray[np.bool_], ...]:
        """Tell which choices have a cost, one array a position."""
        return tuple(np.isfinite(costs) for costs in self.costs)


_TABLES: WeakKeyDictionary[Problem, dict[str, ChoiceCosts]] = WeakKeyDictionary()


def choice_costs(problem: Problem, metric: str) -> ChoiceCosts:
    """Return what each choice of a problem's space costs; made once for a problem.

    Parameters
    ----------
    problem : Problem
    metric : str
        ``METRIC`` or ``METRIC@DEVICE``, of the objective or not.

    Returns
    -------
    ChoiceCosts

    Raises
    ------
    InvalidRequest
        For a metric that comes of training, and where too few architectures have a value.
    UnknownName, NoColumn
        When there is no such metric, or nothing answers for it.
    """
    name = str(reference(metric))
    tables = _TABLES.setdefault(problem, {})
    if name not in tables:
        tables[name] = _shipped(problem, name) or _fitted(problem, name)
    return tables[name]


def read(problem: Problem, metric: str, vectors: Sequence[Vector] | NDArray[np.int8]) -> Floats:
    """Return a metric that needs no training, in its unit; NaN where an architecture has none.

    Raises
    ------
    InvalidRequest
        For a metric that comes of training: that is what a search is told, and pays for. For a device, in a space that
        brings its own.
    """
    wanted = reference(metric)
    if METRICS[wanted.metric].scope in _TRAINED:
        raise InvalidRequest(f"{metric} is no cost: it comes of training; expected latency, energy, params or the like")
    many = np.asarray(vectors, np.int8).reshape(-1, len(problem.choices))
    frame = problem.ask(many, (wanted.metric,), wanted.device or problem.device, dict(wanted.keys))
    return np.asarray(frame[wanted.metric].to_numpy(np.float64))


def one_hot(choices: Sequence[int], vectors: NDArray[np.int8]) -> Floats:
    """Return one column a (position, choice), shape (n, sum of choices)."""
    return np.concatenate([vectors[:, [p]] == np.arange(n) for p, n in enumerate(choices)], axis=1).astype(np.float64)


def split(choices: Sequence[int], row: Floats) -> list[Floats]:
    """Return the entries of one row of `one_hot`, one array a position."""
    return np.split(row, np.cumsum(choices)[:-1])


def _drawn(problem: Problem, name: str) -> tuple[NDArray[np.int8], Floats]:
    """Return architectures and their values. The draw is one and the same for all searches of a problem."""
    parameters = sum(problem.choices) - len(problem.choices) + 1
    n = min(max(_PER_PARAMETER * parameters, _FEWEST), _MOST)
    vectors = problem.space.sample_many(np.random.default_rng(0), n)
    values = read(problem, name, vectors)
    kept = np.isfinite(values)
    return vectors[kept], values[kept]


def _error(told: Floats, values: Floats) -> float:
    return float(np.mean(np.abs(told - values) / np.maximum(np.abs(values), np.finfo(float).tiny)))


def _shipped(problem: Problem, name: str) -> ChoiceCosts | None:
    """Return the look-up table that answers for a metric; None where something else does."""
    wanted = reference(name)
    if not hasattr(problem.bench, "plan"):
        return None
    device = problem.device if wanted.device is None else wanted.device
    request: dict[str, Any] = {**problem.request, **dict(wanted.keys)}
    request.pop("noise", None)
    try:
        found = problem.bench.plan(device, metrics=(wanted.metric,), **request).resolved[wanted.metric]
    except NoColumn:
        return None
    column = found.column
    if not isinstance(column, LookupColumn) or found.fill is not None or column.space != problem.space.name:
        return None
    rows = column.coefficients()
    costs = tuple(np.array(rows[p, :n], np.float64) for p, n in enumerate(problem.choices))
    table = ChoiceCosts(name, column.intercept, costs, column.link, False, 0.0, 0)
    vectors, values = _drawn(problem, name)
    error = _error(table.predict(vectors), values) if len(values) else np.inf
    return ChoiceCosts(name, column.intercept, costs, column.link, bool(error < _SAME), error, len(values))


def _fitted(problem: Problem, name: str) -> ChoiceCosts:
    vectors, values = _drawn(problem, name)
    held = max(int(len(values) * _HELD_OUT), 1)
    if len(values) < 8:
        raise InvalidRequest(
            f"a table of {name} over the choices of {problem.space.name} cannot be fitted: "
            f"{len(values)} of the architectures that were drawn have a value"
        )
    features = one_hot(problem.choices, vectors)
    design = np.hstack([np.ones((len(values), 1)), features])
    # The columns of a position sum to one: of the equal solutions lstsq gives the smallest, shifted below.
    solution = np.linalg.lstsq(design[held:], values[held:], rcond=None)[0]
    base, costs = float(solution[0]), []
    for part, seen in zip(
        split(problem.choices, np.asarray(solution[1:], np.float64)),
        split(problem.choices, features[held:].sum(0)),
        strict=True,
    ):
        part = np.where(seen > 0, part, np.nan)
        least = float(np.nanmin(part))
        costs.append(part - least)
        base += least
    table = ChoiceCosts(name, base, tuple(costs), "identity", False, 0.0, 0)
    told = table.predict(vectors[:held])
    kept = np.isfinite(told)
    error = _error(told[kept], values[:held][kept])
    return ChoiceCosts(name, base, tuple(costs), "identity", False, error, int(kept.sum()))
