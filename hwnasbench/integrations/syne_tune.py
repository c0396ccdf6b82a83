"""A blackbox for Syne Tune's simulator.

>>> from syne_tune.blackbox_repository import UserBlackboxBackend
>>> from hwnasbench.integrations.syne_tune import ELAPSED, ArchitectureBlackbox
>>> blackbox = ArchitectureBlackbox(problem)
>>> backend = UserBlackboxBackend(blackbox, elapsed_time_attr=ELAPSED)

Scores are maximised: schedulers need ``do_minimize=False``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.errors import InvalidRequest, MissingExtra, NoColumn, NotEnumerable
from hwnasbench.integrations import positions
from hwnasbench.search.base import INFEASIBLE

try:
    from syne_tune.blackbox_repository.blackbox import Blackbox
    from syne_tune.config_space import choice, ordinal
except ImportError as error:
    raise MissingExtra(
        "blackboxes need Syne Tune and huggingface_hub: pip install 'hwnasbench[integrations]'"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from hwnasbench.search.base import Vector
    from hwnasbench.search.problem import Problem

    Floats = NDArray[np.float64]

__all__ = ["ELAPSED", "ArchitectureBlackbox"]

#: The objective that says how long a trial has been training, for the simulator's ``elapsed_time_attr``.
ELAPSED = "elapsed_time"


class ArchitectureBlackbox(Blackbox):  # type: ignore[misc]  # Syne Tune has no types
    """A blackbox whose hyperparameters ``p0``, ``p1``, ... are the positions, and whose fidelity is ``epochs``.

    The objectives are ``score`` (``score_0``, ``score_1``, ... of a front; larger is better) and `ELAPSED`, in seconds.
    Trainings of different lengths were trainings of their own, none went on from a shorter one, so a trial that goes on
    to the next pays for both. A problem with ``epochs`` has one length alone. Where accuracies state no length, the one
    fidelity is ``evaluation``, which is 1.

    Parameters
    ----------
    problem : Problem
    seconds : float, optional
        What each evaluation is taken to last, where no time of training is known.
    infeasible : float
        The scores of an infeasible architecture; schedulers that fit a regression, such as CQR, need a finite one.

    Attributes
    ----------
    problem : Problem
    scores : list of str
        The objectives that are scores.

    Raises
    ------
    NoColumn
        When no time of training is known, and `seconds` is not given.
    InvalidRequest
        When `seconds` is not positive, or `infeasible` is no number.
    """

    def __init__(self, problem: Problem, *, seconds: float | None = None, infeasible: float = INFEASIBLE) -> None:
        if seconds is not None and not 0 < seconds < float("inf"):
            raise InvalidRequest(f"seconds={seconds!r}; expected more than 0")
        if np.isnan(infeasible):
            raise InvalidRequest(f"infeasible={infeasible!r}; expected a number")
        count = problem.objective.count
        self.problem, self._given, self._infeasible = problem, seconds, infeasible
        self.scores = [f"score_{i}" for i in range(count)] if problem.many else ["score"]
        epochs = [fidelity.epochs for fidelity in problem.fidelities]
        values = [1] if epochs[0] is None else epochs
        self._fidelities: NDArray[np.int64] = np.array(values, np.int64)
        super().__init__(
            {name: choice(list(range(n))) for name, n in zip(positions.names(problem), problem.choices, strict=True)},
            {"evaluation" if epochs[0] is None else "epochs": ordinal(values)},
            [*self.scores, ELAPSED],
        )
        if seconds is None:
            self._probe()

    @property
    def fidelity_values(self) -> NDArray[np.int64]:
        """The lengths of training, shortest first."""
        return self._fidelities

    def vector(self, configuration: Mapping[str, Any]) -> Vector:
        """Return the architecture of a configuration; what is not a position is passed over.

        Raises
        ------
        InvalidArchitecture
            When it lacks a position, or has a choice that the space does not.
        """
        return positions.vector(self.problem, configuration)

    def _objective_function(
        self, configuration: dict[str, Any], fidelity: dict[str, Any] | None = None, seed: int | None = None
    ) -> dict[str, float] | Floats:
        """Return the objectives at one fidelity by name, or an array of those at every fidelity."""
        values = self._objectives([self.vector(configuration)])[:, 0]
        if fidelity is None:
            return values
        asked = fidelity[self.fidelity_name()]
        known = self._fidelities.tolist()
        if asked not in known:
            raise InvalidRequest(f"{self.fidelity_name()}={asked!r}; expected one of {known}")
        return dict(zip(self.objectives_names, values[known.index(asked)].tolist(), strict=True))

    def hyperparameter_objectives_values(self, predict_curves: bool = False) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return all architectures with finite scores and their objectives, for surrogates and for transfer.

        Raises
        ------
        NotEnumerable
            When the space has no list of all.
        """
        import pandas as pd

        space = self.problem.space
        if not space.enumerable:
            raise NotEnumerable(f"{space.name} has {space.size} architectures; expected a space with an index")
        vectors = space.all_vectors()
        values = self._objectives([tuple(row) for row in vectors.tolist()])
        kept = np.isfinite(values).all(axis=(0, 2))
        frame, values = pd.DataFrame(vectors[kept], columns=positions.names(self.problem)), values[:, kept]
        if predict_curves:
            return frame, pd.DataFrame(values.transpose(1, 0, 2).reshape(len(frame), -1))
        frames = [frame.assign(**{self.fidelity_name(): n}) for n in self._fidelities.tolist()]
        objectives = pd.DataFrame(values.reshape(-1, values.shape[2]), columns=self.objectives_names)
        return pd.concat(frames, ignore_index=True), objectives

    # -- within -------------------------------------------------------------------------------

    def _objectives(self, vectors: Sequence[Vector]) -> Floats:
        """Return objectives by fidelity, architecture and name."""
        levels = range(len(self._fidelities))
        scores = np.array([self.problem.scores(vectors, level) for level in levels], np.float64)
        scores[np.isneginf(scores)] = self._infeasible
        elapsed = np.cumsum([self._seconds(vectors, level) for level in levels], axis=0)
        return np.concatenate([scores.reshape(len(levels), len(vectors), -1), elapsed[:, :, None]], axis=2)

    def _seconds(self, vectors: Sequence[Vector], level: int) -> list[float]:
        return [self._given] * len(vectors) if self._given is not None else self.problem.costs(vectors, level)

    def _probe(self) -> None:
        """Say at once where no time of training is known."""
        space = self.problem.space
        first: Vector = tuple(space.sample_many(np.random.default_rng(0), 1)[0].tolist())
        try:
            self.problem.costs([first])
        except NoColumn as error:
            raise NoColumn(
                f"{space.name} has no time of training; say what an evaluation lasts: seconds=..."
            ) from error
