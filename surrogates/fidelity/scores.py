"""Held-out scores of devices' fits, as rows of the page's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwnasbench.devices.parameters import fit_of

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Fields of a scorecard and the heads of their columns.
_HEADS = {"n": "n", "mape": "MAPE [%]", "median_error": "median error [%]", "spearman": "Spearman"}
HEAD = " | ".join(_HEADS.values())


def of_card(card: dict[str, Any], *more: str) -> str:
    """Return the cells below `HEAD` of one scorecard, and of more of its fields."""
    return " | ".join(str(card[key]) for key in (*_HEADS, *more))


def of_networks(devices: Sequence[str]) -> list[str]:
    """Return a table of devices fitted to whole networks: what they were fitted to, and how well."""
    lines = [f"| device | fitted to | {HEAD} |", "|---" * (2 + len(_HEADS)) + "|"]
    for device in devices:
        for card in fit_of(device)["scorecards"]:
            lines.append(f"| {device} | {card['source'].rpartition(' (')[0]} | {of_card(card)} |")
    return lines
