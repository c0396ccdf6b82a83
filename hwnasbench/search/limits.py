"""The limits of an objective on what costs no training, known before anything is evaluated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.search.choice_costs import ChoiceCosts, choice_costs, read
from hwnasbench.search.membership import Membership
from hwnasbench.search.objectives.base import reference, upward
from hwnasbench.spaces.base import Space
from hwnasbench.vocabulary import METRICS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from hwnasbench.search.base import Vector
    from hwnasbench.search.objectives.base import Objective
    from hwnasbench.search.problem import Problem

    Floats = NDArray[np.float64]

#: Rounds of drawing before a searcher makes do with fewer architectures than it wants, and how many each draws.
_ROUNDS, _DRAWN = 25, 64
#: By how much each round leans further towards choices that keep the limits, in spreads of their costs.
_LEAN = 0.25
#: No table is taken to be wrong by more than this factor.
_MOST_WRONG = 2.0


class CostLimit:
    """One limit on a cost.

    Attributes
    ----------
    name : str
        The metric.
    limit : float
        The most of it that is allowed; the least where `sign` is -1.
    sign : float
        1 where less of the metric is better, else -1.
    table : ChoiceCosts
    ratio : float
        Value over table of the architecture that `calibrate` saw last; 1 at first.
    """

    def __init__(self, name: str, limit: float, table: ChoiceCosts) -> None:
        self.name, self.limit, self.table = name, limit, table
        self.sign = -1.0 if upward(name) else 1.0
        self.ratio = 1.0

    @property
    def target(self) -> float:
        """The limit as the table would have to say it, so that the value keeps the limit."""
        return self.limit / self.ratio

    def kept(self, values: Floats) -> NDArray[np.bool_]:
        """Tell which values keep the limit; none that is missing does."""
        return np.asarray(self.sign * values <= self.sign * self.limit)

    def calibrate(self, vector: Vector, value: float) -> None:
        """Scale the table so that it is right for one architecture."""
        told = float(self.table.predict([vector])[0])
        if np.isfinite(value) and np.isfinite(told) and value * told > 0:
            self.ratio = min(max(value / told, 1.0 / _MOST_WRONG), _MOST_WRONG)


class Limits:
    """Which architectures keep the limits of a problem's objective, as far as it needs no training to know.

    Parameters
    ----------
    problem : Problem

    Attributes
    ----------
    limits : list of CostLimit
        Empty where the objective has none, or on accuracy alone.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.limits = [
            CostLimit(name, limit, choice_costs(problem, name)) for name, limit in _limits(problem.objective).items()
        ]
        self._members = Membership(problem.space)
        self._known: dict[Vector, bool] = {}
        self._leaning = self._towards()
        self._spellings = type(problem.space).canonical_vector is not Space.canonical_vector

    def of(self, metric: str) -> float | None:
        """Return the limit on a metric, however its device is spelled; None where it has none."""
        wanted = self._resolved(metric)
        return next((limit.limit for limit in self.limits if self._resolved(limit.name) == wanted), None)

    def _resolved(self, metric: str) -> tuple[Any, ...]:
        ref = reference(metric)
        return ref.metric, ref.device or getattr(self.problem.device, "name", self.problem.device), ref.keys

    def keeps(self, vectors: Sequence[Vector]) -> list[bool]:
        """Tell which architectures are in the space and keep the limits, by the benchmark and not by the table."""
        new = [v for v in dict.fromkeys(vectors) if v not in self._known]
        if new:
            self._known.update(dict.fromkeys(new, False))
            real = [v for v in new if self._members.keeps_rules(v)]
            kept = np.ones(len(real), bool)
            for limit in self.limits if real else ():
                kept &= limit.kept(read(self.problem, limit.name, real))
            self._known.update(zip(real, kept.tolist(), strict=True))
        return [self._known[v] for v in vectors]

    def new(self, rows: NDArray[np.int8], asked: Collection[Vector]) -> list[Vector]:
        """Return the architectures among rows that keep the limits and were not asked, each once, in their order.

        Decisions that name one network are one architecture: the canonical ones.
        """
        drawn = list(dict.fromkeys(map(tuple, rows.tolist())))
        if self._spellings:
            canonical = self.problem.space.canonical_vector
            drawn = list(dict.fromkeys(canonical(v) for v in drawn if self._members.keeps_rules(v)))
        fresh = [v for v in drawn if v not in asked]
        return [v for v, kept in zip(fresh, self.keeps(fresh), strict=True) if kept]

    def calibrate(self, vector: Vector) -> None:
        """Scale every table so that it is right for one architecture; decisions that are none change nothing."""
        for limit in self.limits if self._members.keeps_rules(vector) else ():
            if not limit.table.exact:
                limit.calibrate(vector, float(read(self.problem, limit.name, [vector])[0]))

    def draw(self, n: int, asked: Collection[Vector], rng: np.random.Generator) -> list[Vector]:
        """Draw architectures that keep the limits and were not asked yet.

        The first round draws uniformly; later ones, where a tight limit leaves too few, lean more and more towards
        choices that cost little.

        Returns
        -------
        list
            At most `n`, each once; fewer where no more are found.
        """
        found: dict[Vector, None] = {}
        for turn in range(_ROUNDS):
            rows = self._sample(max(_DRAWN, n), turn, rng)
            found.update(dict.fromkeys(self.new(rows, asked)))
            if len(found) >= n:
                break
        return list(found)[:n]

    def _sample(self, n: int, turn: int, rng: np.random.Generator) -> NDArray[np.int8]:
        if not turn or not self.limits:
            return self.problem.space.sample_many(rng, n)
        columns = []
        for costs in self._leaning:
            weights = np.exp(-_LEAN * turn * costs)
            columns.append(rng.choice(len(costs), n, p=weights / weights.sum()))
        return np.stack(columns, axis=1).astype(np.int8)

    def _towards(self) -> list[Floats]:
        """Return how much each choice costs of all limits together, in spreads over a position's choices."""
        leaning = [np.zeros(n) for n in self.problem.choices]
        for limit in self.limits:
            spread = max((float(np.nanstd(costs)) for costs in limit.table.costs), default=0.0) or 1.0
            for total, costs in zip(leaning, limit.table.costs, strict=True):
                total += np.where(np.isfinite(costs), limit.sign * (costs - np.nanmin(costs)) / spread, np.inf)
        return [total - total.min() for total in leaning]


def _limits(objective: Objective | None) -> dict[str, float]:
    """Return the limits on costs of an objective and of those within it; the tighter of two."""
    found: dict[str, float] = {}
    while objective is not None:
        for name, limit in getattr(objective, "limits", {}).items():
            if METRICS[reference(name).metric].scope in ("training", "training_cost"):
                continue
            pick = max if upward(name) else min
            found[name] = pick(found[name], limit) if name in found else limit
        objective = getattr(objective, "objective", None)
    return found
