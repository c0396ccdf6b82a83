"""Single-Path NAS on a Pixel 1: blocks without stem and head, no column; see `data_builders.operators.spnas_pixel1`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data_builders.catalog import Folder
    from hwnasbench.tables.write import ColumnData


def columns(files: Folder) -> Iterator[ColumnData]:
    """Yield nothing: it has neither the stem nor the head of a network."""
    yield from ()
