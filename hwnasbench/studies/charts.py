"""The interactive pictures of a report (plotly)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.errors import MissingExtra
from hwnasbench.studies.palette import CLOUD, FRONT, colours, faint

try:
    import plotly.graph_objects as go
    from plotly.offline import get_plotlyjs
except ImportError as error:
    raise MissingExtra("the report of a study needs plotly: pip install 'hwnasbench[study]'") from error

if TYPE_CHECKING:
    import pandas as pd

    from hwnasbench.studies.landscape import Landscape
    from hwnasbench.studies.statistics import Outcome, Ranks

#: Points of a space that are drawn, at most: a browser draws each as an element.
_MOST = 2000
_UNITS = {"evaluation": "evaluations", "seconds": "simulated seconds of training"}
_LAYOUT: dict[str, Any] = {
    "template": "plotly_white",
    "margin": {"l": 70, "r": 20, "t": 30, "b": 55},
    "height": 430,
    "legend": {"groupclick": "togglegroup"},
}


def script() -> str:
    """Return plotly's own JavaScript, which every chart of a page shares."""
    return str(get_plotlyjs())


def div(figure: Any, name: str) -> str:
    """Return a chart as HTML; the name is its id."""
    config = {"displaylogo": False, "responsive": True}
    return str(figure.to_html(full_html=False, include_plotlyjs=False, div_id=name, config=config))


def anytime(found: Outcome, table: pd.DataFrame) -> Any:
    """Draw the median of each searcher over the budget, and the quartiles as a band."""
    figure = go.Figure()
    for searcher, colour in colours(list(found.values)).items():
        rows = table[table["searcher"] == searcher]
        along, low, high = (rows[name].to_numpy(np.float64) for name in (found.unit, "q25", "q75"))
        known = np.isfinite(low) & np.isfinite(high)
        band = {
            "legendgroup": searcher,
            "mode": "lines",
            "line": {"width": 0},
            "hoverinfo": "skip",
            "showlegend": False,
        }
        figure.add_scatter(x=along[known], y=high[known], name=f"{searcher}, quartiles", **band)
        figure.add_scatter(x=along[known], y=low[known], fill="tonexty", fillcolor=faint(colour, 0.18), **band)
        figure.add_scatter(
            x=along,
            y=rows["median"].to_numpy(np.float64),
            name=searcher,
            legendgroup=searcher,
            mode="lines",
            line={"color": colour, "width": 2},
        )
    figure.update_layout(**_LAYOUT, hovermode="x unified", updatemenus=[_scales("x", 0.0), _scales("y", 0.22)])
    figure.update_xaxes(title=_UNITS[found.unit], type="log")
    figure.update_yaxes(title=f"{found.measure}, as reported")
    return figure


def _scales(axis: str, x: float) -> dict[str, Any]:
    """Return buttons that make an axis linear or logarithmic."""
    buttons = [
        {"label": f"{axis} {kind}", "method": "relayout", "args": [{f"{axis}axis.type": kind}]}
        for kind in (("log", "linear") if axis == "x" else ("linear", "log"))
    ]
    return {"buttons": buttons, "type": "buttons", "direction": "right", "x": x, "y": 1.12, "xanchor": "left"}


def pareto(seen: Landscape) -> Any:
    """Draw the space, what nothing of it beats, and what the searchers found."""
    figure = go.Figure()
    step = max(1, -(-len(seen.cloud) // _MOST))
    shown = seen.cloud[::step]
    if step > 1:
        count = f"{len(shown):,} of the space's {len(seen.cloud):,}"
    else:
        count = f"{len(shown):,} {'of the space' if seen.whole else 'drawn at random'}"
    small = {"mode": "markers", "hoverinfo": "skip"}
    figure.add_scatter(x=shown[:, 0], y=shown[:, 1], name=count, marker={"color": CLOUD, "size": 3}, **small)
    figure.add_scatter(
        x=seen.front[:, 0],
        y=seen.front[:, 1],
        name="Pareto front" if seen.whole else "its front",
        mode="lines+markers",
        line={"color": FRONT, "width": 1, "shape": "hv" if seen.less else "vh"},
        marker={"size": 4},
    )
    for searcher, colour in colours(list(seen.found)).items():
        points = seen.found[searcher]
        marker = {"color": colour, "size": 7, "opacity": 0.75}
        text = seen.archs[searcher]
        figure.add_scatter(x=points[:, 0], y=points[:, 1], name=searcher, mode="markers", marker=marker, text=text)
    if seen.x_limit is not None:
        figure.add_vline(seen.x_limit, line={"color": FRONT, "width": 1, "dash": "dot"})
    figure.update_layout(**_LAYOUT)
    figure.update_xaxes(title=seen.x)
    figure.update_yaxes(title=seen.y, range=_upper(seen))
    return figure


def _upper(seen: Landscape) -> list[float] | None:
    """Return the range of the better half of the space and all that was found: the rest is a zoom away."""
    groups = [points[:, 1] for points in (*seen.found.values(), seen.front) if len(points)]
    if not groups or not len(seen.cloud):
        return None
    low = min(float(np.percentile(seen.cloud[:, 1], 50)), *(float(values.min()) for values in groups))
    high = max(float(values.max()) for values in groups)
    pad = 0.05 * (high - low or 1.0)
    return [low - pad, high + pad]


def ranks(found: Ranks) -> Any:
    """Draw the mean rank of each searcher, with half the critical difference to either side: bars apart differ."""
    ordered = sorted(found.mean.items(), key=lambda item: (-item[1], item[0]))
    shade = colours(list(found.mean))
    half = found.critical / 2 if np.isfinite(found.critical) else 0.0
    figure = go.Figure()
    figure.add_scatter(
        x=[rank for _, rank in ordered],
        y=[name for name, _ in ordered],
        mode="markers",
        marker={"size": 11, "color": [shade[name] for name, _ in ordered]},
        error_x={"type": "constant", "value": half, "color": FRONT, "thickness": 1},
        showlegend=False,
    )
    figure.update_layout(**{**_LAYOUT, "height": 130 + 34 * len(ordered)})
    figure.update_xaxes(title="mean rank (1 is the best), with half the critical difference to either side")
    return figure
