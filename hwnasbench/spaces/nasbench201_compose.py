"""All cells of NAS-Bench-201 at once, as sums of six fragments."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.networks.layers import INPUT, Builder
from hwnasbench.networks.memory import peak_elements
from hwnasbench.spaces.chain import Composition
from hwnasbench.spaces.nasbench201 import CONV1, CONV3, EDGES, NONE, POOL, SKIP
from hwnasbench.spaces.nasbench201_features import live_vectors
from hwnasbench.spaces.nasbench201_network import CELLS, MACROS, STAGE_CHANNELS, add_operator

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from hwnasbench.spaces.nasbench201 import NasBench201

#: Fragments: what surrounds the cells; one cell's operator in every stage; a sum of 2 and of 3 there.
_FRAME, _FIRST_OPERATOR, _FIRST_SUM, _NOTHING = 0, 1, 4, 6
_OPERATORS = (CONV1, CONV3, POOL)
_SUMS = (2, 3)
_POWERS = 5 ** np.arange(len(EDGES) - 1, -1, -1)
#: Feature maps alive at one time within a cell, by the code of its live vector; 0 is not known yet.
_CELL_PEAKS = np.zeros(5 ** len(EDGES), np.int64)
_CELL_PEAKS_KNOWN = np.zeros(5 ** len(EDGES), np.bool_)


def compose(space: NasBench201, vectors: NDArray[Any], dataset: str) -> Composition:
    """Return the live networks of many cells as sums of fragments.

    The slots are the frame, the six edges and the sums of the three nodes; an edge or a sum stands in
    every one of the five cells a stage.

    Parameters
    ----------
    space : NasBench201
    vectors : (n, 6) ndarray of int
        Decision vectors.
    dataset : str
        A data set of the space.

    Returns
    -------
    Composition
        Layers and peaks are those of ``space.network(arch, dataset).live()``.
    """
    pool, starts, frame_peak = _fragments(space, dataset)
    live = live_vectors(vectors)
    connected = (live != NONE).any(axis=1)
    of_operator = np.full(5, _NOTHING, np.int64)
    of_operator[list(_OPERATORS)] = _FIRST_OPERATOR + np.arange(len(_OPERATORS))
    codes = np.empty((len(live), 1 + len(EDGES) + 3), np.int64)
    codes[:, 0] = np.where(connected, _FRAME, _NOTHING)
    codes[:, 1 : 1 + len(EDGES)] = of_operator[live]
    of_inputs = np.array([_NOTHING, _NOTHING, _FIRST_SUM, _FIRST_SUM + 1], np.int64)
    for node in (1, 2, 3):
        into = [position for position, (_, target) in enumerate(EDGES) if target == node]
        codes[:, len(EDGES) + node] = of_inputs[(live[:, into] != NONE).sum(axis=1)]
    weights = np.array([1] + [CELLS] * (len(EDGES) + 3), np.int64)
    resolution = MACROS[dataset][0]
    peaks = np.maximum(_cell_peaks(live) * STAGE_CHANNELS[0] * resolution**2, frame_peak)
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


def _cell_peaks(live: NDArray[np.int8]) -> NDArray[np.int64]:
    codes = live @ _POWERS
    unknown = ~_CELL_PEAKS_KNOWN[codes]
    if unknown.any():
        for code, row in zip(*np.unique(codes[unknown], return_index=True), strict=True):
            _CELL_PEAKS[code] = _cell_peak(live[np.flatnonzero(unknown)[row]].tolist())
            _CELL_PEAKS_KNOWN[code] = True
    return np.asarray(_CELL_PEAKS[codes])


def _cell_peak(live: list[int]) -> int:
    """Return the feature maps alive at one time in a live cell, in the order of its layers; 0 without layers."""
    reads: list[list[int]] = []  # of each layer; value 0 is the cell's input, value i + 1 what layer i writes
    values = [0]
    for node in (1, 2, 3):
        terms = []
        for choice, (source, target) in zip(live, EDGES, strict=True):
            if target != node or choice == NONE:
                continue
            if choice != SKIP:
                reads.append([values[source]])
            terms.append(values[source] if choice == SKIP else len(reads))
        if len(terms) > 1:
            reads.append(terms)
        values.append(len(reads) if len(terms) > 1 else (terms or [0])[0])
    last = [-1, *range(len(reads))]
    for layer, sources in enumerate(reads):
        for value in sources:
            last[value] = layer
    return max((sum(v <= i + 1 and last[v] >= i for v in range(len(last))) for i in range(len(reads))), default=0)
