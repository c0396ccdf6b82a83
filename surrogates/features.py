"""Features of NAS-Bench-201 cells, from the architecture alone.

Costs are features of the graph (dead edges removed, inner nodes in a fixed order); accuracy is a
feature of the function (zero terms dropped, nested sums flattened), so that cells that compute
the same function get the same prediction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.spaces.nasbench201 import OPERATORS, NasBench201

if TYPE_CHECKING:
    from numpy.typing import NDArray


def cost_features(space: NasBench201) -> NDArray[np.float32]:
    """Return the features that latency, energy and training time are predicted from, in index order.

    One-hot of the cell and of its live graph, operator counts over all and over live edges, and
    the counts of paths: equal graphs may still differ where an engine keeps dead edges.
    """
    vectors = space.all_vectors()
    graph, names = space.encode(vectors, "graph"), space.feature_names("graph")

    def part(*prefixes: str) -> NDArray[np.float32]:
        return graph[:, [number for number, name in enumerate(names) if name.startswith(prefixes)]]

    return np.concatenate(
        [
            space.encode(vectors, "one_hot"),
            part("live:"),
            operator_counts(vectors),
            part("count:"),
            part("max:convs", "max:working"),
            part("paths:"),
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
