"""The macro-architecture of the ShuffleNetV2 space and the layer table of its blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnasbench.networks.layers import INPUT, Activation, Builder, Network
from hwnasbench.spaces.shufflenetv2 import HEAD_CHANNELS, STAGE_BLOCKS, STAGE_CHANNELS, STEM_CHANNELS, XCEPTION

if TYPE_CHECKING:
    from hwnasbench.spaces.base import Architecture

_RELU = Activation.RELU
_CLASSES = 1000


def build(arch: Architecture, dataset: str) -> Network:
    """Lay out an architecture at ImageNet's input size.

    A 3x3 stem of stride 2 with 16 channels, four stages whose first block has stride 2, a 1x1
    convolution to 1024 channels, global average and a linear layer with bias (public copies differ in
    the bias and in whether batch normalisation is trained; here both are there).

    Parameters
    ----------
    arch : Architecture
        An architecture of the space.
    dataset : str
        ``imagenet``.

    Returns
    -------
    Network
    """
    builder = Builder((3, 224, 224))
    x = builder.conv(INPUT, STEM_CHANNELS, 3, 2, activation=_RELU)
    choices = iter(arch.vector)
    for blocks, channels in zip(STAGE_BLOCKS, STAGE_CHANNELS, strict=True):
        for number in range(blocks):
            x = block(builder, x, next(choices), channels, 1 if number else 2)
    x = builder.conv(x, HEAD_CHANNELS, 1, activation=_RELU)
    builder.linear(builder.global_pool(x), _CLASSES)
    return builder.build(str(arch), dataset)


def block(builder: Builder, x: int, choice: int, channels: int, stride: int) -> int:
    """Add a shuffle block.

    At stride 1 the channels are shuffled and split, one half passes and the other goes through the
    main branch. At stride 2 both branches read everything. The branches are concatenated.
    """
    kernel = 3 if choice == XCEPTION else 3 + 2 * choice
    c_in = builder.shape(x)[0]
    if stride == 2:
        side = builder.conv(x, c_in, kernel, 2, c_in)
        side = builder.conv(side, c_in, 1, activation=_RELU)
        main = x
    else:
        x = builder.shuffle(x, 2)
        side = builder.channels_of(x, 0, c_in // 2)
        main = builder.channels_of(x, c_in // 2, c_in // 2)
    c_main = builder.shape(main)[0]
    outputs = channels - builder.shape(side)[0]
    if choice == XCEPTION:
        main = _depthwise(builder, main, c_main, kernel, stride, channels // 2)
        main = _depthwise(builder, main, channels // 2, kernel, 1, channels // 2)
        main = _depthwise(builder, main, channels // 2, kernel, 1, outputs)
    else:
        main = builder.conv(main, channels // 2, 1, activation=_RELU)
        main = _depthwise(builder, main, channels // 2, kernel, stride, outputs)
    return builder.concat([side, main])


def _depthwise(builder: Builder, x: int, channels: int, kernel: int, stride: int, out: int) -> int:
    """Add a depthwise convolution and a 1x1 one with ReLU."""
    y = builder.conv(x, channels, kernel, stride, channels)
    return builder.conv(y, out, 1, activation=_RELU)
