"""A problem for pymoo.

>>> from pymoo.algorithms.moo.nsga2 import NSGA2
>>> from pymoo.optimize import minimize
>>> from hwnasbench.integrations.pymoo import ArchitectureProblem, operators
>>> found = minimize(ArchitectureProblem(problem), NSGA2(pop_size=50, **operators()), ("n_gen", 20), seed=0)
>>> found.X, -found.F
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.errors import InvalidArchitecture, MissingExtra
from hwnasbench.search.pymoo_algorithms import integers as operators

try:
    from pymoo.core.problem import Problem as PymooProblem
except ImportError as error:
    raise MissingExtra("pymoo is not installed: pip install 'hwnasbench[integrations]'") from error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwnasbench.search.problem import Problem

__all__ = ["ArchitectureProblem", "operators"]


class ArchitectureProblem(PymooProblem):  # type: ignore[misc]  # pymoo has no types
    """A problem over integers, one variable a position; the scores, negated, are minimised.

    An infeasible architecture violates the one constraint by 1, and its objectives are infinite.

    Parameters
    ----------
    problem : Problem

    Attributes
    ----------
    searched : Problem
    """

    def __init__(self, problem: Problem) -> None:
        self.searched = problem
        top = np.array(problem.choices) - 1
        super().__init__(n_var=len(top), n_obj=problem.objective.count, n_ieq_constr=1, xl=0, xu=top, vtype=int)

    def __deepcopy__(self, memo: dict[int, Any]) -> ArchitectureProblem:
        """Share what is searched: an algorithm that keeps its history copies its problem every generation."""
        return copy(self)

    def _evaluate(self, x: NDArray[Any], out: dict[str, Any], *args: object, **kwargs: object) -> None:
        whole = np.asarray(np.rint(x), np.int64)
        if not np.array_equal(whole, x):
            raise InvalidArchitecture(
                "pymoo asks for an architecture with fractional decisions; expected operators that round, such as "
                "NSGA2(**hwnasbench.integrations.pymoo.operators())"
            )
        scores = np.array(self.searched.scores([tuple(row) for row in whole.tolist()]), np.float64)
        scores = scores.reshape(len(whole), -1)
        out["F"] = -scores
        out["G"] = np.isneginf(scores).any(axis=1, keepdims=True).astype(np.float64)
