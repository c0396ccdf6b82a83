"""NAS-Bench-201 as the project timed it: whose graphs, the column that ships, and how far repeats of it agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from data_builders.measure import workloads
from data_builders.rows import cell_column, cells, nasbench201, rounded
from hwnasbench.errors import CorruptFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnasbench.networks.layers import Network
    from hwnasbench.spaces import Architecture
    from hwnasbench.tables.write import ColumnData

#: The data set whose networks are timed at an image size.
DATASETS = {"32px": "cifar10", "16px": "ImageNet16-120"}
#: A data set that has the times of another's, of the same image size: only the classes differ, a hundred for ten.
COPIED = {"cifar100": "cifar10"}
#: Cells that are timed again, later; whose swapped form is timed; that are timed with other classes.
AGAIN, SWAPPED, CLASSES = "again", "swapped", "classes"
REPEATED, CHECKED, SEED = 300, 64, 0


def campaigns() -> dict[str, list[Network]]:
    """Return the networks of each campaign.

    Returns
    -------
    dict
        ``SIZE``: one architecture of each graph; ``SIZE_again``: some of them; ``SIZE_swapped``: others whose inner
        nodes are exchanged, which are the same graph laid out otherwise; ``32px_classes``: some with a hundred classes.
    """
    space = nasbench201()
    graphs = workloads.graphs(space)
    again, swapped = _drawn(graphs, REPEATED), [swap for _, swap in swaps(graphs)]
    out = {}
    for size, dataset in DATASETS.items():
        out[size] = workloads.networks(space, graphs, dataset)
        out[f"{size}_{AGAIN}"] = workloads.networks(space, again, dataset)
        out[f"{size}_{SWAPPED}"] = workloads.networks(space, swapped, dataset)
    out[f"32px_{CLASSES}"] = workloads.networks(space, again[:CHECKED], "cifar100")
    return out


def _drawn(archs: Sequence[Architecture], n: int) -> list[Architecture]:
    return [archs[i] for i in np.random.default_rng(SEED).choice(len(archs), n, replace=False)]


def swaps(graphs: Sequence[Architecture]) -> list[tuple[Architecture, Architecture]]:
    """Return some of the graphs, each with its swapped form where that is another network: `REPEATED` pairs."""
    space = nasbench201()
    found = []
    for arch in graphs:
        live = space.parse(list(space.live_vector(arch)))
        partner = space.node_swap(live)
        if partner is not None:
            found.append((arch, partner))
    chosen = np.random.default_rng(SEED).choice(len(found), REPEATED, replace=False)
    return [found[i] for i in chosen]


def columns(frame: pd.DataFrame, keys: dict[str, Any], dataset: str, source: str, n: int) -> list[ColumnData]:
    """Return the latency of every cell, from those that were timed.

    Parameters
    ----------
    frame : pandas.DataFrame
        Of `data_builders.measure.summary.frame`; one architecture of each graph.
    keys : dict
        Of the column but for the data set.
    dataset : str
        That was timed.
    source : str
    n : int
        Processes behind each value.

    Returns
    -------
    list of ColumnData
        What was timed is measured; what shares its graph, and all of another data set, is estimated and flagged copied.

    Raises
    ------
    CorruptFile
        When a connected cell's graph was not timed.
    """
    space, everything = nasbench201(), cells()
    rows = {space.graph_key(name): row for row, name in enumerate(frame["name"])}
    at = np.array([rows.get(space.graph_key(arch), -1) for arch in space])
    lacking = np.flatnonzero((at < 0) & everything.connected)
    if len(lacking):
        raise CorruptFile(f"{len(lacking)} connected cells were not timed, {everything.archs[lacking[0]]} the first")
    timed = frame["name"].to_numpy()[at] == np.array(everything.archs)
    ok = (frame["status"].to_numpy() == "ok")[at]
    value, noise = (frame[name].to_numpy(float)[at] for name in ("value", "noise"))
    out = []
    for name in (dataset, *(other for other, like in COPIED.items() if like == dataset)):
        measured = timed & (name == dataset)
        out.append(
            cell_column(
                source,
                "latency",
                np.where(ok, rounded(value), np.nan),
                kind="measured",
                keys={**keys, "dataset": name},
                failed=~ok,
                noise=rounded(noise, np.float16),
                n=n,
                kinds=np.where(measured, "measured", "estimated").tolist(),
                row_flags=[None if one else "copied" for one in measured],
            )
        )
    return out


class Agreement(NamedTuple):
    """How far two times of the same networks agree.

    Attributes
    ----------
    networks : int
    spearman, kendall : float
    difference : float
        Median of the absolute relative difference.
    bias : float
        Median of the second time over the first, less 1.
    hours : float
        Between the start of the first run's last chunk and that of the second run's first one.
    """

    networks: int
    spearman: float
    kendall: float
    difference: float
    bias: float
    hours: float


def _side_by_side(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    both = _by_graph(first).add_suffix("_first").join(_by_graph(second).add_suffix("_second"), how="inner")
    return both.dropna(subset=["value_first", "value_second"])


def _by_graph(frame: pd.DataFrame) -> pd.DataFrame:
    space = nasbench201()
    return frame[["value"]].set_index(pd.Index([space.graph_key(name) for name in frame["name"]]))


def ratios(first: pd.DataFrame, second: pd.DataFrame) -> pd.Series:
    """Return the second time over the first, by graph; see `agreement`."""
    both = _side_by_side(first, second)
    return both["value_second"] / both["value_first"]


def agreement(first: pd.DataFrame, second: pd.DataFrame) -> Agreement:
    """Compare two frames of `summary.frame` that hold the same graphs, whatever forms stand for them."""
    from scipy.stats import kendalltau, spearmanr

    both = _side_by_side(first, second)
    before, after = both["value_first"], both["value_second"]
    ratio = after / before
    return Agreement(
        len(both),
        float(spearmanr(before, after).statistic),
        float(kendalltau(before, after).statistic),
        float((ratio - 1).abs().median()),
        float(ratio.median() - 1),
        float(second["begun"].min() - first["started"].max()) / 3600,
    )
