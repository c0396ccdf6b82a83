"""The loop of a search: ask, score, tell, until the budget is spent."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from math import isfinite
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.errors import InvalidRequest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwnasbench.search.base import Score, Searcher, Vector
    from hwnasbench.search.problem import Problem


@dataclass(frozen=True)
class Budget:
    """How long a search may go on; the first limit that is reached ends it.

    Attributes
    ----------
    queries : int, optional
        Architectures that are evaluated; one that is asked again counts again.
    seconds : float, optional
        Simulated seconds of training; the evaluation that would go beyond is not made.
    """

    queries: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.queries is None and self.seconds is None:
            raise InvalidRequest("a budget needs queries or seconds")
        for name, value in (("queries", self.queries), ("seconds", self.seconds)):
            number = isinstance(value, Real) and not isinstance(value, bool)
            if value is not None and not (number and value > 0 and isfinite(value)):
                raise InvalidRequest(f"a budget of {name}={value!r}; expected a finite number, more than 0")
        if not isinstance(self.queries, (Integral, type(None))):
            raise InvalidRequest(f"a budget of queries={self.queries!r}; expected an integer")


@dataclass(frozen=True, eq=False)
class Run:
    """What a search evaluated, in its order.

    Attributes
    ----------
    problem : Problem
    searcher : str
    seed : int
    vectors : (n, positions) ndarray of int8
    scores : (n,) or (n, objectives) ndarray
        What the searcher was told.
    fidelities : (n,) ndarray of int8
        Position in `Problem.fidelities` of each.
    seconds : (n,) ndarray or None
        Simulated seconds of training up to and with each; None where the budget has none.
    """

    problem: Problem
    searcher: str
    seed: int
    vectors: NDArray[np.int8]
    scores: NDArray[np.float64]
    fidelities: NDArray[np.int8]
    seconds: NDArray[np.float64] | None

    def __len__(self) -> int:
        return len(self.vectors)

    def incumbents(self) -> NDArray[np.intp]:
        """Return the row of the best that was seen, after each evaluation.

        The best has the highest score of the feasible ones that were evaluated at the highest fidelity so far;
        the first of equals. As long as nothing is feasible it is the first row.
        """
        if self.scores.ndim > 1:
            raise InvalidRequest("a search for a front has no one best architecture; see front()")
        best, rank, found = 0, (-1, -np.inf), np.empty(len(self), np.intp)
        for row, pair in enumerate(zip(self.fidelities.tolist(), self.scores.tolist(), strict=True)):
            if pair > rank and pair[1] > -np.inf:
                best, rank = row, pair
            found[row] = best
        return found

    def front(self) -> NDArray[np.intp]:
        """Return the rows that no other row beats, each architecture once."""
        from hwnasbench.vectors import non_dominated

        scores = self.scores.reshape(len(self), -1)
        first = np.unique(self.vectors, axis=0, return_index=True)[1]
        rows = first[np.isfinite(scores[first]).all(axis=1)]
        return np.sort(rows[non_dominated(-scores[rows])]) if len(rows) else rows

    @property
    def best(self) -> Vector:
        """The best architecture that was found.

        Raises
        ------
        InvalidRequest
            When none of them was feasible.
        """
        row = self.incumbents()[-1]
        if not np.isfinite(self.scores[row]):
            raise InvalidRequest(
                f"{self.searcher} with seed {self.seed} found nothing feasible in {len(self)} evaluations"
            )
        return tuple(self.vectors[row].tolist())


def run(searcher: Searcher, budget: Budget) -> Run:
    """Search until the budget is spent, or the searcher has nothing more to ask.

    Raises
    ------
    InvalidRequest
        When the searcher asks for more than it may, or for nothing of the space.
    """
    problem, step, limit = searcher.problem, budget.queries or 1 << 30, budget.seconds
    asked: list[Vector] = []
    told: list[Score] = []
    spent: list[float] = []
    # Where the fidelity changes: the rows, and what it is from there on.
    changes: list[tuple[int, int]] = []
    fidelity: int | None = None
    ask, tell, scores_of = searcher.ask, searcher.tell, problem.scores
    while step > 0:
        vectors = ask(step)
        count = len(vectors)
        if not 0 < count <= step:
            if not count:
                break
            raise InvalidRequest(f"{searcher.name} asks for {count} architectures; {step} are left")
        if searcher.fidelity != fidelity:
            fidelity = searcher.fidelity
            changes.append((len(asked), fidelity))
        step -= count
        if limit is not None:
            within = _spend(problem.costs(vectors, fidelity), limit, spent)
            if within < count:
                vectors, step = vectors[:within], 0
                if not within:
                    break
        scores = scores_of(vectors, fidelity)
        tell(vectors, scores)
        asked.extend(vectors)  # += would add arrays up
        told += scores
    return _run(searcher, asked, told, changes, None if limit is None else spent)


def _spend(costs: list[float], limit: float, spent: list[float]) -> int:
    """Add what is spent with each evaluation, as long as it is within the limit; return how many are."""
    total = spent[-1] if spent else 0.0
    for within, cost in enumerate(costs):
        total += cost
        if total > limit:
            return within
        spent.append(total)
    return len(costs)


def _run(
    searcher: Searcher, asked: list[Vector], told: list[Any], changes: list[tuple[int, int]], spent: list[float] | None
) -> Run:
    if not asked:
        reason = "it asked for nothing" if spent is None else "the budget is below the cost of one architecture"
        raise InvalidRequest(f"{searcher.name} evaluated nothing: {reason}")
    positions, levels = len(searcher.problem.choices), np.empty(len(asked), np.int8)
    for row, fidelity in changes:
        levels[row:] = fidelity % len(searcher.problem.fidelities)
    return Run(
        searcher.problem,
        searcher.name,
        searcher.seed,
        # Twice as fast as an array of the tuples.
        np.fromiter(chain.from_iterable(asked), np.int8, len(asked) * positions).reshape(-1, positions),
        np.array(told, np.float64),
        levels,
        None if spent is None else np.array(spent),
    )
