"""Counts of many architectures at once, from tables that built networks fill."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.networks.layers import Op

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from hwnasbench.spaces.base import Space

#: Spaces where what a choice adds does not depend on the other positions.
ADDITIVE = frozenset({"nasbench201"})
#: Architectures that are counted at a time.
CHUNK = 100_000
KEYS = ("params", "macs", "layers")


def count_many(space: Space, vectors: NDArray[Any], dataset: str) -> dict[str, NDArray[np.int64]]:
    """Count parameters, multiply-accumulates and layers of many architectures.

    Equal to `Network.counts` of each architecture's network, dead layers included. Layer-wise
    spaces and `ADDITIVE` ones need few networks for that, others one an architecture.
    The counts of NAS-Bench-201's live networks are those of the live vectors
    (`hwnasbench.spaces.nasbench201_features.live_representative`), but for additions.

    Parameters
    ----------
    space : Space
    vectors : (n, positions) ndarray of int
        Decision vectors.
    dataset : str
        A data set of the space.

    Returns
    -------
    dict of str to (n,) ndarray of int64
        ``params``; ``macs`` of one image; ``layers``, zeros left out.

    Raises
    ------
    InvalidArchitecture
        When a decision is out of range or the array has the wrong shape.
    UnknownName
        When the space has no macro-architecture for `dataset`.
    """
    checked = space.vectors(vectors)
    if space.layerwise:
        parts = [_count_chains(space, checked[i : i + CHUNK], dataset) for i in range(0, max(len(checked), 1), CHUNK)]
        return {key: np.concatenate([part[key] for part in parts]) for key in KEYS}
    if space.name not in ADDITIVE:
        found = [space.network(vector, dataset).counts() for vector in checked]
        return {key: np.array([counts[key] for counts in found], np.int64) for key in KEYS}
    base, tables = _tables(space, dataset)
    out = {}
    for number, key in enumerate(KEYS):
        total = np.full(len(checked), base[number], np.int64)
        for position, table in enumerate(tables):
            total += table[number][checked[:, position]]
        out[key] = total
    return out


def _count_chains(space: Space, vectors: NDArray[Any], dataset: str) -> dict[str, NDArray[np.int64]]:
    """Sum the counts of the fragments of layer-wise networks."""
    composition = space.compose(vectors, dataset)
    pool = composition.pool
    out = {}
    for key, column in (("params", pool["params"]), ("macs", pool["macs"]), ("layers", pool["op"] != Op.ZERO)):
        running = np.concatenate([[0], np.cumsum(column, dtype=np.int64)])
        costs = running[composition.starts[1:]] - running[composition.starts[:-1]]
        total = np.zeros(len(vectors), np.int64)
        for slot, weight in enumerate(composition.weights):
            total += weight * costs[composition.codes[:, slot]]
        out[key] = total
    return out


@cache
def _tables(space: Space, dataset: str) -> tuple[NDArray[np.int64], tuple[NDArray[np.int64], ...]]:
    """Return the counts of choice 0 everywhere, and what each choice adds, (keys, choices) a position."""
    zeros = (0,) * len(space.choices)

    def counts(vector: tuple[int, ...]) -> NDArray[np.int64]:
        found = space.network(vector, dataset).counts()
        return np.array([found[key] for key in KEYS], np.int64)

    base = counts(zeros)
    tables = []
    for position, n in enumerate(space.choices):
        rows = [counts((*zeros[:position], choice, *zeros[position + 1 :])) - base for choice in range(n)]
        tables.append(np.stack(rows, axis=1))
    return base, tuple(tables)
