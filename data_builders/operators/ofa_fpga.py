"""Blocks of Once-for-all's MobileNetV3 on an Ultra96-V2 board: milliseconds of one block in int8.

A name says it all: ``ResidualBlock-in_96x14x14-out_136-k_7-e_3-s_1-act_h_swish-use_se_True``. What the runtime calls
the workload (in 1e9 operations, two a multiply-accumulate) is read too, so that a reading of the name can be checked.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwnasbench.errors import CorruptFile
from hwnasbench.networks.layers import INPUT, Activation, Builder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hwnasbench.networks import Network

FILES = ("All Mobilenetv3 blocks(FPGA)/cleaned_latency_summary.csv", "OFA mobilenet blocks/cleaned_latency_summary.csv")
_BLOCK = re.compile(
    r"ResidualBlock-in_(\d+)x(\d+)x(\d+)-out_(\d+)-k_(\d+)-e_([\d.]+)-s_(\d+)-act_(\w+)-use_se_(True|False)"
)
_CONV = re.compile(r"Conv_in-(\d+)x(\d+)x(\d+)_out-(\d+)_k-(\d+)_act-(\w+)")
_LINEAR = re.compile(r"Linear_in-(\d+)_out-(\d+)")
_ACTIVATIONS = {"relu": Activation.RELU, "h_swish": Activation.HSWISH}


@dataclass(frozen=True)
class Row:
    """One measured block: its name, its layers in int8, mean milliseconds, and 1e9 operations by the runtime."""

    name: str
    network: Network
    latency: float
    workload: float


def rows(root: Path) -> Iterator[Row]:
    """Yield every block of the two files in the folder of the source.

    Raises
    ------
    CorruptFile
        When a name is of no known form.
    """
    for file in FILES:
        with (root / file).open(encoding="utf-8", newline="") as stream:
            for record in csv.DictReader(stream):
                name = record["Kernel Name"]
                yield Row(name, _network(name), float(record["Average Time (ms)"]), float(record["Workload(GOP)"]))


def _network(name: str) -> Network:
    if match := _BLOCK.fullmatch(name):
        channels, height, width, out, kernel = map(int, match.group(1, 2, 3, 4, 5))
        builder = Builder((channels, height, width))
        _block(builder, out, kernel, round(channels * float(match[6])), int(match[7]), match[8], match[9] == "True")
    elif match := _CONV.match(name):
        channels, height, width, out, kernel = map(int, match.group(1, 2, 3, 4, 5))
        builder = Builder((channels, height, width))
        # The first convolution of a MobileNetV3 is the only one that is no 1 x 1; its stride is 2.
        builder.conv(INPUT, out, kernel, 2 if kernel > 1 else 1)
    elif match := _LINEAR.match(name):
        builder = Builder((int(match[1]), 1, 1))
        builder.linear(INPUT, int(match[2]))
    else:
        raise CorruptFile(f"{name!r} is neither a residual block nor a convolution nor a linear layer")
    return builder.build(name, "imagenet").at("int8")


def _block(builder: Builder, out: int, kernel: int, wide: int, stride: int, activation: str, squeeze: bool) -> None:
    act = _ACTIVATIONS[activation]
    channels = builder.shape(INPUT)[0]
    x = builder.conv(INPUT, wide, 1, activation=act) if wide != channels else INPUT
    x = builder.conv(x, wide, kernel, stride, groups=wide, activation=act)
    if squeeze:
        # A quarter of the channels, rounded to a multiple of 8, as Once-for-all does it (from memory).
        gate = builder.conv(builder.global_pool(x), max(8, (wide // 4 + 4) // 8 * 8), 1, batch_norm=False)
        x = builder.mul(x, builder.conv(gate, wide, 1, batch_norm=False, activation=Activation.HSIGMOID))
    x = builder.conv(x, out, 1)
    if stride == 1 and channels == out:
        builder.add([INPUT, x])
