"""The macro-architecture of FBNet and the layer table of its blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.networks.layers import INPUT, Activation, Op
from hwnasbench.spaces.fbnet import MACROS, OPERATORS, SKIP, STAGE_BLOCKS, STAGE_CHANNELS, STEM_CHANNELS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hwnasbench.networks.layers import Builder, Network

#: (kernel, expansion, groups) of each operator but skip.
_BLOCKS = tuple(
    (int(kernel[1:]), int(expansion[1:]), int(groups[0][1:]) if groups else 1)
    for kernel, expansion, *groups in (name.split("_") for name in OPERATORS[:SKIP])
)


def blocks(builder: Builder, vector: tuple[int, ...], dataset: str) -> Iterator[int]:
    """Lay out an architecture at a data set's input size, slot after slot.

    A block is a 1x1 convolution, a depthwise k x k convolution with the block's stride, and a 1x1
    convolution, each with batch normalisation and the first two with ReLU; the 1x1 convolutions
    have the block's groups, and channels are shuffled after the first where there are two groups.
    The input is added where the shape is kept. ``skip`` is nothing where the shape is kept, else
    a 1x1 convolution with the block's stride, batch normalisation and ReLU. The blocks are as in
    a public copy of the FBNet model of HW-NAS-Bench; parameters equal all 5,000 published ones.

    Parameters
    ----------
    builder : Builder
        Holds nothing yet.
    vector : tuple of int
        An operator a block.
    dataset : str
        One of `hwnasbench.spaces.fbnet.MACROS`.

    Yields
    ------
    int
        The last layer of the stem, of each block and of the head.
    """
    macro = MACROS[dataset]
    x = builder.conv(INPUT, STEM_CHANNELS, 3, macro.stem_stride, activation=Activation.RELU)
    yield x
    choices = iter(vector)
    for count, channels, stage_stride in zip(STAGE_BLOCKS, STAGE_CHANNELS, macro.stage_strides, strict=True):
        for number in range(count):
            x = _block(builder, x, next(choices), channels, 1 if number else stage_stride)
            yield x
    x = builder.conv(x, macro.header, 1, activation=Activation.RELU)
    yield builder.linear(builder.global_pool(x), macro.classes)


def _block(builder: Builder, x: int, choice: int, channels: int, stride: int) -> int:
    c_in = builder.shape(x)[0]
    keeps_shape = stride == 1 and c_in == channels
    if choice == SKIP:
        return x if keeps_shape else builder.conv(x, channels, 1, stride, activation=Activation.RELU)
    kernel, expansion, groups = _BLOCKS[choice]
    wide = c_in * expansion
    y = builder.conv(x, wide, 1, groups=groups, activation=Activation.RELU)
    if groups > 1:
        y = builder.shuffle(y, groups)
    y = builder.conv(y, wide, kernel, stride, groups=wide, activation=Activation.RELU)
    y = builder.conv(y, channels, 1, groups=groups)
    return builder.add([x, y]) if keeps_shape else y


def published_flops(network: Network) -> int:
    """Count operations as the published zero-cost proxies of 5,000 FBNet networks do.

    Multiply-accumulates, and 2 an element for batch normalisation, 1 for ReLU and for the input of
    the global average; nothing for additions, shuffles and the bias of the linear layer. Of the two
    ReLUs of a block only the second counts. The definition is inferred: it reproduces the 5,000
    ``flops`` exactly (docs/networks.md says what it agrees with).

    Parameters
    ----------
    network : Network
        A network of this space.

    Returns
    -------
    int
    """
    layers = network.layers
    outputs = layers["out_channels"].astype(np.int64) * layers["out_height"] * layers["out_width"]
    inputs = layers["in_channels"].astype(np.int64) * layers["in_height"] * layers["in_width"]
    shuffle = layers["op"] == Op.SHUFFLE
    depthwise = (layers["op"] == Op.CONV) & (layers["groups"] == layers["in_channels"])
    before = np.append(depthwise[1:], False)
    expands = before & ~shuffle
    expands[:-1] |= (before & shuffle)[1:]
    counted = (layers["activation"] == Activation.RELU) & ~expands
    pooled = inputs * (layers["op"] == Op.GLOBAL_POOL)
    return network.macs + int((outputs * (2 * layers["batch_norm"].astype(np.int64) + counted) + pooled).sum())
