"""Search by integer programming over look-up tables of gains and costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.errors import MissingExtra
from hwnasbench.search.limits import CostLimit, Limits
from hwnasbench.search.score_surrogate import ridge
from hwnasbench.search.warm_start import WarmStart

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwnasbench.search.base import Vector
    from hwnasbench.search.problem import Problem

    Floats = NDArray[np.float64]

#: Solutions looked at for each one that is wanted: where a table is far from the truth, it lets many through in vain.
_TRIES = 4


class IntegerProgramming(WarmStart):
    """The architecture whose choices gain most within the limits on what they cost, by an integer program.

    A batch of random architectures within the limits comes first and counts. Then in turn: what each choice gains is
    fitted to all scores so far (`hwnasbench.search.score_surrogate.ridge`), and architectures are solved for: one by
    the gains that are fitted, the others each by gains drawn from their posterior distribution (Thompson sampling), all
    with cuts that exclude those asked for (no-good cuts). A solution that a fitted table let through, and that breaks a
    limit by the benchmark, is cut off without being asked for: a cost needs no training to know. Each cut makes the
    next solution dearer: this is for some hundred evaluations.

    Parameters
    ----------
    problem : Problem
    seed : int
    warmup : int
        Architectures drawn at random first.
    batch : int
        Solutions asked for between two fits.

    Attributes
    ----------
    gains : list of (choices,) ndarray
        What each choice gained by the last fit, in units of the score; empty before it.

    Notes
    -----
    maximise sum of x[p][c] gain[p][c] subject to sum over c of x[p][c] = 1 for each position p, to sum of x[p][c]
    cost[p][c] <= limit for each limit, and to sum over p of x[p][v[p]] <= positions - 1 for each excluded v; each x is
    0 or 1. Solved by HiGHS (``scipy.optimize.milp``). HAO's own program places layers on an FPGA, and a predictor of
    accuracy ranks what fits.
    """

    name = "integer_programming"
    title = "Integer programming over look-up tables"
    paper = (
        "Z. Dong et al., HAO: Hardware-aware Neural Architecture Optimization for Efficient Inference, FCCM 2021, "
        "arXiv:2104.12766 (its abstract read)"
    )

    def __init__(self, problem: Problem, seed: int, *, warmup: int = 20, batch: int = 5) -> None:
        super().__init__(problem, seed, warmup=warmup, batch=batch)
        self.gains: list[Floats] = []
        self._program = _Program(problem.choices)

    def _propose(self, n: int, vectors: NDArray[np.int8], scores: Floats) -> list[Vector]:
        fitted = ridge(self.problem.choices, vectors, scores)
        self.gains = fitted.gains
        found: list[Vector] = []
        for _ in range(_TRIES * n):
            if len(found) == n:
                break
            solution = self._program.solve(fitted.draw(self.rng) if found else self.gains, self.limits)
            if solution is None:
                break
            self._program.exclude(solution)
            found += self.limits.new(np.array([solution], np.int8), {*self.asked, *found})
            self.limits.calibrate(solution)
        return found


class _Program:
    """The integer program over the choices of a space, with the cuts made so far."""

    def __init__(self, choices: tuple[int, ...]) -> None:
        try:
            from scipy import optimize, sparse
        except ImportError as error:
            raise MissingExtra("integer programming needs scipy: pip install 'hwnasbench[search]'") from error
        self._optimize, self._sparse = optimize, sparse
        self._choices = choices
        self._starts = np.cumsum((0, *choices[:-1]))
        self._one_each = sparse.csr_array(
            (np.ones(sum(choices)), (np.repeat(np.arange(len(choices)), choices), np.arange(sum(choices))))
        )
        self._cuts: list[NDArray[np.intp]] = []
        self._excluded: set[Vector] = set()

    def exclude(self, vector: Vector) -> None:
        """Exclude one architecture from all later solutions."""
        self._excluded.add(vector)
        self._cuts.append(self._starts + np.array(vector))

    def solve(self, gains: list[Floats], limits: Limits) -> Vector | None:
        """Return the architecture of the largest gain that keeps the limits; None where there is none left."""
        optimize = self._optimize
        size = len(self._one_each.indices)
        upper = np.ones(size)
        constraints: list[Any] = [optimize.LinearConstraint(self._one_each, 1, 1)]
        for limit in limits.limits:
            row, room = _row(limit)
            upper[~np.isfinite(row)] = 0
            bounds = (-np.inf, room) if limit.sign > 0 else (room, np.inf)
            constraints.append(optimize.LinearConstraint(np.nan_to_num(row)[None], *bounds))
        if self._cuts:
            columns = np.concatenate(self._cuts)
            rows = np.repeat(np.arange(len(self._cuts)), len(self._choices))
            cuts = self._sparse.csr_array((np.ones(len(columns)), (rows, columns)), shape=(len(self._cuts), size))
            constraints.append(optimize.LinearConstraint(cuts, -np.inf, len(self._choices) - 1))
        found = optimize.milp(
            -np.concatenate(gains), integrality=np.ones(size), bounds=optimize.Bounds(0, upper), constraints=constraints
        )
        if found.x is None:
            return None
        solution = tuple(
            int(found.x[start : start + n].argmax()) for start, n in zip(self._starts, self._choices, strict=True)
        )
        # HiGHS has called solutions optimal that break a constraint (scipy/scipy issue 24141).
        return None if solution in self._excluded else solution


def _row(limit: CostLimit) -> tuple[Floats, float]:
    """Return the costs of all choices and what they may sum to, in units of the largest."""
    table = limit.table
    row = np.concatenate(table.costs)
    room = (np.log(limit.target) if table.link == "exp" else limit.target) - table.base
    # With rows of large numbers HiGHS' tolerances are passed more often, and it says so on the standard output
    # whatever it was told (ERGO-Code/HiGHS issue 2783).
    unit = float(np.nanmax(np.abs(row))) or 1.0
    return row / unit, room / unit
