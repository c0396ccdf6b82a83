"""The tree-structured Parzen estimator, Optuna's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hwnasbench.errors import MissingExtra
from hwnasbench.search.base import Searcher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnasbench.search.base import Score, Vector
    from hwnasbench.search.problem import Problem


class Tpe(Searcher):
    """Choices by how much more often the best of what is known has them than the rest, by Optuna's own settings.

    What is infeasible counts as worse than everything that is feasible.

    Parameters
    ----------
    problem : Problem
    seed : int
    """

    name = "tpe"
    title = "Tree-structured Parzen estimator"
    paper = "J. Bergstra et al., Algorithms for Hyper-Parameter Optimization, NeurIPS 2011 (recalled)"

    def __init__(self, problem: Problem, seed: int) -> None:
        super().__init__(problem, seed)
        try:
            import optuna
        except ImportError as error:
            raise MissingExtra(f"{self.name} needs Optuna: pip install 'hwnasbench[search]'") from error
        said = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # or it says that there is a new study
        self._study: Any = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
        optuna.logging.set_verbosity(said)
        # One that failed would be left out of account; one that was pruned ranks below all that were completed.
        self._infeasible: Any = optuna.trial.TrialState.PRUNED
        self._choices = {
            f"p{position}": optuna.distributions.CategoricalDistribution(range(n))
            for position, n in enumerate(problem.choices)
        }
        self._trial: Any = None

    def ask(self, n: int) -> list[Vector]:
        """Ask for one trial: each learns from all before."""
        self._trial = self._study.ask(self._choices)
        return [tuple(self._trial.params[name] for name in self._choices)]

    def tell(self, vectors: Sequence[Vector], scores: Sequence[Score]) -> None:
        """Tell the trial's score."""
        if math.isfinite(scores[0]):
            self._study.tell(self._trial, scores[0])
        else:
            self._study.tell(self._trial, state=self._infeasible)
