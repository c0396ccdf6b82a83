"""Tables of the pages that are printed from data."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def row(cells: Iterable[str]) -> str:
    """Return a row of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def table(header: Sequence[str], words: int, rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, a newline at its end; its first `words` columns are text, the rest numbers."""
    return "\n".join([row(header), "|" + "---|" * words + "---:|" * (len(header) - words), *map(row, rows), ""])
