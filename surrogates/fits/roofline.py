"""Processors fitted to published latencies and throughputs of whole networks, and to energies where there are any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.costs import model
from hwnasbench.devices import catalog
from surrogates import folds
from surrogates.fits import Fit, energy, samples, scorecard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hwnasbench.devices import Device
    from surrogates.fits.samples import Networks, Parameters

_RATES = ("conv_gmacs", "pointwise_gmacs", "pool_gops", "bandwidth_gbps")
_OVERHEADS = ("launch_us", "light_us", "call_us")
_BLOCK = ("depthwise_gmacs",)
_GROUPED = ("grouped_gmacs",)
#: What random networks of one kernel each, and of few outputs, tell as well.
_RANDOM = ("depthwise_gmacs", "linear_gmacs", "winograd")
RANDOM = "random networks"
_POWERS = ("idle_w", "mac_pj", "dram_pj_per_byte")
#: How many times its default the bandwidth may be; rates go up to the peak.
_BANDWIDTH_ROOM = 10.0


def fits(sources: Path) -> Iterator[Fit]:
    """Yield the fit of every processor with a published column, to all of its batches at once."""
    columns = samples.columns(sources)
    for name in sorted({name for name, *_ in columns}):
        device = catalog()[name]
        if device.cost.get("model") != "roofline":
            continue
        taken: dict[str, Networks] = {}
        told: list[str] = []
        energies: list[tuple[str, Networks]] = []
        for key in sorted(key for key in columns if key[0] == name and key[2] in ("latency", "throughput")):
            label = samples.label_of(key)
            taken[label] = samples.take(device, columns[key])
            told.append(f"{columns[key].source}: {label} {key[2]}")
        if (measured := columns.get((name, "nasbench201", "energy", 1))) is not None:
            energies.append((f"{measured.source}: nasbench201 energy", samples.take(device, measured)))
        if name == energy.DEVICE:
            random = energy.samples(sources)
            taken[RANDOM] = random["latency"]
            told.append(f"icas_jetson: {RANDOM} latency")
            energies.append((f"icas_jetson: {RANDOM} energy", random["energy"]))
        if taken:
            yield fit(device, taken, " and ".join(told), energies)


def fit(device: Device, taken: dict[str, Networks], source: str, energies: Sequence[tuple[str, Networks]] = ()) -> Fit:
    """Fit one processor.

    Parameters
    ----------
    device : Device
    taken : dict of str to Networks
        Latencies by label.
    source : str
        Where they are from.
    energies : sequence of (str, Networks)
        Where energies are from and what they are; the last one's parameters are taken.
    """
    names = _names(taken)
    highest = _highest(device, names)
    begin = samples.start(device, names)
    # A search hardly leaves a limit where it begins: what the class's defaults have above one begins well below.
    begin.update({name: limit / 4 for name, limit in highest.items() if begin[name] >= limit})
    if RANDOM in taken:
        # Below what the bandwidth allows (a weight is 4 bytes), without which the search does not feel it.
        begin["linear_gmacs"] = 1.0
    held = samples.held_out(device, taken, begin, highest, samples.run_options(taken))
    cards = samples.cards(source, taken, held)
    best = dict(held.best)
    known = {len(sample.values): sample.fold for sample in taken.values()}
    for origin, sample in energies:
        # A network's energy is judged by latencies that never saw it only where both are in one fold.
        assert np.array_equal(known[len(sample.values)], sample.fold), origin
        powers, card = _energy(device, sample, held, origin)
        best.update(powers)
        cards.append(card)
    return Fit(device.name, "roofline", source, best, cards)


def _names(taken: dict[str, Networks]) -> tuple[str, ...]:
    """Return what the samples can tell: large batches say nothing of what a call or a layer costs before it starts."""
    names = _RATES + (_OVERHEADS if any(sample.keys.get("batch", 1) == 1 for sample in taken.values()) else ())
    if RANDOM in taken:
        return names + _RANDOM
    found = {sample.keys["space"] for sample in taken.values()}
    return names + (_BLOCK if found - {"nasbench201"} else ()) + (_GROUPED if "fbnet" in found else ())


def _highest(device: Device, names: tuple[str, ...]) -> dict[str, float]:
    peak = samples.start(device, ["peak_gmacs"])["peak_gmacs"]
    out = {name: peak for name in names if name.endswith("_gmacs")}
    return {**out, "bandwidth_gbps": samples.start(device, ["bandwidth_gbps"])["bandwidth_gbps"] * _BANDWIDTH_ROOM}


def _energy(
    device: Device, sample: Networks, held: samples.Held, origin: str
) -> tuple[dict[str, float], dict[str, Any]]:
    """Fit idle power and the energies of arithmetic and of bytes, none of them negative.

    A held-out network is judged by latencies and energies of fits that never saw it.
    """
    values = np.empty(len(sample.values))
    for fold, found in enumerate(held.by_fold):
        mine = sample.fold == fold
        design = _design(device, sample, found)
        values[mine] = design[mine] @ _powers(design[~mine], sample.values[~mine])
    best = _powers(_design(device, sample, held.best), sample.values)
    card = scorecard("energy", origin, sample.values, values, folds=folds.FOLDS, **sample.keys)
    return {**dict(zip(_POWERS, best.tolist(), strict=True)), "buffer_pj_per_byte": 0.0}, card


def _design(device: Device, sample: Networks, found: Parameters) -> NDArray[np.float64]:
    """Return the energies that a unit of each of `_POWERS` makes."""
    table = sample.at(str(found.get("runs", "live")))
    layers = table.layers
    moved = layers.input_bytes + layers.output_bytes + layers.weight_bytes
    bits = (layers.weight_bits + layers.activation_bits) / 64
    idle = table.sums(model("roofline").cost(layers, samples.unfitted(device, found)).latency)
    return np.stack([idle, table.sums(layers.work * bits) * 1e-9, table.sums(moved) * 1e-9], axis=1)


def _powers(design: NDArray[np.float64], true: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.optimize import nnls

    return np.asarray(nnls(design / true[:, None], np.ones(len(true)))[0])
