"""What a study keeps of a run: each evaluation, and what a report says of the best found by then."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from hwnasbench.errors import InvalidArchitecture, InvalidRequest, MissingExtra
from hwnasbench.search.indicators import fronts
from hwnasbench.studies import problems
from hwnasbench.vectors import non_dominated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwnasbench.search import Problem, Run
    from hwnasbench.studies import spec

    Floats = NDArray[np.float64]

#: Architectures drawn to scale the objectives of a space that cannot be enumerated.
_SAMPLE = 2000
#: The reference of hypervolumes, in ranges of the front beyond its best in each objective.
_REFERENCE = 1.1


def judge(problem: spec.Problem) -> Judge:
    """Return the judge of a problem; the same one again within this process."""
    return _judge(problem.model_dump_json(), problems.make(problem))


@lru_cache(maxsize=16)
def _judge(text: str, problem: Problem) -> Judge:
    return Judge(problem)


class Judge:
    """Tells what the report of a problem says along a run.

    A run for one best score is judged by the score, with test accuracy, of the best that it has seen. One for a front
    is judged by the hypervolume, with test accuracy, of what it has seen that nothing else it has seen beats: each
    objective is scaled so that the exact front of the space goes from 0 (best) to 1, the reference lies at 1.1, and
    the volume is a share of that of the exact front. Where a space cannot be enumerated, the front of 2,000
    architectures drawn with a fixed seed stands for the exact one, and a share may pass 1.

    Parameters
    ----------
    problem : Problem
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    @cached_property
    def best(self) -> float | None:
        """What nothing beats, in the unit of ``report_score``; None where the space cannot be enumerated."""
        if self.problem.many and not self._whole_volume > 0:
            raise InvalidRequest(f"the front of {self.problem.space.name} has no volume; expected other objectives")
        if not self.problem.space.enumerable:
            return None
        return 1.0 if self.problem.many else float(self.problem.best[0])

    def table(self, run: Run) -> pa.Table:
        """Return one row an evaluation: what was asked and told, and the report of the best so far."""
        rows = len(run)
        epochs = np.array([level.epochs or 0 for level in self.problem.fidelities])[run.fidelities]
        columns: dict[str, Any] = {
            "evaluation": np.arange(1, rows + 1, dtype=np.int32),
            "seconds": pa.nulls(rows, pa.float64()) if run.seconds is None else run.seconds,
            "epochs": pa.array(epochs.astype(np.int32), mask=epochs == 0),
            "arch": self._strings(run.vectors),
        }
        scores = run.scores.reshape(rows, -1)
        columns |= {"score" if i == 0 else f"score_{i + 1}": scores[:, i] for i in range(scores.shape[1])}
        return pa.table(columns | (self._front(run) if self.problem.many else self._incumbents(run)))

    # -- within -------------------------------------------------------------------------------

    def _incumbents(self, run: Run) -> dict[str, Any]:
        found = run.incumbents()
        nothing = ~np.isfinite(run.scores[found])
        rows, place = np.unique(found, return_inverse=True)
        said = self._report(run.vectors[rows])
        columns: dict[str, Any] = {"incumbent": pa.array((found + 1).astype(np.int32), mask=nothing)}
        for name, values in {"score": said.pop("score"), **said}.items():
            along = values[place]
            columns[f"report_{name}"] = pa.array(along, mask=nothing | np.isnan(along))
        return columns

    def _front(self, run: Run) -> dict[str, Any]:
        """Take the volume of the front of what was seen, whenever it changes."""
        changes = fronts(run)
        volume = np.zeros(len(run))
        if changes:
            members = sorted({row for _, front in changes for row in front})
            said = dict(zip(members, self._report(run.vectors[members])["score"], strict=True))
            for row, front in changes:
                volume[row:] = self._share(np.array([said[member] for member in front]))
        return {"report_score": volume}

    @cached_property
    def _whole(self) -> dict[str, Floats] | None:
        return self.problem.report(None) if self.problem.space.enumerable else None

    def _report(self, vectors: NDArray[np.int8]) -> dict[str, Floats]:
        if self._whole is None:
            return self.problem.report(vectors)
        where = self.problem.space.indices(vectors)
        return {name: values[where] for name, values in self._whole.items()}

    @cached_property
    def _names(self) -> pa.Array | None:
        space = self.problem.space
        return pa.array([space.format(arch) for arch in space], pa.string()) if space.enumerable else None

    def _strings(self, vectors: NDArray[np.int8]) -> pa.Array:
        """Return the canonical strings of architectures; null for decisions that are none."""
        space = self.problem.space
        if self._names is not None:
            return self._names.take(pa.array(space.indices(vectors)))
        return pa.array([_string(space, vector) for vector in map(tuple, vectors.tolist())], pa.string())

    @cached_property
    def _front_known(self) -> Floats:
        """The exact front, or that of a sample."""
        if self.problem.space.enumerable:
            return self.problem.best
        drawn = self.problem.space.sample_many(np.random.default_rng(0), _SAMPLE)
        scores = self.problem.report(drawn)["score"]
        finite = scores[np.isfinite(scores).all(axis=1)]
        if not len(finite):
            raise InvalidRequest(
                f"none of {_SAMPLE} architectures of {self.problem.space.name} drawn at random is feasible: there is "
                "nothing to measure fronts by; expected wider limits"
            )
        return finite[non_dominated(-finite)]

    def _share(self, scores: Floats) -> float:
        """Return the hypervolume of scores over that of the known front."""
        return self._volume(scores) / self._whole_volume

    @cached_property
    def _whole_volume(self) -> float:
        return self._volume(self._front_known)

    def _volume(self, scores: Floats) -> float:
        span = np.ptp(self._front_known, axis=0)
        costs = (self._front_known.max(axis=0) - scores) / np.where(span > 0, span, 1.0)
        inside = costs[(costs < _REFERENCE).all(axis=1)]
        return float(self._indicator(inside)) if len(inside) else 0.0

    @cached_property
    def _indicator(self) -> Any:
        try:
            from pymoo.indicators.hv import HV
        except ImportError as error:
            raise MissingExtra("a study of fronts needs pymoo: pip install 'hwnasbench[study]'") from error
        return HV(ref_point=np.full(self.problem.objective.count, _REFERENCE))


def _string(space: Any, vector: tuple[int, ...]) -> str | None:
    try:
        return str(space.format(vector))
    except InvalidArchitecture:
        return None
