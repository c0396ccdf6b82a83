"""Single-Path NAS's model of a Pixel 1's latency: 22 blocks, four candidates each, milliseconds.

The blocks are ProxylessNAS's. The search reads candidates 1, 2 and 3 as 3 x 3 at the whole width, 5 x 5 at half of it
and 5 x 5 at the whole width (``nas-search/superkernel.py``), which leaves 3 x 3 at half the width for 0. Blocks 0 and
21 are the same in all networks: their four numbers are four runs of one block, and are not read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwnasbench.errors import CorruptFile
from hwnasbench.networks.layers import INPUT, Builder
from hwnasbench.spaces.mbconv import inverted_residual
from hwnasbench.spaces.proxylessnas import FIRST_CHANNELS, RESOLUTION, STAGES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hwnasbench.networks import Network

FILE = "nas-search/pixel1_runtime_model.json"
BLOCKS = 22
#: (kernel, expansion) of each candidate.
CANDIDATES = ((3, 3), (3, 6), (5, 3), (5, 6))


@dataclass(frozen=True)
class Row:
    """One searchable block: its position in ProxylessNAS (from 0), kernel, expansion, layers and milliseconds."""

    position: int
    kernel: int
    expansion: int
    network: Network
    latency: float


def rows(root: Path) -> Iterator[Row]:
    """Yield the four candidates of each searchable block, from the folder of the source.

    Raises
    ------
    CorruptFile
        When it does not hold 22 blocks of four positive numbers.
    """
    try:
        content = json.loads((root / FILE).read_text("utf-8"))
        found = [[float(content[str(block)][str(c)]) for c in range(len(CANDIDATES))] for block in range(BLOCKS)]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise CorruptFile(f"{FILE} does not hold 22 blocks of four numbers: {error!r}") from error
    if len(content) != BLOCKS or not all(value > 0 for block in found for value in block):
        raise CorruptFile(f"{FILE} holds {len(content)} blocks, or one that takes no time")
    size, channels, position = RESOLUTION // 2, FIRST_CHANNELS, 0
    for out, blocks, first_stride in STAGES[:-1]:
        for number in range(blocks):
            stride = 1 if number else first_stride
            for (kernel, expansion), latency in zip(CANDIDATES, found[position + 1], strict=True):
                builder = Builder((channels, size, size))
                inverted_residual(builder, INPUT, out, kernel, stride, channels * expansion)
                network = builder.build(f"block {position}", "imagenet")
                yield Row(position, kernel, expansion, network, latency)
            size, channels, position = size // stride, out, position + 1
