"""Derive the column store from the Parquet tables.

The same tables give the same bytes. A store is written into a new folder and switched to by
renaming one small file, so that a reader never sees half of it and a mapped file never changes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench import spaces
from hwnasbench.devices import load_catalog
from hwnasbench.errors import CorruptFile, StaleStore, StorageError
from hwnasbench.spaces.defaults import load_defaults
from hwnasbench.tables.records import Arrays, columns_of, model_record
from hwnasbench.tables.schema import SCHEMA_VERSION
from hwnasbench.tables.store import DATA_FILE, FORMAT, INDEX_FILE, Store
from hwnasbench.tables.user import POINTER_FILE, USER_TABLES
from hwnasbench.tables.write import atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def build_store(
    tables: Iterable[Path],
    folder: Path,
    release: str | None,
    sources: Mapping[str, Mapping[str, Any]],
    root: Path,
    models: Iterable[Path] = (),
) -> str:
    """Write the column store of `tables` into `folder` and return its fingerprint.

    Parameters
    ----------
    tables : iterable of Path
        Parquet files of the observation or the look-up schema.
    folder : Path
        Created; its two files are written whole or not at all.
    release : str or None
        Name of the data; None takes ``built-`` and the fingerprint's first 12 digits.
    sources : mapping
        Source id to title, repository, commit, licence, citation, priority.
    root : Path
        Tables and models are recorded relative to this folder; `folder` lies in it.
    models : iterable of Path
        Model files, one a column; see `hwnasbench.predictors.arrays`. The store names them and holds none of them.

    Raises
    ------
    CorruptFile
        When a table is damaged or two tables hold the same column.
    StorageError
        When the folder cannot be written.
    """
    tables = sorted(tables)
    arrays = Arrays()
    records: dict[str, dict[str, Any]] = {}
    digests: dict[str, str] = {}
    residuals: dict[str, dict[str, Any]] = {}
    models = sorted(models)
    for path in (*tables, *models):
        found_here = [model_record(path, root)] if path in models else columns_of(path, arrays)
        for record, digest in found_here:
            name = json.dumps([record["space"], record["metric"], record["keys"], record["source"]], sort_keys=True)
            known = residuals if "quantiles" in record else records
            if name in known:
                raise CorruptFile(f"{path} holds the column {name} a second time")
            known[name] = record
            digests[f"{name} residuals" if "quantiles" in record else name] = digest
    for name, found in residuals.items():
        if name not in records:
            raise CorruptFile(f"intervals of {name}, which no table holds; expected a column")
        records[name]["quantiles"] = found["quantiles"]
    fingerprint = hashlib.sha256("\n".join(f"{n} {digests[n]}" for n in sorted(digests)).encode()).hexdigest()
    order = {
        name: arrays.add(np.array(space.index_by_code()), "u2")
        for name in spaces.names()
        if (space := spaces.get(name)).enumerable
    }
    content = b"".join(arrays.chunks)
    index = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "sha256": hashlib.sha256(content).hexdigest(),
        "release": release or f"built-{fingerprint[:12]}",
        "fingerprint": fingerprint,
        "bytes": arrays.size,
        "inputs": {path.relative_to(root).as_posix(): _stamp(path, release is not None) for path in (*tables, *models)},
        "devices": {name: device.to_dict() for name, device in load_catalog().items()},
        "sources": {name: dict(sources[name]) for name in sorted(sources)},
        "defaults": load_defaults(),
        "order": order,
        "arrays": arrays.table,
        "columns": [records[name] for name in sorted(records)],
    }
    atomically(folder / DATA_FILE, lambda path: path.write_bytes(content))
    text = json.dumps(index, ensure_ascii=False, separators=(",", ":"))
    atomically(folder / INDEX_FILE, lambda path: path.write_text(text, "utf-8"))
    return fingerprint


def _stamp(path: Path, content: bool) -> Any:
    """Say which bytes of a table went in: their hash, or for a user's own table size and time."""
    if content:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def build_shipped_store(data_dir: Path, release: str, sources: Mapping[str, Mapping[str, Any]]) -> str:
    """Write ``data_dir/store`` from the tables and the columns' models in `data_dir`, and return the fingerprint."""
    tables, models = (data_dir / "tables").glob("*.parquet"), (data_dir / "models" / "columns").glob("*.npz")
    return build_store(tables, data_dir / "store", release, sources, data_dir, models)


def _is_whole(folder: Path) -> bool:
    """Whether a store is there and none of its bytes was changed."""
    try:
        Store(folder).verify()
    except (CorruptFile, StaleStore):
        return False
    return True


def build_user_store(home: Path, sources: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write the store of the user's own tables and switch to it.

    Parameters
    ----------
    home : Path
        The data folder; its tables are ``home/tables/**/*.parquet`` and ``home/lookups/**/*.parquet``.
    sources : mapping
        Source id to its record.

    Returns
    -------
    Path
        The new store folder.
    """
    base = home / "store"
    try:
        base.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write {base}: {error.strerror}; expected a writable folder") from error
    fresh = base / "incoming"
    try:
        tables = [path for part in USER_TABLES for path in (home / part).rglob("*.parquet")]
        fingerprint = build_store(tables, fresh, None, sources, home)
        name = f"{fingerprint[:12]}-{hashlib.sha256((fresh / INDEX_FILE).read_bytes()).hexdigest()[:12]}"
        target = base / name
        if not _is_whole(target):
            shutil.rmtree(target, ignore_errors=True)
            fresh.replace(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    atomically(base / POINTER_FILE, lambda path: path.write_text(name, "utf-8"))
    for other in base.iterdir():
        if other.is_dir() and other.name != name:
            # On systems that refuse to remove a mapped file the old store stays until the next build.
            shutil.rmtree(other, ignore_errors=True)
    return target
