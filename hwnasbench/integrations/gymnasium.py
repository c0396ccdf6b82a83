"""An environment for Gymnasium: an episode decides one position after another.

>>> from hwnasbench.integrations.gymnasium import ArchitectureEnv
>>> env = ArchitectureEnv(problem)  # or gymnasium.make("hwnasbench/Architecture-v0", problem=problem)
>>> observation, info = env.reset(seed=0)
>>> over = False
>>> while not over:
...     observation, reward, over, _, info = env.step(env.action_space.sample(info["action_mask"]))
>>> info["vector"], reward
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.errors import InvalidRequest, MissingExtra
from hwnasbench.search.base import INFEASIBLE

try:
    import gymnasium
    from gymnasium.spaces import Discrete, MultiDiscrete
except ImportError as error:
    raise MissingExtra("Gymnasium is not installed: pip install 'hwnasbench[integrations]'") from error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwnasbench.search.base import Vector
    from hwnasbench.search.problem import Problem

    Observation = NDArray[np.int64]

__all__ = ["ID", "ArchitectureEnv"]

#: What ``gymnasium.make`` knows the environment by, once this module was imported.
ID = "hwnasbench/Architecture-v0"


class ArchitectureEnv(gymnasium.Env["Observation", np.int64]):
    """An episode walks the positions of an architecture; the reward, at its end, is the score.

    An observation has a number a position: 0 where it is not decided yet, one more than its choice where it is. An
    action is the choice at the next position. Where that has fewer choices than others, ``info["action_mask"]`` says
    which there are, and another one ends the episode as an infeasible architecture does. At the end ``info`` has the
    ``score``, which may be minus infinity, and the ``vector`` where there is one.

    Parameters
    ----------
    problem : Problem
        Of one score.
    infeasible : float, optional
        The reward of an infeasible architecture. Where None it is that of the worst feasible one so far, 0 as long as
        there was none: a reward that changes while an agent learns.

    Attributes
    ----------
    problem : Problem

    Raises
    ------
    InvalidRequest
        When the objective gives several scores: there is one reward.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own is no ClassVar

    def __init__(self, problem: Problem, *, infeasible: float | None = None) -> None:
        if problem.many:
            raise InvalidRequest(
                f"an episode has one reward and the objective has {problem.objective.count}; expected an objective "
                "that weighs them"
            )
        if infeasible is not None and not np.isfinite(infeasible):
            raise InvalidRequest(f"infeasible={infeasible!r}; expected a finite number")
        self.problem, self._infeasible = problem, infeasible
        self._actions = max(problem.choices)
        self.observation_space = MultiDiscrete([n + 1 for n in problem.choices])
        self.action_space = Discrete(self._actions)
        self._worst: float | None = None
        self._decided: list[int] = []
        self._over = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode: nothing is decided. With a seed, what was infeasible before is forgotten too."""
        super().reset(seed=seed)
        if seed is not None:
            self._worst = None
        self._decided, self._over = [], False
        return self._observation(), self._info()

    def step(self, action: np.int64 | int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Decide the next position.

        Raises
        ------
        InvalidRequest
            When the episode is over, or the action is not in `action_space`.
        """
        if self._over:
            raise InvalidRequest("the episode is over; expected reset() before step()")
        if not self.action_space.contains(action):
            raise InvalidRequest(f"action {action!r}; expected an integer from 0 to {self._actions - 1}")
        choices = self.problem.choices
        if action >= choices[len(self._decided)]:
            return self._end(INFEASIBLE, None)
        self._decided.append(int(action))
        if len(self._decided) < len(choices):
            return self._observation(), 0.0, False, False, self._info()
        vector = tuple(self._decided)
        return self._end(self.problem.scores([vector])[0], vector)

    def _end(self, score: float, vector: Vector | None) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        self._over = True
        found = {} if vector is None else {"vector": vector}
        return self._observation(), self._reward(score), True, False, {**self._info(), **found, "score": score}

    def _reward(self, score: float) -> float:
        if score != INFEASIBLE:
            self._worst = score if self._worst is None else min(self._worst, score)
            return score
        if self._infeasible is not None:
            return self._infeasible
        return 0.0 if self._worst is None else self._worst

    def _observation(self) -> Observation:
        observed = np.zeros(len(self.problem.choices), np.int64)
        observed[: len(self._decided)] = np.array(self._decided, np.int64) + 1
        return observed

    def _info(self) -> dict[str, Any]:
        """Return which actions the next position has; all of them at the end, where none is taken."""
        n = self._actions if self._over else self.problem.choices[len(self._decided)]
        return {"action_mask": (np.arange(self._actions) < n).astype(np.int8)}


gymnasium.register(ID, entry_point=f"{__name__}:ArchitectureEnv")
