"""Counts of well-known networks, as others published them, against those that the spaces lay out.

The other spaces' are in test_spaces_layerwise.py, test_spaces_graph.py and test_networks.py; all are listed in
docs/networks.md.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hwnasbench import spaces
from hwnasbench.networks import Builder, Network
from hwnasbench.networks.layers import INPUT, Activation
from hwnasbench.spaces.efficientnet import EfficientNet
from hwnasbench.spaces.shufflenetv2_network import block

RELU = Activation.RELU


def batch_norm_params(network: Network) -> int:
    return int((2 * network.layers["out_channels"].astype(int) * network.layers["batch_norm"]).sum())


def real_models(sources: Path) -> dict[str, tuple[int, int]]:
    """Parameters and MACs that source icas_jetson states."""
    with (sources / "icas_jetson/data/real_data/real_models.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    return {row["Model Name"]: (int(row["Total Parameters"]), int(row["Total MACs"])) for row in rows}


def their_macs(network: Network) -> int:
    """Count as that source does: multiply-accumulates, one a bias added, and the parameters of batch normalisation."""
    layers = network.layers
    positions = layers["out_channels"].astype(int) * layers["out_height"] * layers["out_width"]
    return network.macs + int((positions * layers["bias"]).sum()) + batch_norm_params(network)


@pytest.mark.sources
def test_mobilenetv2_and_efficientnet_b4_at_224(sources: Path) -> None:
    class At224(EfficientNet):
        def _input_size(self, vector: tuple[int, ...], dataset: str) -> int:
            return 224

    published = real_models(sources)
    mobilenetv2 = spaces.get("mobilenetv2").network([0, *[2] * 16])
    assert (mobilenetv2.params, their_macs(mobilenetv2)) == published["MobileNetV2"]
    efficientnet = At224().network("k3_e1_k3_e6_k5_e6_k3_e6_k5_e6_k5_e6_k3_e6_b4")
    assert (efficientnet.params, their_macs(efficientnet)) == published["EfficientNet_v1"]


@pytest.mark.sources
def test_shufflenetv2_of_the_blocks_of_its_space(sources: Path) -> None:
    """ShuffleNetV2 1.0x (recalled): no network of the space, but all of its blocks but the first are the space's.

    That one narrows what passes by from 24 to 58 channels, where the space's keeps them.
    """
    builder = Builder((3, 224, 224))
    x = builder.max_pool(builder.conv(INPUT, 24, 3, 2, activation=RELU), 3, 2, 1)
    side = builder.conv(builder.conv(x, 24, 3, 2, 24), 58, 1, activation=RELU)
    main = builder.conv(builder.conv(x, 58, 1, activation=RELU), 58, 3, 2, 58)
    x = builder.concat([side, builder.conv(main, 58, 1, activation=RELU)])
    for channels, strides in ((116, (1, 1, 1)), (232, (2, *(1,) * 7)), (464, (2, 1, 1, 1))):
        for stride in strides:
            x = block(builder, x, 0, channels, stride)
    builder.linear(builder.global_pool(builder.conv(x, 1024, 1, activation=RELU)), 1000)
    network = builder.build("ShuffleNetV2 1.0x", "imagenet")
    assert (network.params, their_macs(network)) == real_models(sources)["Shufflenet_v2"]


def test_shufflenetv2_has_the_published_networks() -> None:
    space = spaces.get("shufflenetv2")
    # README.md of megvii-model/SinglePathOneShot: "323M" FLOPs and "3.5M" parameters, which leaves batch norm. out.
    searched = space.network([2, 1, 0, 1, 2, 0, 2, 0, 2, 0, 2, 3, 0, 0, 0, 0, 3, 2, 3, 3])
    assert round(searched.macs / 1e6) == 323
    assert round((searched.params - batch_norm_params(searched)) / 1e6, 1) == 3.5
    # open-mmlab/mmrazor, configs/nas/spos: SPOS_SHUFFLENETV2_330M_IN1k_PAPER_2.0.yaml, "3.35" million in README.md.
    assert round(space.network("20203110010103122013").params / 1e6, 2) == 3.35


@pytest.mark.sources
def test_single_path_nasnet_is_a_proxylessnas(sources: Path) -> None:
    """Its blocks are recalled; timm's table publishes its parameters, in millions to two decimals."""
    narrow = "k3e3"
    stages = [
        [narrow, narrow, narrow, "zero"],
        *[["k5e6", narrow, narrow, narrow]] * 2,
        ["k5e6", "k5e3", "k5e3", "k5e3"],
        ["k5e6"] * 4,
        ["k3e6"],
    ]
    network = spaces.get("proxylessnas").network("_".join(word for stage in stages for word in stage))
    with (sources / "timm/results/results-imagenet.csv").open(encoding="utf-8", newline="") as handle:
        published = {row["model"].split(".")[0]: row["param_count"] for row in csv.DictReader(handle)}
    assert f"{network.params / 1e6:.2f}" == published["spnasnet_100"] == "4.42"


@pytest.mark.parametrize(("blocks", "millions"), [(3, 0.27), (5, 0.46), (7, 0.66), (9, 0.85)])
def test_resnets_for_cifar_have_the_published_parameters(blocks: int, millions: float) -> None:
    """ResNet-20, 32, 44 and 56: MosaicML Composer's model card "CIFAR ResNet".

    The published ones pad with zeros where a block changes the shape (He et al., CVPR 2016, recalled); the
    space's have 1 x 1 convolutions there.
    """
    text = "16|" + "|".join(",".join([f"{c}-{c}"] * blocks) for c in (16, 32, 64))
    network = spaces.get("resnet").network(text)
    projections = network.layers[(network.layers["kernel"] == 1) & (network.layers["stride"] == 2)]
    assert len(projections) == 2
    assert round((network.params - int(projections["params"].sum())) / 1e6, 2) == millions
    assert (network.layers["kernel"] == 3).sum() + 1 == 6 * blocks + 2
