"""Cost models against HW-NAS-Bench's published latencies of NAS-Bench-201."""

from __future__ import annotations

import importlib.resources
import json
from typing import TYPE_CHECKING

import numpy as np

from hwnasbench import spaces
from hwnasbench.costs import model
from hwnasbench.costs.layers import Layers
from hwnasbench.networks.layers import Op
from surrogates.fits.accelerators import published, sums, values_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from hwnasbench.networks import Network

#: Energies of architecture 0 on CIFAR-10 in mJ: the sample in HW-NAS-Bench's documentation.
SAMPLE = {"eyeriss": 0.6872827644999999, "fpga": 18.01072}
#: Cell layers of one edge: 3 stages of 5 cells.
_CELLS = 15


def latencies(sources: Path, device: str) -> list[str]:
    """Return a table: rank correlation and errors, with dead edges, without, and what is the best to be had."""
    networks, true = published(sources, device)
    live = [network.live() for network in networks]
    whole, alive = sums(networks).latency(device, {}), sums(live).latency(device, {})
    dead = np.array([_edges(a) - _edges(b) for a, b in zip(networks, live, strict=True)])
    clean = ~dead.any(1)
    best = true - dead @ _coefficients(device)
    lines = [
        f"Published latencies of {len(true)} connected cells (drawn at random, CIFAR-10, int16). They are sums over",
        f"all six edges, dead ones too, which an engine would not run; {int((~clean).sum())} of the cells have such.",
        "",
        "| cells | networks | n | Spearman | median scale | median error [%] | worst error [%] |",
        "|---|---|---|---|---|---|---|",
        _row("no dead edge", "as simulated", true[clean], alive[clean]),
        _row("all", "dead edges kept, as published", true, whole),
        _row("all", "as simulated: dead edges removed", true, alive),
        _row("all", "published, its own dead edges removed", true, best),
        "",
        "The last line is the published closed form itself on live edges: no model of live networks can follow the",
        "published column much better on all cells.",
    ]
    if len(true[clean]) and _spearman(true, alive) < 0.97:
        lines += [
            f"Missed on all cells with dead edges removed: {_spearman(true, alive):.3f} of 0.97, for that reason.",
        ]
    return lines


def energy_of_sample(device: str) -> str:
    """Return a sentence on the one published energy at hand."""
    arch = spaces.get("nasbench201").parse(
        "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
    )
    network = spaces.get("nasbench201").network(arch, "cifar10").at("int16").live()
    energy = float(model(device).cost(Layers(network.layers), values_of(device, {})).energy.sum())
    share = energy / SAMPLE[device]
    return f"Energy of architecture 0: {energy:.3f} mJ, published {SAMPLE[device]:.3f} mJ, {share:.2f} times as much."


def _edges(network: Network) -> NDArray[np.float64]:
    """Return the cell's edges that pool, and that convolve 1 x 1 and 3 x 3 (other layers are the same in all cells)."""
    layers = network.layers
    conv = layers["op"] == Op.CONV
    counts = [layers["op"] == Op.AVG_POOL, conv & (layers["kernel"] == 1), conv & (layers["kernel"] == 3)]
    return np.array([part.sum() / _CELLS for part in counts])


def _coefficients(device: str) -> NDArray[np.float64]:
    text = (importlib.resources.files("hwnasbench") / "data" / "closed_forms.json").read_text("utf-8")
    key = f"nasbench201/latency/help/dataset=cifar10,device={device},batch=1,precision=int16"
    found = json.loads(text)[key]["coefficients"]
    return np.array([found["avg_pool_3x3"], found["nor_conv_1x1"], found["nor_conv_3x3"]])


def _spearman(true: NDArray[np.float64], guess: NDArray[np.float64]) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(true, guess).statistic)


def _row(cells: str, networks: str, true: NDArray[np.float64], guess: NDArray[np.float64]) -> str:
    error = np.abs(guess / true - 1) * 100
    numbers = f"{len(true)} | {_spearman(true, guess):.4f} | {np.median(guess / true):.3f}"
    return f"| {cells} | {networks} | {numbers} | {np.median(error):.1f} | {error.max():.1f} |"
