"""Random convolutional networks and eight well-known ones on a Jetson Nano: latency and energy of an inference.

A name says it all: ``convnet_L5_F128_K2x2_W30_DWS`` has five separable layers of 128 channels and 2 x 2 kernels on
30 x 30 images; ``convnet_L5_F128_K1x1_3_K3x3_2_W80`` alternates between two kernels, the first one first. The layout
is that of the repository's ``model_generation``: stride 1 and no pooling, a bias and a ReLU on each layer, two pixels
of padding until the first kernel that takes one (see `_SINGLE`), which all later layers keep, and ten classes from the
flattened image. It is checked row by row: parameters and multiply-accumulates are exactly those that the files state.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_builders.operators.imagenet_networks import known
from data_builders.operators.text import read_csv
from data_builders.operators.torch_layouts import TorchBuilder, torchinfo_macs
from hwnasbench.errors import CorruptFile
from hwnasbench.networks.layers import INPUT, Activation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from hwnasbench.networks import Network

#: Family (the folder) and the file with its rows.
FILES = {
    "conv_layers_1_5": "high_mac_model_info5.csv",
    "conv_layers_6_10": "high_mac_model_info6.csv",
    "dws": "depthwise_sep_models.csv",
    "dws_2": "depthwise_sep_models.csv",
    "expanded_high_mac": "expanded_high_mac_models.csv",
    "expanded_high_mac_2": "expanded_high_mac_2.csv",
    "misc_conv_models": "high_mac_model_info_1_10.csv",
    "mixed_kernel_models_L2": "mixed_kernel_models_L2.csv",
    "mixed_kernel_models_L5": "mixed_kernel_models_L5.csv",
    "real_data": "real_models.csv",
}
#: The well-known networks, by what their file calls them; `real_model_generator.py` says which they are.
REAL = {
    "VGG16": "vgg16",
    "VGG19": "vgg19",
    "Shufflenet_v2": "shufflenet_v2_x1_0",
    "ResNet50": "resnet50",
    "MobileNetV2": "mobilenet_v2",
    "Xception": "xception",
    "EfficientNet_v1": "efficientnet_b4",
    "EfficientNet_v2": "efficientnet_v2_m",
}
#: Networks with an operator that a layer table does not have: a transposed convolution.
SKIPPED = ("UNet",)
_REAL = "real_data"
_PLAIN = re.compile(r"convnet_L(\d+)_F(\d+)_K(\d)x\3_W(\d+)(_DWS)?")
_MIXED = re.compile(r"convnet_L(\d+)_F(\d+)_K(\d)x\3_(\d+)_K(\d)x\5_(\d+)_W(\d+)")
#: The kernels that switch the padding from two pixels to one, in plain, separable and mixed networks.
_SINGLE = {"plain": (1, 3), "separable": (3,), "mixed": (1, 3, 5, 7)}
_CLASSES = 10


@dataclass(frozen=True)
class Row:
    """One measured network.

    Attributes
    ----------
    family : str
        The folder that it is from.
    name, architecture : str
        `architecture` is the name without the image's width.
    network : Network
        In fp32.
    latency : float
        Milliseconds: the published mean of 100 calls, copies to and from the GPU included.
    loop_latency : float or None
        Mean of the calls of one minute, during which power was sampled; of well-known networks not published.
    gpu_energy, cpu_energy, board_energy : float
        Millijoules an inference on the rails POM_5V_GPU, POM_5V_CPU and POM_5V_IN, idle power included. The sum of a
        rail's samples in mW, one a second, over the number of inferences; the first two are the published values.
    """

    family: str
    name: str
    architecture: str
    network: Network
    latency: float
    loop_latency: float | None
    gpu_energy: float
    cpu_energy: float
    board_energy: float

    @property
    def energy(self) -> float:
        """Millijoules of GPU and CPU."""
        return self.gpu_energy + self.cpu_energy


def records(root: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield family and record of every listed network, measured or not, from the folder of the source."""
    for family, file in FILES.items():
        for record in read_csv(root / "data" / family / file):
            yield family, record


def rows(root: Path) -> Iterator[Row]:
    """Yield every measured network that can be rebuilt.

    Raises
    ------
    CorruptFile
        When a record is malformed, or its network is not the one that its counts tell of.
    """
    loops = {family: _loops(root / "data" / family) for family in FILES if family != _REAL}
    for family, record in records(root):
        try:
            if record["Model Name"] not in SKIPPED and record["num_inferences"] != "":
                yield _row(family, record, loops.get(family, {}))
        except (KeyError, ValueError, TypeError) as error:
            raise CorruptFile(f"{FILES[family]} of {family} has a malformed record: {error!r}") from error


def _loops(folder: Path) -> dict[str, float]:
    """Return the milliseconds of a call, averaged over the minute that power was sampled in, by network."""
    path = folder / "power_latency_output" / "big_power.csv"
    try:
        return {record["model_name"]: 1000 * float(record["average_latency (s)"]) for record in read_csv(path)}
    except (KeyError, ValueError, TypeError) as error:
        raise CorruptFile(f"{path} has a malformed record: {error!r}") from error


def _row(family: str, record: Mapping[str, str], loops: Mapping[str, float]) -> Row:
    name = record["Model Name"]
    network = known(REAL[name]) if family == _REAL else network_of(name)
    stated = int(record["Total Parameters"]), int(record["Total MACs"])
    if (network.params, torchinfo_macs(network)) != stated:
        raise CorruptFile(f"{family}: {name} does not have the {stated[0]} parameters and {stated[1]} MACs stated")
    return Row(
        family=family,
        name=name,
        architecture=re.sub(r"_W\d+", "", name),
        network=network,
        latency=float(record["average_latency(ms)"]),
        loop_latency=None if family == _REAL else loops[name],
        gpu_energy=float(record["GPU_energy_per_inference"]),
        cpu_energy=float(record["CPU_energy_per_inference"]),
        board_energy=float(record["Total_POM_5V_IN"]) / float(record["num_inferences"]),
    )


def network_of(name: str) -> Network:
    """Return the random network that a name stands for.

    Raises
    ------
    CorruptFile
        When the name is of no known form.
    """
    if match := _PLAIN.fullmatch(name):
        depth, channels, kernel, width = map(int, match.groups()[:4])
        kind = "separable" if match[5] else "plain"
        return _network(name, kind, [kernel] * depth, channels, width)
    if match := _MIXED.fullmatch(name):
        depth, channels, one, ones, other, others, width = map(int, match.groups())
        if (ones, others) == (depth - depth // 2, depth // 2):
            return _network(name, "mixed", [(one, other)[number % 2] for number in range(depth)], channels, width)
    raise CorruptFile(f"{name!r} is no network of random layers")


def _network(name: str, kind: str, kernels: list[int], channels: int, width: int) -> Network:
    builder, x, padding = TorchBuilder((3, width, width)), INPUT, 2
    for kernel in kernels:
        padding = 1 if kernel in _SINGLE[kind] else padding
        if kind == "separable":
            own = builder.shape(x)[0]
            x = builder.padded(x, own, kernel, padding, groups=own)
            x = builder.padded(x, channels, 1, 0, activation=Activation.RELU)
        else:
            x = builder.padded(x, channels, kernel, padding, activation=Activation.RELU)
    builder.flat(x, _CLASSES)
    return builder.build(name, "random")
