"""What ``docs/measurements.md`` says of NAS-Bench-201: repeats, swaps, precisions, and published processors."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from data_builders.measure import cells, published

if TYPE_CHECKING:
    from data_builders.measure.cells import Agreement
    from data_builders.measure.published import Samples

    Row = tuple[str, ...]

#: Published columns that ours are set against: device to source.
PROCESSORS = {"gold_6226": "help", "i7_7820x": "latbench"}
#: The least rank correlation of swapped forms at fp32; nothing but the noise tells them apart.
LEAST_OF_SWAPS = 0.99
AGREEMENT = ("size", "engine", "precision", "what", "networks", "hours", "Spearman", "Kendall", "difference", "bias")
AGREEMENT_TEXT = """### NAS-Bench-201: how far repeats agree

`again`: the same cells in new processes; this is the noise ceiling, which no prediction can be expected to pass.
`swapped`: cells whose inner nodes are exchanged, which are the same graph laid out otherwise. `classes`: CIFAR-100's
head in place of CIFAR-10's, which was timed for no more than these: the column of CIFAR-100 is CIFAR-10's, flagged
`copied`. `hours` lie between the start of the first run's last chunk and that of the second run's first one, and are
below 0 where that began while the first run went on; `difference` is the median of the absolute relative differences,
`bias` the median ratio less 1.
"""
PUBLISHED_TEXT = """## Against published processors

Rank correlations over the connected cells of NAS-Bench-201 at CIFAR-10 between ours and what others published of other
processors, engines and numbers of threads (which they do not all state); `ratio` is the median of theirs to ours, with
the tenth and ninetieth percentile.
"""
PUBLISHED = ("published", "source", "ours", "engine", "precision", "cells", "Spearman", "Kendall", "ratio")


def of_size(own: list[Samples]) -> list[tuple[Samples, str, Samples]]:
    """Return the samples of each image size, with the kind and the samples of each campaign that repeats them."""
    known = {(s.what, *s.keys.values()): s for s in own if s.space == published.CELLS}
    out = []
    for (what, *keys), samples in sorted(known.items(), key=str):
        size, _, kind = str(what).partition("_")
        if kind and (size, *keys) in known:
            out.append((known[size, *keys], kind, samples))
    return out


def agreements(own: list[Samples]) -> list[Row]:
    """Return the rows of the table of repeats."""
    rows: list[Row] = []
    for first, kind, second in of_size(own):
        found: Agreement = cells.agreement(first.frame, second.frame)
        rows.append(
            (
                first.what,
                str(first.keys["engine"]),
                str(first.keys["precision"]),
                kind,
                f"{found.networks:,}",
                f"{found.hours:.2f}",
                f"{found.spearman:.4f}",
                f"{found.kendall:.3f}",
                f"{100 * found.difference:.2f} %",
                f"{100 * found.bias:+.2f} %",
            )
        )
    return rows


def published_columns(sources: Path) -> dict[str, pd.Series]:
    """Return ms of each connected cell on the published processors, by device and index.

    Raises
    ------
    SourceMissing, CorruptFile
    """
    from data_builders.build import build
    from hwnasbench.tables.write import read_table

    out = {}
    with tempfile.TemporaryDirectory(prefix="hwnasbench-measurements-") as home:
        build(sorted(set(PROCESSORS.values())), home=Path(home), sources=sources, store=False)
        for device, source in PROCESSORS.items():
            frame = read_table(Path(home) / "tables" / source / f"{published.CELLS}.parquet").to_pandas()
            rows = frame["device"].eq(device) & frame["metric"].eq("latency") & frame["status"].eq("ok")
            out[device] = frame[rows].set_index("arch_index")["value"]
    return out


def comparisons(own: list[Samples], theirs: dict[str, pd.Series]) -> list[Row]:
    """Return the rows of the table of published processors."""
    from scipy.stats import kendalltau, spearmanr

    rows: list[Row] = []
    for device, values in theirs.items():
        for samples in own:
            if samples.what != "32px":
                continue
            both = pd.concat([_everywhere(samples).rename("ours"), values.rename("theirs")], axis=1, join="inner")
            both = both.dropna()
            low, middle, high = (both["theirs"] / both["ours"]).quantile([0.1, 0.5, 0.9])
            rows.append(
                (
                    device,
                    PROCESSORS[device],
                    str(samples.keys["device"]),
                    str(samples.keys["engine"]),
                    str(samples.keys["precision"]),
                    f"{len(both):,}",
                    f"{spearmanr(both['ours'], both['theirs']).statistic:.3f}",
                    f"{kendalltau(both['ours'], both['theirs']).statistic:.3f}",
                    f"{middle:.2f} ({low:.2f} to {high:.2f})",
                )
            )
    return rows


def _everywhere(samples: Samples) -> pd.Series:
    """Return ms of every cell, by index."""
    column = cells.columns(samples.frame, samples.keys, cells.DATASETS[samples.what], "", samples.passes)[0]
    return pd.Series(column.values, index=np.arange(len(column.values)))


def draw(own: list[Samples], path: Path) -> None:
    """Draw what repeats and swaps differ by, and how precisions of one engine compare; at the larger size repeated."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    repeated = {first.what for first, _, _ in of_size(own)}
    bins, size = np.linspace(-5, 5, 81), next(size for size in cells.DATASETS if size in repeated)
    for first, kind, second in of_size(own):
        if first.what == size and kind in (cells.AGAIN, cells.SWAPPED):
            ratio = cells.ratios(first.frame, second.frame)
            label = f"{kind}, {first.keys['engine']} {first.keys['precision']}"
            left.hist(100 * (ratio - 1).clip(-0.05, 0.05), bins, histtype="step", label=label)
    left.set(xlabel=f"{size}: difference from the first time, %", ylabel="networks")
    for label, full, values in _precisions(own, size):
        right.scatter(full, full / values, s=1 if len(full) > cells.REPEATED else 4, label=label)
    right.set(xscale="log", xlabel=f"{size}: ms at fp32", ylabel="how many times faster than fp32")
    right.axhline(1, color="grey", linewidth=0.5)
    for axes in (left, right):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8)
        else:
            axes.set_visible(False)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80, metadata={"Software": None})
    plt.close(figure)


def _precisions(own: list[Samples], size: str) -> list[tuple[str, pd.Series, pd.Series]]:
    """Return ms at float32 and at another precision of the same networks and engine: of all graphs, else of repeats."""
    known = {(s.what, s.keys["engine"], s.keys["precision"]): s.frame.set_index("name")["value"] for s in own}
    out = []
    for engine, precision in sorted({(engine, precision) for _, engine, precision in known if precision != "fp32"}):
        again = f"{size}_{cells.AGAIN}"
        for at_fp32, what in ((size, size), (again, size), (again, again)):
            full, values = known.get((at_fp32, engine, "fp32")), known.get((what, engine, precision))
            if full is not None and values is not None:
                out.append((f"{engine} {precision}", full, values.loc[full.index]))
                break
    return out
