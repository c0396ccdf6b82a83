"""How alike devices rank architectures: the Spearman matrix of all known columns, as a table and a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.errors import InvalidRequest, MissingExtra
from hwnasbench.onboarding.checks import check_space
from hwnasbench.onboarding.known import known
from hwnasbench.ranking import ranks

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from hwnasbench.spaces import Space
    from hwnasbench.tables.columns import Column

#: Keys that tell the columns of one device apart in a label.
_TOLD = ("dataset", "engine", "batch", "precision")


def device_similarity(space: str | Space, metric: str = "latency") -> pd.DataFrame:
    """Return the rank correlation between all known columns of a metric over a space.

    Parameters
    ----------
    space : str or Space
        Connected architectures of an enumerable space, or 4,000 drawn ones.
    metric : {"latency", "energy"}

    Returns
    -------
    pandas.DataFrame
        One row and one column a shipped column, called by its device and by what tells it from the others
        of that device; sorted by name.

    Raises
    ------
    UnknownName, NoColumn
        When the space is unknown, or has fewer than three known columns.
    """
    import pandas as pd

    if metric not in ("latency", "energy"):
        raise InvalidRequest(f"metric={metric!r}: expected 'latency' or 'energy'")
    found = known(check_space(space), (metric,))
    labels = _labels(found.columns)
    order = sorted(range(len(labels)), key=labels.__getitem__)
    # Values that differ in their last bits alone are equal.
    placed = np.stack([ranks(found.features.known[:, i].round(9)) for i in order])
    names = [labels[i] for i in order]
    return pd.DataFrame(np.corrcoef(placed), index=names, columns=names)


def plot_similarity(matrix: pd.DataFrame) -> Figure:
    """Draw the table of `device_similarity`, like devices next to each other.

    Raises
    ------
    MissingExtra
        When matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("a picture needs matplotlib; install hwnasbench[plot]") from error
    order = _neighbours(matrix.to_numpy())
    names = [str(matrix.index[i]) for i in order]
    side = 2.5 + 0.17 * len(names)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(matrix.to_numpy()[np.ix_(order, order)], vmin=0, vmax=1, cmap="viridis")
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    figure.colorbar(picture, label="Spearman rank correlation", shrink=0.7)
    return figure


def _neighbours(matrix: NDArray[np.float64]) -> list[int]:
    """Order rows by joining, again and again, the two groups that are most alike on average."""
    groups = [[i] for i in range(len(matrix))]
    while len(groups) > 1:
        pairs = ((a, b) for a in range(len(groups)) for b in range(a))
        a, b = max(pairs, key=lambda pair: matrix[np.ix_(groups[pair[0]], groups[pair[1]])].mean())
        groups[b] += groups.pop(a)
    return groups[0]


def _labels(columns: Sequence[Column]) -> list[str]:
    """Return the device of each column, with the keys in which the columns of that device differ."""
    by_device: dict[Any, list[Column]] = {}
    for column in columns:
        by_device.setdefault(column.keys["device"], []).append(column)
    out = []
    for column in columns:
        others = by_device[column.keys["device"]]
        told = [str(column.keys[k]) for k in _TOLD if len({other.keys[k] for other in others}) > 1]
        if len({tuple(other.keys.values()) for other in others}) < len(others):
            told.append(column.source)
        out.append(" ".join([str(column.keys["device"]), *told]))
    return out
