"""Graph features of NAS-Bench-201 cells: equal for cells whose live graphs are equal."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.spaces.nasbench201 import CONV1, CONV3, EDGES, NONE, OPERATORS, POOL, SKIP

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from hwnasbench.spaces.nasbench201 import NasBench201

#: Every path from the input to the output, as positions of the decision vector.
PATHS = ((3,), (0, 4), (1, 5), (0, 2, 5))
_SWAP = [1, 0, 2, 3, 5, 4]
_WORKING = (CONV1, CONV3, POOL)
#: Every sequence of operators other than skip that a path can apply.
_SEQUENCES = tuple(sequence for length in range(4) for sequence in product(_WORKING, repeat=length))
#: What is summed along each path: how much each of the five operators counts.
_WEIGHTS = {
    "skips": (0, 1, 0, 0, 0),
    "conv_1x1": (0, 0, 1, 0, 0),
    "conv_3x3": (0, 0, 0, 1, 0),
    "pools": (0, 0, 0, 0, 1),
    "convs": (0, 0, 1, 1, 0),
    "working": (0, 0, 1, 1, 1),
    "edges": (0, 1, 1, 1, 1),
    "work": (0, 0, 1, 9, 0),
}

#: Names of the columns of `graph_features`.
NAMES: tuple[str, ...] = (
    *(f"live:{name}@{source}->{target}" for source, target in EDGES for name in OPERATORS),
    *(f"count:{name}" for name in OPERATORS),
    *("paths:" + (">".join(OPERATORS[o] for o in sequence) or "identity") for sequence in _SEQUENCES),
    *(f"{statistic}:{what}" for what in _WEIGHTS for statistic in ("max", "min", "mean")),
    *(f"paths_of_length:{length}" for length in (1, 2, 3)),
    *(f"inputs:{node}" for node in (1, 2, 3)),
    *(f"terms:{node}" for node in (1, 2, 3)),
    *("paths", "live_inner_nodes", "additions", "work", "connected"),
)


def live_vectors(vectors: NDArray[Any]) -> NDArray[np.int8]:
    """Return the decision vectors with every edge off the input-output paths set to none.

    Parameters
    ----------
    vectors : (n, 6) ndarray of int8

    Returns
    -------
    (n, 6) ndarray of int8
    """
    used = vectors != NONE
    alive = [used[:, list(path)].all(axis=1) for path in PATHS]
    on_path = [
        np.any([alive[number] for number, path in enumerate(PATHS) if edge in path], axis=0)
        for edge in range(len(EDGES))
    ]
    return np.where(np.stack(on_path, axis=1), vectors, np.int8(NONE)).astype(np.int8)


def live_representative(vectors: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return the decision vector of each cell's live graph, the one that ``graph_key`` picks.

    Parameters
    ----------
    vectors : (n, 6) ndarray of int8

    Returns
    -------
    (n, 6) ndarray of int8
        `live_vectors`; of the two orders of the inner nodes, where the edge between them is none,
        the smaller.
    """
    live = live_vectors(vectors)
    swapped = live[:, _SWAP]
    powers = 5 ** np.arange(len(EDGES) - 1, -1, -1)
    swap = (live[:, 2] == NONE) & (swapped @ powers < live @ powers)
    return np.where(swap[:, None], swapped, live)


def graph_features(space: NasBench201, vectors: NDArray[np.int8]) -> NDArray[np.float32]:
    """Describe each cell's live graph.

    One-hot of the representative that ``graph_key`` picks, counts of live operators, the number
    of paths that apply each sequence of operators (skips left out), statistics over paths of the
    operators along them (``work`` counts multiply-accumulates per pixel in units of
    channels squared: 9 a 3x3 convolution, 1 a 1x1), inputs and summed terms of each node.

    Parameters
    ----------
    space : NasBench201
    vectors : (n, 6) ndarray of int
        Decision vectors.

    Returns
    -------
    (n, len(NAMES)) ndarray of float32
        Equal rows for architectures with equal ``graph_key``.
    """
    live = live_representative(space.vectors(vectors))
    n = len(live)
    used = live != NONE
    alive = np.stack([used[:, list(path)].all(axis=1) for path in PATHS], axis=1)
    paths = alive.sum(axis=1)
    counts = np.stack([(live == o).sum(axis=1) for o in range(len(OPERATORS))], axis=1)
    columns = [space.encode(live, "one_hot"), counts, _sequence_counts(live, alive)]
    for weights in _WEIGHTS.values():
        along = np.stack([np.array(weights)[live[:, list(path)]].sum(axis=1) for path in PATHS], axis=1)
        most = np.where(alive, along, 0).max(axis=1)
        least = np.where(paths > 0, np.where(alive, along, np.iinfo(np.int64).max).min(axis=1), 0)
        mean = np.where(alive, along, 0).sum(axis=1) / np.maximum(paths, 1)
        columns.append(np.stack([most, least, mean], axis=1))
    columns.append(np.stack([alive[:, 0], alive[:, 1:3].sum(axis=1), alive[:, 3]], axis=1))
    inputs = [used[:, [p for p, (_, target) in enumerate(EDGES) if target == node]].sum(axis=1) for node in (1, 2, 3)]
    columns.append(np.stack(inputs, axis=1))
    columns.append(_terms(live))
    columns.append(
        np.stack(
            [
                paths,
                sum((count > 0).astype(int) for count in inputs[:2]),
                sum(np.maximum(count - 1, 0) for count in inputs),
                np.array(_WEIGHTS["work"])[live].sum(axis=1),
                paths > 0,
            ],
            axis=1,
        )
    )
    return np.concatenate(columns, axis=1, dtype=np.float32, casting="unsafe").reshape(n, len(NAMES))


def _sequence_counts(live: NDArray[np.int8], alive: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Count the paths that apply each of `_SEQUENCES`, shape (n, 40)."""
    # A path's operators, skips left out, are the digits of a number below 4 ** 3.
    digit = np.zeros(len(OPERATORS), np.intp)
    digit[list(_WORKING)] = 1, 2, 3
    column = np.zeros(64, np.intp)
    for number, sequence in enumerate(_SEQUENCES):
        code = 0
        for operator in sequence:
            code = code * 4 + digit[operator]
        column[code] = number
    out = np.zeros((len(live), len(_SEQUENCES)), np.float32)
    rows = np.arange(len(live))
    for number, path in enumerate(PATHS):
        codes = np.zeros(len(live), np.intp)
        for position in path:
            codes = np.where(live[:, position] == SKIP, codes, codes * 4 + digit[live[:, position]])
        out[rows, column[codes]] += alive[:, number]
    return out


def _terms(live: NDArray[np.int8]) -> NDArray[np.int64]:
    """Count the terms that each inner node and the output sum once skips pass their sums on."""
    terms = [np.ones(len(live), np.int64)]
    for node in (1, 2, 3):
        total = np.zeros(len(live), np.int64)
        for position, (source, target) in enumerate(EDGES):
            if target == node:
                operator = live[:, position]
                total += np.where(operator == SKIP, terms[source], operator != NONE)
        terms.append(total)
    return np.stack(terms[1:], axis=1)
