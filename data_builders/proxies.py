"""Evaluates zero-cost proxies on every function of a space, in chunks, so that a killed run resumes."""

from __future__ import annotations

import hashlib
import importlib
import json
import platform
import time
from concurrent.futures import as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from hwnasbench import executors, proxies, spaces
from hwnasbench.tables.write import atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Executor

    from hwnasbench.spaces import Space

#: Functions in a chunk.
CHUNK = 10
#: After so many a process is renewed.
CHUNKS_OF_A_PROCESS = 12
SEEDS = (0, 1)


def distinct(space: Space) -> list[int]:
    """Return the index of the first architecture of each class of equal function; disconnected ones left out."""
    first: dict[str, int] = {}
    for index, arch in enumerate(space):
        if len(space.network(arch, space.datasets[0]).live()):
            first.setdefault(space.canonical(arch), index)
    return list(first.values())


def jobs(space: Space, indices: Sequence[int], folder: Path, seeds: Sequence[int] = SEEDS) -> list[tuple[Any, ...]]:
    """Return the arguments of `evaluate_chunk` for each chunk; its file is named by all that it depends on."""
    out: list[tuple[Any, ...]] = []
    for first in range(0, len(indices), CHUNK):
        part = list(indices[first : first + CHUNK])
        identity = json.dumps([space.name, part, list(seeds), proxies.names()])
        name = hashlib.sha256(identity.encode()).hexdigest()[:16]
        out.append((space.name, part, tuple(seeds), folder / f"{first:06d}-{name}.parquet"))
    return out


def run(chunks: Iterable[tuple[Any, ...]], pool: Executor, say: Callable[[str], object] = lambda text: None) -> None:
    """Evaluate the chunks that have no file yet."""
    waiting = [job for job in chunks if not job[-1].exists()]
    for done, _ in enumerate(_evaluated(waiting, pool), 1):
        say(f"{done}/{len(waiting)} chunks")


def run_processes(chunks: Iterable[tuple[Any, ...]], workers: int, say: Callable[[str], object]) -> None:
    """Evaluate the chunks that have no file yet by processes of this machine."""
    waiting = [job for job in chunks if not job[-1].exists()]
    done = 0
    # Processes are renewed after a while, so that what PyTorch keeps of memory stays small; by a new pool, because
    # one that renews them by itself (max_tasks_per_child) can wait for ever.
    step = workers * CHUNKS_OF_A_PROCESS
    for first in range(0, len(waiting), step):
        with executors.processes(workers) as pool:
            for _ in _evaluated(waiting[first : first + step], pool):
                done += 1
                say(f"{done}/{len(waiting)} chunks")


def _evaluated(waiting: Sequence[tuple[Any, ...]], pool: Executor) -> Iterator[None]:
    """Evaluate chunks; yield whenever one is finished."""
    futures = [pool.submit(evaluate_chunk, *job) for job in waiting]
    try:
        for future in as_completed(futures):
            future.result()
            yield
    finally:
        for future in futures:
            future.cancel()


def evaluate_chunk(name: str, indices: Sequence[int], seeds: Sequence[int], path: Path) -> None:
    """Score architectures on every data set and seed, on one thread, and write the rows: the whole file or none."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    space = spaces.get(name)
    rows = [row for index in indices for seed in seeds for row in _rows(space, index, seed)]
    table = pa.Table.from_pylist([{**row, "torch": torch.__version__, "machine": _machine()} for row in rows])
    atomically(path, lambda temporary: pq.write_table(table, temporary, compression="zstd"))


def _rows(space: Space, index: int, seed: int) -> list[dict[str, Any]]:
    """Return one row a data set; those of one input size share their passes and, evenly, their seconds."""
    evaluate = importlib.import_module("hwnasbench.proxies.evaluate")
    chosen = [proxies.get(name) for name in proxies.names()]
    sizes: dict[tuple[int, int, int], list[str]] = {}
    networks = {dataset: space.network(space.from_index(index), dataset) for dataset in space.datasets}
    for dataset, network in networks.items():
        sizes.setdefault(network.input_shape, []).append(dataset)
    out = []
    for datasets in sizes.values():
        started = time.process_time()
        scores = evaluate.shared([networks[dataset] for dataset in datasets], chosen, seed)
        seconds = (time.process_time() - started) / len(datasets)
        for dataset, found in zip(datasets, scores, strict=True):
            out.append({"arch_index": index, "dataset": dataset, "seed": seed, **found, "seconds": seconds})
    return out


def _machine() -> str:
    """Return the processor's vendor, family and model; rounding differs between them."""
    wanted = ("vendor_id", "cpu family", "model", "model name")
    listed = Path("/proc/cpuinfo")
    if not listed.exists():
        return platform.processor()
    found: dict[str, str] = {}
    for line in listed.read_text("utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in wanted:
            found.setdefault(key.strip(), value.strip())
    return ", ".join(found.get(key, "?") for key in wanted)
