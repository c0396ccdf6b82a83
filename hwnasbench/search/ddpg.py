"""DDPG: an agent walks the decisions and answers each with a number from 0 to 1, as HAQ does for bit widths."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.search.base import Searcher, positive
from hwnasbench.search.rewards import Rewards
from hwnasbench.search.torch_tools import torch_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hwnasbench.search.base import Score, Vector
    from hwnasbench.search.problem import Problem

# HAQ's constants (recalled).
_HIDDEN, _ACTOR_RATE, _CRITIC_RATE, _SOFT = 300, 1e-4, 1e-3, 0.01
_NOISE, _NOISE_DECAY, _MEMORY, _BATCH, _MOMENTUM = 0.5, 0.99, 2000, 64, 0.5
#: Steps of learning after an episode.
_UPDATES = 10


class Ddpg(Searcher):
    """Deep deterministic policy gradients; an episode is an architecture, and its reward that of each decision.

    Made for decisions whose choices are in an order, such as bits; of others a number says little.

    Parameters
    ----------
    problem : Problem
    seed : int
    warm_up : int
        Architectures drawn at random first.
    """

    name = "ddpg"
    title = "DDPG"
    paper = (
        "K. Wang et al., HAQ: Hardware-Aware Automated Quantization with Mixed Precision, CVPR 2019; T. P. Lillicrap "
        "et al., Continuous Control with Deep Reinforcement Learning, ICLR 2016 (both recalled)"
    )

    def __init__(self, problem: Problem, seed: int, *, warm_up: int = 20) -> None:
        super().__init__(problem, seed)
        positive(self, warm_up=warm_up)
        self._torch: Any = torch_of(self.name)
        self._choices = np.array(problem.choices)
        width = len(self._choices) + 3
        with self._torch.random.fork_rng(devices=[]):
            self._torch.manual_seed(seed)
            self._actor, self._aim_actor = (self._network(width, bounded=True) for _ in range(2))
            self._critic, self._aim_critic = (self._network(width + 1, bounded=False) for _ in range(2))
        self._aim_actor.load_state_dict(self._actor.state_dict())
        self._aim_critic.load_state_dict(self._critic.state_dict())
        adam = self._torch.optim.Adam
        self._actor_steps = adam(self._actor.parameters(), lr=_ACTOR_RATE)
        self._critic_steps = adam(self._critic.parameters(), lr=_CRITIC_RATE)
        self._memory: deque[tuple[NDArray[np.float32], ...]] = deque(maxlen=_MEMORY)
        self._rewards = Rewards(_MOMENTUM)
        self._warm_up, self._episodes = warm_up, 0
        self._episode: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None

    def ask(self, n: int) -> list[Vector]:
        """Walk the decisions once."""
        positions = len(self._choices)
        states, actions = np.zeros((positions, positions + 3), np.float32), np.zeros(positions, np.float32)
        spread = _NOISE * _NOISE_DECAY ** max(0, self._episodes - self._warm_up)
        for position, choices in enumerate(self._choices):
            states[position, position] = 1.0
            states[position, positions:] = (
                choices / self._choices.max(),
                actions[position - 1] if position else 0.0,
                actions[:position].mean() if position else 0.0,
            )
            actions[position] = self._action(states[position], spread)
        self._episode = states, actions
        chosen = np.minimum((actions * self._choices).astype(int), self._choices - 1)
        return [tuple(chosen.tolist())]

    def tell(self, vectors: Sequence[Vector], scores: Sequence[Score]) -> None:
        """Remember the episode, and learn from some that are remembered."""
        assert self._episode is not None
        states, actions = self._episode
        before = self._rewards.baseline
        reward = self._rewards.take(scores[0])
        gain = self._rewards.scaled(reward) - self._rewards.scaled(before) if self._episodes else 0.0
        following = np.concatenate([states[1:], np.zeros_like(states[:1])])
        last = np.arange(len(states)) == len(states) - 1
        for step in range(len(states)):
            self._memory.append(
                (states[step], actions[step], np.float32(gain), following[step], np.float32(last[step]))
            )
        self._episodes += 1
        if self._episodes >= self._warm_up:
            for _ in range(_UPDATES):
                self._learn()

    def _network(self, width: int, *, bounded: bool) -> Any:
        nn = self._torch.nn
        last = [nn.Sigmoid()] if bounded else []
        return nn.Sequential(
            nn.Linear(width, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, 1), *last
        )

    def _action(self, state: NDArray[np.float32], spread: float) -> float:
        if self._episodes < self._warm_up:
            return self.random.random()
        with self._torch.inference_mode():
            mean = float(self._actor(self._torch.from_numpy(state)))
        # A normal distribution cut off at 0 and 1, by drawing until one fits.
        while not 0.0 <= (drawn := self.random.gauss(mean, spread)) <= 1.0:
            pass
        return drawn

    def _learn(self) -> None:
        """One step of the critic and the actor, and a small one of the networks that they aim at."""
        torch = self._torch
        rows = self.rng.integers(len(self._memory), size=_BATCH)
        parts = zip(*(self._memory[row] for row in rows), strict=True)
        state, action, reward, following, last = (torch.from_numpy(np.array(part)) for part in parts)
        with torch.no_grad():
            ahead = self._aim_critic(torch.cat([following, self._aim_actor(following)], 1))[:, 0]
            aim = reward + (1 - last) * ahead
        loss = ((self._critic(torch.cat([state, action[:, None]], 1))[:, 0] - aim) ** 2).mean()
        self._critic_steps.zero_grad()
        loss.backward()
        self._critic_steps.step()
        worth = -self._critic(torch.cat([state, self._actor(state)], 1)).mean()
        self._actor_steps.zero_grad()
        worth.backward()
        self._actor_steps.step()
        with torch.no_grad():
            pairs = ((self._aim_actor, self._actor), (self._aim_critic, self._critic))
            for aimed, network in pairs:
                for kept, own in zip(aimed.parameters(), network.parameters(), strict=True):
                    kept.lerp_(own, _SOFT)
