"""DDPG: an agent walks the decisions and answers each with a number from 0 to 1, as HAQ does for bit widths."""

from __future__ import annotations

from math import inf, isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.search.base import Searcher, positive
from hwnasbench.search.torch_tools import torch_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hwnasbench.search.base import Score, Vector
    from hwnasbench.search.problem import Problem

    Floats = NDArray[np.float32]

# HAQ's constants (read: mit-han-lab/haq rl_quantize.py and lib/rl/ddpg.py). The discount is 1.
_ACTOR_RATE, _CRITIC_RATE, _SOFT = 1e-4, 1e-3, 0.01
_NOISE, _NOISE_DECAY, _EPISODES, _BATCH, _MOVING = 0.5, 0.99, 128, 64, 0.5


class Ddpg(Searcher):
    """Deep deterministic policy gradients; an episode is an architecture, and its score the reward of every decision.

    Made for decisions whose choices are in an order, such as bits: the range of the agent's numbers is cut into as many
    equal parts as there are choices, in their order. Where choices have none, a number says little.

    What the agent sees of a decision is which one it is, how many choices there are, its answer before and the mean of
    all before; HAQ's sees the layer's shape. HAQ lowers bits until a network keeps its budget; here an infeasible one
    has the reward of the worst feasible one so far. Rewards are shares of the span from the worst to the best so far,
    less the moving average of the batches that were learned from; HAQ's are tenths of a point of accuracy.

    Parameters
    ----------
    problem : Problem
    seed : int
    warm_up : int
        Architectures drawn at random first; more, where no two of them have different scores.
    hidden : int
        Units of each of the two hidden layers of actor and critic.
    updates : int
        Steps of learning after an episode; HAQ makes one a decision.

    Raises
    ------
    InvalidRequest
        When a setting is below 1.
    MissingExtra
        When PyTorch is not installed.
    """

    name = "ddpg"
    title = "DDPG"
    paper = (
        "K. Wang et al., HAQ: Hardware-Aware Automated Quantization with Mixed Precision, CVPR 2019; T. P. Lillicrap "
        "et al., Continuous Control with Deep Reinforcement Learning, ICLR 2016 (both recalled; constants read: "
        "mit-han-lab/haq rl_quantize.py)"
    )

    def __init__(self, problem: Problem, seed: int, *, warm_up: int = 20, hidden: int = 300, updates: int = 10) -> None:
        super().__init__(problem, seed)
        positive(self, warm_up=warm_up, hidden=hidden, updates=updates)
        self._torch: Any = torch_of(self.name)
        choices = np.array(problem.choices)
        # Where there is one choice there is nothing to decide.
        self._decided = np.flatnonzero(choices > 1)
        self._counts = choices[self._decided]
        self._walk = _Walk(self._counts)
        self._make_networks(self._walk.width, hidden)
        self._actions = np.zeros((_EPISODES, len(self._counts)), np.float32)
        self._scores = np.full(_EPISODES, -inf)
        self._worst, self._best = inf, -inf
        self._average: float | None = None
        self._warm_up, self._updates, self._episodes, self._taught = warm_up, updates, 0, 0

    def ask(self, n: int) -> list[Vector]:
        """Walk the decisions once."""
        actions = self._actions[self._episodes % _EPISODES]
        if self._taught:
            self._act(actions)
        else:
            actions[:] = [self.random.random() for _ in actions]
        vector = np.zeros(len(self.problem.choices), np.intp)
        vector[self._decided] = np.minimum((actions * self._counts).astype(np.intp), self._counts - 1)
        return [tuple(vector.tolist())]

    def tell(self, vectors: Sequence[Vector], scores: Sequence[Score]) -> None:
        """Remember the episode, and learn from some that are remembered."""
        for score in scores:
            self._scores[self._episodes % _EPISODES] = score
            if isfinite(score):
                self._worst, self._best = min(self._worst, score), max(self._best, score)
            self._episodes += 1
        # Of scores that are all the same there is nothing to learn.
        if self._episodes >= self._warm_up and self._worst < self._best and len(self._counts):
            self._taught += 1
            for _ in range(self._updates):
                self._learn()

    # -- the agent ----------------------------------------------------------------------------

    def _make_networks(self, width: int, hidden: int) -> None:
        torch = self._torch

        def network(width: int, *last: Any) -> Any:
            nn = torch.nn
            layers = nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
            return nn.Sequential(*layers, *last)

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self._actor, self._aim_actor = (network(width, torch.nn.Sigmoid()) for _ in range(2))
            self._critic, self._aim_critic = (network(width + 1) for _ in range(2))
        self._aim_actor.load_state_dict(self._actor.state_dict())
        self._aim_critic.load_state_dict(self._critic.state_dict())
        self._actor_steps = torch.optim.Adam(self._actor.parameters(), lr=_ACTOR_RATE)
        self._critic_steps = torch.optim.Adam(self._critic.parameters(), lr=_CRITIC_RATE)

    def _act(self, actions: Floats) -> None:
        """Answer every decision by the actor, with noise that shrinks from episode to episode."""
        spread = _NOISE * _NOISE_DECAY**self._taught
        total = 0.0
        with self._torch.inference_mode():
            for step in range(len(actions)):
                before = (actions[step - 1], total / step) if step else (0.0, 0.0)
                state = self._walk.state(step, *before)
                mean = float(self._actor(self._torch.from_numpy(state)))
                # A normal distribution cut off at 0 and 1, by drawing until one fits.
                while not 0.0 <= (drawn := self.random.gauss(mean, spread)) <= 1.0:
                    pass
                actions[step] = drawn
                total += drawn

    def _learn(self) -> None:
        """One step of the critic and the actor, and a small one of the networks that they aim at."""
        torch = self._torch
        kept = min(self._episodes, _EPISODES)
        episodes = self.rng.integers(kept, size=_BATCH)
        steps = self.rng.integers(len(self._counts), size=_BATCH)
        state, action, following = map(torch.from_numpy, self._walk.transitions(self._actions[episodes], steps))
        last = torch.from_numpy(steps == len(self._counts) - 1)
        with torch.no_grad():
            ahead = self._aim_critic(torch.cat([following, self._aim_actor(following)], 1))[:, 0]
            aim = torch.from_numpy(self._gains(self._scores[episodes])) + ahead.masked_fill(last, 0.0)
        loss = ((self._critic(torch.cat([state, action], 1))[:, 0] - aim) ** 2).mean()
        self._critic_steps.zero_grad()
        loss.backward()
        self._critic_steps.step()
        worth = -self._critic(torch.cat([state, self._actor(state)], 1)).mean()
        self._actor_steps.zero_grad()
        worth.backward(inputs=list(self._actor.parameters()))
        self._actor_steps.step()
        with torch.no_grad():
            for aimed, network in ((self._aim_actor, self._actor), (self._aim_critic, self._critic)):
                for old, new in zip(aimed.parameters(), network.parameters(), strict=True):
                    old.lerp_(new, _SOFT)

    def _gains(self, scores: NDArray[np.float64]) -> Floats:
        """Return what scores are above the average batch, as shares of the span of scores."""
        rewards = np.where(np.isfinite(scores), scores - self._worst, 0.0) / (self._best - self._worst)
        mean = float(rewards.mean())
        self._average = mean if self._average is None else self._average + _MOVING * (mean - self._average)
        return (rewards - self._average).astype(np.float32)


class _Walk:
    """What the agent sees at each decision of a walk."""

    def __init__(self, counts: NDArray[np.intp]) -> None:
        self._fixed = np.zeros((len(counts) + 1, len(counts) + 3), np.float32)
        np.fill_diagonal(self._fixed, 1.0)
        self._fixed[-1] = 0.0  # after the last decision there is none
        self._fixed[:-1, -3] = counts / counts.max(initial=1)
        self.width = len(counts) + 3

    def state(self, step: int, action: float, mean: float) -> Floats:
        """Return the state at a decision, after the answer before and the mean of all before."""
        state: Floats = self._fixed[step].copy()
        state[-2:] = action, mean
        return state

    def transitions(self, actions: Floats, steps: NDArray[np.intp]) -> tuple[Floats, Floats, Floats]:
        """Return states, actions and following states, of one step of each walk."""
        rows = np.arange(len(steps))
        sums = np.pad(actions.cumsum(axis=1), ((0, 0), (1, 0)))
        before = np.pad(actions, ((0, 0), (1, 0)))
        both = []
        for at in (steps, steps + 1):
            state = self._fixed[at]
            state[:, -2] = before[rows, at]
            state[:, -1] = sums[rows, at] / np.maximum(at, 1)
            both.append(state)
        return both[0], actions[rows, steps][:, None], both[1]
