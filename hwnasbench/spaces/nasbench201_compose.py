"""All cells of NAS-Bench-201 at once, as sums of six fragments."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.networks.layers import INPUT, Builder
from hwnasbench.networks.memory import peak_elements
from hwnasbench.networks.runtime import check_runs
from hwnasbench.spaces.chain import Composition
from hwnasbench.spaces.nasbench201 import CONV1, CONV3, EDGES, NONE, POOL, SKIP
from hwnasbench.spaces.nasbench201_features import live_vectors
from hwnasbench.spaces.nasbench201_network import CELLS, MACROS, STAGE_CHANNELS, add_operator

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from hwnasbench.spaces.nasbench201 import NasBench201

#: Fragments: what surrounds the cells; one cell's operator in every stage; a sum of 2 and of 3 there.
_FRAME, _FIRST_OPERATOR, _FIRST_SUM, _NOTHING = 0, 1, 5, 7
_OPERATORS = (CONV1, CONV3, POOL, NONE)
_SUMS = (2, 3)
#: The places of a cell's layers in their order: its edges, and after those of nodes 2 and 3 their sums.
_SLOT_OF_EDGE, _SLOT_OF_SUM, _SLOTS = (0, 1, 2, 4, 5, 6), {2: 3, 3: 7}, 8


def compose(space: NasBench201, vectors: NDArray[Any], dataset: str, runs: str = "live") -> Composition:
    """Return what runs of the networks of many cells as sums of fragments.

    The slots are the frame, the six edges and the sums of the three nodes; an edge or a sum stands in
    every one of the five cells a stage.

    Parameters
    ----------
    space : NasBench201
    vectors : (n, 6) ndarray of int
        Decision vectors.
    dataset : str
        A data set of the space.
    runs : {"live", "read", "nonzero", "all"}
        See `hwnasbench.networks.runtime.RUNS`.

    Returns
    -------
    Composition
        Layers and peaks are those of ``executed(space.network(arch, dataset), runs)``; a disconnected cell
        has none.

    Raises
    ------
    UnknownName
        When `runs` is none of the words.
    """
    pool, starts, frame_peak = _fragments(space, dataset)
    check_runs(runs)
    live, zeros, whole = live_vectors(vectors), runs == "all", runs in ("nonzero", "all")
    connected = (live != NONE).any(axis=1)
    run = live if runs == "live" else read_vectors(vectors) if runs == "read" else np.asarray(vectors)
    of_operator = np.full(5, _NOTHING, np.int64)
    of_operator[list(_OPERATORS)] = _FIRST_OPERATOR + np.arange(len(_OPERATORS))
    if not zeros:
        of_operator[NONE] = _NOTHING
    codes = np.empty((len(live), 1 + len(EDGES) + 3), np.int64)
    codes[:, 0] = _FRAME
    codes[:, 1 : 1 + len(EDGES)] = of_operator[run]
    of_inputs = np.array([_NOTHING, _NOTHING, _FIRST_SUM, _FIRST_SUM + 1], np.int64)
    for node in (1, 2, 3):
        into = [position for position, (_, target) in enumerate(EDGES) if target == node]
        terms = len(into) if whole else (run[:, into] != NONE).sum(axis=1)
        codes[:, len(EDGES) + node] = of_inputs[terms]
    codes[~connected] = _NOTHING
    weights = np.array([1] + [CELLS] * (len(EDGES) + 3), np.int64)
    resolution = MACROS[dataset][0]
    peaks = np.maximum(_cell_peaks(run, whole, zeros) * STAGE_CHANNELS[0] * resolution**2, frame_peak)
    return Composition(pool, starts, codes, weights, np.where(connected, peaks, 0))


@cache
def _fragments(space: NasBench201, dataset: str) -> tuple[NDArray[np.void], NDArray[np.int64], int]:
    """Return the layers of all fragments, where each starts, and the peak of a network of empty cells."""
    straight = [NONE] * len(EDGES)
    straight[EDGES.index((0, 3))] = SKIP
    frame = space.network(straight, dataset).live()
    parts = [frame.layers]
    resolution = MACROS[dataset][0]
    for kind in (*_OPERATORS, *(-terms for terms in _SUMS)):
        for stage, channels in enumerate(STAGE_CHANNELS):
            builder = Builder((channels, resolution >> stage, resolution >> stage))
            if kind < 0:
                builder.add([INPUT] * -kind)
            else:
                add_operator(builder, INPUT, kind)
            parts.append(builder.build("", dataset).layers)
    lengths = [len(frame), *[len(STAGE_CHANNELS)] * (len(_OPERATORS) + len(_SUMS)), 0]
    pool = np.concatenate(parts)
    pool.flags.writeable = False
    return pool, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), peak_elements(frame)


def read_vectors(vectors: NDArray[Any]) -> NDArray[np.int8]:
    """Return decisions with none on every edge that the output does not read, and on skips that carry nothing."""
    out = np.array(vectors, np.int8)
    filled = np.zeros((len(out), 4), np.bool_)
    filled[:, 0] = True
    for edge, (source, target) in enumerate(EDGES):
        out[~filled[:, source] & (out[:, edge] == SKIP), edge] = NONE
        filled[:, target] |= out[:, edge] != NONE
    wanted = np.zeros((len(out), 4), np.bool_)
    wanted[:, 3] = True
    for edge, (source, target) in reversed(list(enumerate(EDGES))):
        out[~wanted[:, target], edge] = NONE
        wanted[:, source] |= out[:, edge] != NONE
    return out


def _cell_peaks(vectors: NDArray[np.int8], whole: bool, zeros: bool) -> NDArray[np.int64]:
    """Return the feature maps alive at one time in each cell, in the order of its layers; 0 without layers.

    Value 0 is the cell's input, value ``i + 1`` what the layer in slot ``i`` writes; -1 is none. An edge that is
    none is a layer where `zeros` run. Where sums are `whole`, those of fewer than two terms run as well.
    """
    n = len(vectors)
    there = np.ones((1 + _SLOTS, n), np.bool_)
    last = np.repeat(np.arange(-1, _SLOTS, dtype=np.int8), n)  # what nobody reads lives while it is written
    holds = [np.zeros(n, np.int64)]
    cells = np.arange(n)

    def run(slot: int, rows: NDArray[np.bool_], *reads: NDArray[np.int64]) -> None:
        there[1 + slot] = rows
        for value in reads:
            known = rows & (value >= 0)
            last[(value * n + cells)[known]] = slot

    chosen = np.ascontiguousarray(vectors.T)
    for node in (1, 2, 3):
        terms = []
        for edge, (source, target) in enumerate(EDGES):
            if target == node:
                choice = chosen[edge]
                rows = (choice != SKIP) & ((choice != NONE) | zeros)
                run(_SLOT_OF_EDGE[edge], rows, holds[source])
                carried = np.where(choice == SKIP, holds[source], -1)
                terms.append(np.where(rows, _SLOT_OF_EDGE[edge] + 1, carried))
        only = np.max(terms, axis=0)
        if node > 1:
            summed = (np.sum([term >= 0 for term in terms], axis=0) > 1) | whole
            run(_SLOT_OF_SUM[node], summed, *terms)
            only = np.where(summed, _SLOT_OF_SUM[node] + 1, only)
        holds.append(only)
    ends = np.where(there, last.reshape(1 + _SLOTS, n), -1)
    peaks = np.zeros(n, np.int64)
    for slot in range(_SLOTS):
        alive = (ends[: slot + 2] >= slot).sum(axis=0) * there[1 + slot]
        np.maximum(peaks, alive, out=peaks)
    return peaks
