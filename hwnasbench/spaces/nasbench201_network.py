"""The macro-architecture around a NAS-Bench-201 cell, laid out as a table of layers.

Recalled from the published description (Dong and Yang, ICLR 2020); that the parameters of all
15,625 networks equal the published ones is tested.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hwnasbench.networks.layers import INPUT, Activation, Builder
from hwnasbench.spaces.nasbench201 import CONV1, CONV3, EDGES, NONE, SKIP

if TYPE_CHECKING:
    from hwnasbench.networks import Network
    from hwnasbench.spaces.base import Architecture

#: Channels of each stage, and cells in each.
STAGE_CHANNELS = (16, 32, 64)
CELLS = 5


class Macro(NamedTuple):
    """What the data set fixes."""

    resolution: int
    classes: int


MACROS = {"cifar10": Macro(32, 10), "cifar100": Macro(32, 100), "ImageNet16-120": Macro(16, 120)}


def build(arch: Architecture, dataset: str) -> Network:
    """Lay out the network of a cell.

    Every operator of the cell is in the table, on a path to the output or not, as the published
    parameters count them (``Network.live`` leaves the others out). `none` has no layer, a skip is
    an edge, and each node of a cell other than its input is a sum.

    Parameters
    ----------
    arch : Architecture
        Of space ``nasbench201``.
    dataset : str
        A key of `MACROS`.

    Returns
    -------
    Network
    """
    macro = MACROS[dataset]
    builder = Builder((3, macro.resolution, macro.resolution))
    last = builder.conv(INPUT, STAGE_CHANNELS[0], 3)
    for stage, channels in enumerate(STAGE_CHANNELS):
        if stage:
            last = _residual_block(builder, last, channels)
        for _ in range(CELLS):
            last = _cell(builder, last, arch.vector)
    last = builder.global_pool(builder.norm(last, Activation.RELU))
    builder.linear(last, macro.classes)
    return builder.network(f"nasbench201 {arch}", dataset)


def _relu_conv(builder: Builder, source: int, channels: int, kernel: int, stride: int = 1) -> int:
    return builder.conv(source, channels, kernel, stride, activation=Activation.RELU, activation_first=True)


def _residual_block(builder: Builder, source: int, channels: int) -> int:
    main = _relu_conv(builder, _relu_conv(builder, source, channels, 3, stride=2), channels, 3)
    shortcut = builder.conv(builder.avg_pool(source, 2, 2), channels, batch_norm=False)
    return builder.add([shortcut, main])


def _cell(builder: Builder, source: int, vector: tuple[int, ...]) -> int:
    shape = builder.shape(source)
    nodes = [source]
    for node in (1, 2, 3):
        terms = []
        for choice, (start, target) in zip(vector, EDGES, strict=True):
            if target != node or choice == NONE:
                continue
            if choice == SKIP:
                terms.append(nodes[start])
            elif choice in (CONV1, CONV3):
                terms.append(_relu_conv(builder, nodes[start], shape[0], 1 if choice == CONV1 else 3))
            else:
                terms.append(builder.avg_pool(nodes[start], 3, 1, 1))
        nodes.append(builder.add(terms, shape))
    return nodes[3]
