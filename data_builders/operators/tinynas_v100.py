"""TinyNAS's library of single convolutions on a V100 with TensorRT, in fp32, fp16 and int8: milliseconds of a call.

A line reads ``{Regular,128,3,480,480,64,7,2,1} 7.32887``: sort of convolution, images, input channels, height, width,
output channels, kernel, stride, whether an addition of another tensor is fused into it; then the time, -1 where there
is none. The repository's description names the fields.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_builders.operators.text import read_text
from hwnasbench.errors import CorruptFile
from hwnasbench.networks.layers import INPUT, Builder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hwnasbench.networks import Network

#: Precision: file.
FILES = {
    "fp32": "tinynas/latency/op_profiler/V100/conv_data.out",
    "fp16": "tinynas/latency/op_profiler/V100/conv_data.out.fp16",
    "int8": "tinynas/latency/op_profiler/V100/conv_data.out.int8",
}
_LINE = re.compile(r"\{(Regular|Depthwise),(\d+),(\d+),(\d+),(\d+),(\d+),([1357]),([12]),([01])\} (-1|\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Row:
    """One convolution: images, shapes (square images of `size`), and milliseconds, None where there is no value."""

    depthwise: bool
    batch: int
    in_channels: int
    size: int
    out_channels: int
    kernel: int
    stride: int
    fused: bool
    latency: float | None

    @property
    def key(self) -> tuple[int, ...]:
        """What was run: everything but the time."""
        shape = (self.batch, self.in_channels, self.size, self.out_channels, self.kernel, self.stride)
        return (int(self.depthwise), *shape, int(self.fused))

    def network(self, precision: str) -> Network:
        """Return the convolution, and the addition of a second tensor of its shape where one is fused."""
        builder = Builder((self.in_channels, self.size, self.size))
        groups = self.in_channels if self.depthwise else 1
        x = builder.conv(INPUT, self.out_channels, self.kernel, self.stride, groups, batch_norm=False, bias=True)
        if self.fused:
            builder.add([x, x])
        return builder.build("convolution", "imagenet").at(precision)


def rows(root: Path, precision: str) -> Iterator[Row]:
    """Yield every line of the file of one precision, from the folder of the source.

    Raises
    ------
    CorruptFile
        When a line is of no known form, its image is not square, or its time is 0.
    """
    for number, line in enumerate(read_text(root / FILES[precision]).splitlines(), 1):
        match = _LINE.fullmatch(line)
        if not match:
            raise CorruptFile(f"{FILES[precision]}, line {number}: {line!r} is no convolution and its time")
        batch, channels, size, width, out, kernel, stride, fused = map(int, match.groups()[1:9])
        latency = float(match[10])
        if size != width or latency == 0:
            raise CorruptFile(f"{FILES[precision]}, line {number}: {line!r} is not square, or takes no time")
        depthwise = match[1] == "Depthwise"
        known = latency if latency > 0 else None
        yield Row(depthwise, batch, channels, size, out, kernel, stride, bool(fused), known)
