"""What low precision means to a NAS-Bench-201 cell: which bits are live, and how far their noise reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.errors import InvalidRequest
from hwnasbench.spaces.nasbench201 import CONV1, CONV3, EDGES, NONE
from hwnasbench.spaces.nasbench201_features import live_representative, live_vectors

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from hwnasbench.spaces.nasbench201 import NasBench201

#: Bits of everything outside of the cells, and of all activations, in the trained networks.
FULL = 8
STAGES, CELLS = 3, 5
#: The edges when the two inner nodes change places.
_SWAP = (1, 0, 2, 3, 5, 4)
_REDUCTION = 3  # convolutions between two stages
#: Inputs of a sum of the reductions' 3x3 convolutions, and of the channels of each stage.
_FAN_INS, _CHANNELS = (144, 288, 288, 576), (16, 32, 64)


def is_conv(cells: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Return which edges have a convolution."""
    found: NDArray[np.bool_] = (cells == CONV1) | (cells == CONV3)
    return found


def connected(cells: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Return which cells have a path from input to output."""
    found: NDArray[np.bool_] = (live_vectors(cells) != NONE).any(axis=1)
    return found


def by_stage(bits: ArrayLike, n: int) -> NDArray[np.int64]:
    """Check bits by edge, (n, 6), or by stage and edge, (n, 3, 6), and return the latter.

    Raises
    ------
    InvalidRequest
    """
    given = np.asarray(bits)
    if given.shape == (n, len(EDGES)):
        given = np.repeat(given[:, None], STAGES, axis=1)
    if given.shape != (n, STAGES, len(EDGES)) or given.dtype.kind not in "iu":
        raise InvalidRequest(f"bits of shape {given.shape} ({given.dtype}): expected integers, ({n}, 6) or ({n}, 3, 6)")
    return given.astype(np.int64)


def live_bits(cells: NDArray[np.int8], bits: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bits of convolutions on a path from input to output; 8 elsewhere."""
    return np.where(is_conv(live_vectors(cells))[:, None], bits, FULL)


def features(space: NasBench201, cells: NDArray[np.int8], bits: NDArray[np.int64], epochs: int = 150) -> NDArray[Any]:
    """Return what the trees read, float32: first what describes the cell, then `MONOTONE` that rise as bits fall.

    Equal for equal live graphs. Bits between those trained are taken as the lower ones.
    """
    live, used = live_vectors(cells), live_bits(cells, bits)
    shown = live_representative(cells)
    swapped = (shown != live).any(axis=1)
    used = np.where(swapped[:, None, None], used[:, :, list(_SWAP)], used)
    level = (used < 8).astype(np.int64) + (used < 4)
    two, four = _reach(shown, level == 2), _reach(shown, level >= 1)
    twos, fours = (level == 2).sum(axis=2), (level >= 1).sum(axis=2)
    sums = np.stack([two.sum(axis=1), four.sum(axis=1), twos.sum(axis=1)], axis=1)
    falling = [level.reshape(len(cells), -1), level.sum(axis=1), two, four, twos, fours, sums]
    fixed = [space.encode(cells, "graph"), np.full((len(cells), 1), epochs)]
    return np.concatenate([*fixed, *falling], axis=1).astype(np.float32)


#: How many of the features, the last ones, can only raise the loss.
MONOTONE = STAGES * len(EDGES) + len(EDGES) + 4 * STAGES + 3


def _reach(cells: NDArray[np.int8], low: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return by stage the share of a cell's output that passed a convolution in `low`, (n, 3).

    Each node is the mean of what comes in; a skip or a pooling hands on what it gets.
    """
    share = [np.zeros(low.shape[:2])]
    there = [np.ones(len(cells), bool)]
    for node in (1, 2, 3):
        total, count = np.zeros(low.shape[:2]), np.zeros(len(cells), np.int64)
        for edge, (source, target) in enumerate(EDGES):
            if target == node:
                on = (cells[:, edge] != NONE) & there[source]
                total += np.where(on[:, None], np.where(low[:, :, edge], 1.0, share[source]), 0)
                count += on
        share.append(total / np.maximum(count, 1)[:, None])
        there.append(count > 0)
    return share[3]


def split_layers(cells: NDArray[np.int8], bits: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Sort the bits of a network's weighted layers into stages, cells and edges.

    Parameters
    ----------
    cells : (n, 6) ndarray of int8
    bits : (n, layers, 2) ndarray of int
        Of weights and activations: stem, cells (dead convolutions included), reductions, classifier, as in the layer
        table.

    Returns
    -------
    by_cell : (n, 3, 5, 6) ndarray of int
        The lower of the two bits of each convolution; 8 where an edge has none.
    elsewhere : (n,) ndarray of bool
        Whether bits are below 8 where none were trained: outside of the cells, or of activations.
    """
    conv = is_conv(cells)
    each = conv.sum(axis=1)
    stage, cell = np.arange(STAGES)[None, :, None, None], np.arange(CELLS)[None, None, :, None]
    per_stage = (CELLS * each + _REDUCTION)[:, None, None, None]
    rank = (np.cumsum(conv, axis=1) - 1)[:, None, None, :]
    where = 1 + stage * per_stage + cell * each[:, None, None, None] + rank
    rows = np.arange(len(cells))[:, None, None, None]
    lower = bits.min(axis=2)
    by_cell = np.where(conv[:, None, None, :], lower[rows, np.maximum(where, 0)], FULL)
    count = 2 + STAGES * CELLS * each + (STAGES - 1) * _REDUCTION
    position = np.arange(bits.shape[1])
    there = position < count[:, None]
    inside = np.zeros(there.shape, bool)
    used = np.broadcast_to(conv[:, None, None, :], where.shape)
    inside[np.broadcast_to(rows, where.shape)[used], where[used]] = True
    outside = (there & ~inside & (bits[:, :, 0] < FULL)).any(axis=1)
    return by_cell, outside | (there & (bits[:, :, 1] < FULL)).any(axis=1)


def crossbars(cells: NDArray[np.int8], rows: int) -> NDArray[np.float64]:
    """Return into how many crossbars of `rows` rows a sum is cut, on average over the convolutions of a network."""
    total = np.full(len(cells), np.ceil(np.array(_FAN_INS) / rows).sum())
    count = np.full(len(cells), float(len(_FAN_INS)))
    for operator, taps in ((CONV1, 1), (CONV3, 9)):
        convs = (live_vectors(cells) == operator).sum(axis=1)
        total += convs * CELLS * np.ceil(np.array(_CHANNELS) * taps / rows).sum()
        count += convs * CELLS * STAGES
    cut: NDArray[np.float64] = total / count
    return cut
