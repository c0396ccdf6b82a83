"""Runs as tidy Parquet: in chunks while a study goes on, and in one table when it is done."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hwnasbench.errors import CorruptFile
from hwnasbench.tables.write import atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

#: Under this key of a Parquet file's metadata is what it holds, as JSON.
_ABOUT = b"hwnasbench"
_WORD = pa.dictionary(pa.int32(), pa.string())
#: The columns of every study, in order; those of its objectives' metrics follow.
_SCHEMA = (
    ("problem", _WORD),
    ("searcher", _WORD),
    ("seed", pa.int32()),
    ("evaluation", pa.int32()),
    ("seconds", pa.float64()),
    ("epochs", pa.int32()),
    ("arch", _WORD),
    ("score", pa.float64()),
    ("incumbent", pa.int32()),
    ("report_score", pa.float64()),
)
_WRITING: dict[str, Any] = {"compression": "zstd", "dictionary_pagesize_limit": 1 << 24}


def encode(tables: Sequence[pa.Table], about: dict[str, Any]) -> bytes:
    """Return the bytes of a Parquet file of the rows of tables; they depend on these alone."""
    sink = io.BytesIO()
    whole = pa.concat_tables(tables, promote_options="default") if tables else pa.table({})
    pq.write_table(whole.replace_schema_metadata({_ABOUT: json.dumps(about)}), sink, **_WRITING)
    return sink.getvalue()


def read(path: Path, filters: pc.Expression | None = None) -> pa.Table:
    """Read a file of runs, or those of its rows that a filter keeps.

    Raises
    ------
    CorruptFile
    """
    try:
        return pq.read_table(path, filters=filters, partitioning=None)
    except (pa.ArrowInvalid, pa.ArrowException, OSError) as error:
        raise CorruptFile(f"{path} cannot be read as Parquet: {error}; delete it and run the study again") from error


def decode(file: bytes) -> pa.Table:
    """Return the rows of `encode`."""
    return pq.read_table(io.BytesIO(file))


def by_seed(tables: Sequence[pa.Table], seeds: Sequence[int]) -> list[pa.Table]:
    """Return the rows of each seed."""
    whole = pa.concat_tables(tables, promote_options="default")
    return [whole.filter(pc.equal(whole["seed"], seed)) for seed in seeds]


def about(path: Path) -> dict[str, Any]:
    """Return what a file of runs says that it holds.

    Raises
    ------
    CorruptFile
    """
    try:
        metadata = pq.read_schema(path).metadata or {}
        found: dict[str, Any] = json.loads(metadata[_ABOUT])
    except (pa.ArrowInvalid, pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise CorruptFile(f"{path} is no file of runs: {error}; delete it and run the study again") from error
    return found


def assemble(path: Path, parts: Iterable[tuple[str, Sequence[tuple[str, Path]]]], said: dict[str, Any]) -> None:
    """Write the runs of a study into one table: one row group a problem.

    Parameters
    ----------
    path : Path
    parts : iterable of (problem, [(searcher, file), ...])
    said : dict
        What the table holds; see `about`.
    """
    listed = list(parts)
    names: dict[str, pa.DataType] = dict(_SCHEMA)
    for _, files in listed:
        for _, file in files[:1]:
            names |= {field.name: field.type for field in pq.read_schema(file) if field.name not in names}
    order = sorted(names, key=lambda name: (not name.startswith("score"), name) if name not in dict(_SCHEMA) else ())
    schema = pa.schema([(name, names[name]) for name in order], metadata={_ABOUT: json.dumps(said)})

    def write(temporary: Path) -> None:
        with pq.ParquetWriter(temporary, schema, **_WRITING) as writer:
            for problem, files in listed:
                tables = [_filled(table, schema) for table in _named(problem, files)]
                whole = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
                writer.write_table(whole, row_group_size=max(1, whole.num_rows))

    atomically(path, write)


def _named(problem: str, files: Sequence[tuple[str, Path]]) -> Iterator[pa.Table]:
    for searcher, file in files:
        table = read(file).replace_schema_metadata(None)
        for name, word in (("searcher", searcher), ("problem", problem)):
            table = table.append_column(name, pa.array([word] * table.num_rows, pa.string()))
        yield table


def _filled(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table with every column of a schema, null where it has none."""
    columns = []
    for field in schema:
        if field.name not in table.column_names:
            columns.append(pa.chunked_array([pa.nulls(table.num_rows, field.type)]))
            continue
        column = table[field.name].combine_chunks()
        columns.append(pa.chunked_array([pc.dictionary_encode(column) if field.type == _WORD else column]))
    return pa.table(columns, schema=schema)
