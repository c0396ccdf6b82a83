"""The macro-architecture of NAS-Bench-201: what surrounds a cell, and the layer table of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnasbench.networks.layers import INPUT, Activation, Builder, Network
from hwnasbench.spaces.nasbench201 import CONV1, CONV3, EDGES, NONE, POOL

if TYPE_CHECKING:
    from hwnasbench.spaces.base import Architecture

#: Image size and number of classes of each data set.
MACROS = {"cifar10": (32, 10), "cifar100": (32, 100), "ImageNet16-120": (16, 120)}
#: Channels of each stage, and cells a stage.
STAGE_CHANNELS = (16, 32, 64)
CELLS = 5


def build(arch: Architecture, dataset: str) -> Network:
    """Lay out a cell at a data set's input size.

    A 3x3 stem with batch normalisation; three stages of five cells with 16, 32 and 64 channels; a
    residual block of stride 2 between stages, whose short cut is a 2x2 average and a 1x1
    convolution; batch normalisation, ReLU, global average, a linear layer with bias. Convolutions
    of cells and blocks are ReLU, convolution without bias, batch normalisation. The macro-architecture
    is recalled (Dong and Yang, ICLR 2020); the parameters of 15,421 networks equal the published
    ones, and the other 204 published numbers are means that include an equal cell. As in the
    published networks, dead convolutions and zeros (edges that are none) are there:
    `Network.live` removes them.

    Parameters
    ----------
    arch : Architecture
        A cell of the space.
    dataset : str
        One of `MACROS`.

    Returns
    -------
    Network
    """
    resolution, classes = MACROS[dataset]
    builder = Builder((3, resolution, resolution))
    x = builder.conv(INPUT, STAGE_CHANNELS[0], 3)
    for stage, channels in enumerate(STAGE_CHANNELS):
        if stage:
            x = _reduction(builder, x, channels)
        for _ in range(CELLS):
            x = _cell(builder, x, arch.vector)
    x = builder.norm(x, Activation.RELU)
    builder.linear(builder.global_pool(x), classes)
    return builder.build(str(arch), dataset)


def _conv(builder: Builder, source: int, channels: int, kernel: int, stride: int = 1) -> int:
    return builder.conv(source, channels, kernel, stride, pre_activation=Activation.RELU)


def _reduction(builder: Builder, x: int, channels: int) -> int:
    y = _conv(builder, _conv(builder, x, channels, 3, 2), channels, 3)
    short_cut = builder.conv(builder.avg_pool(x, 2, 2, 0), channels, 1, batch_norm=False)
    return builder.add([short_cut, y])


def add_operator(builder: Builder, x: int, choice: int) -> int:
    """Add the operator of one edge; a skip adds nothing."""
    channels = builder.shape(x)[0]
    if choice == NONE:
        return builder.zero(x)
    if choice == CONV1:
        return _conv(builder, x, channels, 1)
    if choice == CONV3:
        return _conv(builder, x, channels, 3)
    return builder.avg_pool(x, 3, 1, 1) if choice == POOL else x


def _cell(builder: Builder, x: int, vector: tuple[int, ...]) -> int:
    nodes = [x]
    for node in (1, 2, 3):
        terms = []
        for choice, (source, target) in zip(vector, EDGES, strict=True):
            if target != node:
                continue
            terms.append(add_operator(builder, nodes[source], choice))
        nodes.append(builder.add(terms) if len(terms) > 1 else terms[0])
    return nodes[3]
