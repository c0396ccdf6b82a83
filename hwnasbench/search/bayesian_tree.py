"""Bayesian optimisation with boosted trees: an ensemble's spread stands for the uncertainty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.errors import MissingExtra
from hwnasbench.search.base import Searcher, positive
from hwnasbench.search.pool import Seen, one_hot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnasbench.search.base import Score, Vector
    from hwnasbench.search.problem import Problem

#: Candidates that the ensemble judges: mutants of the best so far, of how many, and others drawn at random.
_MUTANTS, _PARENTS, _DRAWN = 200, 10, 200
_TREES = {"max_depth": 5, "learning_rate": 0.2, "subsample": 0.8, "nthread": 1, "verbosity": 0}
_ROUNDS = 30


class BayesianTree(Searcher):
    """Independent Thompson sampling over an ensemble of boosted trees.

    Parameters
    ----------
    problem : Problem
    seed : int
    first : int
        Architectures drawn at random to begin with.
    batch : int
        Architectures between two fits.
    ensemble : int
        Members, each fitted to a draw with replacement.
    """

    name = "bayesian_tree"
    title = "Bayesian optimisation with trees"
    paper = (
        "C. White et al., BANANAS: Bayesian Optimization with Neural Architectures for Neural Architecture Search, "
        "AAAI 2021 (recalled), with trees in place of its networks"
    )

    def __init__(self, problem: Problem, seed: int, *, first: int = 20, batch: int = 10, ensemble: int = 5) -> None:
        super().__init__(problem, seed)
        positive(self, first=first, batch=batch, ensemble=ensemble)
        try:
            import xgboost
        except ImportError as error:
            raise MissingExtra(f"{self.name} needs xgboost: pip install 'hwnasbench[train]'") from error
        self._xgboost: Any = xgboost
        self._first, self._batch, self._ensemble = first, batch, ensemble
        self._seen = Seen(self)

    def ask(self, n: int) -> list[Vector]:
        """Return the first architectures at random, then those that a draw from the ensemble holds for the best."""
        missing = self._first - len(self._seen)
        if missing > 0:
            return self._seen.drawn(min(n, missing)) or [self.problem.draw(self.random)]
        candidates = self._seen.candidates(_MUTANTS, _DRAWN, _PARENTS)
        if not candidates:
            return [self.problem.draw(self.random)]
        mean, spread = self._judged(candidates)
        drawn = mean + spread * self.rng.standard_normal(len(candidates))
        return [candidates[row] for row in np.argsort(-drawn, kind="stable")[: min(n, self._batch)]]

    def tell(self, vectors: Sequence[Vector], scores: Sequence[Score]) -> None:
        """Remember the scores."""
        self._seen.take(vectors, scores)

    def _judged(self, candidates: list[Vector]) -> tuple[Any, Any]:
        known = one_hot(self.problem.choices, list(self._seen.scores))
        asked = self._xgboost.DMatrix(one_hot(self.problem.choices, candidates))
        targets = self._seen.targets()
        said = []
        for _ in range(self._ensemble):
            rows = self.rng.integers(len(known), size=len(known))
            data = self._xgboost.DMatrix(known[rows], targets[rows])
            settings = {**_TREES, "seed": int(self.rng.integers(1 << 31))}
            said.append(self._xgboost.train(settings, data, _ROUNDS).predict(asked))
        return np.mean(said, axis=0), np.std(said, axis=0)
