"""Microcontrollers: cycles, arena and model size of single layers, from MicroNAS's records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from data_builders import catalog
from data_builders.operators import micronas
from hwnasbench.devices import catalog as devices
from surrogates.fits import Fit, scorecard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from data_builders.operators.micronas import Row

    Floats = NDArray[np.float64]

FOLDS = 5
_SEED = 0
_KIB = 1024
#: Parameters that are one column each of the three linear models.
_CYCLES = (
    "conv_cycles",
    "pointwise_cycles",
    "patch_cycles",
    "tap_cycles",
    "output_cycles",
    "pool_cycles",
    "elementwise_cycles",
    "layer_cycles",
)
_ARENA = ("patch_bytes", "channel_bytes", "arena_bytes")
_FLASH = ("channel_flash_bytes", "layer_flash_bytes")


def records(sources: Path) -> list[Row]:
    """Return the records; softmax, which no layer table has, is left out."""
    source = catalog.get("micronas")
    found = micronas.rows(catalog.Folder(source, sources / "micronas"))
    return [row for row in found if row.kind != "softmax"]


def fits(sources: Path) -> Iterator[Fit]:
    """Yield a fit for each board that the catalogue knows."""
    rows = records(sources)
    for board, device in micronas.DEVICES.items():
        if device:
            yield _fit(device, [row for row in rows if row.board == board])


def cards(rows: Sequence[Row], source: str) -> list[dict[str, Any]]:
    """Return scorecards of one board's cycles, arena and model size, by 5-fold cross-validation."""
    fold = np.random.default_rng(_SEED).permutation(len(rows)) % FOLDS
    out = []
    for metric, (design, true, known) in _problems(rows).items():
        held = np.empty(len(rows))
        for i in range(FOLDS):
            own = fold != i
            solution = solve(design[own], true[own], known[own])
            held[~own] = known[~own] + design[~own] @ solution
        out.append(scorecard(metric, source, true, held, folds=FOLDS, precision="int8", of="single layers"))
    return out


def solve(design: Floats, true: Floats, known: Floats) -> Floats:
    """Return non-negative coefficients of least squared relative error of ``known + design @ x``."""
    from scipy.optimize import nnls

    solution: Floats = nnls(design / true[:, None], 1 - known / true)[0]
    return solution


def cycle_design(rows: Sequence[Row]) -> Floats:
    """Return one column a parameter of `_CYCLES`, as `hwnasbench.costs.mcu.Mcu.cycles` adds them up."""
    table = np.zeros((len(rows), len(_CYCLES)))
    for line, row in zip(table, rows, strict=True):
        pixels = row.output[0] * row.output[1]
        if row.kind == "conv":
            copies = _copies(row)
            line[0 if copies else 1] = row.macs
            taps = pixels * row.kernel[0] * row.kernel[1] if copies else 0
            line[2:5] = taps * row.input[2], taps, pixels * row.output[2]
        elif row.kind == "global_pool":
            line[5] = np.prod(row.input)
        else:
            line[6] = pixels * row.output[2] * (row.inputs - 1)
        line[7] = 1
    return table


def _copies(row: Row) -> bool:
    return row.kernel != (1, 1) or row.stride != (1, 1)


def _problems(rows: Sequence[Row]) -> dict[str, tuple[Floats, Floats, Floats]]:
    """Return (design, measured, part that needs no coefficient) by metric."""
    conv = np.array([row.kind == "conv" for row in rows])
    channels = np.array([row.output[2] for row in rows]) * conv
    filters = np.array([row.kernel[0] * row.kernel[1] * row.input[2] for row in rows]) * conv
    tensors = np.array([np.prod(row.input) * row.inputs + np.prod(row.output) for row in rows], np.float64)
    one = np.ones(len(rows))
    copied = filters * np.array([_copies(row) for row in rows])

    def measured(name: str) -> Floats:
        return np.array([getattr(row, name) for row in rows], np.float64)

    return {
        "cycles": (cycle_design(rows), measured("cycles"), np.zeros(len(rows))),
        "arena": (np.stack([copied, channels, one], 1), measured("arena"), tensors),
        "flash": (np.stack([channels, one], 1), measured("flash"), (filters * channels).astype(np.float64)),
    }


def _fit(device: str, rows: list[Row]) -> Fit:
    good = [row for row in rows if row.status == "ok"]
    source = f"micronas: cycles, arena and model size of {len(good)} int8 layers"
    names = {"cycles": _CYCLES, "arena": _ARENA, "flash": _FLASH}
    parameters: dict[str, float] = {}
    for metric, (design, true, known) in _problems(good).items():
        parameters |= dict(zip(names[metric], solve(design, true, known).tolist(), strict=True))
    calls = [row.call_cycles - row.cycles for row in good if row.call_cycles is not None and row.cycles is not None]
    parameters["call_cycles"] = float(np.median(calls))
    refused = [row for row in rows if row.status == "does_not_fit"]
    if refused:
        parameters["runtime_kib"] = _runtime(device, good, refused, parameters["arena_bytes"])
    return Fit(device, "mcu", source, parameters, cards(good, "micronas"))


def _runtime(device: str, good: list[Row], refused: list[Row], fixed: float) -> float:
    """Return the KiB that no tensor gets: half-way between the largest that fitted and the smallest that did not."""
    fitted = max(row.arena for row in good if row.arena is not None)
    failed = min(float(np.prod(row.input) * row.inputs + np.prod(row.output)) + fixed for row in refused)
    sram: float = devices()[device].cost["parameters"]["sram_kib"]["value"]
    return sram - (fitted + failed) / 2 / _KIB
