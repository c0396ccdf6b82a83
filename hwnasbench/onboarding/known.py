"""What is known of a space before a new device is measured: the shipped columns of known devices, as features."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hwnasbench.errors import NoColumn
from hwnasbench.vectors import read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hwnasbench.spaces import Space
    from hwnasbench.tables.columns import Column

    Floats = NDArray[np.float64]

#: Architectures that stand for a space without an index, and the seed that draws them.
_REFERENCE, _SEED = 4_000, 20201
#: Known columns below which nothing is learned from devices.
_FEWEST = 3


class Features(NamedTuple):
    """Features of many architectures; all but `known` are centred, with a mean squared norm of 1 over the space.

    Attributes
    ----------
    known : (n, columns) ndarray
        Logarithm of each known column, centred and scaled to a standard deviation of 1.
    sites, counts : (n, k) ndarray
        Which operator runs where, and how many of each run: what costs add up over.
    all_sites, all_counts : (n, k) ndarray
        The same where dead edges are paid for too; the same arrays where a space has none.
    """

    known: Floats
    sites: Floats
    counts: Floats
    all_sites: Floats
    all_counts: Floats

    def at(self, rows: NDArray[np.intp]) -> Features:
        """Return the features of some rows."""
        return Features(*(part[rows] for part in self))


class Known:
    """The known columns of a space.

    Attributes
    ----------
    space : Space
    columns : tuple of Column
    reference : (n, positions) ndarray of int8
        The connected architectures of an enumerable space, else drawn ones.
    features : Features
        Of `reference`.
    """

    def __init__(self, space: Space, columns: Sequence[Column]) -> None:
        self.space = space
        #: Position in `reference` of each published index (-1: disconnected) where the space is enumerable.
        self.rows: NDArray[np.intp] | None = None
        self._where: NDArray[np.intp] | None = None
        if space.enumerable:
            vectors = space.all_vectors()
            self._where = np.flatnonzero([space.is_connected(arch) for arch in space])
            self.rows = np.full(len(vectors), -1, np.intp)
            self.rows[self._where] = np.arange(len(self._where))
            self.reference = vectors[self._where]
        else:
            self.reference = space.canonical_vectors(space.sample_many(np.random.default_rng(_SEED), _REFERENCE))
        answers = {column: self._answers(column, self.reference, self._where) for column in columns}
        self.columns = tuple(column for column in columns if _usable(answers[column]))
        if len(self.columns) < _FEWEST:
            raise NoColumn(
                f"a new device of {space.name!r} is learned from {_FEWEST} known columns or more; "
                f"the shipped data has {len(self.columns)}"
            )
        logs = np.log(np.stack([answers[column] for column in self.columns], axis=1))
        self._middle, self._scale = logs.mean(axis=0), logs.std(axis=0)
        parts = _parts(space, self.reference)
        self._centres = [part.mean(axis=0) for part in parts]
        self._norms = [_norm(part - centre) for part, centre in zip(parts, self._centres, strict=True)]
        self.features = self._assemble(logs, parts)

    def _answers(self, column: Column, vectors: NDArray[np.int8], where: NDArray[np.intp] | None) -> Floats:
        return np.asarray(read(column, vectors if where is None else where).values, np.float64)

    def _assemble(self, logs: Floats, parts: list[Floats]) -> Features:
        scaled = [(p - c) / n for p, c, n in zip(parts, self._centres, self._norms, strict=True)]
        return Features((logs - self._middle) / self._scale, *scaled)

    def at(self, vectors: NDArray[np.int8]) -> Features:
        """Return the features of connected architectures."""
        if self.rows is not None:
            return self.features.at(self.rows[self.space.indices(vectors)])
        vectors = self.space.canonical_vectors(vectors)
        logs = np.log(np.stack([self._answers(column, vectors, None) for column in self.columns], axis=1))
        return self._assemble(logs, _parts(self.space, vectors))


def _usable(values: Floats) -> bool:
    return bool(np.isfinite(values).all() and values.min() > 0 and np.ptp(np.log(values)) > 0)


def _norm(centred: Floats) -> float:
    return float(np.sqrt((centred**2).sum(axis=1).mean())) or 1.0


def _parts(space: Space, vectors: NDArray[np.int8]) -> list[Floats]:
    """Return sites, counts, all_sites and all_counts before they are centred."""
    sites = space.encode(vectors, "one_hot").astype(np.float64)
    counts = _counts(space, vectors)
    if space.name != "nasbench201":
        return [sites, counts, sites, counts]
    graph, names = space.encode(vectors, "graph"), space.feature_names("graph")
    live = [graph[:, [i for i, n in enumerate(names) if n.startswith(word)]] for word in ("live:", "count:")]
    return [*(part.astype(np.float64) for part in live), sites, counts]


def _counts(space: Space, vectors: NDArray[np.int8]) -> Floats:
    """Count the uses of each choice, over all positions that offer as many."""
    parts = []
    for size in sorted(set(space.choices)):
        chosen = vectors[:, [position for position, n in enumerate(space.choices) if n == size]]
        parts.append(np.stack([(chosen == choice).sum(axis=1) for choice in range(size)], axis=1))
    return np.concatenate(parts, axis=1).astype(np.float64)


def shipped_columns(space: Space, metrics: Sequence[str]) -> list[Column]:
    """Return the shipped columns of some metrics over a space, in the order of the store."""
    from hwnasbench.benchmark import load

    return [c for c in load(space.name, data="shipped").all_columns() if c.metric in metrics]


@functools.lru_cache(maxsize=4)
def known(space: Space, metrics: tuple[str, ...]) -> Known:
    """Return the known columns of a space for some metrics, laid out once a process.

    Raises
    ------
    NoColumn
        When the space has too few known columns.
    """
    return Known(space, shipped_columns(space, metrics))
