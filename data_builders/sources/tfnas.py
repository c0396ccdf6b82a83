"""TF-NAS: blocks of no registered space, no column; see `data_builders.operators.tfnas`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data_builders.catalog import Folder
    from hwnasbench.tables.write import ColumnData


def columns(files: Folder) -> Iterator[ColumnData]:
    """Yield nothing: its blocks belong to no registered space."""
    yield from ()
