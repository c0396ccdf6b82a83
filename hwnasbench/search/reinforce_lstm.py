"""REINFORCE with a recurrent controller, which makes one decision after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwnasbench.errors import InvalidRequest
from hwnasbench.search.base import Searcher, positive, share
from hwnasbench.search.rewards import Rewards
from hwnasbench.search.torch_tools import torch_of, uniform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnasbench.search.base import Score, Vector
    from hwnasbench.search.problem import Problem


class ReinforceLstm(Searcher):
    """An LSTM whose outputs are the probabilities of each decision, given those before it.

    Parameters
    ----------
    problem : Problem
    seed : int
    hidden : int
        Units of the LSTM.
    learning_rate : float
        Of Adam; the paper's 0.0006 is for 12,800 architectures, and learns little of a thousand.
    momentum : float
        Of the average reward.
    batch : int
        Architectures behind one step.
    """

    name = "reinforce_lstm"
    title = "REINFORCE with an LSTM"
    paper = "B. Zoph and Q. V. Le, Neural Architecture Search with Reinforcement Learning, ICLR 2017 (recalled)"

    def __init__(
        self,
        problem: Problem,
        seed: int,
        *,
        hidden: int = 35,
        learning_rate: float = 0.01,
        momentum: float = 0.9,
        batch: int = 8,
    ) -> None:
        super().__init__(problem, seed)
        positive(self, hidden=hidden, batch=batch)
        share(self, momentum=momentum)
        if not learning_rate > 0:
            raise InvalidRequest(f"{self.name}: learning_rate={learning_rate!r}; expected a number above 0")
        self._torch: Any = torch_of(self.name)
        torch = self._torch
        self._generator = torch.Generator().manual_seed(seed)
        most = max(problem.choices)
        self._cell = torch.nn.LSTMCell(hidden, hidden)
        self._embeddings = torch.nn.Embedding(len(problem.choices) * most + 1, hidden)
        self._heads = torch.nn.ModuleList(torch.nn.Linear(hidden, n) for n in problem.choices)
        self._most, self._batch, self._hidden = most, batch, hidden
        parts = torch.nn.ModuleList([self._cell, self._embeddings, self._heads])
        # The paper draws weights uniformly from -0.08 to 0.08.
        uniform(torch, parts.parameters(), 0.08, self._generator)
        self._optimiser = torch.optim.Adam(parts.parameters(), lr=learning_rate)
        self._rewards = Rewards(momentum)
        self._logs: Any = None

    def ask(self, n: int) -> list[Vector]:
        """Draw a batch of architectures by the controller."""
        torch, count = self._torch, min(n, self._batch)
        state = torch.zeros(count, self._hidden), torch.zeros(count, self._hidden)
        token = torch.full((count,), len(self.problem.choices) * self._most)
        self._logs, chosen = 0.0, []
        for position, head in enumerate(self._heads):
            state = self._cell(self._embeddings(token), state)
            logs = head(state[0]).log_softmax(dim=1)
            drawn = torch.multinomial(logs.detach().exp(), 1, generator=self._generator)
            self._logs = self._logs + logs.gather(1, drawn)[:, 0]
            chosen.append(drawn[:, 0].tolist())
            token = position * self._most + drawn[:, 0]
        return list(zip(*chosen, strict=True))

    def tell(self, vectors: Sequence[Vector], scores: Sequence[Score]) -> None:
        """Make what did better than the average more probable."""
        torch, before = self._torch, self._rewards.baseline
        rewards = [self._rewards.take(score) for score in scores]
        # Before the first batch there is no average but its own.
        baseline = before or self._rewards.baseline
        gains = torch.tensor([reward - baseline for reward in rewards], dtype=torch.float32)
        loss = -(self._logs[: len(vectors)] * gains).mean()
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
