"""The unique layers that multiply and accumulate, in an order of which any beginning is a fair sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench import spaces
from hwnasbench.errors import UnknownName
from hwnasbench.networks import LAYER
from hwnasbench.networks.layers import INPUT, Builder, Op

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from hwnasbench.networks import Network
    from hwnasbench.spaces import Space

#: The spaces and data sets that shipped tables are made of, where they are registered.
DRAWN = (
    ("nasbench201", "cifar10"),
    ("nasbench201", "cifar100"),
    ("nasbench201", "ImageNet16-120"),
    ("fbnet", "cifar100"),
    ("fbnet", "imagenet"),
)
#: Channels of the stages of ResNet-18, whose dense convolutions the spaces lack.
_RESNET18 = (64, 128, 256, 512)
#: Expansion, channels, blocks and first stride of the stages of MobileNetV2.
_MOBILENETV2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
#: What tells two layers apart for a cost model of the multiplications: neither activations nor normalisation.
_SHAPE = ["op", "in_channels", "out_channels", "in_height", "in_width", "out_height", "out_width"]
_SHAPE += ["kernel", "stride", "padding", "groups", "dilation"]
_SAMPLES = 40
_SEED = 0


def registered() -> list[tuple[str, str]]:
    """Return the pairs of `DRAWN` whose space and data set exist."""
    known = spaces.names()
    return [(name, dataset) for name, dataset in DRAWN if name in known and dataset in spaces.get(name).datasets]


def unique_layers(pairs: Sequence[tuple[str, str]] | None = None) -> NDArray[np.void]:
    """Return the unique convolutions and linear layers of spaces, ResNet-18 and MobileNetV2, at int8.

    Those of a space come from the architecture of zeros, from each single decision changed in it, and from
    architectures drawn with seed 0. Kinds of layers (operator, kernel, stride, dense, depthwise or grouped) take turns,
    and within a kind the order is shuffled, so that the first n rows hold every kind and sizes of all scales.

    Parameters
    ----------
    pairs : sequence of (str, str), optional
        Spaces and data sets; `registered` by default.

    Returns
    -------
    (n,) ndarray of LAYER
        The first layer met of each shape; the same every time.

    Raises
    ------
    UnknownName
        When a space or a data set is unknown.
    """
    seen: dict[tuple[int, ...], np.void] = {}
    for network in _networks(registered() if pairs is None else pairs):
        for layer in network.at("int8").layers:
            if layer["op"] in (Op.CONV, Op.LINEAR):
                seen.setdefault(tuple(int(layer[field]) for field in _SHAPE), layer)
    # Sorted, so that the order in which spaces are named does not matter.
    layers = np.array([seen[key] for key in sorted(seen)], LAYER)
    return layers[_turns(layers)]


def _networks(pairs: Sequence[tuple[str, str]]) -> Iterator[Network]:
    for name, dataset in pairs:
        space = spaces.get(name)
        if dataset not in space.datasets:
            raise UnknownName(f"data set of {name}", dataset, space.datasets)
        for vector in _vectors(space):
            yield space.network(vector, dataset)
    yield _resnet18("imagenet")
    yield _resnet18("cifar10")
    yield _mobilenetv2()


def _resnet18(dataset: str) -> Network:
    """Return ResNet-18 at 224 x 224, or with the 3 x 3 stem for 32 x 32, without its additions, which move no layer."""
    large = dataset == "imagenet"
    net = Builder((3, 224, 224) if large else (3, 32, 32))
    last = net.max_pool(net.conv(INPUT, 64, 7, 2), 3, 2, 1) if large else net.conv(INPUT, 64, 3)
    for channels in _RESNET18:
        stride = 1 if channels == _RESNET18[0] else 2
        if stride == 2:
            net.conv(last, channels, 1, 2)
        for step in (stride, 1, 1, 1):
            last = net.conv(last, channels, 3, step)
    net.linear(net.global_pool(last), 1000 if large else 10)
    return net.build("resnet18", dataset)


def _mobilenetv2() -> Network:
    """Return MobileNetV2 1.0 at 224 x 224 without its additions, which move no layer."""
    net = Builder((3, 224, 224))
    last = net.conv(INPUT, 32, 3, 2)
    for expansion, channels, blocks, first in _MOBILENETV2:
        for block in range(blocks):
            inner = net.shape(last)[0] * expansion
            wide = net.conv(last, inner, 1) if expansion > 1 else last
            deep = net.conv(wide, inner, 3, first if block == 0 else 1, groups=inner)
            last = net.conv(deep, channels, 1)
    net.linear(net.global_pool(net.conv(last, 1280, 1)), 1000)
    return net.build("mobilenetv2", "imagenet")


def _vectors(space: Space) -> Iterator[tuple[int, ...]]:
    zero = (0,) * len(space.choices)
    yield zero
    for position, n in enumerate(space.choices):
        for choice in range(1, n):
            yield (*zero[:position], choice, *zero[position + 1 :])
    for row in space.sample_many(np.random.default_rng(_SEED), _SAMPLES).tolist():
        yield tuple(row)


def _turns(layers: NDArray[np.void]) -> NDArray[np.intp]:
    """Return the order in which kinds take turns."""
    rng = np.random.default_rng(_SEED)
    kinds: dict[tuple[int, ...], list[int]] = {}
    for row, layer in enumerate(layers):
        kinds.setdefault(_kind(layer), []).append(row)
    places: list[tuple[int, int, int]] = []
    for number, kind in enumerate(sorted(kinds)):
        places.extend((turn, number, int(row)) for turn, row in enumerate(rng.permutation(kinds[kind])))
    return np.array([row for _, _, row in sorted(places)], np.intp)


def _kind(layer: np.void) -> tuple[int, ...]:
    groups, channels = int(layer["groups"]), int(layer["in_channels"])
    grouping = 0 if groups == 1 else 2 if groups == channels else 1
    return int(layer["op"]), int(layer["kernel"]), int(layer["stride"]), grouping
