"""REINFORCE with a recurrent controller, which makes one decision after the other."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any

from hwnasbench.search.base import Searcher, positive
from hwnasbench.search.rewards import Rewards, check_rates
from hwnasbench.search.torch_tools import torch_of, uniform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnasbench.search.base import Score, Vector
    from hwnasbench.search.problem import Problem

#: Weights are drawn uniformly from minus this to this at the beginning.
_SPREAD = 0.08


class ReinforceLstm(Searcher):
    """An LSTM whose outputs are the probabilities of each decision, given those before it.

    An infeasible architecture has the reward of the worst feasible one so far; before there is one, nothing is learned.
    The reward is the score itself, where the paper takes the cube of an accuracy.

    Parameters
    ----------
    problem : Problem
    seed : int
    layers : int
        Of the LSTM.
    hidden : int
        Units of each layer.
    learning_rate : float
        Of Adam; the paper's 0.0006 is for 12,800 architectures, and learns little of a thousand.
    momentum : float
        Of the average reward.
    batch : int
        Architectures behind one step.

    Raises
    ------
    InvalidRequest
        When a rate learns nothing, or another setting is below 1.
    MissingExtra
        When PyTorch is not installed.
    """

    name = "reinforce_lstm"
    title = "REINFORCE with an LSTM"
    paper = "B. Zoph and Q. V. Le, Neural Architecture Search with Reinforcement Learning, ICLR 2017 (recalled)"

    def __init__(
        self,
        problem: Problem,
        seed: int,
        *,
        layers: int = 2,
        hidden: int = 35,
        learning_rate: float = 0.005,
        momentum: float = 0.9,
        batch: int = 8,
    ) -> None:
        super().__init__(problem, seed)
        positive(self, layers=layers, hidden=hidden, batch=batch)
        check_rates(self, learning_rate, momentum)
        self._torch: Any = torch_of(self.name)
        torch = self._torch
        self._generator = torch.Generator().manual_seed(seed)
        self._most, self._batch, self._hidden = max(problem.choices), batch, hidden
        with torch.random.fork_rng(devices=[]):  # weights are drawn when they are made, and here once more
            self._cells = torch.nn.ModuleList(torch.nn.LSTMCell(hidden, hidden) for _ in range(layers))
            # One for each choice of each decision, and one to begin with.
            self._embeddings = torch.nn.Embedding(len(problem.choices) * self._most + 1, hidden)
            self._heads = torch.nn.ModuleList(torch.nn.Linear(hidden, n) for n in problem.choices)
        parts = torch.nn.ModuleList([self._cells, self._embeddings, self._heads])
        uniform(torch, parts.parameters(), _SPREAD, self._generator)
        self._optimiser = torch.optim.Adam(parts.parameters(), lr=learning_rate)
        self._rewards = Rewards(momentum)
        self._logs: Any = None

    def ask(self, n: int) -> list[Vector]:
        """Draw a batch of architectures by the controller."""
        torch, count = self._torch, min(n, self._batch)
        states = [(torch.zeros(count, self._hidden),) * 2 for _ in self._cells]
        token = torch.full((count,), len(self.problem.choices) * self._most)
        self._logs, chosen = torch.zeros(count), []
        for position, head in enumerate(self._heads):
            signal = self._embeddings(token)
            for layer, cell in enumerate(self._cells):
                states[layer] = cell(signal, states[layer])
                signal = states[layer][0]
            logs = head(signal).log_softmax(dim=1)
            drawn = torch.multinomial(logs.detach().exp(), 1, generator=self._generator)
            self._logs = self._logs + logs.gather(1, drawn)[:, 0]
            chosen.append(drawn[:, 0].tolist())
            token = position * self._most + drawn[:, 0]
        return list(zip(*chosen, strict=True))

    def tell(self, vectors: Sequence[Vector], scores: Sequence[Score]) -> None:
        """Make what did better than the average of those before more probable."""
        before = self._rewards.average
        rewards = self._rewards.take(scores)
        if not rewards:
            return
        baseline = self._rewards.average if isnan(before) else before
        gains = self._torch.tensor([reward - baseline for reward in rewards])
        loss = -(self._logs[: len(vectors)] * gains).mean()
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
