"""TF-NAS's tables of inverted residual blocks at every width: Titan RTX at batch 32, Xeon Gold 6130 at batch 1.

A table maps ``MBInvertedResBlock_14_80_160_112_k5_s1_swish`` (image, input channels, channels of
squeeze-and-excitation, output channels) to milliseconds by inner channels, 1 upwards. ``base`` is what every network
has: stem, first block, last convolution, pooling and classifier.

The numbers of a block are straight lines between inner channels that are multiples of 8, from those of its input on:
those were measured. The repository's script that makes such tables sorts the latencies of a block before it
interpolates (in a comment), and the published ones never fall with the width. Below the input's channels, where a
block has no first convolution, they are a line, some of it below 0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_builders.pickles import load
from hwnasbench.errors import CorruptFile
from hwnasbench.networks.layers import INPUT, Activation, Builder
from hwnasbench.spaces.mbconv import inverted_residual

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hwnasbench.networks import Network

#: Device of the catalogue: file, and images of one call.
FILES = {"titan_rtx": ("latency_pkl/latency_gpu.pkl", 32), "xeon_6130": ("latency_pkl/latency_cpu.pkl", 1)}
#: Input and output channels, blocks, stride and activation of each stage; a stage may end after any of its blocks.
STAGES = (
    (16, 24, 2, 2, "relu"),
    (24, 40, 3, 2, "swish"),
    (40, 80, 4, 2, "swish"),
    (80, 112, 4, 1, "swish"),
    (112, 192, 4, 2, "swish"),
    (192, 320, 1, 1, "swish"),
)
#: Inner channels of the measured blocks are multiples of this.
STEP = 8
_KEY = re.compile(r"MBInvertedResBlock_(\d+)_(\d+)_(\d+)_(\d+)_k([35])_s([12])_(relu|swish)")
_ACTIVATIONS = {"relu": Activation.RELU, "swish": Activation.SWISH}


@dataclass(frozen=True, order=True)
class Block:
    """An inverted residual block of any width; `squeeze` is 0 where it has no squeeze-and-excitation."""

    size: int
    in_channels: int
    squeeze: int
    out_channels: int
    kernel: int
    stride: int
    activation: str

    def lay(self, builder: Builder, x: int, wide: int) -> int:
        """Add the block with `wide` inner channels."""
        act = _ACTIVATIONS[self.activation]
        gates = (act, Activation.SIGMOID)
        out, kernel, stride = self.out_channels, self.kernel, self.stride
        return inverted_residual(builder, x, out, kernel, stride, wide, act, squeeze=self.squeeze, gates=gates)


@dataclass(frozen=True)
class Table:
    """Milliseconds of what every network has, and of each block by its inner channels, from 1 on."""

    base: float
    blocks: dict[Block, NDArray[np.float64]]

    def latency(self, chosen: Sequence[tuple[Block, int]]) -> float:
        """Return the sum that the table defines for blocks and their inner channels."""
        return self.base + sum(float(self.blocks[block][wide - 1]) for block, wide in chosen)

    def rows(self) -> Iterator[tuple[Block, int, float]]:
        """Yield block, inner channels and milliseconds of the widths that were measured, wider than the input."""
        for block, values in self.blocks.items():
            for wide in range(block.in_channels + STEP, len(values) + 1, STEP):
                yield block, wide, float(values[wide - 1])


def table(root: Path, device: str) -> Table:
    """Return the table of one device from the folder of the source.

    Raises
    ------
    UnsafePickle
        When the pickle names anything but plain containers and numbers.
    CorruptFile
        When it is not such a table.
    """
    path = root / FILES[device][0]
    content = load(path)
    if not isinstance(content, dict) or not isinstance(content.get("base"), float) or content["base"] <= 0:
        raise CorruptFile(f"{path} is no table of blocks with a positive base")
    blocks = {}
    for key, values in content.items():
        if key == "base":
            continue
        match = _KEY.fullmatch(str(key))
        if not match or not isinstance(values, dict) or list(values) != list(range(1, len(values) + 1)):
            raise CorruptFile(f"{path}: {key!r} is no block with a value for 1, 2, ... inner channels")
        size, channels, squeeze, out, kernel, stride = map(int, match.groups()[:6])
        found = np.array(list(values.values()), np.float64)
        if not np.isfinite(found).all():
            raise CorruptFile(f"{path}: {key!r} holds a value that is no number")
        blocks[Block(size, channels, squeeze, out, kernel, stride, match[7])] = found
    return Table(content["base"], blocks)


def network(chosen: Sequence[tuple[Block, int]]) -> Network:
    """Return the whole ImageNet network of some blocks and their inner channels."""
    builder = Builder((3, 224, 224))
    x = builder.conv(INPUT, 32, 3, 2, activation=Activation.RELU)
    x = Block(112, 32, 8, 16, 3, 1, "relu").lay(builder, x, 32)
    for block, wide in chosen:
        x = block.lay(builder, x, wide)
    x = builder.conv(x, 1280, 1, activation=Activation.SWISH)
    builder.linear(builder.global_pool(x), 1000)
    return builder.build("TF-NAS", "imagenet")


def draw(found: Table, rng: np.random.Generator) -> list[tuple[Block, int]]:
    """Draw one network of the table's space: stages of any depth, blocks of any kind and measured width."""
    chosen: list[tuple[Block, int]] = []
    size, known = 112, sorted(found.blocks)
    for first, out, blocks, first_stride, activation in STAGES:
        for number in range(int(rng.integers(1, blocks + 1))):
            channels, stride = (out, 1) if number else (first, first_stride)
            shape = (size, channels, out, stride, activation)
            fit = [b for b in known if (b.size, b.in_channels, b.out_channels, b.stride, b.activation) == shape]
            block = fit[int(rng.integers(len(fit)))]
            chosen.append((block, int(rng.choice(range(channels + STEP, len(found.blocks[block]) + 1, STEP)))))
            size //= stride
    return chosen
