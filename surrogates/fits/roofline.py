"""Processors fitted to published latencies and throughputs of whole networks, and Raspberry Pi 5 to its energies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.costs import model, values_of
from hwnasbench.devices import catalog
from surrogates import folds
from surrogates.fits import Fit, samples, scorecard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from hwnasbench.devices import Device
    from surrogates.fits.samples import Found, Sample

_CELL = ("conv_gmacs", "pointwise_gmacs", "pool_gops", "bandwidth_gbps", "launch_us", "light_us", "call_us")
_BLOCK = ("depthwise_gmacs",)
_GROUPED = ("grouped_gmacs",)
#: How many times its default the bandwidth may be; rates go up to the peak.
_BANDWIDTH_ROOM = 10.0


def fits(sources: Path) -> Iterator[Fit]:
    """Yield the fit of every processor with a published column, to all of its batches at once."""
    columns = samples.columns(sources)
    for name in sorted({name for name, *_ in columns}):
        device = catalog()[name]
        if device.cost.get("model") != "roofline":
            continue
        taken, told = {}, []
        for key in sorted(key for key in columns if key[0] == name and key[2] in ("latency", "throughput")):
            _, space, metric, batch = key
            label = space if batch == 1 else f"{space}, batch {batch}"
            taken[label] = samples.take(device, columns[key])
            told.append(f"{columns[key].source}: {label} {metric}")
        if taken:
            yield fit(device, taken, " and ".join(told), columns.get((name, "nasbench201", "energy", 1)))


def fit(device: Device, taken: dict[str, Sample], source: str, energy: Found | None) -> Fit:
    """Fit one processor to samples of latencies by their label, and to energies where there are any."""
    names = _names(taken)
    highest = _highest(device, names)
    options = samples.run_options(taken)
    best, held = samples.held_out(device, taken, samples.start(device, names), highest, options)
    cards = [
        scorecard("latency", f"{source} ({label})", sample.values, held[label], folds=folds.FOLDS)
        for label, sample in taken.items()
    ]
    if energy is not None:
        powers, card = _energy(device, samples.take(device, energy), best, energy.source)
        best.update(powers)
        cards.append(card)
    return Fit(device.name, "roofline", source, best, cards)


def _names(taken: dict[str, Sample]) -> tuple[str, ...]:
    blocks = any(not label.startswith("nasbench201") for label in taken)
    grouped = any(label.startswith("fbnet") for label in taken)
    return _CELL + (_BLOCK if blocks else ()) + (_GROUPED if grouped else ())


def _highest(device: Device, names: tuple[str, ...]) -> dict[str, float]:
    peak = float(device.parameters()["peak_gmacs"]["value"])
    out = {name: peak for name in names if name.endswith("_gmacs")}
    return {**out, "bandwidth_gbps": samples.start(device, ["bandwidth_gbps"])["bandwidth_gbps"] * _BANDWIDTH_ROOM}


def _energy(
    device: Device, sample: Sample, found: samples.Parameters, origin: str
) -> tuple[dict[str, float], dict[str, Any]]:
    """Fit idle power and the energies of arithmetic and of bytes, none of them negative."""
    from scipy.optimize import nnls

    table = sample.at(str(found.get("runs", "live")))
    layers = table.layers
    moved = layers.input_bytes + layers.output_bytes + layers.weight_bytes
    bits = (layers.weight_bits + layers.activation_bits) / 64
    design = np.stack(
        [
            table.sums(model("roofline").cost(layers, values_of(device, found)).latency),
            table.sums(layers.work * bits) * 1e-9,
            table.sums(moved) * 1e-9,
        ],
        axis=1,
    )
    names = ("idle_w", "mac_pj", "dram_pj_per_byte")

    def solve(rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        weight = 1 / sample.values[rows]
        return np.asarray(nnls(design[rows] * weight[:, None], np.ones(int(rows.sum())))[0])

    held = np.empty(len(sample.values))
    for fold in range(folds.FOLDS):
        held[sample.fold == fold] = design[sample.fold == fold] @ solve(sample.fold != fold)
    best = solve(np.ones(len(held), bool))
    card = scorecard("energy", f"{origin}: nasbench201 energy", sample.values, held, folds=folds.FOLDS)
    return {**dict(zip(names, best.tolist(), strict=True)), "buffer_pj_per_byte": 0.0}, card
