"""The layers that oracles are asked about: unique ones of the spaces, of which any beginning is a fair sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench import spaces
from hwnasbench.errors import UnknownName
from hwnasbench.networks import LAYER
from hwnasbench.networks.layers import INPUT, Builder, Op
from hwnasbench.spaces.mobilenetv2 import ORIGINAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from hwnasbench.networks import Network
    from hwnasbench.spaces import Space

#: Spaces and data sets whose layers were at hand when the cost models were made.
DRAWN = (
    ("nasbench201", "cifar10"),
    ("nasbench201", "cifar100"),
    ("nasbench201", "ImageNet16-120"),
    ("fbnet", "cifar100"),
    ("fbnet", "imagenet"),
)
#: Those that were asked about later: nothing was fitted to their layers (docs/fidelity.md says what was known of them
#: when forms changed).
LATER = (("mobilenetv2", "imagenet"), ("ofa_mobilenetv3", "imagenet"), ("proxylessnas", "imagenet"))
#: How many later layers the shipped tables hold, of 2,387.
LATER_LAYERS = 150
#: What `sampled_layers` draws from, and how many architectures of each.
SAMPLED = (("nasbench201", "cifar10"), ("fbnet", "cifar100"), ("fbnet", "imagenet"))
_ARCHITECTURES = 60
#: Channels of the stages of ResNet-18, whose dense convolutions the spaces lack.
_RESNET18 = (64, 128, 256, 512)
#: What tells two layers apart for a cost model of the multiplications: neither activations nor normalisation.
_SHAPE = ["op", "in_channels", "out_channels", "in_height", "in_width", "out_height", "out_width"]
_SHAPE += ["kernel", "stride", "padding", "groups", "dilation"]
_SAMPLES = 40
_SEED = 0


def shipped_layers(oracle: str) -> tuple[NDArray[np.void], NDArray[np.int8]]:
    """Return the layers of the table of an oracle that ships, and the part of the table that each belongs to.

    Part 0 is `unique_layers` for ZigZag, which knows multiplications alone, `sampled_layers` for the others. Part 1 is,
    for all, the first `LATER_LAYERS` unique layers of `LATER` whose shape no space of `DRAWN` has.

    Parameters
    ----------
    oracle : str

    Returns
    -------
    layers : (n,) ndarray of LAYER
    part : (n,) ndarray of int8
    """
    drawn = unique_layers()
    first = drawn if oracle == "zigzag" else sampled_layers()
    known = {_shape(layer) for layer in drawn}
    later = [layer for layer in unique_layers(LATER) if _shape(layer) not in known][:LATER_LAYERS]
    return np.concatenate([first, np.array(later, LAYER)]), np.repeat(
        np.array([0, 1], np.int8), [len(first), len(later)]
    )


def origins(layers: NDArray[np.void]) -> dict[str, int]:
    """Return how many of some layers, told apart by shape, each space of `LATER` has."""
    shapes = [_shape(layer) for layer in layers]
    found = {}
    for name, dataset in LATER:
        space = spaces.get(name)
        own = {_shape(row) for vector in _vectors(space) for row in space.network(vector, dataset).layers}
        found[name] = sum(shape in own for shape in shapes)
    return found


def sampled_layers() -> NDArray[np.void]:
    """Return the unique layers of every operator, at int8, of architectures drawn with seed 0; in the order met."""
    seen: dict[bytes, np.void] = {}
    for name, dataset in SAMPLED:
        space, rng = spaces.get(name), np.random.default_rng(_SEED)
        for _ in range(_ARCHITECTURES):
            for layer in space.network(space.sample(rng), dataset).at("int8").layers:
                seen.setdefault(layer.tobytes(), layer)
    return np.array(list(seen.values()), LAYER)


def unique_layers(pairs: Sequence[tuple[str, str]] = DRAWN) -> NDArray[np.void]:
    """Return the unique convolutions and linear layers of spaces, ResNet-18 and MobileNetV2, at int8.

    Those of a space come from the architecture of zeros, from each single decision changed in it, and from
    architectures drawn with seed 0. Kinds of layers (operator, kernel, stride, dense, depthwise or grouped) take turns,
    and within a kind the order is shuffled, so that the first n rows hold every kind and sizes of all scales.

    Parameters
    ----------
    pairs : sequence of (str, str)
        Spaces and data sets.

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
    for network in _networks(pairs):
        for layer in network.at("int8").layers:
            if layer["op"] in (Op.CONV, Op.LINEAR):
                seen.setdefault(_shape(layer), layer)
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
    yield spaces.get("mobilenetv2").network(ORIGINAL, "imagenet")


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


def _shape(layer: np.void) -> tuple[int, ...]:
    return tuple(int(layer[field]) for field in _SHAPE)


def _kind(layer: np.void) -> tuple[int, ...]:
    groups, channels = int(layer["groups"]), int(layer["in_channels"])
    grouping = 0 if groups == 1 else 2 if groups == channels else 1
    return int(layer["op"]), int(layer["kernel"]), int(layer["stride"]), grouping
