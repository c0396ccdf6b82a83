"""Features of NAS-Bench-201 cells, from the architecture alone.

Costs are features of the graph (dead edges removed, inner nodes in a fixed order); accuracy is a
feature of the function (zero terms dropped, nested sums flattened), so that cells that compute
the same function get the same prediction.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.spaces.nasbench201 import CONV1, CONV3, NONE, OPERATORS, POOL, SKIP, NasBench201

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Input-to-output routes of a cell, each a list of positions in the decision vector.
ROUTES = ((3,), (0, 4), (1, 5), (0, 2, 5))
_WORKING = (CONV1, CONV3, POOL)
#: Every sequence of at most three operators that do something: what a route can apply.
SIGNATURES = tuple(s for length in range(4) for s in product(_WORKING, repeat=length))


def path_counts(vectors: NDArray[np.int8]) -> NDArray[np.float32]:
    """Count the routes of each cell that apply each sequence of operators, skips left out.

    Parameters
    ----------
    vectors : (n, 6) ndarray of int8

    Returns
    -------
    (n, 40) ndarray of float32
        One column a sequence of `SIGNATURES`. Equal functions have equal counts.
    """
    out = np.zeros((len(vectors), len(SIGNATURES)), np.float32)
    column = {signature: number for number, signature in enumerate(SIGNATURES)}
    for row, vector in enumerate(vectors.tolist()):
        for route in ROUTES:
            operators = [vector[position] for position in route]
            if NONE not in operators:
                out[row, column[tuple(o for o in operators if o != SKIP)]] += 1
    return out


def live_graphs(space: NasBench201) -> NDArray[np.int8]:
    """Return the decision vector of each cell's live graph, inner nodes in a fixed order."""
    return np.array([space.parse(space.graph_key(arch)).vector for arch in space], np.int8)


def cost_features(space: NasBench201) -> NDArray[np.float32]:
    """Return the features that latency, energy and training time are predicted from, in index order.

    One-hot of the cell and of its live graph, operator counts over all and over live edges, and
    the counts of paths: equal graphs may still differ where an engine keeps dead edges.
    """
    vectors, live = space.all_vectors(), live_graphs(space)
    return np.concatenate(
        [
            space.encode(vectors, "one_hot"),
            space.encode(live, "one_hot"),
            operator_counts(vectors),
            operator_counts(live),
            critical_path(live),
            path_counts(live),
        ],
        axis=1,
    )


def accuracy_features(space: NasBench201) -> NDArray[np.float32]:
    """Return the features that accuracy is predicted from, in index order.

    One-hot of the cell, and the graph features of its live graph.
    """
    vectors = space.all_vectors()
    return np.concatenate([space.encode(vectors, "one_hot"), space.encode(vectors, "graph")], axis=1)


def operator_counts(vectors: NDArray[np.int8]) -> NDArray[np.float32]:
    """Count each of the five operators in each cell."""
    return np.stack([(vectors == o).sum(axis=1) for o in range(len(OPERATORS))], axis=1).astype(np.float32)


def critical_path(live: NDArray[np.int8]) -> NDArray[np.float32]:
    """Return the most convolutions, and the most operators, that follow each other in a live cell."""
    convolution = np.isin(live, (CONV1, CONV3))
    working = np.isin(live, _WORKING)
    dead = live == NONE
    columns = []
    for weight in (convolution, working):
        routes = [np.where(dead[:, r].any(axis=1), 0, weight[:, r].sum(axis=1)) for r in map(list, ROUTES)]
        columns.append(np.max(routes, axis=0))
    return np.stack(columns, axis=1).astype(np.float32)
