"""ProxylessNAS on a Pixel 1: a look-up table of its blocks; the Note10's, see `data_builders.operators.ofa_luts`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from data_builders.operators.ofa_luts import PIXEL1, pixel1
from data_builders.rows import lookup_table
from hwnasbench.errors import CorruptFile
from hwnasbench.spaces.proxylessnas import (
    CLASSES,
    EXPANSIONS,
    FIRST_CHANNELS,
    HEAD_CHANNELS,
    KERNELS,
    RESOLUTION,
    STAGES,
    STEM_CHANNELS,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data_builders.catalog import Folder
    from hwnasbench.tables.write import ColumnData

#: Every value of a network is a sum of its blocks', whatever those are.
_RECORD: dict[str, Any] = {
    "space": "proxylessnas",
    "dataset": "imagenet",
    "device": "pixel1",
    "batch": 1,
    "precision": "fp32",
    "metric": "latency",
    "kind": "estimated",
    "source": "ofa_luts",
    "flags": "assumed:batch;assumed:precision;inferred_unit",
    "link": "identity",
}


def columns(files: Folder) -> Iterator[ColumnData]:
    """Yield nothing: what it says of whole networks is a look-up table."""
    yield from ()


def lookups(files: Folder) -> dict[str, pa.Table]:
    """Return the cost of every position and operator of ProxylessNAS, and of what every network has.

    Raises
    ------
    CorruptFile
        When a block of the space is not in the file.
    """
    files.path(PIXEL1)
    known = {row.name: row.latency for row in pixel1(files.root)}
    needed = [*fixed_blocks(), *(name for _, _, name in blocks() if name)]
    for name in needed:
        if name not in known:
            raise CorruptFile(f"{files.path(PIXEL1)} lacks the block {name}")
    rows = [(position, choice, known[name] if name else 0.0) for position, choice, name in blocks()]
    fixed = sum(known[name] for name in fixed_blocks())
    return {"proxylessnas": lookup_table(_RECORD, [(-1, -1, fixed), *rows])}


def blocks() -> Iterator[tuple[int, int, str]]:
    """Yield (position, operator, name in the file) of every searchable block; no name where there is nothing."""
    size, channels, position = RESOLUTION // 2, FIRST_CHANNELS, 0
    for out, count, first_stride in STAGES:
        for number in range(count):
            stride = 1 if number else first_stride
            choice = 0
            for expansion in EXPANSIONS:
                for kernel in KERNELS:
                    yield position, choice, _name(size, channels, out, expansion, kernel, stride)
                    choice += 1
            if number:
                yield position, choice, ""
            size, channels, position = size // stride, out, position + 1


def fixed_blocks() -> tuple[str, ...]:
    """Return the names of what every network has: stem, first block, last convolution and classifier."""
    half, last = RESOLUTION // 2, RESOLUTION // 32
    return (
        f"Conv-input:{RESOLUTION}x{RESOLUTION}x3-output:{half}x{half}x{STEM_CHANNELS}",
        _name(half, STEM_CHANNELS, FIRST_CHANNELS, 1, 3, 1),
        f"Conv_1-input:{last}x{last}x{STAGES[-1][0]}-output:{last}x{last}x{HEAD_CHANNELS}",
        f"Logits-input:{last}x{last}x{HEAD_CHANNELS}-output:{CLASSES}",
    )


def _name(size: int, channels: int, out: int, expansion: int, kernel: int, stride: int) -> str:
    shapes = f"input:{size}x{size}x{channels}-output:{size // stride}x{size // stride}x{out}"
    skip = int(stride == 1 and channels == out)
    return f"expanded_conv-{shapes}-expand:{expansion}-kernel:{kernel}-stride:{stride}-idskip:{skip}"
