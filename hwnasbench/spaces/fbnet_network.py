"""The macro-architecture around FBNet's searchable blocks, laid out as a table of layers.

Recalled from the published descriptions; that parameters and operations of 5,000 networks equal
published ones is tested, which also settles what a skip is where the shape changes: a 1x1
convolution with batch normalisation and ReLU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnasbench.networks.layers import INPUT, Activation, Builder
from hwnasbench.spaces.fbnet import MACROS, OPERATORS, SKIP, STAGE_BLOCKS, STAGE_CHANNELS, STEM_CHANNELS

if TYPE_CHECKING:
    from hwnasbench.networks import Network
    from hwnasbench.spaces.base import Architecture


def _geometry(name: str) -> tuple[int, int, int]:
    """Return (kernel, expansion, groups) of an operator other than skip."""
    kernel, expansion, *groups = name.split("_")
    return int(kernel[1:]), int(expansion[1:]), int(groups[0][1:]) if groups else 1


_GEOMETRY = tuple(_geometry(name) for name in OPERATORS[:SKIP])


def build(arch: Architecture, dataset: str) -> Network:
    """Lay out the network of an architecture.

    Parameters
    ----------
    arch : Architecture
        Of space ``fbnet``.
    dataset : str
        A key of ``hwnasbench.spaces.fbnet.MACROS``.

    Returns
    -------
    Network
    """
    macro = MACROS[dataset]
    builder = Builder((3, macro.resolution, macro.resolution))
    last = builder.conv(INPUT, STEM_CHANNELS, 3, macro.stem_stride, activation=Activation.RELU)
    choices = iter(arch.vector)
    for blocks, channels, stage_stride in zip(STAGE_BLOCKS, STAGE_CHANNELS, macro.stage_strides, strict=True):
        for block in range(blocks):
            last = _block(builder, last, next(choices), channels, 1 if block else stage_stride)
    last = builder.global_pool(builder.conv(last, macro.header, activation=Activation.RELU))
    builder.linear(last, macro.classes)
    return builder.network(f"fbnet {arch}", dataset)


def _block(builder: Builder, source: int, choice: int, channels: int, stride: int) -> int:
    width = builder.shape(source)[0]
    keeps_shape = stride == 1 and width == channels
    if choice == SKIP:
        return source if keeps_shape else builder.conv(source, channels, 1, stride, activation=Activation.RELU)
    kernel, expansion, groups = _GEOMETRY[choice]
    wide = width * expansion
    last = builder.conv(source, wide, groups=groups, activation=Activation.RELU)
    if groups > 1:
        last = builder.shuffle(last, groups)
    last = builder.conv(last, wide, kernel, stride, groups=wide, activation=Activation.RELU)
    last = builder.conv(last, channels, groups=groups)
    return builder.add([last, source]) if keeps_shape else last
