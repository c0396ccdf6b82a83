"""The colours of searchers, in all pictures the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Matplotlib's tab10 without its grey, then darker ones.
_COLOURS = (
    "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#bcbd22", "#17becf",
    "#0b3c5d", "#7f3b08", "#134d13", "#67000d", "#3f007d", "#4d2c24", "#7a0177", "#5c5c00", "#00505a",
)  # fmt: skip
FRONT, CLOUD = "#222222", "#b8b8b8"


def colours(searchers: Sequence[str]) -> dict[str, str]:
    """Return a colour for each searcher, by its place in the study."""
    return {name: _COLOURS[place % len(_COLOURS)] for place, name in enumerate(searchers)}


def faint(colour: str, opacity: float) -> str:
    """Return a colour that lets others through, as CSS writes it."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
