"""The macro-architecture of DARTS networks and the layer table of their cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnasbench.networks.layers import INPUT, Activation, Builder, Network
from hwnasbench.spaces.darts import NODES, cells_of

if TYPE_CHECKING:
    from hwnasbench.spaces.base import Architecture
    from hwnasbench.spaces.darts import Cell

#: Image size, classes, first channels, cells of each data set (CIFAR: ``train.py``, ImageNet:
#: ``train_imagenet.py`` of quark0/darts; the channels and cells are recalled, and the parameters of
#: the published network agree with its README).
MACROS = {"cifar10": (32, 10, 36, 20), "cifar100": (32, 100, 36, 20), "imagenet": (224, 1000, 48, 14)}
_STEM_MULTIPLIER = 3


def build(arch: Architecture, dataset: str) -> Network:
    """Lay out two cells at a data set's input size.

    As in ``cnn/model.py`` of quark0/darts: a third and two thirds of the way stands a reduction cell,
    which doubles the channels. Each cell reads the two before it, through 1x1 convolutions. Separable
    and dilated convolutions are ReLU, depthwise, 1x1, batch normalisation; separable ones twice. No
    auxiliary head, no dropped paths. The second half of a factorised reduction reads an image that is
    shifted by one pixel; the layer table has the same shapes without the shift.

    Parameters
    ----------
    arch : Architecture
        An architecture of the space.
    dataset : str
        One of `MACROS`.

    Returns
    -------
    Network
    """
    resolution, classes, channels, cells = MACROS[dataset]
    normal, reduce = cells_of(arch.vector)
    builder = Builder((3, resolution, resolution))
    if dataset == "imagenet":
        x = builder.conv(INPUT, channels // 2, 3, 2, activation=Activation.RELU)
        before = builder.conv(x, channels, 3, 2)
        x = builder.conv(before, channels, 3, 2, pre_activation=Activation.RELU)
        halved = True
    else:
        before = x = builder.conv(INPUT, _STEM_MULTIPLIER * channels, 3)
        halved = False
    for number in range(cells):
        reduces = number in (cells // 3, 2 * cells // 3)
        channels *= 2 if reduces else 1
        inputs = [_reduced(builder, before, channels) if halved else _conv1(builder, before, channels)]
        inputs.append(_conv1(builder, x, channels))
        before, x, halved = x, _cell(builder, inputs, reduce if reduces else normal, reduces), reduces
    builder.linear(builder.global_pool(x), classes)
    return builder.build(str(arch), dataset)


def _conv1(builder: Builder, x: int, channels: int) -> int:
    return builder.conv(x, channels, 1, pre_activation=Activation.RELU)


def _reduced(builder: Builder, x: int, channels: int) -> int:
    """Add a factorised reduction: two 1x1 convolutions of stride 2, one after the other in channels."""
    halves = [
        builder.conv(x, n, 1, 2, batch_norm=False, pre_activation=Activation.RELU)
        for n in (channels // 2, channels - channels // 2)
    ]
    return builder.norm(builder.concat(halves), Activation.NONE)


def _cell(builder: Builder, inputs: list[int], cell: Cell, reduces: bool) -> int:
    states = list(inputs)
    for node in range(NODES):
        terms = [
            _operation(builder, states[source], name, 2 if reduces and source < 2 else 1)
            for name, source in cell[2 * node : 2 * node + 2]
        ]
        states.append(builder.add(terms))
    return builder.concat(states[2:])


def _operation(builder: Builder, x: int, name: str, stride: int) -> int:
    channels = builder.shape(x)[0]
    match name:
        case "skip_connect":
            return x if stride == 1 else _reduced(builder, x, channels)
        case "max_pool_3x3":
            return builder.max_pool(x, 3, stride, 1)
        case "avg_pool_3x3":
            return builder.avg_pool(x, 3, stride, 1)
    kernel = int(name[-1])
    if name.startswith("dil"):
        return _separable(builder, x, kernel, stride, 2)
    return _separable(builder, _separable(builder, x, kernel, stride, 1), kernel, 1, 1)


def _separable(builder: Builder, x: int, kernel: int, stride: int, dilation: int) -> int:
    channels = builder.shape(x)[0]
    relu = Activation.RELU
    y = builder.conv(x, channels, kernel, stride, channels, dilation=dilation, batch_norm=False, pre_activation=relu)
    return builder.conv(y, channels, 1)
