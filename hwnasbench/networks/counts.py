"""Counts of many architectures at once, without laying out each network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.errors import InvalidRequest

if TYPE_CHECKING:
    from typing import Protocol

    from numpy.typing import NDArray

    from hwnasbench.networks.layers import Network

    class _Space(Protocol):
        name: str
        choices: tuple[int, ...]

        def network(self, arch: tuple[int, ...], dataset: str) -> Network: ...


#: What `count_many` counts.
COUNTS = ("params", "macs", "layers")
#: How many networks are laid out to check that the counts are sums over positions.
_CHECKS = 12
_CHUNK = 1 << 16
_TABLES: dict[tuple[str, str], list[NDArray[np.int64]]] = {}


def count_many(space: _Space, vectors: NDArray[np.int8], dataset: str) -> dict[str, NDArray[np.int64]]:
    """Count parameters, multiply-accumulates and layers of many architectures.

    Counts are of the whole layer table, as ``Network.params``, ``Network.macs`` and
    ``len(network)`` give them. They are sums of what each choice at each position brings, which is
    taken from networks laid out once for a space and data set and checked on others.

    Parameters
    ----------
    space : Space
    vectors : (n, positions) ndarray of int8
        Decision vectors of `space`.
    dataset : str

    Returns
    -------
    dict of str to (n,) ndarray of int64
        Keys ``"params"``, ``"macs"`` (per image) and ``"layers"``.

    Raises
    ------
    UnknownName
        When `space` has no macro-architecture for `dataset`.
    InvalidRequest
        When `vectors` has the wrong shape or type or holds a decision out of range, or the counts
        of `space` are no sums over positions.
    """
    tables = _tables(space, dataset)
    if vectors.ndim != 2 or vectors.shape[1] != len(tables) or vectors.dtype.kind not in "iu":
        raise InvalidRequest(
            f"array of shape {vectors.shape} and dtype {vectors.dtype}; "
            f"{space.name!r} takes integers of shape (n, {len(tables)})"
        )
    sizes = np.array(space.choices)
    if vectors.size and ((vectors < 0) | (vectors >= sizes)).any():
        row, position = (int(v) for v in np.argwhere((vectors < 0) | (vectors >= sizes))[0])
        raise InvalidRequest(
            f"row {row}, decision {position} is {vectors[row, position]}; expected 0 to {sizes[position] - 1}"
        )
    return dict(zip(COUNTS, _sum(tables, vectors), strict=True))


def _sum(tables: list[NDArray[np.int64]], vectors: NDArray[np.int8]) -> NDArray[np.int64]:
    """Add up the tables' rows, shape (counts, n); in chunks, so that they stay in the cache."""
    total = np.zeros((len(COUNTS), len(vectors)), np.int64)
    for start in range(0, len(vectors), _CHUNK):
        part = total[:, start : start + _CHUNK]
        for table, choices in zip(tables, vectors[start : start + _CHUNK].T, strict=True):
            part += table[:, choices]
    return total


def _tables(space: _Space, dataset: str) -> list[NDArray[np.int64]]:
    """Return what each choice of each position brings: (counts, choices) a position.

    The first position's table holds the constant.
    """
    key = (space.name, dataset)
    tables = _TABLES.get(key)
    if tables is not None:
        return tables
    base = (0,) * len(space.choices)
    constant = _count(space, base, dataset)
    tables = []
    for position, n in enumerate(space.choices):
        rest = [_count(space, (*base[:position], c, *base[position + 1 :]), dataset) for c in range(1, n)]
        table = np.stack([constant, *rest], axis=1)
        tables.append(table - constant[:, None] if position else table)
    rng = np.random.default_rng(0)
    checks = rng.integers(0, space.choices, size=(_CHECKS, len(base))).astype(np.int8)
    exact = np.stack([_count(space, tuple(row.tolist()), dataset) for row in checks], axis=1)
    if not np.array_equal(_sum(tables, checks), exact):
        raise InvalidRequest(f"the counts of {space.name!r} at {dataset!r} are no sums over positions")
    _TABLES[key] = tables
    return tables


def _count(space: _Space, vector: tuple[int, ...], dataset: str) -> NDArray[np.int64]:
    network = space.network(vector, dataset)
    return np.array([network.params, network.macs, len(network)], np.int64)
