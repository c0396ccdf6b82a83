"""All cells of NAS-Bench-201 at once, as sums of six fragments."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.errors import UnknownName
from hwnasbench.networks.layers import INPUT, Builder
from hwnasbench.networks.memory import peak_elements
from hwnasbench.networks.runtime import RUNS
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
_POWERS = 5 ** np.arange(len(EDGES) - 1, -1, -1)
#: Feature maps alive at one time in a cell, by how sums and zeros run and the code of the cell; -1 is not known yet.
_CELL_PEAKS = np.full((3, 5 ** len(EDGES)), -1, np.int64)


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
    live, zeros, whole = live_vectors(vectors), runs == "all", runs in ("nonzero", "all")
    connected = (live != NONE).any(axis=1)
    run = live if runs == "live" else executed_vectors(vectors, runs)
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


def executed_vectors(vectors: NDArray[Any], runs: str) -> NDArray[np.int8]:
    """Return the decision vectors with none on every edge that does not run.

    Of ``read``, a skip that carries nothing does not run.

    Parameters
    ----------
    vectors : (n, 6) ndarray of int
    runs : {"read", "nonzero", "all"}

    Raises
    ------
    UnknownName
        When `runs` is another word.
    """
    if runs not in RUNS[1:]:
        raise UnknownName("runs", runs, RUNS)
    out = np.array(vectors, np.int8)
    if runs != "read":
        return out
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
    known = _CELL_PEAKS[int(whole) + int(zeros)]
    codes = vectors.astype(np.int64) @ _POWERS
    unknown = np.flatnonzero(known[codes] < 0)
    for code, row in zip(*np.unique(codes[unknown], return_index=True), strict=True):
        known[code] = _cell_peak(vectors[unknown[row]].tolist(), whole, zeros)
    return np.asarray(known[codes])


def _cell_peak(vector: list[int], whole: bool, zeros: bool) -> int:
    """Return the feature maps alive at one time in a cell, in the order of its layers; 0 without layers.

    An edge that is none is a layer where zeros run, and else holds nothing. Where sums are whole, those of
    fewer than two terms run as well.
    """
    reads: list[list[int]] = []  # of each layer; value 0 is the cell's input, value i + 1 what layer i writes
    values: list[list[int]] = [[0]]  # of each node; empty where it holds nothing
    for node in (1, 2, 3):
        terms: list[int] = []
        summed = whole and node > 1
        for choice, (source, target) in zip(vector, EDGES, strict=True):
            if target != node or (choice == NONE and not zeros):
                continue
            if choice != SKIP:
                reads.append(values[source])
            terms += values[source] if choice == SKIP else [len(reads)]
        summed |= len(terms) > 1
        if summed:
            reads.append(terms)
        values.append([len(reads)] if summed else terms)
    last = [-1, *range(len(reads))]
    for layer, sources in enumerate(reads):
        for value in sources:
            last[value] = layer
    return max((sum(v <= i + 1 and last[v] >= i for v in range(len(last))) for i in range(len(reads))), default=0)
