"""From published files to Parquet tables in the user's data folder."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_builders import catalog
from data_builders.lock import lock
from hwnasbench import executors
from hwnasbench.errors import ChecksumMismatch, DownloadFailed, SourceMissing
from hwnasbench.tables.schema import SCHEMA_VERSION
from hwnasbench.tables.write import atomically, write_table

if TYPE_CHECKING:
    from collections.abc import Sequence


#: Raised when an importer's result changes, so that what an older one built is built again.
BUILDER_VERSION = 4
_RECORD = "built.json"


@dataclass
class Report:
    """What a build did.

    Attributes
    ----------
    built, kept, empty, missing : dict
        Source id to a short remark: written now; already there from the same input; without a
        row of a registered space; without files.
    """

    built: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    empty: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def build(
    ids: Sequence[str] = (),
    *,
    home: Path,
    sources: Path | None = None,
    executor: Executor | None = None,
    store: bool = True,
) -> Report:
    """Build the tables of sources into ``home/tables/<id>/<space>.parquet``.

    What is already there from the same input is kept, so that a killed build resumes. The same
    input gives the same bytes.

    Parameters
    ----------
    ids : sequence of str
        Sources to build; all whose files are there, where empty.
    home : Path
        The data folder.
    sources : Path, optional
        Folder with the files of source ID under ``ID/``; where `hwnasbench fetch` puts them by
        default.
    executor : concurrent.futures.Executor, optional
        Where the importers run; processes of this machine by default.
    store : bool
        Whether to derive the column store afterwards.

    Raises
    ------
    UnknownName, SourceMissing, DownloadFailed, ChecksumMismatch, CorruptFile, BuildLocked, StorageError
    """
    chosen = [catalog.get(name) for name in dict.fromkeys(ids or catalog.names())]
    report = Report()
    folders = []
    for source in chosen:
        try:
            folder = locate(source, home, sources, download=bool(ids) or sources is not None)
        except DownloadFailed as error:
            if ids:
                raise
            report.missing[source.id] = str(error)
            continue
        if not folder.missing:
            folders.append(folder)
        elif ids:
            folder.path(folder.missing[0])
        else:
            report.missing[source.id] = f"{len(folder.missing)} files missing under {folder.root}"
    if not folders:
        where = sources or home / "sources"
        raise SourceMissing(f"no source's files are under {where}; run `hwnasbench fetch`, or pass --from DIR")
    with lock(home):
        _sweep(home)
        _run(folders, home, executor, report)
        if store:
            from hwnasbench.tables.store_builder import build_user_store

            build_user_store(home, source_records())
    return report


def source_records() -> dict[str, dict[str, Any]]:
    """Return what a store keeps of every source: title, repository, commit, licence, citation, priority."""
    kept = {"title", "repository", "commit", "licence", "citation", "priority"}
    return {name: catalog.get(name).model_dump(include=kept) for name in catalog.names()}


def locate(source: catalog.Source, home: Path, sources: Path | None, download: bool = True) -> catalog.Folder:
    """Return where the files of `source` are: under `sources`, else where `fetch` puts them.

    A package that is in neither place is downloaded with pip's own client where `download` says so:
    a folder of published files cannot hold it, but a build of what was fetched stays offline.
    """
    fetched = home / "sources" / source.id
    folder = catalog.Folder(source, (sources / source.id) if sources else fetched)
    if folder.missing and source.package is not None:
        folder = catalog.Folder(source, fetched)
        if folder.missing and download:
            from data_builders.fetch import fetch_package

            fetch_package(source, fetched)
    return folder


def _run(folders: list[catalog.Folder], home: Path, executor: Executor | None, report: Report) -> None:
    jobs = []
    for folder in folders:
        target = home / "tables" / folder.source.id
        digests = checksums(folder)
        if _is_built(target, digests):
            record = json.loads((target / _RECORD).read_text("utf-8"))
            (report.kept if _has_rows(record) else report.empty)[folder.source.id] = _remark(record)
        else:
            jobs.append((folder, target, digests))
    if executor is None and len(jobs) > 1 and (os.cpu_count() or 1) > 1:
        with executors.processes(min(len(jobs), os.cpu_count() or 1)) as pool:
            _submit(jobs, pool, report)
    else:
        _submit(jobs, executor, report)


def _submit(jobs: list[tuple[catalog.Folder, Path, dict[str, str]]], pool: Executor | None, report: Report) -> None:
    if pool is None:
        for folder, target, digests in jobs:
            _note(folder.source.id, build_one(folder, target, digests), report)
        return
    futures: list[tuple[str, Future[dict[str, Any]]]] = [
        (folder.source.id, pool.submit(build_one, folder, target, digests)) for folder, target, digests in jobs
    ]
    try:
        for name, future in futures:
            _note(name, future.result(), report)
    finally:
        for _, future in futures:
            future.cancel()


def _note(name: str, record: dict[str, Any], report: Report) -> None:
    (report.built if _has_rows(record) else report.empty)[name] = _remark(record)


def _has_rows(record: dict[str, Any]) -> bool:
    return bool(record["tables"] or record["lookups"])


def _remark(record: dict[str, Any]) -> str:
    if not _has_rows(record):
        return "no rows of a registered space"
    told = [f"{space}: {t['columns']} columns, {t['rows']} rows" for space, t in record["tables"].items()]
    return ", ".join([*told, *(f"{space}: a look-up table" for space in record["lookups"])])


def build_one(folder: catalog.Folder, target: Path, digests: dict[str, str]) -> dict[str, Any]:
    """Import one source and write its tables and, last, the record that says they are whole."""
    from data_builders.sources_tables import import_tables

    tables = import_tables(folder)
    lookups = catalog.lookups(folder.source, folder)
    # What a killed build left half-written, and tables that this source no longer has.
    stale = [*target.glob(".*.partial"), *(path for path in target.glob("*.parquet") if path.stem not in tables)]
    for path in stale:
        path.unlink()
    written: dict[str, Any] = {}
    for space, (table, columns) in tables.items():
        path = target / f"{space}.parquet"
        write_table(table, path)
        written[space] = {"columns": columns, "rows": table.num_rows, "sha256": file_digest(path)}
    looked_up: dict[str, str] = {}
    for space, table in lookups.items():
        path = _lookup_path(target, space)
        write_table(table, path)
        looked_up[space] = file_digest(path)
    record = {"source": folder.source.id, "inputs": digests, **_versions(), "tables": written, "lookups": looked_up}
    text = json.dumps(record, indent=1, sort_keys=True) + "\n"
    atomically(target / _RECORD, lambda temporary: temporary.write_text(text, "utf-8"))
    return record


def _lookup_path(target: Path, space: str) -> Path:
    """Beside the tables, not among them: they have another schema, and one SQL query reads all tables."""
    return target.parents[1] / "lookups" / target.name / f"{space}.parquet"


def _versions() -> dict[str, int]:
    return {"schema": SCHEMA_VERSION, "builder": BUILDER_VERSION}


def _is_built(target: Path, digests: dict[str, str]) -> bool:
    try:
        record = json.loads((target / _RECORD).read_text("utf-8"))
        return (
            record["inputs"] == digests
            and all(record[name] == version for name, version in _versions().items())
            and all(
                file_digest(target / f"{space}.parquet") == table["sha256"] for space, table in record["tables"].items()
            )
            and all(file_digest(_lookup_path(target, space)) == digest for space, digest in record["lookups"].items())
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def checksums(folder: catalog.Folder) -> dict[str, str]:
    """Return the SHA-256 of every file of a source, checked against the pinned ones.

    Raises
    ------
    ChecksumMismatch
        When a file is not the pinned one.
    """
    found = {}
    for file in folder.source.files:
        path = folder.path(file.path)
        found[file.path] = file_digest(path)
        if file.sha256 is not None and found[file.path] != file.sha256:
            raise ChecksumMismatch(
                f"{path} has SHA-256 {found[file.path]} ({path.stat().st_size} bytes); expected {file.sha256} "
                f"({file.bytes} bytes); fetch it again"
            )
    return found


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _sweep(home: Path) -> None:
    """Remove what killed builds left half-written; nobody else writes tables while the lock is held."""
    for part in ("tables", "lookups"):
        for left in (home / part).rglob(".*.partial"):
            left.unlink(missing_ok=True)
