"""Processors fitted to published tables of blocks and layers: Note10, Pixel 1, Xeon Gold 6130, V100 with TensorRT.

A row of a table is a block, a layer or, for TF-NAS, whose numbers of a block seem sorted by its width, a whole
network as the table adds it up. Rows of one name (whatever the image's size) are in one fold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data_builders.operators import ofa_luts, tfnas, tinynas_v100
from hwnasbench.devices import catalog
from surrogates import folds
from surrogates.fits import Fit, samples
from surrogates.fits.samples import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from surrogates.fits.samples import Held

SEED = 20204
#: Networks drawn from a table of TF-NAS; convolutions drawn from each file of TinyNAS.
NETWORKS, CONVOLUTIONS = 1500, 4000
_ALL = ("pointwise_gmacs", "depthwise_gmacs", "bandwidth_gbps", "launch_us", "light_us")
#: What the rows of each device can tell apart: the Note10's linear layers are bound by their bytes, and all networks
#: of TF-NAS have the same dense convolution and linear layer, of which a sum alone is known.
NAMES = {
    "note10": (*_ALL, "conv_gmacs", "pool_gops"),
    "pixel1": (*_ALL, "conv_gmacs", "pool_gops", "linear_gmacs"),
    "xeon_6130": _ALL,
    "v100_tensorrt": (*_ALL, "conv_gmacs", "speedup_16", "speedup_8"),
}
#: Where the search for some begins, if not at the defaults of the class: a sixteenth of them for one of 16 cores.
BEGIN = {"xeon_6130": {"pointwise_gmacs": 15.6, "depthwise_gmacs": 2.5, "bandwidth_gbps": 6.25}}


def fits(sources: Path) -> Iterator[Fit]:
    """Yield the fits of the four devices."""
    yield fit_device("note10", {"blocks": note10(sources)}, "ofa_luts: ofa/note10 at five image sizes")
    yield fit_device("pixel1", {"blocks": pixel1(sources)}, "ofa_luts: proxylessnas/mobile_trim.yaml")
    drawn = {"sums of blocks": drawn_networks(sources, "xeon_6130")}
    yield fit_device("xeon_6130", drawn, f"tfnas: {NETWORKS} networks as latency_cpu.pkl adds them up")
    yield fit_device("v100_tensorrt", convolutions(sources), "tinynas_v100: conv_data.out at batch 1, 32, 64 and 128")


def note10(sources: Path) -> Stack:
    """Return the Note10's blocks at all five image sizes; one block at five sizes is in one fold."""
    rows = [row for size in ofa_luts.NOTE10 for row in ofa_luts.note10(sources / "ofa_luts", size)]
    return _blocks(rows)


def pixel1(sources: Path) -> Stack:
    """Return the Pixel 1's blocks."""
    return _blocks(list(ofa_luts.pixel1(sources / "ofa_luts")))


def _blocks(rows: Sequence[ofa_luts.Row]) -> Stack:
    names = [_without_size(row.name) for row in rows]
    return Stack([row.network for row in rows], (row.latency for row in rows), names)


def _without_size(name: str) -> str:
    """Return a block's name without heights and widths."""
    return "-".join(part.rpartition("x")[2] if "x" in part else part for part in name.split("-"))


def drawn_networks(sources: Path, device: str, count: int = NETWORKS) -> Stack:
    """Return networks drawn from a table of TF-NAS, with the sums that it defines."""
    table = tfnas.table(sources / "tfnas", device)
    rng = np.random.default_rng(SEED)
    chosen = [tfnas.draw(table, rng) for _ in range(count)]
    networks = [tfnas.network(blocks) for blocks in chosen]
    true = (table.latency(blocks) for blocks in chosen)
    return Stack(networks, true, [str(blocks) for blocks in chosen], tfnas.FILES[device][1])


def convolutions(sources: Path) -> dict[str, Stack]:
    """Return convolutions drawn from TinyNAS's file of each precision.

    One convolution is in one fold, whatever its batch and its precision.
    """
    out, names = {}, {}
    for precision in tinynas_v100.FILES:
        known = [row for row in tinynas_v100.rows(sources / "tinynas_v100", precision) if row.latency is not None]
        drawn = np.sort(np.random.default_rng(SEED).permutation(len(known))[:CONVOLUTIONS])
        rows = [known[number] for number in drawn]
        label = f"convolutions, {precision}"
        names[label] = [str((row.key[0], *row.key[2:-1])) for row in rows]
        networks = [row.network(precision) for row in rows]
        times = (float(row.latency or 0) for row in rows)
        out[label] = Stack(networks, times, names[label], [row.batch for row in rows])
    every = sorted({name for found in names.values() for name in found})
    fold = dict(zip(every, folds.assign(every).tolist(), strict=True))
    for label, part in out.items():
        part.fold = np.array([fold[name] for name in names[label]], np.int8)
    return out


def fit_device(device: str, taken: Mapping[str, Stack], source: str) -> Fit:
    """Fit one device to all its samples at once, and judge each by fits that never saw the fold."""
    held = held_out(device, taken)
    best = dict(held.best)
    if "speedup_8" in best:
        best["speedup_8"] = max(best["speedup_8"], best["speedup_16"])  # as the model takes it
    return Fit(device, "roofline", source, best, samples.cards(source, taken, held))


def held_out(device: str, taken: Mapping[str, Stack]) -> Held:
    """Return the fit to all rows, and what fits say of the rows of the folds that they never saw."""
    found = catalog()[device]
    peak = samples.start(found, ["peak_gmacs"])["peak_gmacs"]
    highest = {name: peak for name in NAMES[device] if name.endswith("_gmacs")}
    begin = {name: min(at, highest.get(name, at)) for name, at in samples.start(found, NAMES[device]).items()}
    begin.update(BEGIN.get(device, {}))
    return samples.held_out(found, taken, begin, highest)
