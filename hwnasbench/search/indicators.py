"""How good a search was: regret, and indicators of Pareto fronts (pymoo's)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hwnasbench.errors import InvalidRequest, MissingExtra, NotEnumerable
from hwnasbench.vectors import non_dominated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwnasbench.search.loop import Run
    from hwnasbench.search.problem import Problem

    Floats = NDArray[np.float64]

#: The reference point of hypervolumes, in units of the exact front's span: a tenth beyond its worst.
_REFERENCE = 1.1


class Indicators(NamedTuple):
    """What pymoo's indicators say of a front, in units of the exact front's span of each objective.

    Attributes
    ----------
    hypervolume : float
        Volume between the front and the point a tenth beyond the exact front's worst; larger is better.
    hypervolume_share : float
        The same over that of the exact front.
    igd_plus : float
        Mean distance from the exact front's points; 0 is the exact front.
    epsilon : float
        By how much the front must be moved, in its worst objective, to reach the exact one; 0 is the exact front.
    """

    hypervolume: float
    hypervolume_share: float
    igd_plus: float
    epsilon: float


class ExactFront:
    """The exact front of an enumerable space, by which others are measured.

    Parameters
    ----------
    problem : Problem
        Of several objectives; the front is that of a report, with test accuracy.

    Attributes
    ----------
    scores : (n, objectives) ndarray
        Larger is better.

    Raises
    ------
    NotEnumerable
        Where the space cannot be looked at whole.
    InvalidRequest
        When the problem has one score.
    """

    def __init__(self, problem: Problem) -> None:
        if not problem.many:
            raise InvalidRequest("the objective gives one score; a front is of several")
        if not problem.space.enumerable:
            raise NotEnumerable(f"the exact front of {problem.space.name} is not known: it cannot be looked at whole")
        self.scores = problem.best
        self._best = self.scores.max(axis=0)
        span = self._best - self.scores.min(axis=0)
        self._span = np.where(span > 0, span, 1.0)
        self._costs = self._normalised(self.scores)

    def indicators(self, scores: Floats) -> Indicators:
        """Judge a front.

        Parameters
        ----------
        scores : (n, objectives) ndarray
            Of a report, larger is better; rows that are not finite are left out.

        Raises
        ------
        MissingExtra
            When pymoo is not installed.
        """
        costs = self._normalised(scores[np.isfinite(scores).all(axis=1)])
        if not len(costs):
            return Indicators(0.0, 0.0, np.inf, np.inf)
        costs = costs[non_dominated(costs)]
        volume, whole = self._volume(costs), self._volume(self._costs)
        # The additive epsilon indicator: E. Zitzler et al., Performance Assessment of Multiobjective Optimizers, 2003
        # (recalled).
        epsilon = max(float((costs - point).max(axis=1).min()) for point in self._costs)
        return Indicators(volume, volume / whole, self._igd(costs), epsilon)

    def hypervolumes(self, scores: Floats) -> Floats:
        """Return the share of the exact front's hypervolume that the first 1, 2, ... rows reach.

        Parameters
        ----------
        scores : (n, objectives) ndarray
            Of a report, in the order of the search.
        """
        whole, front, found = self._volume(self._costs), np.empty((0, scores.shape[1])), np.zeros(len(scores))
        for row, point in enumerate(scores):
            last = found[row - 1] if row else 0.0
            if np.isfinite(point).all():
                cost = self._normalised(point[None])
                if not (front <= cost).all(axis=1).any():
                    front = np.concatenate([front, cost])
                    front = front[non_dominated(front)]
                    last = self._volume(front) / whole
            found[row] = last
        return found

    def _normalised(self, scores: Floats) -> Floats:
        return np.asarray((self._best - scores) / self._span)

    def _volume(self, costs: Floats) -> float:
        return float(_pymoo("hv", "HV")(ref_point=np.full(costs.shape[1], _REFERENCE))(costs))

    def _igd(self, costs: Floats) -> float:
        return float(_pymoo("igd_plus", "IGDPlus")(self._costs)(costs))


def _pymoo(module: str, name: str) -> Any:
    try:
        import importlib

        return getattr(importlib.import_module(f"pymoo.indicators.{module}"), name)
    except ImportError as error:
        raise MissingExtra("indicators of fronts need pymoo: pip install 'hwnasbench[search]'") from error


def regret(run: Run) -> Floats:
    """Return how far the best that was seen is from the best there is, after each evaluation.

    Both by the report, with test accuracy, though the search chose by validation accuracy: the regret may grow.

    Returns
    -------
    (n,) ndarray
        In the score's unit; infinite as long as nothing feasible was seen.

    Raises
    ------
    NotEnumerable
        Where the best there is is not known.
    """
    problem = run.problem
    if not problem.space.enumerable:
        raise NotEnumerable(f"the best of {problem.space.name} is not known: it cannot be looked at whole")
    rows, place = np.unique(run.incumbents(), return_inverse=True)
    reported = problem.report(run.vectors[rows])["score"][place]
    return np.asarray(problem.best[0] - reported)


def hypervolume_curve(run: Run) -> Floats:
    """Return the share of the exact front's hypervolume that a search had reached after each evaluation.

    Both by the report, with test accuracy.

    Returns
    -------
    (n,) ndarray
        From 0 to 1.
    """
    return ExactFront(run.problem).hypervolumes(run.problem.report(run.vectors)["score"])
