"""The positions of an architecture as named parameters, and back."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from hwnasbench.errors import InvalidArchitecture
from hwnasbench.search.base import INFEASIBLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwnasbench.search.base import Vector
    from hwnasbench.search.problem import Problem


def names(problem: Problem) -> list[str]:
    """Return what the positions are called: ``p0``, ``p1``, and so on; ``p00`` where there are more than ten.

    Names sort as positions do: ConfigSpace orders its hyperparameters so.
    """
    digits = len(str(len(problem.choices) - 1))
    return [f"p{position:0{digits}}" for position in range(len(problem.choices))]


def vector(problem: Problem, parameters: Mapping[str, Any]) -> Vector:
    """Return the architecture that named parameters spell; others beside them are passed over.

    Raises
    ------
    InvalidArchitecture
        When a position is missing, or its value is no choice of the space.
    """
    found = []
    for name, n in zip(names(problem), problem.choices, strict=True):
        if name not in parameters:
            raise InvalidArchitecture(f"{dict(parameters)} lacks {name}; expected a choice of each of {names(problem)}")
        try:
            choice = operator.index(parameters[name])
        except TypeError:
            choice = -1
        if not 0 <= choice < n:
            raise InvalidArchitecture(f"{name}={parameters[name]!r}; expected an integer from 0 to {n - 1}")
        found.append(choice)
    return tuple(found)


def feasible(score: Any) -> bool:
    """Whether a score is that of a feasible architecture."""
    worst = min(score) if isinstance(score, tuple) else score
    return bool(worst != INFEASIBLE)
