"""Search guided by a predictor of which of two architectures is the better one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.search.base import Searcher, positive, share
from hwnasbench.search.pool import Pool
from hwnasbench.search.torch_tools import torch_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hwnasbench.search.base import Score, Vector
    from hwnasbench.search.problem import Problem

    Floats = NDArray[np.float32]

#: Of the perceptron: its hidden units, the first rate of AdamW, steps of a fit, and pairs of a step. The decay of
#: weights is Eagle's (read: SamsungLabs/eagle configs/predictors/acc_gcn_nasbench201_bin.yaml), and so is the cosine.
_HIDDEN, _RATE, _DECAY, _STEPS, _PAIRS = 64, 5e-3, 5e-4, 150, 256
#: The whole of a space of so many architectures is ranked; of a larger one mutants of the best, and others drawn.
_WHOLE = 20_000
_MUTANTS, _PARENTS, _DRAWN = 400, 20, 2000


class PredictorGuided(Searcher):
    """Rounds that train a predictor on all that is known, and evaluate what it ranks first and others drawn at random.

    The first round is random. Of each of the next rounds a share is drawn from the upper 1 / 2^round of the ranking;
    when `rounds` are over, only what is ranked first is evaluated.

    The predictor is a relation between two architectures, the probability that the one is better. BRP-NAS takes a
    linear layer on the features of both, so that the relation depends on the difference of one number an architecture;
    a perceptron gives that number here, and says besides whether an architecture is feasible. Other than in BRP-NAS,
    pairs are labelled by which is better, not by how much, and the predictor goes on learning when `rounds` are over.

    Parameters
    ----------
    problem : Problem
    seed : int
    batch : int
        Architectures of a round.
    rounds : int
        Rounds, the first included, that explore.
    explore : float
        Share of them that is drawn at random, from 0 to 1.
    """

    name = "predictor_guided"
    title = "Predictor-guided search"
    paper = (
        "L. Dudziak et al., BRP-NAS: Prediction-based NAS using GCNs, NeurIPS 2020 (recalled; read: SamsungLabs/eagle "
        "eagle/predictors/__main__.py), with a perceptron in place of its graph network"
    )

    def __init__(self, problem: Problem, seed: int, *, batch: int = 20, rounds: int = 5, explore: float = 0.5) -> None:
        super().__init__(problem, seed)
        positive(self, batch=batch, rounds=rounds)
        share(self, explore=explore)
        self._torch: Any = torch_of(self.name)
        self._batch, self._rounds, self._explore = batch, rounds, explore
        self._pool = Pool(self)
        self._round = 0
        small = problem.space.enumerable and problem.space.size <= _WHOLE
        self._whole = self._pool.whole() if small else []

    def ask(self, n: int) -> list[Vector]:
        """Return a round: at random at first, then what the predictor ranks highest, and some of the better ones."""
        pool, count = self._pool, min(n, self._batch)
        round_, self._round = self._round, self._round + 1
        if not any(map(np.isfinite, pool.scores.values())):
            return pool.drawn(count)
        candidates = self._candidates()
        ranked = np.argsort(-self._worth(candidates), kind="stable") if candidates else np.empty(0, np.intp)
        top = count - round(self._explore * count) if round_ < self._rounds else count
        upper = ranked[top : max(len(ranked) >> round_, count)]
        drawn = self.rng.choice(upper, min(count - top, len(upper)), replace=False)
        return [candidates[row] for row in (*ranked[:top], *drawn)]

    def tell(self, vectors: Sequence[Vector], scores: Sequence[Score]) -> None:
        """Remember the scores."""
        self._pool.take(vectors, scores)

    def _candidates(self) -> list[Vector]:
        if self._whole:
            return [vector for vector in self._whole if vector not in self._pool.scores]
        return self._pool.candidates(_MUTANTS, _PARENTS, _DRAWN)

    def _worth(self, candidates: list[Vector]) -> Floats:
        """Train the predictor anew, and return a number for each candidate, larger for better ones."""
        torch = self._torch
        known, scores, feasible = self._pool.known()
        asked = self._pool.features(candidates)
        mean, spread = asked.mean(axis=0), np.maximum(asked.std(axis=0), 1e-6)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(self.rng.integers(1 << 31)))
            predictor = torch.nn.Sequential(
                torch.nn.Linear(known.shape[1], _HIDDEN), torch.nn.ReLU(), torch.nn.Linear(_HIDDEN, 2)
            )
            self._train(predictor, torch.from_numpy((known - mean) / spread), scores, feasible)
        with torch.inference_mode():
            worth, likely = predictor(torch.from_numpy((asked - mean) / spread)).numpy().T
        return np.asarray(worth if feasible.all() else worth - np.float32(1e6) * (likely <= 0))

    def _train(self, predictor: Any, known: Any, scores: NDArray[Any], feasible: NDArray[np.bool_]) -> None:
        torch, relation = self._torch, self._torch.nn.functional.binary_cross_entropy_with_logits
        rows, labels = np.flatnonzero(feasible), torch.from_numpy(feasible.astype(np.float32))
        pairs = rows[self.rng.integers(len(rows), size=(_STEPS, 2, _PAIRS))]
        better = torch.from_numpy((scores[pairs[:, 0]] > scores[pairs[:, 1]]).astype(np.float32))
        # Of two equals none is better.
        told = torch.from_numpy((scores[pairs[:, 0]] != scores[pairs[:, 1]]).astype(np.float32))
        pairs = torch.from_numpy(pairs)
        optimiser = torch.optim.AdamW(predictor.parameters(), lr=_RATE, weight_decay=_DECAY)
        rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, _STEPS)
        for step in range(_STEPS):
            worth, likely = predictor(known).T
            loss = relation(worth[pairs[step, 0]] - worth[pairs[step, 1]], better[step], weight=told[step])
            if not feasible.all():
                loss = loss + relation(likely, labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rate.step()
