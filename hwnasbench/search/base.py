"""What every search algorithm offers: it asks for architectures and is told their scores."""

from __future__ import annotations

import inspect
import random
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hwnasbench.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnasbench.search.problem import Problem

#: An architecture, as the choice at each of its positions.
Vector = tuple[int, ...]
#: What a searcher is told: larger is better; one number, or a tuple of them where it looks for a front. An architecture
#: without a value, or one that breaks a constraint, has minus infinity everywhere.
Score = Any
INFEASIBLE = float("-inf")


def settings_of(kind: type[Searcher]) -> set[str] | None:
    """Return the names of a searcher's settings; None where it takes any."""
    names: set[str] = set()
    for one in kind.__mro__[:-1]:
        if "__init__" in vars(one):
            given = inspect.signature(vars(one)["__init__"]).parameters.values()
            names |= {p.name for p in given if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
            if not any(p.kind is p.VAR_KEYWORD for p in given):
                return names - {"self", "problem", "seed"}
    return None


class Searcher(ABC):
    """Base of every searcher. A subclass says what to evaluate next, and learns from the scores.

    Parameters
    ----------
    problem : Problem
    seed : int
        The same seed gives the same run.

    Attributes
    ----------
    name, title, paper : str
        The registered name, what it is called, and where it was published.
    many : bool
        Whether scores are tuples, one number an objective.
    needs_fidelities : bool
        Whether it takes accuracies after trainings of different lengths.
    fidelity : int
        Which of `Problem.fidelities` the vectors asked last are to be evaluated at; the last one, the most faithful, by
        default.
    rng : numpy.random.Generator
    random : random.Random
        The same for single draws, where NumPy's is slow.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    paper: ClassVar[str]
    many: ClassVar[bool] = False
    needs_fidelities: ClassVar[bool] = False
    fidelity: int = -1

    def __init__(self, problem: Problem, seed: int) -> None:
        if problem.many and not self.many:
            raise InvalidRequest(
                f"{self.name} looks for one best score and the objective has {problem.objective.count}; "
                "expected a searcher for fronts (nsga2, nsga3, random), or an objective that weighs them"
            )
        if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
            raise InvalidRequest(f"seed={seed!r} of {self.name}: expected an integer of 0 or more")
        self.problem, self.seed = problem, int(seed)
        self.rng = np.random.default_rng(seed)
        self.random = random.Random(seed)

    @abstractmethod
    def ask(self, n: int) -> Sequence[Vector]:
        """Return what to evaluate next: at least one vector and at most `n`; none when the search is over.

        Parameters
        ----------
        n : int
            Evaluations that the budget still allows.
        """

    def tell(self, vectors: Sequence[Vector], scores: Sequence[Score]) -> None:  # noqa: B027 - random search learns nothing
        """Learn from the scores of the vectors that were asked last, in their order."""


def positive(searcher: Searcher, **settings: int) -> None:
    """Refuse settings below one.

    Raises
    ------
    InvalidRequest
    """
    for name, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InvalidRequest(f"{searcher.name}: {name}={value!r}; expected an integer of 1 or more")


def share(searcher: Searcher, **settings: float) -> None:
    """Refuse settings that are no number from 0 to 1.

    Raises
    ------
    InvalidRequest
    """
    for name, value in settings.items():
        if not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise InvalidRequest(f"{searcher.name}: {name}={value!r}; expected a number from 0 to 1")
