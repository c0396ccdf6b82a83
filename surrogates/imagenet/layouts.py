"""Published networks that no space holds, laid out from a line of text.

``1:k3e1c16s1 2:k3e6c24s2 3:k5e3c40s2+se`` is one block, two blocks and three blocks: depthwise kernel,
expansion, output channels, stride of the first, and what else there is: ``se`` squeeze-and-excitation, ``h`` a
smooth activation, ``g2`` a channel shuffle and two groups in the last convolution. Kernel 1 is a 1 x 1
convolution alone.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

from hwnasbench.networks.layers import INPUT, Activation, Builder
from hwnasbench.spaces.mbconv import divisible, inverted_residual

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hwnasbench.networks.layers import Network

_BLOCK = re.compile(r"(\d+):k(\d+)e([\d.]+)c(\d+)s(\d)((?:\+\w+)*)")
_CLASSES = 1000


class Layout(NamedTuple):
    """A network of inverted residual blocks at ImageNet's 1,000 classes.

    Attributes
    ----------
    blocks : str
        See the module.
    resolution : int
        Height and width of the input.
    stem : int
        Channels of the first convolution.
    head : int
        Channels of the last 1 x 1 convolution.
    features : int
        Channels of a layer between the pooling and the classifier; 0 is none.
    smooth : str
        The activation of the blocks marked ``h``, of the stem and of the head: ``relu``, ``hswish``, ``swish``.
    squeeze : str
        A quarter of the block's ``input`` channels, or of its ``expanded`` ones rounded to eights.
    width : float
        Multiplies the channels of the blocks; of the stem too unless `fixed`, never those of the head.
    depth : float
        Multiplies the blocks of each run, rounded up; not of the first and the last.
    fixed : bool
        Whether the stem keeps its channels at any width.
    """

    blocks: str
    resolution: int = 224
    stem: int = 32
    head: int = 1280
    features: int = 0
    smooth: str = "relu"
    squeeze: str = "input"
    width: float = 1.0
    depth: float = 1.0
    fixed: bool = False

    def build(self, name: str) -> Network:
        """Return the network."""
        smooth = Activation[self.smooth.upper()]
        builder = Builder((3, self.resolution, self.resolution))
        stem = self.stem if self.fixed else divisible(self.stem * self.width)
        x = builder.conv(INPUT, stem, 3, 2, activation=smooth)
        runs = list(parse(self.blocks))
        for index, (count, kernel, expansion, channels, stride, marks) in enumerate(runs):
            inner = 0 < index < len(runs) - 1
            for number in range(math.ceil(count * self.depth) if inner else count):
                x = self._block(builder, x, kernel, expansion, channels, 1 if number else stride, marks)
        x = builder.global_pool(builder.conv(x, self.head, 1, activation=smooth))
        if self.features:
            x = builder.conv(x, self.features, 1, batch_norm=False, bias=True, activation=smooth)
        builder.linear(x, _CLASSES)
        return builder.build(name, "imagenet")

    def _block(
        self, builder: Builder, x: int, kernel: int, expansion: float, channels: int, stride: int, marks: set[str]
    ) -> int:
        c_in = builder.shape(x)[0]
        out = divisible(channels * self.width)
        activation = Activation[self.smooth.upper()] if "h" in marks else Activation.RELU
        if kernel == 1:
            return builder.conv(x, out, 1, stride, activation=activation)
        if "g2" in marks:
            return _grouped(builder, x, out, kernel)
        wide = c_in if expansion == 1 else divisible(c_in * expansion) if expansion % 1 else c_in * int(expansion)
        squeezed = (c_in // 4 if self.squeeze == "input" else divisible(wide / 4)) if "se" in marks else 0
        return inverted_residual(builder, x, out, kernel, stride, wide, activation, squeeze=squeezed)


def parse(text: str) -> Iterator[tuple[int, int, float, int, int, set[str]]]:
    """Yield count, kernel, expansion, channels, stride and marks of each run of blocks."""
    for word in text.split():
        found = _BLOCK.fullmatch(word)
        if found is None:
            raise ValueError(f"{word!r} is no block such as '2:k3e6c24s2+se'")
        count, kernel, expansion, channels, stride, marks = found.groups()
        yield int(count), int(kernel), float(expansion), int(channels), int(stride), set(marks.split("+")[1:])


def _grouped(builder: Builder, x: int, channels: int, kernel: int) -> int:
    """Add FBNet's block of two groups, which has no first convolution."""
    y = builder.conv(x, builder.shape(x)[0], kernel, groups=builder.shape(x)[0], activation=Activation.RELU)
    return builder.add([x, builder.conv(builder.shuffle(y, 2), channels, 1, groups=2)])
