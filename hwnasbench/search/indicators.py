"""How good a search was: regret, and indicators of Pareto fronts (pymoo's)."""

from __future__ import annotations

import importlib
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

    Each objective is scaled so that the front goes from 0, its ideal point, to 1, its nadir point; one in which it does
    not spread is only shifted.

    Parameters
    ----------
    problem : Problem
        Of several objectives; the front is that of a report, with test accuracy.

    Attributes
    ----------
    vectors : (n, positions) ndarray of int8
        The architectures, in index order.
    scores : (n, objectives) ndarray
        Larger is better.

    Raises
    ------
    NotEnumerable
        Where the space cannot be looked at whole.
    InvalidRequest
        When the problem has one score, or the report nothing that is feasible.
    """

    def __init__(self, problem: Problem) -> None:
        if not problem.many:
            raise InvalidRequest("the objective gives one score; a front is of several")
        if not problem.space.enumerable:
            raise NotEnumerable(f"the exact front of {problem.space.name} is not known: it cannot be looked at whole")
        scores = problem.report(None)["score"]
        feasible = np.flatnonzero(np.isfinite(scores).all(axis=1))
        if not len(feasible):
            raise InvalidRequest(f"nothing of {problem.space.name} is feasible by the report: there is no front")
        rows = feasible[non_dominated(-scores[feasible])]
        self.vectors, self.scores = problem.space.all_vectors()[rows], scores[rows]
        self._ideal = self.scores.max(axis=0)
        span = self._ideal - self.scores.min(axis=0)
        self._span = np.where(span > 0, span, 1.0)
        self._costs = self._scaled(self.scores)
        self._measure = _pymoo("hv", "HV")(ref_point=np.full(problem.objective.count, _REFERENCE))
        self._whole = float(self._measure(self._costs))

    def indicators(self, scores: Floats) -> Indicators:
        """Judge a front.

        Parameters
        ----------
        scores : (n, objectives) ndarray
            Of a report, larger is better; rows that are not finite are left out.

        Returns
        -------
        Indicators
            Of nothing feasible the volume is 0 and the distances are infinite.
        """
        costs = self._scaled(scores[np.isfinite(scores).all(axis=1)])
        if not len(costs):
            return Indicators(0.0, 0.0, np.inf, np.inf)
        volume = float(self._measure(costs))
        distance = float(_pymoo("igd_plus", "IGDPlus")(self._costs)(costs))
        return Indicators(
            volume, volume / self._whole, distance, float(_pymoo("epsilon", "Epsilon")(self._costs)(costs))
        )

    def share(self, scores: Floats) -> float:
        """Return the share of the exact front's hypervolume that scores of a report reach."""
        finite = scores[np.isfinite(scores).all(axis=1)]
        return float(self._measure(self._scaled(finite))) / self._whole if len(finite) else 0.0

    def _scaled(self, scores: Floats) -> Floats:
        return np.asarray((self._ideal - scores) / self._span)


def _pymoo(module: str, name: str) -> Any:
    try:
        return getattr(importlib.import_module(f"pymoo.indicators.{module}"), name)
    except ImportError as error:
        raise MissingExtra("indicators of fronts need pymoo: pip install 'hwnasbench[search]'") from error


def regret(run: Run) -> Floats:
    """Return how far the best that was seen is from the best there is, after each evaluation.

    Both by the report, with test accuracy, though the search chose by validation accuracy: the regret may grow.

    Returns
    -------
    (n,) ndarray
        In the score's unit; infinite as long as nothing feasible was seen, and where the report says that the best seen
        is not feasible.

    Raises
    ------
    NotEnumerable
        Where the best there is is not known.
    InvalidRequest
        When the problem has several objectives, or the report nothing that is feasible.
    """
    problem = run.problem
    if not problem.space.enumerable:
        raise NotEnumerable(f"the best of {problem.space.name} is not known: it cannot be looked at whole")
    rows, place = np.unique(run.incumbents(), return_inverse=True)
    if not np.isfinite(problem.best[0]):
        raise InvalidRequest(f"nothing of {problem.space.name} is feasible by the report: there is no best")
    reported = problem.report(run.vectors[rows])["score"]
    # What the search took for infeasible may be feasible by the report, but it would not be returned.
    reported[~np.isfinite(run.scores[rows])] = -np.inf
    return np.asarray(problem.best[0] - reported[place])


def fronts(run: Run) -> list[tuple[int, list[int]]]:
    """Return the rows that none before and no other of them beats, as the search saw them, wherever they change.

    Returns
    -------
    list of (int, list of int)
        The row that entered, and the rows of the front with it; an architecture counts once.
    """
    kept: list[int] = []
    changes = []
    known: set[bytes] = set()
    finite: list[bool] = np.isfinite(run.scores.reshape(len(run), -1)).all(axis=1).tolist()  # type: ignore[assignment]
    for row, score in enumerate(run.scores):
        name = run.vectors[row].tobytes()
        if not finite[row] or name in known:
            continue
        known.add(name)
        others = run.scores[kept]
        no_better, worse = (others >= score).all(axis=1), (others <= score).all(axis=1)
        if (no_better & ~worse).any():
            continue
        kept = [old for old, beaten in zip(kept, worse & ~no_better, strict=True) if not beaten] + [row]
        changes.append((row, kept))
    return changes


def hypervolume_curve(run: Run, exact: ExactFront | None = None) -> Floats:
    """Return the share of the exact front's hypervolume that a search had reached after each evaluation.

    The volume is of what the search would have returned by then, the front by the scores that it was told, as the
    report has it, with test accuracy: it may fall.

    Parameters
    ----------
    run : Run
    exact : ExactFront, optional
        Of the run's problem; made anew where None.

    Returns
    -------
    (n,) ndarray
        From 0 to 1.

    Raises
    ------
    NotEnumerable, InvalidRequest, MissingExtra
        As of `ExactFront`.
    """
    exact = ExactFront(run.problem) if exact is None else exact
    curve, changes = np.zeros(len(run)), fronts(run)
    if changes:
        members = sorted({row for _, front in changes for row in front})
        said = dict(zip(members, run.problem.report(run.vectors[members])["score"], strict=True))
        for row, front in changes:
            curve[row:] = exact.share(np.array([said[member] for member in front]))
    return curve
