"""Write the architectures of a space, or a sample of them, to Parquet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hwnasbench import spaces
from hwnasbench.errors import InvalidRequest
from hwnasbench.spaces import Architecture, Space
from hwnasbench.tables.write import atomically

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

#: Rows drawn, counted and written at a time; part of what a seed means.
CHUNK = 65536

_SCHEMA = pa.schema(
    [
        pa.field("arch", pa.string(), nullable=False),
        pa.field("index", pa.int32()),
        pa.field("canonical", pa.string(), nullable=False),
        pa.field("params", pa.int64(), nullable=False),
        pa.field("macs", pa.int64(), nullable=False),
        pa.field("layers", pa.int64(), nullable=False),
    ]
)


def enumerate_to(path: Path, space: str, sample: int | None = None, seed: int = 0, dataset: str | None = None) -> int:
    """Write arch, index, canonical, params, macs and layers of architectures to `path`.

    Parameters
    ----------
    path : Path
        The Parquet file; written whole or not at all.
    space : str
        Name of a space.
    sample : int, optional
        Draw so many architectures uniformly, with replacement; the whole space in index order by
        default.
    seed : int
        Of the sample. The same seed gives the same rows.
    dataset : str, optional
        Whose network is counted; the first of the space by default.

    Returns
    -------
    int
        The number of rows.

    Raises
    ------
    UnknownName, NotEnumerable, InvalidRequest, StorageError
    """
    chosen = spaces.get(space)
    name = dataset if dataset is not None else chosen.datasets[0]
    if sample is not None and sample < 1:
        raise InvalidRequest(f"sample is {sample}; expected 1 or more")
    if seed < 0:
        raise InvalidRequest(f"seed is {seed}; expected 0 or more")
    if name not in chosen.datasets:
        chosen.network(chosen.sample(np.random.default_rng(0)), name)
    rows = len(chosen) if sample is None else sample

    def write(temporary: Path) -> None:
        with pq.ParquetWriter(temporary, _SCHEMA, compression="zstd") as writer:
            for first, vectors in _chunks(chosen, rows, None if sample is None else np.random.default_rng(seed)):
                writer.write_table(_table(chosen, vectors, first if sample is None else None, name))

    atomically(path, write)
    return rows


def _chunks(space: Space, rows: int, rng: np.random.Generator | None) -> Iterator[tuple[int, NDArray[np.int8]]]:
    for first in range(0, rows, CHUNK):
        n = min(CHUNK, rows - first)
        if rng is not None:
            yield first, space.sample_many(rng, n)
        else:
            yield first, space.vectors([space.from_index(i) for i in range(first, first + n)])


def _table(space: Space, vectors: NDArray[np.int8], first: int | None, dataset: str) -> pa.Table:
    from hwnasbench.networks.counts import count_many

    archs = [Architecture(space, tuple(vector)) for vector in vectors.tolist()]
    strings = [space.format(arch) for arch in archs]
    # Where a space has no rule of its own, the canonical key is the string.
    plain = type(space).canonical is Space.canonical
    columns: dict[str, Any] = {
        "arch": strings,
        "index": _indices(space, vectors, first),
        "canonical": strings if plain else [space.canonical(arch) for arch in archs],
        **count_many(space, vectors, dataset),
    }
    return pa.table([pa.array(columns[field.name], field.type) for field in _SCHEMA], schema=_SCHEMA)


def _indices(space: Space, vectors: NDArray[np.int8], first: int | None) -> Any:
    if not space.enumerable:
        return pa.nulls(len(vectors), pa.int32())
    return np.arange(first, first + len(vectors)) if first is not None else space.indices(vectors)
