"""Writing what ships: tables, scorecards, closed forms and the manifest, the same bytes every time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from data_builders import proxies_table
from data_builders.checkout import commit
from data_builders.measure import published
from hwnasbench.tables.schema import INTERVALS, LOOKUPS, OBSERVATIONS
from hwnasbench.tables.write import ColumnData, atomically, concat, read_table, split_columns, write_table
from surrogates import RELEASE, columns, scorecard

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hwnasbench.spaces import Space

#: The source of what the library counts itself.
COUNTS_SOURCE = "hwnasbench-counts"
COUNTS_RECORD = {
    "title": "Counts of the library's own layer tables",
    "repository": "",
    "commit": "",
    "licence": "Apache-2.0",
    "priority": 0,
    "citation": """@software{hwnasbench,
  title   = {hwnasbench: a benchmark data set and query library for hardware-aware neural architecture search},
  author  = {{The hwnasbench developers}},
  license = {Apache-2.0},
  year    = {2026}
}
""",
}
#: What ships beside the trained columns: source to its record.
OWN_RECORDS = {
    COUNTS_SOURCE: COUNTS_RECORD,
    proxies_table.SOURCE: proxies_table.RECORD,
    published.SOURCE: published.RECORD,
}
#: What the tables of proxies and of measurements were made from.
PROXIES = "proxies.json"
MEASUREMENTS = "measurements.json"


def write_columns(path: Path, new: dict[str, pa.Table], keep: bool) -> list[str]:
    """Write columns to one table, sorted by name.

    Parameters
    ----------
    path : Path
    new : dict of str to pyarrow.Table
        Column name to its rows.
    keep : bool
        Keep the table's other columns, for a training of some columns only.

    Returns
    -------
    list of str
        Names of all columns now in the table.
    """
    pieces = dict(new)
    if keep and path.exists():
        for piece in split_columns(read_table(path)):
            pieces.setdefault(columns.table_name(piece), piece)
    write_table(_fresh(concat(pieces[name] for name in sorted(pieces))), path)
    return sorted(pieces)


def _fresh(table: pa.Table) -> pa.Table:
    """Make the dictionaries of text columns anew, so that they depend on the rows alone."""
    schema = next(schema for schema in (OBSERVATIONS, LOOKUPS, INTERVALS) if schema.metadata == table.schema.metadata)
    arrays = []
    for field in schema:
        column = table[field.name]
        if pa.types.is_dictionary(field.type):
            column = column.cast(pa.string()).combine_chunks().dictionary_encode()
        arrays.append(column)
    return pa.Table.from_arrays(arrays, schema=schema)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content` with sorted keys, whole or not at all."""
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    atomically(path, lambda temporary: temporary.write_text(text, "utf-8"))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; an absent file is an empty one."""
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}


def counts_columns(space: Space) -> dict[str, pa.Table]:
    """Count parameters and multiply-accumulates of every architecture, one column a data set and metric."""
    from hwnasbench.networks.counts import count_many

    index = np.arange(len(space))
    archs = [space.format(arch) for arch in space]
    vectors = space.vectors([space.from_index(int(i)) for i in index])
    out = {}
    for dataset in space.datasets:
        counts = count_many(space, vectors, dataset)
        for metric in ("params", "macs"):
            table = ColumnData(
                space=space.name,
                metric=metric,
                source=COUNTS_SOURCE,
                kind="simulated",
                archs=archs,
                values=np.asarray(counts[metric], np.float64),
                arch_index=index,
                keys={"dataset": dataset},
                std=np.zeros(len(archs)),
            ).to_table()
            out[columns.table_name(table)] = table
    return out


def write_proxies(space: Space, chunks: Path, data: Path) -> Path:
    """Write the table of proxies of a space, what it was made from, and the release, and return the table.

    Parameters
    ----------
    space : Space
    chunks : Path
        Folder of an evaluation's files.
    data : Path

    Raises
    ------
    SourceMissing
        When a chunk is missing; nothing is written.
    CorruptFile, StorageError
    """
    path = data / "tables" / f"{space.name}_{proxies_table.SOURCE}.parquet"
    made = {"command": f"hwnasbench proxies {space.name} --from DIR", "commit": commit()}
    made |= proxies_table.collect(space, chunks, path)
    write_json(data / PROXIES, {**read_json(data / PROXIES), space.name: made})
    if (data / "manifest.json").exists():
        write_json(data / "manifest.json", {**read_json(data / "manifest.json"), "release": RELEASE})
    return path


def write_measurements(folder: Path, data: Path) -> list[Path]:
    """Write the tables of the project's own measurements, what they were made from, and the release; return them.

    Parameters
    ----------
    folder : Path
        Of raw samples, see `data_builders.measure.published.read`.
    data : Path

    Raises
    ------
    SourceMissing, CorruptFile, StorageError
    """
    samples = published.read(folder)
    lookups, made = published.lookups(samples)
    tables = {f"{published.SOURCE}_lookups": lookups}
    measured, timed = published.cell_table(samples)
    if measured is not None:
        tables[f"{published.CELLS}_{published.SOURCE}"] = measured
    paths = [data / "tables" / f"{name}.parquet" for name in tables]
    for path, table in zip(paths, tables.values(), strict=True):
        write_table(table, path)
    about = {"command": "hwnasbench measurements --from DIR", "commit": commit(), "files": made | timed}
    write_json(data / MEASUREMENTS, about)
    if (data / "manifest.json").exists():
        write_json(data / "manifest.json", {**read_json(data / "manifest.json"), "release": RELEASE})
    return paths


def inputs_of(tables: Path) -> dict[str, str]:
    """Return the SHA-256 of every published file behind built tables, as the build recorded it."""
    out = {}
    for path in sorted(tables.glob("*/built.json")):
        for name, digest in read_json(path)["inputs"].items():
            out[f"{path.parent.name}/{name}"] = digest
    return out


def manifest(inputs: dict[str, str], chosen: Iterable[str]) -> dict[str, Any]:
    """Say what the shipped data was made from and with.

    Parameters
    ----------
    inputs : dict
        SHA-256 of each published file.
    chosen : iterable of str
        The columns named on the command line.
    """
    return {
        "command": " ".join(["hwnasbench train", *chosen, "--from DIR"]),
        "commit": commit(),
        "inputs": inputs,
        "libraries": scorecard.libraries(),
        "release": RELEASE,
    }
