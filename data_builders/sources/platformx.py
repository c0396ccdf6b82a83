"""Convolutions on two Pixels: no column of a search space; see `data_builders.operators.platformx`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data_builders.catalog import Folder
    from hwnasbench.tables.write import ColumnData


def columns(files: Folder) -> Iterator[ColumnData]:
    """Yield nothing: its kernels are no architecture of a registered space."""
    yield from ()
