"""Asks an oracle about many layers, in chunks, so that a killed run resumes; then writes its table."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import as_completed
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_builders import simulate
from data_builders.checkout import commit
from hwnasbench import executors
from hwnasbench.errors import CorruptFile, InvalidRequest, UnknownName
from hwnasbench.networks import LAYER
from hwnasbench.tables.write import atomically, write_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

    from numpy.typing import NDArray

#: Layers of one target in a chunk.
CHUNK = 10


def run(
    backend: str,
    layers: NDArray[np.void],
    out: Path,
    targets: Sequence[str] = (),
    *,
    part: NDArray[np.int8] | None = None,
    known: Path | None = None,
    executor: Executor | None = None,
    workers: int = 1,
    say: Callable[[str], object] = lambda text: None,
) -> Path:
    """Ask an oracle about every layer on every target and write ``OUT/<backend>.parquet``.

    Each chunk is a file of its own, named by all that its numbers depend on, and kept: one that is there is not
    computed again. The same layers and settings give the same rows.

    Parameters
    ----------
    backend : str
        Name of an oracle.
    layers : (n,) ndarray of LAYER
        What it is asked about.
    out : Path
        Folder of the table and of the chunks.
    targets : sequence of str
        Some of the oracle's; all where empty.
    part : (n,) ndarray of int8, optional
        The part of the table that each layer belongs to, its last column; 0 by default.
    known : Path, optional
        An earlier table, whose rows are taken over instead of asked for again.
    executor : concurrent.futures.Executor, optional
        Where chunks are computed; processes of this machine by default. Its workers write to `out`.
    workers : int
        How many processes, where there is no executor.
    say : callable
        Told of each finished chunk.

    Returns
    -------
    Path
        The table: one row a target and layer, with the columns of LAYER, ``target``, ``status``, the oracle's and
        ``part``. Numbers are null where the status is not ``ok``.

    Raises
    ------
    UnknownName, InvalidRequest, MissingExtra, StorageError
        InvalidRequest where the tool's version or settings are not those of the earlier table.
    """
    tool = simulate.get(backend)
    chosen = tuple(dict.fromkeys(targets)) or tool.targets
    for target in chosen:
        if target not in tool.targets:
            raise UnknownName(f"target of {backend}", target, tool.targets)
    if not len(layers):
        raise InvalidRequest("no layers; expected 1 or more")
    settings = {target: tool.settings()[target] for target in chosen}
    about = {"tool": tool.name, "version": tool.version(), "settings": json.dumps(settings, sort_keys=True)}
    tables = [] if known is None else [_earlier(known, about)]
    had = {key for table in tables for key in _keys(table)}
    jobs = _jobs(out / f"{backend}.chunks", layers, chosen, about, had)
    waiting = [job for job in jobs if not job[3].exists()]
    if executor is not None:
        _compute(backend, waiting, executor, say)
    elif waiting:
        with executors.processes(min(workers, len(waiting))) as pool:
            _compute(backend, waiting, pool, say)
    tables += [pq.read_table(job[3], partitioning=None) for job in jobs]
    found = pa.concat_tables(tables, promote_options="default")
    place = {key: row for row, key in enumerate(_keys(found))}
    table = found.take([place[target, layer.tobytes()] for target in chosen for layer in layers]).combine_chunks()
    parts = np.zeros(len(layers), np.int8) if part is None else part
    table = table.append_column("part", pa.array(np.tile(parts, len(chosen))))
    path = out / f"{backend}.parquet"
    write_table(table.replace_schema_metadata(about | {"commit": commit()}), path)
    return path


_Job = tuple[int, int, tuple[str, "NDArray[np.void]"], Path]


def _earlier(path: Path, about: dict[str, str]) -> pa.Table:
    """Return the rows of an earlier table, without their part; refuse numbers that another run would not give."""
    try:
        table = pq.read_table(path, partitioning=None)
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error}") from error
    except pa.ArrowInvalid as error:
        raise CorruptFile(f"{path} is no Parquet table: {error}") from error
    noted = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    then, now = json.loads(noted.get("settings", "{}")), json.loads(about["settings"])
    pairs = [(name, noted.get(name), about[name]) for name in ("tool", "version")]
    pairs += [(f"settings of {target}", then.get(target), text) for target, text in now.items()]
    for name, old, new in pairs:
        if old != new:
            raise InvalidRequest(f"{path} has the {name} {old!r}; expected {new!r}: ask about all layers anew")
    return table.drop_columns(["part"]) if "part" in table.column_names else table


def _keys(table: pa.Table) -> list[tuple[str, bytes]]:
    """Return the target and the layer, as its bytes, of each row."""
    layers = np.zeros(table.num_rows, LAYER)
    for name in LAYER.names or ():
        layers[name] = table[name].to_numpy()
    return [(target, layer.tobytes()) for target, layer in zip(table["target"].to_pylist(), layers, strict=True)]


def _jobs(
    folder: Path,
    layers: NDArray[np.void],
    targets: tuple[str, ...],
    about: dict[str, str],
    had: set[tuple[str, bytes]],
) -> list[_Job]:
    """Return (number of the target, first layer, (target, layers), file), the first layers of all targets first."""
    jobs: list[_Job] = []
    asked = {target: [layer for layer in layers if (target, layer.tobytes()) not in had] for target in targets}
    for first in range(0, max(map(len, asked.values())), CHUNK):
        for number, target in enumerate(targets):
            part = np.array(asked[target][first : first + CHUNK], LAYER)
            if not len(part):
                continue
            identity = json.dumps([about["tool"], about["version"], target, json.loads(about["settings"])[target]])
            digest = hashlib.sha256(identity.encode() + part.tobytes()).hexdigest()[:16]
            jobs.append((number, first, (target, part), folder / f"{target}-{digest}.parquet"))
    return jobs


def _compute(backend: str, jobs: list[_Job], executor: Executor, say: Callable[[str], object]) -> None:
    futures = {executor.submit(evaluate_chunk, backend, *job[2], job[3]): job for job in jobs}
    try:
        for done, future in enumerate(as_completed(futures), 1):
            future.result()
            _, first, (target, part), _ = futures[future]
            say(f"{done}/{len(jobs)}: {target}, layers {first} to {first + len(part) - 1}")
    finally:
        for future in futures:
            future.cancel()


def evaluate_chunk(backend: str, target: str, layers: NDArray[np.void], path: Path) -> None:
    """Ask an oracle about some layers on one target and write the rows: the whole file or none."""
    answers = simulate.get(backend).evaluate_many(layers, target)
    columns = {name: pa.array(layers[name]) for name in LAYER.names or ()}
    columns["target"] = pa.array([target] * len(layers), pa.string())
    columns["status"] = pa.array([answer["status"] for answer in answers], pa.string())
    for name in dict.fromkeys(name for answer in answers for name in answer if name != "status"):
        columns[name] = pa.array([answer.get(name) for answer in answers])
    table = pa.table(columns)
    atomically(path, lambda temporary: pq.write_table(table, temporary, compression="zstd"))
