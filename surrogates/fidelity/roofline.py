"""Processors against published latencies and energies: the held-out scores that their fits recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench import spaces
from hwnasbench.costs import model, values_of
from hwnasbench.costs.layers import Layers
from hwnasbench.costs.simulate import simulate
from hwnasbench.devices import catalog
from hwnasbench.devices.parameters import fit_of
from hwnasbench.networks.layers import INPUT, Activation, Builder
from surrogates.fidelity import blocks
from surrogates.fidelity.scores import of_card

if TYPE_CHECKING:
    from pathlib import Path

    from hwnasbench.networks import Network


def section(sources: Path | None) -> str:
    """Return the section in Markdown."""
    lines = [
        "## Processors (`roofline`, `multi_gpu`)",
        "",
        "Whole networks that the fit never saw (5 folds by class of equal function; 1,500 networks a column; one fit",
        "for all batches of a device, batch 1 where none is said; throughputs are fitted as latencies of a batch).",
        "`runs`: what the runtime executes of a cell, of four words the one whose fit to the other folds is closest:",
        "`live` layers, those that the output reads though they read zeros (`read`), all but zeros (`nonzero`), or all",
        "as written (`all`). Rates are bounded by the recalled peak, which server GPUs share unless their file says",
        "otherwise. Devices of large batches alone have recalled overheads. The predicted columns, trained on the same",
        "numbers, answer before these.",
        "",
        "| device | class | runs | metric | space | n | MAPE [%] | median error [%] | Spearman |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    rooflines = {device.name for device in catalog().values() if device.cost.get("model") == "roofline"}
    names = sorted(rooflines - set(blocks.DEVICES))
    for name in names:
        for card in fit_of(name).get("scorecards", ()):
            told = card["source"].rpartition("(")[2].rstrip(")")
            space = told.rpartition(": ")[2].removesuffix(f" {card['metric']}")
            runs = fit_of(name)["parameters"].get("runs", {"value": ""})["value"]
            what = f"{catalog()[name].device_class} | {runs} | {card['metric']} | {space}"
            lines.append(f"| {name} | {what} | {of_card(card)} |")
    unfitted = [f"`{name}`" for name in names if not fit_of(name)]
    lines += ["", f"Compared with nothing, every constant recalled: {', '.join(unfitted)}, and the multi-GPU devices."]
    return "\n".join([*lines, "", _multiples(), "", _squeeze(), "", _branches()])


def _multiples() -> str:
    builder = Builder((32, 28, 28))
    for channels in (31, 32, 33, 64):
        builder.conv(INPUT, channels, 3)
    layers = builder.build("convolutions", "imagenet").at("int8").layers
    device = catalog()["hexagon_690"]
    found = model("roofline").cost(Layers(layers), values_of(device)).latency
    told = ", ".join(f"{c}: {ms:.4f} ms" for c, ms in zip((31, 32, 33, 64), found.tolist(), strict=True))
    return (
        "A DSP that favours channels in multiples of 32 (a 3 x 3 convolution of 32 channels at 28 x 28, by output\n"
        f"channels): {told}.\nThat is built in (`channel_multiple`), not found in a measurement."
    )


def _block(squeeze: bool) -> Network:
    builder = Builder((64, 28, 28))
    x = INPUT
    y = builder.conv(x, 64, 1, activation=Activation.RELU)
    y = builder.conv(y, 64, 3, groups=64, activation=Activation.RELU)
    if squeeze:
        s = builder.conv(builder.global_pool(y), 16, 1, bias=True, batch_norm=False, activation=Activation.RELU)
        s = builder.conv(s, 64, 1, bias=True, batch_norm=False, activation=Activation.SIGMOID)
        y = builder.mul(y, s)
    builder.conv(y, 64, 1)
    return builder.build("block", "imagenet")


def _squeeze() -> str:
    told = []
    for name in ("myriad_x", "hexagon_685"):
        plain, squeezed = (simulate(_block(squeeze), catalog()[name])["latency"] for squeeze in (False, True))
        told.append(f"{float(squeezed) / float(plain):.2f} x on `{name}`")
    return (
        f"A separable block with squeeze-and-excitation against one without: {' and '.join(told)}. Published are up\n"
        "to 24 x for a shuffle block on a Movidius VPU, and about 1 x on the Hexagon 685. Not reproduced: that it is\n"
        "dearer on a VPU is the recalled constant `scale_us`, and no measurement at hand has such layers."
    )


def _branches() -> str:
    space, gpus = spaces.get("nasbench201"), model("multi_gpu")
    values = values_of(catalog()["v100_x2"])
    ratios = []
    for index in np.random.default_rng(0).integers(0, len(space), 200).tolist():
        if space.is_connected(index):
            network = space.network(index, "cifar10").live()
            costs = gpus.cost(Layers(network.layers), values)
            alone = costs.latency.sum() + gpus.overhead(values)
            ratios.append(alone / gpus.network_latency(network, costs, values, 1))
    return (
        "Two GPUs, the branches of a NAS-Bench-201 cell in parallel against the chain on one, at batch 1: "
        f"{np.median(ratios):.2f} x at the median, {max(ratios):.2f} x at best ({len(ratios)} cells)."
    )
