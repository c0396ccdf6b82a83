"""The pictures of a study for papers, as PNG and SVG; the same study gives the same bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.errors import MissingExtra
from hwnasbench.studies import files
from hwnasbench.studies.palette import CLOUD, FRONT, colours

try:
    import matplotlib as mpl
    from matplotlib.figure import Figure
except ImportError as error:
    raise MissingExtra("the pictures of studies need matplotlib: pip install 'hwnasbench[study]'") from error

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from hwnasbench.studies.landscape import Landscape
    from hwnasbench.studies.statistics import Outcome, Ranks

_UNITS = {"evaluation": "evaluations", "seconds": "simulated seconds of training"}
#: Nothing of the file may depend on the day, on chance, or on the user's own settings.
_SETTINGS: Any = {**mpl.rcParamsDefault, "svg.hashsalt": "hwnasbench", "font.size": 9.0, "savefig.dpi": 150.0}
_METADATA: dict[str, dict[str, str | None]] = {
    "png": {"Software": "hwnasbench"},
    "svg": {"Creator": "hwnasbench", "Date": None},
}


def save(figure: Figure, stem: Path) -> None:
    """Write a figure as ``STEM.png`` and ``STEM.svg``."""
    with mpl.rc_context(_SETTINGS):
        for form, metadata in _METADATA.items():
            drawn = io.BytesIO()
            figure.savefig(drawn, format=form, metadata=metadata)
            files.write(stem.with_name(f"{stem.name}.{form}"), drawn.getvalue())


def anytime(found: Outcome, table: pd.DataFrame, title: str) -> Figure:
    """Draw the median of each searcher over the budget, and the quartiles as a band."""
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(5.5, 3.6), layout="constrained")
        axes = figure.add_subplot()
        for searcher, colour in colours(list(found.values)).items():
            rows = table[table["searcher"] == searcher]
            along = rows[found.unit].to_numpy()
            axes.plot(along, rows["median"], color=colour, lw=1.5, label=searcher)
            axes.fill_between(along, rows["q25"], rows["q75"], color=colour, alpha=0.18, lw=0)
        axes.set(xlabel=_UNITS[found.unit], ylabel=f"{found.measure}, as reported", title=title, xscale="log")
        if found.sign < 0:
            _down_to_nothing(axes, table)
        axes.grid(alpha=0.25, lw=0.5)
        axes.legend(fontsize=8)
    return figure


def _down_to_nothing(axes: Any, table: pd.DataFrame) -> None:
    """Make the axis of a regret logarithmic; where there is none left, linear below the least that there was."""
    values = table[["median", "q25", "q75"]].to_numpy(np.float64).ravel()
    positive = values[values > 0]
    if not len(positive):
        return
    if np.nanmin(values) > 0:
        axes.set_yscale("log")
        return
    axes.set_yscale("symlog", linthresh=float(positive.min()), linscale=0.4)
    axes.set_ylim(bottom=0.0)


def pareto(seen: Landscape, title: str) -> Figure:
    """Draw the space, what nothing of it beats, and what the searchers found."""
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(5.5, 3.8), layout="constrained")
        axes = figure.add_subplot()
        cloud = f"{len(seen.cloud):,} {'of the space' if seen.whole else 'drawn at random'}"
        axes.scatter(seen.cloud[:, 0], seen.cloud[:, 1], s=2, color=CLOUD, lw=0, rasterized=True, label=cloud)
        axes.plot(*seen.front.T, color=FRONT, lw=1, marker=".", ms=3, label="Pareto front" if seen.whole else None,
                  drawstyle="steps-post" if seen.less else "steps-pre")  # fmt: skip
        for searcher, colour in colours(list(seen.found)).items():
            x, y = seen.found[searcher].T
            axes.scatter(x, y, s=12, color=colour, alpha=0.7, lw=0, label=searcher, zorder=3)
        if seen.x_limit is not None:
            axes.axvline(seen.x_limit, color=FRONT, lw=0.8, ls=":")
        axes.set(xlabel=seen.x, ylabel=seen.y, title=title)
        low, high = np.percentile(seen.cloud[:, 1], [20, 100]) if len(seen.cloud) else (0.0, 1.0)
        tops = [points[:, 1] for points in (*seen.found.values(), seen.front) if len(points)]
        low = min([low, *(float(values.min()) for values in tops)])
        high = max([high, *(float(values.max()) for values in tops)])
        axes.set_ylim(low - 0.03 * (high - low or 1), high + 0.05 * (high - low or 1))
        axes.legend(fontsize=8)
    return figure


def critical_difference(found: Ranks, title: str) -> Figure:
    """Draw mean ranks on a line, 1 at the left; a bar joins searchers that do not differ.

    The form is that of J. Demsar, JMLR 7, 2006 (recalled).
    """
    ordered = sorted(found.mean.items(), key=lambda item: (item[1], item[0]))
    k, shade = len(ordered), colours(list(found.mean))
    joined = cliques([rank for _, rank in ordered], found.critical)
    left = (k + 1) // 2
    below = -0.35 - 0.16 * len(joined)
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(5.5, 1.2 + 0.16 * len(joined) + 0.24 * left), layout="constrained")
        axes = figure.add_subplot()
        axes.set(xlim=(1, max(k, 2)), ylim=(below - 0.3 * left, 1.0), yticks=[], title=title)
        axes.spines[["left", "right", "bottom"]].set_visible(False)
        axes.spines["top"].set_position(("data", 0))
        axes.xaxis.tick_top()
        axes.set_xticks(range(1, max(k, 2) + 1))
        if np.isfinite(found.critical):
            beyond = ", more than there are ranks" if found.critical > k - 1 else ""
            axes.plot([1, 1 + min(found.critical, k - 1)], [0.65, 0.65], color=FRONT, lw=1.5)
            axes.text(1, 0.72, f"critical difference {found.critical:.2f}{beyond}", va="bottom", fontsize=8)
        for place, (first, last) in enumerate(joined):
            level = -0.14 - 0.16 * place
            axes.plot([ordered[first][1] - 0.02, ordered[last][1] + 0.02], [level, level], color=FRONT, lw=3)
        for place, (name, rank) in enumerate(ordered):
            # From the sides inwards, so that no line crosses another.
            level = below - 0.3 * (place if place < left else k - 1 - place)
            edge = 1 if place < left else max(k, 2)
            axes.plot([rank, rank, edge], [0, level, level], color=shade[name], lw=1, clip_on=False)
            text = f"{name} {rank:.2f} " if place < left else f" {name} {rank:.2f}"
            axes.text(edge, level, text, va="center", ha="right" if place < left else "left", color=shade[name])
    return figure


def cliques(ranks: list[float], critical: float) -> list[tuple[int, int]]:
    """Return the longest stretches of ascending ranks whose ends do not differ, as (first, last), of two or more."""
    out: list[tuple[int, int]] = []
    for first, rank in enumerate(ranks):
        last = max(at for at in range(first, len(ranks)) if ranks[at] - rank < critical or at == first)
        if last > first and not (out and out[-1][1] >= last):
            out.append((first, last))
    return out
