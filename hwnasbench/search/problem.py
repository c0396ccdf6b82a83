"""What is searched: a space, an objective, and the wall between what a search sees and what its report says."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hwnasbench.errors import InvalidArchitecture, InvalidRequest, NoColumn
from hwnasbench.search.base import INFEASIBLE
from hwnasbench.search.moves import draw, neighbours
from hwnasbench.search.objectives.base import Objective, reference

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from hwnasbench.benchmark import Benchmark
    from hwnasbench.joint import JointBenchmark
    from hwnasbench.search.base import Score, Vector

    Floats = NDArray[np.float64]

#: Splits: what a search sees, and what its report says.
SEEN, REPORTED = "valid", "test"


class Fidelity(NamedTuple):
    """A length of training whose validation accuracy is known; epochs are None where the accuracy states none."""

    epochs: int | None


class Problem:
    """A space, and what to search it for.

    The search sees validation accuracy alone, at the most epochs known unless `epochs` says otherwise; reports give
    test accuracy by the benchmark's own defaults. Where a space has no validation accuracy, ``split="test"`` must be
    said: then both see the same.

    Parameters
    ----------
    bench : Benchmark or JointBenchmark
    objective : Objective
    device : str or Device, optional
        Of the metrics that name none; a joint space brings its own.
    split : {"valid", "test"}
    epochs : int, optional
        Length of training of the accuracy that the search sees.
    **request
        Further keys of `Benchmark.query`, for search and report alike.

    Attributes
    ----------
    space : Space
    choices : tuple of int
        How many choices each position has.
    many : bool
        Whether scores are tuples.
    fidelities : tuple of Fidelity
        From the shortest training to the longest.

    Raises
    ------
    InvalidRequest
        When a constraint leaves nothing of an enumerable space, or the split is not to be had.
    """

    def __init__(
        self,
        bench: Benchmark | JointBenchmark,
        objective: Objective,
        device: Any = None,
        *,
        split: str = SEEN,
        epochs: int | None = None,
        **request: Any,
    ) -> None:
        if not isinstance(objective, Objective):
            raise InvalidRequest(f"objective={objective!r}; expected one of hwnasbench.search.objectives")
        if split not in (SEEN, REPORTED):
            raise InvalidRequest(f"split={split!r}; expected {SEEN!r} or {REPORTED!r}")
        self.bench, self.objective, self.device, self.request = bench, objective, device, request
        self.space = bench.space
        self.choices: tuple[int, ...] = self.space.choices
        self.many = objective.count > 1
        self.split = split
        self.references = {name: reference(name) for name in objective.metrics}
        self.fidelities = self._fidelities(epochs)
        self._tables: dict[int, dict[Vector, Score]] = {}
        self._costs: dict[Vector, float] = {}
        self._check_feasible()

    # -- what a search sees -------------------------------------------------------------------

    def scores(self, vectors: Sequence[Vector], fidelity: int = -1) -> list[Score]:
        """Return what a searcher is told of architectures.

        Parameters
        ----------
        vectors : sequence of tuple of int
        fidelity : int
            Position in `fidelities`.

        Raises
        ------
        InvalidArchitecture
            When one is not in the space.
        """
        level = fidelity % len(self.fidelities)
        table = self._tables.get(level)
        if table is None:
            table = self._tables[level] = self._whole(level)
        try:
            return [table[vector] for vector in vectors]
        except (KeyError, TypeError):
            self._learn(vectors, level, table)
        return [table[tuple(vector)] for vector in vectors]

    def values(self, vectors: Any, fidelity: int = -1) -> dict[str, Floats]:
        """Return the metrics that the objective looks at, as the search sees them; NaN where there is none.

        Parameters
        ----------
        vectors : (n, positions) array of int, or None for a whole enumerable space in index order
        """
        epochs = self.fidelities[fidelity].epochs
        seen: dict[str, Any] = {"split": self.split}
        if epochs is not None:
            seen["epochs"] = epochs
        return self._values(vectors, seen)

    def costs(self, vectors: Sequence[Vector], fidelity: int = -1) -> list[float]:
        """Return the seconds that training each architecture would have taken.

        Raises
        ------
        NoColumn
            Where no time of training is known.
        """
        epochs = self.fidelities[fidelity].epochs
        if not self._costs:
            self._costs = self._seconds()
        scale = 1.0 if epochs is None else float(epochs)
        return [self._costs[vector] * scale for vector in vectors]

    def forget(self) -> None:
        """Forget the scores that searches asked for, of a space that cannot be enumerated.

        The last digit of a prediction may depend on which architectures are evaluated together; a search after this is
        told the same whatever was searched before.
        """
        if not self.space.enumerable:
            self._tables.clear()

    # -- steps --------------------------------------------------------------------------------

    def draw(self, generator: random.Random) -> Vector:
        """Return an architecture of the space, drawn uniformly."""
        return draw(self.choices, generator)

    def neighbours(self, vector: Vector) -> list[Vector]:
        """Return every architecture that differs in exactly one decision."""
        return neighbours(self.choices, vector)

    # -- what a report says -------------------------------------------------------------------

    def report(self, vectors: Any) -> dict[str, Floats]:
        """Return the objective's metrics with test accuracy, and the score that they give, ``score``.

        Parameters
        ----------
        vectors : (n, positions) array of int, or None for a whole enumerable space in index order
        """
        values = self._values(vectors, self._reported)
        return {**values, "score": self._score(values)}

    @cached_property
    def best(self) -> Floats:
        """The scores of a report that no architecture of an enumerable space beats: one, or one row each of a front."""
        from hwnasbench.vectors import non_dominated

        scores = self.report(None)["score"]
        if not self.many:
            return np.array([scores.max()])
        finite = scores[np.isfinite(scores).all(axis=1)]
        return np.asarray(finite[non_dominated(-finite)])

    # -- within -------------------------------------------------------------------------------

    @property
    def _reported(self) -> dict[str, Any]:
        return {"split": REPORTED} if self.split == SEEN and self._has_accuracy({"split": REPORTED}) else {}

    def _fidelities(self, epochs: int | None) -> tuple[Fidelity, ...]:
        if not any(ref.metric == "accuracy" for ref in self.references.values()):
            return (Fidelity(None),)
        if epochs is not None:
            return (Fidelity(epochs),)
        stated = sorted(self._epochs())
        found = tuple(Fidelity(n) for n in stated if self._has_accuracy({"split": self.split, "epochs": n}))
        if found:
            return found
        if self._has_accuracy({"split": self.split}):
            return (Fidelity(None),)
        raise InvalidRequest(
            f"{self.space.name} has no {self.split} accuracy"
            + ("; say split='test' to search and report on the same accuracy" if self.split == SEEN else "")
        )

    def _epochs(self) -> set[int]:
        """Return the lengths of training that columns of validation accuracy state."""
        columns = self.bench.all_columns() if hasattr(self.bench, "all_columns") else []
        keys = [column.keys for column in columns if column.metric == "accuracy"]
        return {int(k["epochs"]) for k in keys if k["split"] == self.split and k["epochs"] is not None}

    def _has_accuracy(self, extra: Mapping[str, Any]) -> bool:
        some = self.space.sample_many(np.random.default_rng(0), 1)
        try:
            frame = self._ask(some, ("accuracy",), self.device, extra)
        except NoColumn:
            return False
        return bool(len(frame))

    def _ask(self, vectors: Any, metrics: tuple[str, ...], device: Any, extra: Mapping[str, Any]) -> Any:
        request = {**self.request, **extra}
        if hasattr(self.space, "accelerators"):
            if device is not None:
                raise InvalidRequest(f"{self.space.name} brings its own devices; {device} is another")
            return self.bench.query_many(vectors, metrics=metrics, **request)
        return self.bench.query_many(vectors, device, metrics=metrics, **request)

    def _values(self, vectors: Any, extra: Mapping[str, Any]) -> dict[str, Floats]:
        if vectors is None:
            vectors = np.arange(len(self.space))
        out = {}
        for name, ref in self.references.items():
            device = self.device if ref.device is None else ref.device
            more = dict(extra) if ref.metric == "accuracy" else {}
            if ref.keys:
                # How long something else was trained is its own affair.
                more.pop("epochs", None)
                more.update(ref.keys)
            out[name] = self._ask(vectors, (ref.metric,), device, more)[ref.metric].to_numpy(np.float64)
        return out

    def _score(self, values: Mapping[str, Floats]) -> Floats:
        scores = np.array(self.objective.score(values), np.float64)
        scores[~self.objective.feasible(values)] = INFEASIBLE
        scores[np.isnan(scores)] = INFEASIBLE
        return scores

    def _whole(self, level: int) -> dict[Vector, Score]:
        """Return the scores of an enumerable space by architecture, and of others none yet."""
        if not self.space.enumerable:
            return {}
        scores = _listed(self._score(self.values(None, level)))
        return dict(zip(map(tuple, self.space.all_vectors().tolist()), scores, strict=True))

    def _learn(self, vectors: Sequence[Vector], level: int, table: dict[Vector, Score]) -> None:
        """Score architectures that are not in the table yet."""
        known = [tuple(vector) for vector in vectors]
        new = [vector for vector in dict.fromkeys(known) if vector not in table]
        for vector in new:
            inside = len(vector) == len(self.choices) and all(
                isinstance(v, int) and 0 <= v < n for v, n in zip(vector, self.choices, strict=True)
            )
            if not inside:
                self.space.parse(list(vector))  # says what is wrong
                raise InvalidArchitecture(f"{vector} is not an architecture of {self.space.name}")
        real = [vector for vector in new if self._real(vector)]
        nothing: Score = (INFEASIBLE,) * self.objective.count if self.many else INFEASIBLE
        table.update(dict.fromkeys(new, nothing))
        if real:
            table.update(zip(real, _listed(self._score(self.values(np.array(real, np.int8), level))), strict=True))

    def _real(self, vector: Vector) -> bool:
        """Whether decisions within their bounds are an architecture: some spaces have rules beyond them."""
        try:
            self.space.parse(list(vector))
        except InvalidArchitecture:
            return False
        return True

    def _seconds(self) -> dict[Vector, float]:
        """Return seconds of an epoch of training, by architecture."""
        if not self.space.enumerable:
            raise NoColumn(f"no time of training is known of all of {self.space.name}; give the budget in queries")
        frame = self._ask(np.arange(len(self.space)), ("train_time",), None, {})
        epochs = frame.attrs["request"].get("epochs")
        seconds = frame["train_time"].to_numpy(np.float64) / (epochs or 1)
        return dict(zip(map(tuple, self.space.all_vectors().tolist()), seconds.tolist(), strict=True))

    def _check_feasible(self) -> None:
        if not self.space.enumerable:
            return
        values = self.values(None)
        if self.objective.feasible(values).any():
            return
        spans = [f"{name} is {np.nanmin(v):g} to {np.nanmax(v):g}" for name, v in values.items() if np.isfinite(v).any()]
        limits = getattr(self.objective, "limits", {})
        raise InvalidRequest(
            f"no architecture of {self.space.name} is feasible"
            + (f" within {', '.join(f'{name} {limit:g}' for name, limit in limits.items())}" if limits else "")
            + (f"; {', '.join(spans)}" if spans else "")
        )


def _listed(scores: Floats) -> list[Score]:
    """Return plain numbers, or tuples of them."""
    return [tuple(row) for row in scores.tolist()] if scores.ndim > 1 else scores.tolist()


