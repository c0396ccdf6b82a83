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


def class_features(space: NasBench201, classes: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return features of the function, equal for cells of one class, in units that distances can be taken in.

    Means over the class's members of the graph features; which edge carries what is left out. Numbers
    of paths as twice their square root, the rest in standard deviations over the classes.

    Parameters
    ----------
    space : NasBench201
    classes : (15625,) ndarray of int
        From 0; cells of one class compute the same function.
    """
    names = space.feature_names("graph")
    kept = [number for number, name in enumerate(names) if not name.startswith("live:")]
    graph = space.encode(space.all_vectors(), "graph")[:, kept].astype(np.float64)
    sizes = np.bincount(classes)
    means = np.stack([np.bincount(classes, column) / sizes for column in graph.T], axis=1)
    spread = means.std(axis=0)
    paths = np.array([names[number].startswith("paths:") for number in kept])
    scaled = np.where(paths, 2 * np.sqrt(means), means / np.where(spread > 0, spread, 1))
    # Rounded, so that members of a class are equal to the last bit.
    return np.asarray(scaled[:, spread > 0], np.float32)[classes]


def live_operators(space: NasBench201) -> NDArray[np.float32]:
    """Return the operators of the live graph's edges, one-hot, (15625, 30); a dead edge is ``none``."""
    kept = [number for number, name in enumerate(space.feature_names("graph")) if name.startswith("live:")]
    return np.ascontiguousarray(space.encode(space.all_vectors(), "graph")[:, kept], np.float32)


def pairs(space: NasBench201) -> NDArray[np.float32]:
    """Return the cell, one-hot, and every pair of operators that stand together in the live graph."""
    live = live_operators(space)
    both = [live[:, [number]] * live[:, number + 1 :] for number in range(live.shape[1] - 1)]
    together = np.concatenate([space.encode(space.all_vectors(), "one_hot"), live, *both], axis=1)
    return np.asarray(together[:, np.ptp(together, axis=0) > 0], np.float32)


def operator_counts(vectors: NDArray[np.int8]) -> NDArray[np.float32]:
    """Count each of the five operators in each cell."""
    return np.stack([(vectors == o).sum(axis=1) for o in range(len(OPERATORS))], axis=1).astype(np.float32)
