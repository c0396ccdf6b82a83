"""TinyNAS on a V100: single convolutions, no column; see `data_builders.operators.tinynas_v100`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data_builders.catalog import Folder
    from hwnasbench.tables.write import ColumnData


def columns(files: Folder) -> Iterator[ColumnData]:
    """Yield nothing: single convolutions are no network."""
    yield from ()
