"""Search guided by a predictor of which of two architectures is the better one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.search.base import Searcher, positive, share
from hwnasbench.search.pool import Seen, one_hot
from hwnasbench.search.torch_tools import torch_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnasbench.search.base import Score, Vector
    from hwnasbench.search.problem import Problem

_HIDDEN, _RATE, _DECAY, _STEPS, _PAIRS = 64, 5e-3, 1e-4, 150, 256
_MUTANTS, _PARENTS, _DRAWN = 300, 20, 1000


class PredictorGuided(Searcher):
    """Each round trains a predictor on what is known, and evaluates what it ranks first, and some at random.

    Parameters
    ----------
    problem : Problem
    seed : int
    batch : int
        Architectures of a round.
    explore : float
        Share of them that are drawn at random.
    """

    name = "predictor_guided"
    title = "Predictor-guided search"
    paper = (
        "L. Dudziak et al., BRP-NAS: Prediction-based NAS using GCNs, NeurIPS 2020 (recalled), with a small perceptron "
        "on choices in place of its graph network"
    )

    def __init__(self, problem: Problem, seed: int, *, batch: int = 20, explore: float = 0.25) -> None:
        super().__init__(problem, seed)
        positive(self, batch=batch)
        share(self, explore=explore)
        self._torch: Any = torch_of(self.name)
        self._batch, self._drawn = batch, round(explore * batch)
        self._seen = Seen(self)

    def ask(self, n: int) -> list[Vector]:
        """Return a round: at random at first, then what the predictor ranks highest, and some at random."""
        if not self._seen.scores:
            return self._seen.drawn(min(n, self._batch))
        candidates = self._seen.candidates(_MUTANTS, _DRAWN, _PARENTS)
        if not candidates:
            return [self.problem.draw(self.random)]
        ranked = np.argsort(-self._worth(candidates), kind="stable")
        chosen = [candidates[row] for row in ranked[: self._batch - self._drawn]]
        return (chosen + self._seen.drawn(self._drawn, set(chosen)))[:n]

    def tell(self, vectors: Sequence[Vector], scores: Sequence[Score]) -> None:
        """Remember the scores."""
        self._seen.take(vectors, scores)

    def _worth(self, candidates: list[Vector]) -> Any:
        """Train the predictor anew, and return a number for each candidate, larger for better ones."""
        torch = self._torch
        generator = torch.Generator().manual_seed(int(self.rng.integers(1 << 31)))
        known = torch.from_numpy(one_hot(self.problem.choices, list(self._seen.scores)))
        targets = torch.from_numpy(self._seen.targets())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(self.rng.integers(1 << 31)))
            linear = torch.nn.Linear
            worth = torch.nn.Sequential(linear(known.shape[1], _HIDDEN), torch.nn.ReLU(), linear(_HIDDEN, 1))
        steps = torch.optim.AdamW(worth.parameters(), lr=_RATE, weight_decay=_DECAY)
        for _ in range(_STEPS):
            pairs = torch.randint(len(known), (2, _PAIRS), generator=generator)
            better = (targets[pairs[0]] > targets[pairs[1]]).float()
            told = targets[pairs[0]] != targets[pairs[1]]
            gap = (worth(known[pairs[0]]) - worth(known[pairs[1]]))[:, 0]
            loss = torch.nn.functional.binary_cross_entropy_with_logits(gap, better, weight=told.float())
            steps.zero_grad()
            loss.backward()
            steps.step()
        with torch.inference_mode():
            return worth(torch.from_numpy(one_hot(self.problem.choices, candidates)))[:, 0].numpy()
