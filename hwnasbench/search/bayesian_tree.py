"""Bayesian optimisation with boosted trees: the spread of an ensemble stands for the uncertainty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.errors import MissingExtra
from hwnasbench.search.base import Searcher, positive
from hwnasbench.search.pool import Pool, standard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hwnasbench.search.base import Score, Vector
    from hwnasbench.search.problem import Problem

#: Candidates of a round: mutants of the best so far, of how many, and architectures drawn uniformly. Half and half as
#: naszilla's "mutation_random" has it; mutants alone get stuck where a limit of latency cuts the space in pieces.
_MUTANTS, _PARENTS, _DRAWN = 200, 10, 200
#: Depth and rate are NASLib's (read: automl/NASLib naslib/predictors/trees/xgb.py); its 500 rounds cost seconds a fit.
_TREES = {"max_depth": 6, "learning_rate": 0.3, "nthread": 1, "verbosity": 0}
_ROUNDS = 30


class BayesianTree(Searcher):
    """Independent Thompson sampling over an ensemble of boosted trees.

    Each round fits the members to draws with replacement of what was feasible, and one classifier to what was feasible
    at all. A candidate's score is drawn from a normal distribution of the members' mean and standard deviation, and
    whether it is feasible from the classifier's probability; the highest of those drawn feasible are evaluated.

    Parameters
    ----------
    problem : Problem
    seed : int
    first : int
        Architectures drawn at random to begin with.
    batch : int
        Architectures of a round.
    ensemble : int
        Members of the ensemble.
    """

    name = "bayesian_tree"
    title = "Bayesian optimisation with trees"
    paper = (
        "C. White et al., BANANAS: Bayesian Optimization with Neural Architectures for Neural Architecture Search, "
        "AAAI 2021 (recalled; read: naszilla/naszilla naszilla/nas_algorithms.py), with boosted trees in place of its "
        "networks"
    )

    def __init__(self, problem: Problem, seed: int, *, first: int = 10, batch: int = 10, ensemble: int = 5) -> None:
        super().__init__(problem, seed)
        positive(self, first=first, batch=batch, ensemble=ensemble)
        try:
            import xgboost
        except ImportError as error:
            raise MissingExtra(f"{self.name} needs xgboost: pip install 'hwnasbench[train]'") from error
        self._xgboost: Any = xgboost
        self._first, self._batch, self._ensemble = first, batch, ensemble
        self._pool = Pool(self)

    def ask(self, n: int) -> list[Vector]:
        """Return the first architectures at random, then those that a draw from the ensemble holds for the best."""
        pool, count = self._pool, min(n, self._batch)
        if len(pool) < self._first:
            return pool.drawn(min(n, self._first - len(pool)))
        features, scores, feasible = pool.known()
        if not feasible.any():
            return pool.drawn(count)
        candidates = pool.candidates(_MUTANTS, _PARENTS, _DRAWN)
        if not candidates:
            return []
        asked = self._xgboost.DMatrix(pool.features(candidates))
        worth = self._drawn_scores(features[feasible], standard(scores[feasible]), asked)
        if not feasible.all():
            likely = self._fitted(features, feasible.astype(np.float64), "binary:logistic").predict(asked)
            worth[self.rng.random(len(worth)) >= likely] -= 1e6
        return [candidates[row] for row in np.argsort(-worth, kind="stable")[:count]]

    def tell(self, vectors: Sequence[Vector], scores: Sequence[Score]) -> None:
        """Remember the scores."""
        self._pool.take(vectors, scores)

    def _drawn_scores(self, features: NDArray[Any], targets: NDArray[Any], asked: Any) -> NDArray[np.float64]:
        said = []
        for _ in range(self._ensemble):
            rows = self.rng.integers(len(features), size=len(features))
            said.append(self._fitted(features[rows], targets[rows], "reg:squarederror").predict(asked))
        noise = self.rng.standard_normal(asked.num_row())
        return np.asarray(np.mean(said, axis=0) + np.std(said, axis=0) * noise, np.float64)

    def _fitted(self, features: NDArray[Any], targets: NDArray[Any], objective: str) -> Any:
        settings = {**_TREES, "objective": objective, "seed": int(self.rng.integers(1 << 31))}
        return self._xgboost.train(settings, self._xgboost.DMatrix(features, targets), _ROUNDS)
