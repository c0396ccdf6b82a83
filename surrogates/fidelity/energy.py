"""Measured energy: what was fitted to it and how well, and what published as energy cannot be fitted to."""

from __future__ import annotations

import textwrap
from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from data_builders.operators import icas_jetson, platformx
from hwnasbench.costs.layers import Layers
from hwnasbench.costs.simulate import simulate
from hwnasbench.devices import catalog
from hwnasbench.devices.parameters import fit_of
from hwnasbench.networks.layers import Op
from surrogates import folds
from surrogates.fidelity.scores import HEAD, of_card
from surrogates.fits import energy, scorecard, spearman

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from data_builders.operators.icas_jetson import Row
    from data_builders.operators.platformx import Row as Kernel

_NEIGHBOURS = 15


def section(sources: Path | None) -> str:
    """Return the section of measured energy."""
    lines = ["## Measured energy", "", "Held-out scores (5 folds) of the energies in the devices' files of fits:", ""]
    lines += [f"| device | metric | networks | {HEAD} |", "|---" * 7 + "|", *_shipped(), ""]
    if sources is None:
        lines += ["Jetson Nano's networks and PlatformX's kernels are not compared: the published files are absent."]
        return "\n".join(lines) + "\n"
    lines += [*_jetson(sources), "", *_platformx(sources / "platformx"), ""]
    lines += ["MicroNAS's records hold cycles and milliseconds, arena and flash, and no field of power or energy."]
    return "\n".join(lines) + "\n"


def _shipped() -> list[str]:
    names = sorted({device.name for device in catalog().values()})
    cards = [(name, card) for name in names for card in fit_of(name).get("scorecards", ())]
    found = [(name, card) for name, card in cards if card["metric"] == "energy"]
    return [f"| {name} | energy | {card['source']} | {of_card(card)} |" for name, card in found]


def _jetson(sources: Path) -> list[str]:
    drawn, known = energy.rows(sources)
    return [
        *_rebuilt(sources / "icas_jetson", len(drawn)),
        "",
        *_repeated(drawn),
        "",
        "| layers | n | latency | energy |",
        "|---|---|---|---|",
        *_by_kernel(drawn),
        "",
        *_paragraph(
            "Well-known networks, which no fit saw, simulated over measured (fp32). Their energies seem to include",
            "seconds of idling: up to 88 samples, one a second, for a minute.",
        ),
        "",
        "| network | latency [ms] | simulated / measured | energy [mJ] | simulated / measured |",
        "|---|---|---|---|---|",
        *_known(known),
    ]


def _rebuilt(root: Path, drawn: int) -> list[str]:
    listed, measured = (
        Counter(family for family, record in icas_jetson.records(root) if record["num_inferences"] or not only)
        for only in (False, True)
    )
    del listed["real_data"], measured["real_data"]
    families = ", ".join(f"{family} {measured[family]:,} of {count:,}" for family, count in listed.items())
    return _paragraph(
        "Jetson Nano under TensorRT (`icas_jetson`; the precision of the engines is not stated and is taken as fp32).",
        f"All {sum(listed.values()):,} random networks are rebuilt with exactly the parameters and",
        f"multiply-accumulates that are stated; {sum(measured.values()):,} were measured ({families}). Of nine",
        "well-known ones UNet is left out, which has transposed convolutions. Energy is that of the rails of GPU and",
        f"CPU over a minute of calls, idle power included. The fit looks at {drawn:,} of them, all widths of one",
        "architecture in the same fold, and at LatBench's cells.",
    )


def _repeated(drawn: Sequence[Row]) -> list[str]:
    differ = 100 * np.abs([row.latency / row.loop_latency - 1 for row in drawn if row.loop_latency])
    return _paragraph(
        "The published mean latency of 100 calls and that of the minute, to which the fit is, differ by",
        f"{np.median(differ):.1f} % at the median and {np.quantile(differ, 0.9):.1f} % at the 90th percentile.",
        "Simulated over measured, by the fit to all of them, at the median, by what the networks are made of:",
    )


def _paragraph(*parts: str) -> list[str]:
    return textwrap.wrap(" ".join(parts), 118, break_long_words=False, break_on_hyphens=False)


def _by_kernel(drawn: Sequence[Row]) -> list[str]:
    labels = np.array([_made_of(row) for row in drawn])
    ratios = np.array([_ratios(row) for row in drawn])
    lines = []
    for label in np.unique(labels).tolist():
        mine = labels == label
        latency, millijoules = np.median(ratios[mine], axis=0)
        lines.append(f"| {label} | {mine.sum()} | {latency:.2f} | {millijoules:.2f} |")
    return lines


def _ratios(row: Row) -> tuple[float, float]:
    """Return latency and energy as simulated over those measured."""
    found = simulate(row.network, catalog()[energy.DEVICE], "fp32")
    return float(found["latency"]) / (row.loop_latency or row.latency), float(found["energy"]) / row.energy


def _made_of(row: Row) -> str:
    layers = row.network.layers[row.network.layers["op"] == Op.CONV]
    dense = np.unique(layers["kernel"][layers["groups"] == 1]).tolist()
    if (layers["groups"] > 1).any():
        return "separable"
    return (
        f"{dense[0]} x {dense[0]}" if len(dense) == 1 else "two kernels, " + ("with 3 x 3" if 3 in dense else "others")
    )


def _known(known: Sequence[Row]) -> list[str]:
    lines = []
    for row in known:
        latency, millijoules = _ratios(row)
        lines.append(f"| {row.name} | {row.latency:.1f} | {latency:.2f} | {row.energy:.1f} | {millijoules:.2f} |")
    return lines


def _platformx(root: Path) -> list[str]:
    rows = list(platformx.rows(root))
    tables = {key: list(group) for key, group in groupby(rows, lambda row: (row.device, row.processor))}
    return [
        *_paragraph(
            "PlatformX's energies of single convolutions (`platformx`) are no energies of an inference: its script",
            "adds those of a whole run and does not divide. Held-out MAPE [%] and Spearman (5 folds by kernel) of the",
            "median of the others; of a constant fitted to relative errors; of a constant and shares for",
            "multiply-accumulates and bytes, none negative, fitted to the same; and of the geometric mean of the",
            f"{_NEIGHBOURS} nearest kernels:",
        ),
        "",
        "| table | n | median | constant | constant and shares | Spearman | nearest | Spearman |",
        "|---" * 8 + "|",
        *[_against_median(", ".join(key), table) for key, table in tables.items()],
        "",
        *_verdict(tables, len(platformx.without_kernels(root))),
    ]


def _verdict(tables: Mapping[tuple[str, str], Sequence[Kernel]], others: int) -> list[str]:
    cpus, gpus = ([tables[phone, kind] for phone in ("Pixel 7", "Pixel 8 Pro")] for kind in ("cpu", "gpu"))
    ranks = [_with_macs(table) for table in (*cpus, *gpus)]
    larger = [[row for row in table if row.hw > 1] for table in gpus]
    left = [_with_macs(table) for table in larger]
    tiny, rest = (np.median([row.energy for row in gpus[0] if (row.hw > 1) == big]) for big in (False, True))
    return _paragraph(
        f"The two CPUs rank the same {len(cpus[0]):,} kernels with a Spearman of {_agreement(*cpus):.3f}, and with",
        f"multiply-accumulates at {ranks[0]:.2f} and {ranks[1]:.2f}; no prediction is worth more than a constant, so",
        f"that there is nothing to fit. The two GPUs agree on {len(gpus[0])} kernels at {_agreement(*gpus):.2f}; what",
        f"beats a constant there tells {len(gpus[0]) - len(larger[0])} kernels on 1 x 1 images ({tiny:.0f} mJ at the",
        f"median on the Pixel 7, the others {rest:.0f} mJ) from the rest: without these, the Spearman with",
        f"multiply-accumulates falls from {ranks[2]:.2f} and {ranks[3]:.2f} to {left[0]:.2f} and {left[1]:.2f}.",
        f"No device is fitted to these tables. The {others} energies of `conv_energy_GPU.json` are of a plausible size",
        "for one inference (0.002 to 120), but neither their kernels nor their phone are in these files.",
    )


def _with_macs(table: Sequence[Kernel]) -> float:
    return spearman([row.energy for row in table], [row.network().macs for row in table])


def _agreement(one: Sequence[Kernel], other: Sequence[Kernel]) -> float:
    second = {row.id: row.energy for row in other}
    return spearman([row.energy for row in one], [second[row.id] for row in one])


def _against_median(label: str, table: Sequence[Kernel]) -> str:
    true = np.array([row.energy for row in table])
    layers = Layers(np.concatenate([row.network().layers for row in table]))
    fold = folds.assign([str(row.config) for row in table])
    held = {name: np.empty(len(true)) for name in ("median", "constant", "shares", "nearest")}
    for number in range(folds.FOLDS):
        seen, mine = fold != number, fold == number
        held["median"][mine] = np.median(true[seen])
        held["constant"][mine] = _shares(layers, true, seen, 1)[mine]
        held["shares"][mine] = _shares(layers, true, seen, 3)[mine]
        held["nearest"][mine] = _nearest(table, true, seen, mine)
    median, constant, *cards = (scorecard("energy", label, true, values) for values in held.values())
    scores = " | ".join(f"{card['mape']} | {card['spearman']}" for card in cards)
    return f"| {label} | {len(true)} | {median['mape']} | {constant['mape']} | {scores} |"


def _shares(layers: Layers, true: NDArray[np.float64], seen: NDArray[np.bool_], terms: int) -> NDArray[np.float64]:
    """Return what a constant and, with three terms, shares for multiply-accumulates and bytes say of each kernel."""
    from scipy.optimize import nnls

    moved = layers.input_bytes + layers.output_bytes + layers.weight_bytes
    design = np.stack([np.ones(len(true)), layers.work * 1e-9, moved * 1e-9], axis=1)[:, :terms]
    return np.asarray(design @ nnls(design[seen] / true[seen, None], np.ones(int(seen.sum())))[0])


def _nearest(
    table: Sequence[Kernel], true: NDArray[np.float64], seen: NDArray[np.bool_], mine: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return what the nearest kernels that were seen say of others; near is in standardised logarithms."""
    points = np.log(np.array([row.config for row in table], np.float64))
    points = (points - points[seen].mean(axis=0)) / np.maximum(points[seen].std(axis=0), 1e-9)
    distance = ((points[mine][:, None] - points[seen][None]) ** 2).sum(axis=2)
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :_NEIGHBOURS]
    return np.asarray(np.exp(np.log(true[seen])[nearest].mean(axis=1)))
