"""The table of zero-cost proxies that ships: from the chunks of an evaluation to one column a score and data set."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from data_builders.build import file_digest
from data_builders.proxies import SEEDS, distinct, jobs
from data_builders.proxy_times import Times, on_one_processor
from data_builders.rows import rounded
from hwnasbench import proxies
from hwnasbench.errors import CorruptFile, InvalidRequest, SourceMissing
from hwnasbench.tables.write import ColumnData, concat, read_table, write_table
from hwnasbench.vocabulary import STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from hwnasbench.spaces import Space

#: The source of the scores that the library computes itself.
SOURCE = "hwnasbench-proxies"
RECORD = {
    "title": "Zero-cost proxies, evaluated by this library",
    "repository": "",
    "commit": "",
    "licence": "Apache-2.0",
    "priority": 0,
    "citation": """@software{hwnasbench_proxies,
  title   = {hwnasbench: zero-cost proxies of whole spaces},
  author  = {{The hwnasbench developers}},
  license = {Apache-2.0},
  year    = {2026}
}
""",
}
#: What tells these scores from published ones.
BATCH = 16
KEYS: dict[str, str | int | None] = {"input": "gaussian", "batch": BATCH}
#: Counted exactly from the layer table, whatever the function: not in the table.
COUNTED = ("params", "macs")
#: Compares images of one class: where there are more classes than images hardly two share one, and it tells nothing.
BY_CLASS = ("epe_nas",)
_OK, _DISCONNECTED = STATUSES.index("ok"), STATUSES.index("disconnected")


def read(chunks: Sequence[tuple[Any, ...]], datasets: Sequence[str]) -> pd.DataFrame:
    """Read an evaluation's chunks.

    Parameters
    ----------
    chunks : sequence of tuple
        As `data_builders.proxies.jobs` returns them.
    datasets : sequence of str
        Of the space.

    Returns
    -------
    pandas.DataFrame
        One row an architecture, data set and seed: the scores, ``seconds``, ``torch``, ``machine``.

    Raises
    ------
    SourceMissing
        When a chunk is not there; the message says how many.
    CorruptFile
        When a chunk is damaged, lacks a row or holds a score that is not finite.
    """
    missing = [job[-1] for job in chunks if not job[-1].is_file()]
    if missing:
        raise SourceMissing(
            f"{len(missing)} of {len(chunks)} chunks are missing in {missing[0].parent}, {missing[0].name} the first; "
            "expected all: `hwnasbench proxies --evaluate` makes those that are not there"
        )
    return pd.concat([_chunk(job, datasets) for job in chunks], ignore_index=True)


def _chunk(job: tuple[Any, ...], datasets: Sequence[str]) -> pd.DataFrame:
    _, indices, seeds, path = job
    found: pd.DataFrame = read_table(path).to_pandas()
    names = [*proxies.names(), "seconds"]
    lacking = {"arch_index", "dataset", "seed", "torch", "machine", *names} - set(found.columns)
    if lacking:
        raise CorruptFile(f"{path} lacks the column {min(lacking)!r}; remove it and evaluate it again")
    rows = set(found[["arch_index", "dataset", "seed"]].itertuples(index=False, name=None))
    expected = {(index, dataset, seed) for index in indices for dataset in datasets for seed in seeds}
    if rows != expected or len(found) != len(expected):
        raise CorruptFile(f"{path} holds {len(found)} rows; expected each of {len(expected)} once: evaluate it again")
    for name in names:
        bad = found.loc[~np.isfinite(found[name].to_numpy(float)), "arch_index"]
        if len(bad):
            raise CorruptFile(f"{path}: {name} of architecture {bad.iloc[0]} is not finite; expected a number")
    return found


def columns(
    space: Space, scores: pd.DataFrame, evaluated: Sequence[int], times: Times | None = None
) -> Iterator[ColumnData]:
    """Yield one column a proxy and data set, and the time that scoring took.

    A value is the mean over seeds, its noise their sample standard deviation. Architectures of equal function have
    the value of the one that was evaluated. Those of `BY_CLASS` are left out of data sets with more classes than a
    batch has images. Times are those of one processor; see `on_one_processor`.

    Parameters
    ----------
    space : Space
        Enumerable.
    scores : pandas.DataFrame
        As `read` returns it.
    evaluated : sequence of int
        The architectures that were, as `data_builders.proxies.distinct` returns them; others of no such function are
        disconnected.
    times : Times, optional
        Of the scores; found by default.

    Raises
    ------
    InvalidRequest
        When one of those has no score, or there are fewer than two seeds.
    """
    seeds = scores["seed"].nunique()
    lacking = len(set(evaluated) - set(scores["arch_index"]))
    if lacking or seeds < 2:
        raise InvalidRequest(f"{lacking} architectures without a score, {seeds} seeds; expected none, and 2 or more")
    first: dict[str, int] = {}
    classes = np.array([first.setdefault(space.canonical(arch), index) for index, arch in enumerate(space)])
    # Equal values side by side halve the file.
    order = np.argsort(classes, kind="stable")
    archs, classes = [space.format(arch) for arch in space], classes[order]
    connected = np.isin(classes, evaluated)
    copied = connected & (classes != order)
    shared: dict[str, Any] = {
        "archs": [archs[index] for index in order],
        "arch_index": order,
        "status": np.where(connected, _OK, _DISCONNECTED).astype(np.int8),
        "n": seeds,
        "kinds": np.where(copied, "estimated", "measured").tolist(),
        "flags": ["copied" if one else None for one in copied],
    }
    metrics = {name: name for name in proxies.names() if name not in COUNTED} | {"seconds": "proxy_time"}
    times = times or on_one_processor(space, scores)
    scores = scores.assign(seconds=times.seconds)
    timed = set(scores["arch_index"][times.measured])
    clocked = ["measured" if index in timed else "estimated" for index in order]
    for dataset, part in scores.groupby("dataset", sort=True):
        grouped = part.groupby("arch_index")[list(metrics)]
        means, spreads = grouped.mean(), grouped.std(ddof=1)
        for name, metric in metrics.items():
            if name in BY_CLASS and space.network(space.from_index(evaluated[0]), str(dataset)).classes > BATCH:
                continue
            value, noise = (np.full(len(classes), np.nan) for _ in range(2))
            value[connected] = rounded(means[name].loc[classes[connected]].to_numpy())
            noise[connected] = rounded(spreads[name].loc[classes[connected]].to_numpy(), np.float16)
            keys = {**KEYS, "dataset": str(dataset)}
            how = {**shared, "kinds": clocked} if metric == "proxy_time" else shared
            yield ColumnData(space.name, metric, SOURCE, "measured", values=value, noise=noise, keys=keys, **how)


def collect(space: Space, chunks: Path, table: Path, seeds: Sequence[int] = SEEDS) -> dict[str, Any]:
    """Write the table of a space from a folder of chunks, whole or not at all.

    Parameters
    ----------
    space : Space
    chunks : Path
        Folder of an evaluation's files.
    table : Path
        The Parquet file to write.
    seeds : sequence of int

    Returns
    -------
    dict
        What the table was made from: chunks and their SHA-256 (of the lines ``name digest``, sorted), seeds,
        versions of PyTorch, seconds; of each processor the rows, by what its times were divided, and how far they
        scatter; and the table's own SHA-256.

    Raises
    ------
    SourceMissing, CorruptFile, StorageError
    """
    evaluated = distinct(space)
    todo = jobs(space, evaluated, chunks, seeds)
    scores = read(todo, space.datasets)
    times = on_one_processor(space, scores)
    tables = [column.to_table() for column in columns(space, scores, evaluated, times)]
    # All rows of an architecture side by side: with classes in order, half the bytes.
    order = np.arange(len(tables) * len(space)).reshape(len(tables), -1).T.ravel()
    write_table(concat([concat(tables).take(order)]), table)
    lines = sorted(f"{job[-1].name} {file_digest(job[-1])}" for job in todo)
    return {
        "chunks": len(lines),
        "chunks_sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
        "seeds": list(seeds),
        "torch": sorted(scores["torch"].unique()),
        "machines": {
            name: {"rows": int((scores["machine"] == name).sum()), "ratio": ratio, "error": times.errors.get(name)}
            for name, ratio in times.ratios.items()
        },
        "seconds": round(float(scores["seconds"].sum())),
        "table_sha256": file_digest(table),
    }
