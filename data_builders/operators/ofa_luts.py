"""Tables of measured blocks on phones: Once-for-all's on a Samsung Note10, ProxylessNAS's on a Pixel 1.

A name says it all: ``expanded_conv-input:7x7x192-output:7x7x320-expand:3-kernel:5-stride:1-idskip:0``. ``expand`` is a
ratio in ProxylessNAS's table, the number of inner channels in the Note10's, whose names end on squeeze-and-excitation
and h-swish, 1 or 0.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_builders.operators.text import read_text
from hwnasbench.errors import CorruptFile
from hwnasbench.networks.layers import INPUT, Activation, Builder
from hwnasbench.spaces.mbconv import divisible, inverted_residual

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hwnasbench.networks import Network

#: Side of the network's image: file.
NOTE10 = {size: f"ofa/note10/{size}_lookup_table.yaml" for size in (160, 176, 192, 208, 224)}
PIXEL1 = "proxylessnas/mobile_trim.yaml"
_ENTRY = re.compile(r"(\S+):\n {2}count: \d+\n {2}mean: (\d[\d.e+-]*)\n {2}(?:std|var): \d[\d.e+-]*\n")
_SHAPES = re.compile(r"(\w+)-input:(\d+)x\2x(\d+)-output:(?:(\d+)x\4x)?(\d+)(.*)")
_BLOCK = re.compile(r"-expand:(\d+)-kernel:([357])-stride:([12])-idskip:([01])(?:-se:([01])-hs:([01]))?")


@dataclass(frozen=True)
class Row:
    """One measured block: its name, its layers and mean milliseconds."""

    name: str
    network: Network
    latency: float


def note10(root: Path, size: int) -> Iterator[Row]:
    """Yield the rows of the Note10's table at one side of the network's image, from the folder of the source.

    Raises
    ------
    CorruptFile
        When the file is no such table, or a name is of no known form.
    """
    return _rows(root / NOTE10[size])


def pixel1(root: Path) -> Iterator[Row]:
    """Yield the rows of the Pixel 1's table; see `note10`."""
    return _rows(root / PIXEL1)


def _rows(path: Path) -> Iterator[Row]:
    text, at = read_text(path), 0
    while at < len(text):
        match = _ENTRY.match(text, at)
        if not match:
            raise CorruptFile(f"{path} holds {text[at : at + 60]!r} where a block, its count and its mean are expected")
        yield Row(match[1], _network(match[1]), _positive(path, match[2]))
        at = match.end()


def _positive(path: Path, text: str) -> float:
    try:
        latency = float(text)
    except ValueError:
        latency = 0.0
    if not 0 < latency < math.inf:
        raise CorruptFile(f"{path} has the mean {text!r}; expected a positive number")
    return latency


def _network(name: str) -> Network:
    match = _SHAPES.fullmatch(name)
    if not match:
        raise CorruptFile(f"{name!r} names no layer with the shapes of its input and output")
    kind, rest = match[1], match[6]
    size, channels, out_size, out = int(match[2]), int(match[3]), int(match[4] or 1), int(match[5])
    builder = Builder((channels, size, size))
    if kind == "expanded_conv":
        _block(builder, name, rest, out)
    elif rest:
        raise CorruptFile(f"{name!r} says more of a layer than is known of one")
    elif kind == "Conv":
        builder.conv(INPUT, out, 3, 2, activation=Activation.RELU6)
    elif kind in ("Conv_1", "Conv_2"):
        builder.conv(INPUT, out, 1, activation=Activation.RELU6)
    elif kind == "AvgPool2D":
        builder.global_pool(INPUT)
    elif kind == "Logits":
        # All that follows Conv_1: the Pixel 1's table has its pooling in here.
        builder.linear(INPUT if size == 1 else builder.global_pool(INPUT), out)
    else:
        raise CorruptFile(f"{name!r} is a layer of no known sort")
    network = builder.build(name, "imagenet")
    last = network.layers[-1]
    if (last["out_channels"], last["out_height"]) != (out, out_size):
        raise CorruptFile(f"{name!r} names an output that its layers do not have")
    return network


def _block(builder: Builder, name: str, text: str, out: int) -> None:
    match = _BLOCK.fullmatch(text)
    channels = builder.shape(INPUT)[0]
    if not match or int(match[4]) != (match[3] == "1" and channels == out):
        raise CorruptFile(f"{name!r} is no inverted residual block")
    expand, kernel, stride = int(match[1]), int(match[2]), int(match[3])
    # ProxylessNAS's names end before squeeze-and-excitation.
    wide = channels * expand if match[5] is None else expand
    activation = Activation.HSWISH if match[6] == "1" else Activation.RELU if match[6] else Activation.RELU6
    squeeze = divisible(wide // 4) if match[5] == "1" else 0
    inverted_residual(builder, INPUT, out, kernel, stride, wide, activation, squeeze=squeeze)
