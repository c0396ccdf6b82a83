"""Microcontrollers: held-out errors on MicroNAS's layers, and networks that fit or do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench import spaces
from hwnasbench.costs import model, values_of
from hwnasbench.costs.layers import Layers
from hwnasbench.costs.mcu import Mcu
from hwnasbench.devices import catalog
from hwnasbench.networks.memory import peak_elements
from surrogates.fidelity.scores import of_card

if TYPE_CHECKING:
    from pathlib import Path

    from hwnasbench.networks import Network

#: Space, data set and the seeds of the architectures whose memories are compared.
_SAMPLE = (("nasbench201", "cifar10", (0, 1, 2)), ("fbnet", "cifar100", (0, 1)))
_DEVICES = ("nicla_sense", "nucleo_f446re", "stm32f746")


def section(sources: Path | None) -> str:
    """Return the section of microcontrollers."""
    lines = [
        "## Microcontrollers (`mcu`)",
        "",
        "Cycles, arena and model size of single int8 layers (convolution, addition, global pooling) against",
        "MicroNAS's records, each predicted by a fit that never saw it (5 folds). The records have no depthwise",
        "and no linear layer, no other precision and no energy: their constants are recalled or chosen.",
        "",
        *(_scores(sources) if sources else ["Not compared here: the published files are absent."]),
        "",
        "What a network needs and whether it fits, at int8. Activations are the most that is alive at once and",
        "the largest scratch of any layer.",
        "",
        "| network | activations [KiB] | weights [KiB] | " + " | ".join(_DEVICES) + " |",
        "|---|---|---|" + "---|" * len(_DEVICES),
        *_fitting(),
    ]
    return "\n".join(lines) + "\n"


def _scores(sources: Path) -> list[str]:
    from surrogates.fits import mcu

    lines = ["| board | metric | layers | MAPE [%] | median error [%] | Spearman |", "|---|---|---|---|---|---|"]
    rows = [row for row in mcu.records(sources) if row.status == "ok"]
    for board in dict.fromkeys(row.board for row in rows):
        for card in mcu.cards([row for row in rows if row.board == board], "micronas"):
            lines.append(f"| {board} | {card['metric']} | {of_card(card)} |")
    return lines


def _fitting() -> list[str]:
    lines = []
    for name, dataset, seeds in _SAMPLE:
        space = spaces.get(name)
        for seed in seeds:
            network = space.network(space.sample(np.random.default_rng(seed)), dataset).live().at("int8")
            if len(network):
                lines.append(f"| {name}, seed {seed}, {dataset} | " + " | ".join(_needs(network)) + " |")
    return lines


def _needs(network: Network) -> list[str]:
    """Return activations, weights, and how each device takes them."""
    mcu = model("mcu")
    assert isinstance(mcu, Mcu)
    layers = Layers(network.layers)
    tensors = peak_elements(network)  # bytes at int8
    values = [values_of(catalog()[name]) for name in _DEVICES]
    peaks = [(tensors + float(mcu.workspace(layers, value).max())) / 1024 for value in values]
    cells = [f"{peaks[0]:.1f}", f"{network.memory:.1f}"]
    for value, peak in zip(values, peaks, strict=True):
        short = mcu.shortfall(value, peak, network.memory)
        cells.append(", ".join(f"{memory} short of {kib:.0f} KiB" for memory, kib in short.items()) or "fits")
    return cells
