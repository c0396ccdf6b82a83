"""An objective for Optuna.

>>> import optuna
>>> from hwnasbench.integrations.optuna import Objective
>>> objective = Objective(problem)
>>> study = optuna.create_study(directions=objective.directions)
>>> study.optimize(objective, n_trials=100)
>>> objective.vector(study.best_trial)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnasbench.errors import MissingExtra
from hwnasbench.integrations import positions

try:
    import optuna
except ImportError as error:
    raise MissingExtra("Optuna is not installed: pip install 'hwnasbench[integrations]'") from error

if TYPE_CHECKING:
    from hwnasbench.search.base import Score, Vector
    from hwnasbench.search.problem import Problem

__all__ = ["Objective"]


class Objective:
    """What ``study.optimize`` calls: each position is a categorical, the scores are maximised.

    Parameters
    ----------
    problem : Problem

    Attributes
    ----------
    problem : Problem
    directions : list of str
        For ``optuna.create_study``: ``"maximize"``, once a score.
    distributions : dict of str to CategoricalDistribution
        Of the positions ``p0``, ``p1``, ..., for ``study.ask`` and ``study.enqueue_trial``.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.directions = ["maximize"] * problem.objective.count
        self.distributions = {
            name: optuna.distributions.CategoricalDistribution(range(n))
            for name, n in zip(positions.names(problem), problem.choices, strict=True)
        }

    def __call__(self, trial: optuna.Trial) -> Score:
        """Return the score of the architecture that the trial suggests, or a tuple of scores.

        Raises
        ------
        optuna.TrialPruned
            When the architecture is infeasible: it has no score. Optuna's samplers rank such a trial last.
        """
        for name, distribution in self.distributions.items():
            trial.suggest_categorical(name, distribution.choices)
        vector = self.vector(trial)
        score = self.problem.scores([vector])[0]
        if not positions.feasible(score):
            raise optuna.TrialPruned(f"{vector} of {self.problem.space.name} is infeasible")
        return score

    def vector(self, trial: optuna.Trial | optuna.trial.FrozenTrial) -> Vector:
        """Return the architecture of a trial.

        Raises
        ------
        InvalidArchitecture
            When the trial is of another space.
        """
        return positions.vector(self.problem, trial.params)
