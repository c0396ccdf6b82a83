"""Evaluate additive models: the sum of one cost a position, one network or millions.

Both paths add in the same order, pair by pair, so that a single query and a batch agree to
the last bit for the identity link.
"""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

#: Networks evaluated at a time: the working set of one chunk stays in the second-level cache.
_CHUNK = 8192


def evaluate(table: Sequence[Sequence[float]], intercept: float, link: str, vector: Sequence[int]) -> float:
    """Return the model's value for one decision vector.

    Parameters
    ----------
    table : nested sequence
        Cost of every (position, choice).
    intercept : float
    link : {"identity", "exp"}
    vector : sequence of int
        Checked decisions.

    Notes
    -----
    The model is ``link(intercept + sum over positions of cost[position][choice])``, in the
    metric's unit.
    """
    total = intercept
    for position in range(0, len(table) - 1, 2):
        total += table[position][vector[position]] + table[position + 1][vector[position + 1]]
    if len(table) % 2:
        total += table[-1][vector[-1]]
    return math.exp(total) if link == "exp" else total


def evaluate_many(
    costs: NDArray[np.float64], intercept: float, link: str, vectors: NDArray[np.int8]
) -> NDArray[np.float64]:
    """Return the model's values for an (n, positions) array of checked decisions.

    `costs` has shape (positions, choices); `intercept` and `link` are those of `evaluate`.

    Two positions share one table of choices x choices sums, which halves the gathers.
    """
    import numpy as np

    positions, choices = costs.shape
    even = positions - positions % 2
    pairs = (costs[0:even:2, :, None] + costs[1:even:2, None, :]).reshape(even // 2, choices * choices)
    out = np.empty(len(vectors))
    narrow: Any = np.uint8 if choices <= 16 else np.uint16
    for start in range(0, len(vectors), _CHUNK):
        part = vectors[start : start + _CHUNK]
        codes = (part[:, 0:even:2].astype(narrow) * narrow(choices) + part[:, 1:even:2].astype(narrow)).T
        total = np.full(len(part), intercept)
        for table, code in zip(pairs, codes, strict=True):
            total += table.take(code)
        if even < positions:
            total += costs[-1].take(part[:, -1])
        out[start : start + _CHUNK] = np.exp(total) if link == "exp" else total
    return out
