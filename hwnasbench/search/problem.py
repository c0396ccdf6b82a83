"""What is searched: a space, an objective, and the wall between what a search sees and what its report says."""

from __future__ import annotations

import inspect
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hwnasbench import predicted
from hwnasbench.errors import AmbiguousQuery, InvalidRequest, NoColumn, ObjectiveFailed, UnknownName
from hwnasbench.predictors.words import LOSSLESS
from hwnasbench.search.base import INFEASIBLE
from hwnasbench.search.membership import Membership
from hwnasbench.search.moves import draw, neighbours
from hwnasbench.search.objectives.base import Objective, Reference, reference
from hwnasbench.search.training_time import TrainingTimes
from hwnasbench.vocabulary import precision_bits

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from hwnasbench.benchmark import Benchmark
    from hwnasbench.joint import JointBenchmark
    from hwnasbench.search.base import Score, Vector
    from hwnasbench.tables.columns import Column

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
    UnknownName
        For a key that requests of the space do not have.
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
        self._check_request()
        self.choices: tuple[int, ...] = self.space.choices
        self._members = Membership(self.space)
        self.many = objective.count > 1
        self.split = split
        self.references = {name: reference(name) for name in objective.metrics}
        self._trainings: dict[tuple[str, int | None], dict[str, dict[str, Any]]] = {}
        self.fidelities = self._fidelities(epochs)
        self._tables: dict[int, dict[Vector, Score]] = {}
        asked = [ref.metric for ref in self.references.values()]
        self._times = TrainingTimes(self._networks, self._members, request, asked)
        self._check_feasible()

    # -- what a search sees -------------------------------------------------------------------

    def scores(self, vectors: Sequence[Vector], fidelity: int = -1) -> list[Score]:
        """Return what a searcher is told of architectures.

        Decisions that are each one of the choices, but break a rule of the space together, are infeasible.

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
        table = self._tables.get(fidelity)
        if table is None:
            table = self._table(fidelity)
        try:
            return list(map(table.__getitem__, vectors))
        except (KeyError, TypeError):
            self._learn(vectors, fidelity, table)
        return [table[tuple(vector)] for vector in vectors]

    def values(self, vectors: Any, fidelity: int = -1) -> dict[str, Floats]:
        """Return the metrics that the objective looks at, as the search sees them; NaN where there is none.

        Parameters
        ----------
        vectors : (n, positions) array of int, or None for a whole enumerable space in index order
        """
        return self._values(vectors, self._training(self.split, self.fidelities[fidelity].epochs))

    def costs(self, vectors: Sequence[Vector], fidelity: int = -1) -> list[float]:
        """Return the seconds that training each architecture would have taken.

        Raises
        ------
        InvalidArchitecture
            When one is not in the space.
        InvalidRequest
            When the objective needs no training.
        NoColumn
            Where no time of training is known.
        """
        return self._times.of(vectors, self.fidelities[fidelity].epochs)

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
        vector = draw(self.choices, generator)
        while not self._members.keeps_rules(vector):
            vector = draw(self.choices, generator)
        return vector

    def neighbours(self, vector: Vector) -> list[Vector]:
        """Return every architecture that differs in exactly one decision."""
        if not self._members.ruled:
            return neighbours(self.choices, vector)
        found = [near.vector for near in self.space.neighbours(list(vector))]
        return [near for near in found if self._members.keeps_rules(near)]

    # -- what a report says -------------------------------------------------------------------

    def report(self, vectors: Any) -> dict[str, Floats]:
        """Return the objective's metrics with test accuracy, and the score that they give, ``score``.

        Parameters
        ----------
        vectors : (n, positions) array of int, or None for a whole enumerable space in index order
        """
        values = self._values(vectors, self._training(REPORTED, None) if self.split == SEEN else {})
        return {**values, "score": self._score(values, vectors)}

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

    def _check_request(self) -> None:
        """Refuse keys that a space with its own accelerators does not take; others are checked by the benchmark."""
        if hasattr(self.space, "accelerators"):
            known = set(inspect.signature(self.bench.query_many).parameters) - {"archs", "metrics"}
            for key in self.request:
                if key not in known:
                    raise UnknownName(f"key of a request for {self.space.name}", key, sorted(known))

    def _fidelities(self, epochs: int | None) -> tuple[Fidelity, ...]:
        accuracies = [ref for ref in self.references.values() if ref.metric == "accuracy"]
        if not accuracies:
            return (Fidelity(None),)
        for ref in accuracies:
            self._check_split(ref)
        if epochs is not None:
            return (Fidelity(epochs),)
        known = [n for n in self._epochs() if all(self._asked(ref, self.split, n) is not None for ref in accuracies)]
        # Where no accuracy says how long its training was, each has one length.
        told = [n for n in known if any("epochs" in (self._asked(ref, self.split, n) or {}) for ref in accuracies)]
        return tuple(Fidelity(n) for n in told) or (Fidelity(None),)

    def _check_split(self, ref: Reference) -> None:
        """Refuse an accuracy that the searcher's split does not have."""
        try:
            with suppress(AmbiguousQuery):  # of several lengths of training
                self._column(ref, {"split": self.split})
        except NoColumn as error:
            hint = f": {error}"
            if self.split == SEEN and self._asked(ref, REPORTED, None) is not None:
                hint = "; say split='test' to search and report on the same accuracy"
            raise InvalidRequest(f"{self.space.name} has no {self.split} {ref}{hint}") from error

    def _epochs(self) -> list[int]:
        """Return the lengths of training that columns of the searcher's split state, shortest first."""
        columns = predicted.of_base(self._networks).all_columns()
        keys = [column.keys for column in columns if column.metric == "accuracy"]
        return sorted({int(k["epochs"]) for k in keys if k["split"] == self.split and k["epochs"] is not None})

    @property
    def _networks(self) -> Benchmark:
        """What is known of the networks, also of those that come with an accelerator."""
        bench: Any = self.bench
        found: Benchmark = getattr(bench, "networks", bench)
        return found

    def _training(self, split: str, epochs: int | None) -> dict[str, dict[str, Any]]:
        """Return for each accuracy the keys of its training: the split, and the epochs where it states some."""
        known = self._trainings.get((split, epochs))
        if known is None:
            wanted: dict[str, Any] = {"split": split} if epochs is None else {"split": split, "epochs": epochs}
            # A report of what has no such accuracy is by the benchmark's own defaults.
            nothing = {} if split != self.split else wanted
            accuracies = {name: ref for name, ref in self.references.items() if ref.metric == "accuracy"}
            asked = {name: self._asked(ref, split, epochs) for name, ref in accuracies.items()}
            known = {name: nothing if keys is None else keys for name, keys in asked.items()}
            self._trainings[split, epochs] = known
        return known

    def _asked(self, ref: Reference, split: str, epochs: int | None) -> dict[str, Any] | None:
        """Return the keys of training that an accuracy answers to; None where it is not known."""
        if epochs is not None:
            with suppress(NoColumn):
                self._column(ref, {"split": split, "epochs": epochs})
                return {"split": split, "epochs": epochs}
        try:
            column = self._column(ref, {"split": split})
        except NoColumn:
            return None
        return {"split": split} if epochs is None or column.keys["epochs"] is None else None

    def _column(self, ref: Reference, extra: Mapping[str, Any]) -> Column:
        """Return the column that answers for a reference.

        Raises
        ------
        NoColumn
            Also where the accuracy at another precision would stand in for the one that the reference names.
        """
        accelerators = getattr(self.space, "accelerators", None)
        device = ref.device or self.device if accelerators is None else accelerators.accelerator()
        request = {**self.request, **extra, **dict(ref.keys)}
        request.pop("noise", None)
        column = self._networks.plan(device, metrics=(ref.metric,), **request).resolved[ref.metric].column
        wanted, found = dict(ref.keys).get("precision"), column.keys["precision"]
        if wanted not in (None, found) and min(precision_bits(str(wanted))) < LOSSLESS:
            raise NoColumn(f"no column answers {ref} of {self.space.name!r}: it is known with precision {found!r}")
        return column

    def ask(self, vectors: Any, metrics: tuple[str, ...], device: Any, extra: Mapping[str, Any]) -> Any:
        """Ask the benchmark for metrics, with the keys of the problem's request and others; a frame as of `query_many`.

        Raises
        ------
        InvalidRequest
            For a device, in a space that brings its own.
        """
        bench: Any = self.bench
        request = {**self.request, **extra}
        if hasattr(self.space, "accelerators"):
            if device is not None:
                raise InvalidRequest(f"{self.space.name} brings its own devices; {device} is another")
            return bench.query_many(vectors, metrics=metrics, **request)
        return bench.query_many(vectors, device, metrics=metrics, **request)

    def _values(self, vectors: Any, training: Mapping[str, Mapping[str, Any]]) -> dict[str, Floats]:
        if vectors is None:
            vectors = np.arange(len(self.space))
        together: dict[Any, list[str]] = {}
        for name, ref in self.references.items():
            keys = {**training.get(name, {}), **dict(ref.keys)}
            together.setdefault((ref.device or self.device, *sorted(keys.items())), []).append(name)
        out = {}
        for (device, *keys), names in together.items():
            # Metrics of one request share a simulation.
            frame = self.ask(vectors, tuple(self.references[name].metric for name in names), device, dict(keys))
            out.update({name: frame[self.references[name].metric].to_numpy(np.float64) for name in names})
        return out

    def _score(self, values: Mapping[str, Floats], vectors: Any) -> Floats:
        """Return scores, minus infinity everywhere of what breaks a constraint or has none."""
        try:
            scores = np.array(self.objective.score(values), np.float64)
        except ObjectiveFailed as error:
            arch = self.space.format(error.row if vectors is None else tuple(np.asarray(vectors)[error.row].tolist()))
            raise ObjectiveFailed(f"{arch} of {self.space.name}: {error}", error.row) from error.__cause__
        lacking = np.isnan(scores) | np.isneginf(scores)
        scores[~self.objective.feasible(values) | (lacking.any(axis=1) if scores.ndim > 1 else lacking)] = INFEASIBLE
        return scores

    def _table(self, fidelity: int) -> dict[Vector, Score]:
        """Return the scores of an enumerable space by architecture, and of others those that are known."""
        level = fidelity % len(self.fidelities)
        table = self._tables.get(level)
        if table is None:
            table = self._tables[level] = self._whole(level)
        self._tables[fidelity] = table
        return table

    def _whole(self, level: int) -> dict[Vector, Score]:
        if not self.space.enumerable:
            return {}
        scores = _listed(self._score(self.values(None, level), None))
        return dict(zip(map(tuple, self.space.all_vectors().tolist()), scores, strict=True))

    def _learn(self, vectors: Sequence[Vector], fidelity: int, table: dict[Vector, Score]) -> None:
        """Score architectures that are not in the table yet."""
        new = [vector for vector in dict.fromkeys(map(self._members.inside, vectors)) if vector not in table]
        real = [vector for vector in new if self._members.keeps_rules(vector)]
        nothing: Score = (INFEASIBLE,) * self.objective.count if self.many else INFEASIBLE
        table.update(dict.fromkeys(new, nothing))
        if real:
            array = np.array(real, np.int8)
            table.update(zip(real, _listed(self._score(self.values(array, fidelity), array)), strict=True))

    def _check_feasible(self) -> None:
        if not self.space.enumerable:
            self.values(self.space.sample_many(np.random.default_rng(0), 1))  # what nothing answers is said at once
            return
        values = self.values(None)
        if self.objective.feasible(values).any():
            return
        spans = [
            f"{name} is {np.nanmin(v):g} to {np.nanmax(v):g}" for name, v in values.items() if np.isfinite(v).any()
        ]
        limits = self.objective.constraints()
        raise InvalidRequest(
            f"no architecture of {self.space.name} is feasible"
            + (f" within {', '.join(limits)}" if limits else "")
            + (f"; {', '.join(spans)}" if spans else "")
        )


def _listed(scores: Floats) -> list[Score]:
    """Return plain numbers, or tuples of them."""
    return [tuple(row) for row in scores.tolist()] if scores.ndim > 1 else scores.tolist()
