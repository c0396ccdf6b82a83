"""Searchers for Pareto fronts that pymoo runs: what they share."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hwnasbench.errors import InvalidRequest, MissingExtra
from hwnasbench.search.base import Searcher, positive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnasbench.search.base import Score, Vector
    from hwnasbench.search.problem import Problem

#: What stands for minus infinity where pymoo takes differences: beyond any score.
_WORST = 1e300


class PymooSearcher(Searcher):
    """An algorithm of pymoo's, asked and told; architectures are vectors of integers.

    Parameters
    ----------
    problem : Problem
    seed : int
    population : int
        Members of a generation.

    Attributes
    ----------
    constrained : bool
        Whether pymoo is told what is infeasible as a constraint, too; it then splits its population again and again.

    Raises
    ------
    InvalidRequest
        When the objective gives one score: there is no front of it.
    MissingExtra
        When pymoo is not installed.
    """

    many = True
    constrained: ClassVar[bool] = True

    def __init__(self, problem: Problem, seed: int, *, population: int = 100) -> None:
        super().__init__(problem, seed)
        positive(self, population=population)
        if not problem.many:
            raise InvalidRequest(f"{self.name} looks for a front; the objective gives one score, expected several")
        try:
            from pymoo.core.problem import Problem as Asked
        except ImportError as error:
            raise MissingExtra(f"{self.name} needs pymoo: pip install 'hwnasbench[search]'") from error
        top = np.array(problem.choices) - 1
        constraints, count = int(self.constrained), problem.objective.count
        asked = Asked(n_var=len(top), n_obj=count, n_ieq_constr=constraints, xl=0, xu=top, vtype=int)
        self._algorithm: Any = self.algorithm(population)
        # pymoo's own printing and clock are off; its budget is ours.
        self._algorithm.setup(asked, termination=("n_gen", 1 << 30), seed=seed, verbose=False)
        self._generation: Any = None
        self._told: list[Score] = []
        self._vectors: list[Vector] = []

    @abstractmethod
    def algorithm(self, population: int) -> Any:
        """Return pymoo's algorithm."""

    def ask(self, n: int) -> list[Vector]:
        """Return what is left of the generation; nothing once pymoo finds no child that is new to the population."""
        if self._generation is None:
            self._generation = self._algorithm.ask()
            found = [] if self._generation is None else self._generation.get("X").tolist()
            self._vectors = [tuple(row) for row in found]
        first = len(self._told)
        return self._vectors[first : first + n]

    def tell(self, vectors: Sequence[Vector], scores: Sequence[Score]) -> None:
        """Collect the scores; pymoo is told a generation at once."""
        self._told += scores
        if len(self._told) < len(self._vectors):
            return
        found = np.array(self._told, np.float64)
        infeasible = ~np.isfinite(found).all(axis=1, keepdims=True)
        self._generation.set("F", np.where(infeasible, _WORST, -found))
        if self.constrained:
            self._generation.set("G", infeasible.astype(np.float64))
        for member in self._generation:
            member.evaluated = {"F", "G"}
        self._algorithm.tell(infills=self._generation)
        self._generation, self._told = None, []


def integers() -> dict[str, Any]:
    """Return pymoo's operators for vectors of integers.

    Uniform drawing; simulated binary crossover and polynomial mutation, rounded, at pymoo's own defaults.
    """
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling

    return {
        "sampling": IntegerRandomSampling(),
        "crossover": SBX(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        "mutation": PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        "eliminate_duplicates": True,
    }
