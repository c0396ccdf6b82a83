"""From an importer's columns to one table a space."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pyarrow as pa

from data_builders import catalog
from hwnasbench.errors import CorruptFile
from hwnasbench.tables.schema import OBSERVATIONS
from hwnasbench.tables.write import concat
from hwnasbench.vocabulary import KEYS

if TYPE_CHECKING:
    from data_builders.catalog import Folder


def import_tables(files: Folder) -> dict[str, tuple[pa.Table, int]]:
    """Run a source's importer and return (table, number of columns) by space.

    The table's text columns share one dictionary each, and columns come in the importer's order,
    so that the same files give the same table.

    Raises
    ------
    CorruptFile
        When a file is not what the importer expects, or two columns have the same keys.
    """
    by_space: dict[str, list[pa.Table]] = defaultdict(list)
    seen = set()
    for column in catalog.importer(files.source).columns(files):
        key = (column.space, column.metric, *(column.keys.get(name) for name in KEYS))
        if key in seen:
            raise CorruptFile(f"source {files.source.id}: two columns have the keys {key}")
        seen.add(key)
        by_space[column.space].append(column.to_table())
    return {space: (_with_metadata(concat(tables)), len(tables)) for space, tables in sorted(by_space.items())}


def _with_metadata(table: pa.Table) -> pa.Table:
    return table.replace_schema_metadata(OBSERVATIONS.metadata)
