"""Successive halving over the lengths of training that are known."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from hwnasbench.errors import InvalidRequest
from hwnasbench.search.base import Searcher, positive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnasbench.search.base import Score, Vector
    from hwnasbench.search.problem import Problem


class SuccessiveHalving(Searcher):
    """Many architectures are trained shortly, and the best of them longer; then anew with others.

    One in eta goes on to the next fidelity. Where eta is not given it is the ratio of the two lengths of training (200
    to 12 epochs on NAS-Bench-201), so that all rungs of a bracket cost about the same, as the paper has them. A longer
    training is one of its own, from the start, as those that were published; it is paid for in full. What is infeasible
    never goes on. Of a budget in queries each evaluation takes one, however long its training: compare within simulated
    seconds.

    Parameters
    ----------
    problem : Problem
        Of two fidelities or more.
    seed : int
    eta : float, optional
        More than 1.
    first : int, optional
        Architectures that begin at the lowest fidelity; by default so many that one of them gets to the highest.

    Raises
    ------
    InvalidRequest
        When the problem has one fidelity, or a setting is none.
    """

    name = "successive_halving"
    title = "Successive halving"
    paper = (
        "K. Jamieson and A. Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization, AISTATS "
        "2016 (recalled)"
    )
    needs_fidelities = True

    def __init__(self, problem: Problem, seed: int, *, eta: float | None = None, first: int | None = None) -> None:
        super().__init__(problem, seed)
        levels = len(problem.fidelities)
        if levels < 2:
            epochs = problem.fidelities[0].epochs
            raise InvalidRequest(
                f"{self.name} needs accuracies after trainings of different lengths; those of {problem.space.name} are "
                f"after {'one length, which is not told' if epochs is None else f'{epochs} epochs alone'}; expected a "
                "problem of two or more fidelities, as of nasbench201 on cifar10"
            )
        number = isinstance(eta, (int, float)) and not isinstance(eta, bool)
        if eta is not None and not (number and 1 < eta < math.inf):
            raise InvalidRequest(f"{self.name}: eta={eta!r}; expected a number above 1")
        self._eta, self._highest = eta, levels - 1
        if first is not None:
            positive(self, first=first)
        self._first = self._ratio(0, self._highest) if first is None else float(first)
        self._brackets: deque[tuple[int, int]] = deque()
        self._rung: list[tuple[Score, Vector]] = []
        self._waiting: list[Vector] = []
        self.fidelity = self._highest

    def brackets(self) -> list[tuple[int, int]]:
        """Return the brackets of a round: the fidelity that each begins at, and how many architectures it draws."""
        return [(0, math.ceil(self._first))]

    def ask(self, n: int) -> list[Vector]:
        """Return what the rung still lacks."""
        if not self._waiting:
            self._advance()
        asked, self._waiting = self._waiting[:n], self._waiting[n:]
        return asked

    def tell(self, vectors: Sequence[Vector], scores: Sequence[Score]) -> None:
        """Remember the scores of the rung."""
        self._rung += zip(scores, vectors, strict=True)

    def _ratio(self, low: int, high: int) -> float:
        """Return of how many architectures at one fidelity one goes on to a higher one."""
        if self._eta is not None:
            return float(self._eta ** (high - low))
        shorter, longer = (self.problem.fidelities[level].epochs for level in (low, high))
        assert shorter is not None
        assert longer is not None
        return longer / shorter

    def _advance(self) -> None:
        """Let the best go on, or begin another bracket."""
        going: list[Vector] = []
        if self.fidelity < self._highest:
            count = max(1, int(len(self._rung) / self._ratio(self.fidelity, self.fidelity + 1)))
            feasible = [pair for pair in self._rung if pair[0] > -math.inf]
            # Of equal scores the one drawn first goes on: vectors are not compared.
            feasible.sort(key=lambda pair: pair[0], reverse=True)
            going = [vector for _, vector in feasible[:count]]
        if going:
            self._waiting, self.fidelity = going, self.fidelity + 1
        else:
            if not self._brackets:
                self._brackets.extend(self.brackets())
            self.fidelity, count = self._brackets.popleft()
            # Two of the same would go on together.
            self._waiting = list(dict.fromkeys(self.problem.draw(self.random) for _ in range(count)))
        self._rung = []
