"""Ethos-U: held-out errors against Vela."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from surrogates.fidelity import zigzag_layers
from surrogates.fits import npu

if TYPE_CHECKING:
    from pathlib import Path


def section(sources: Path | None) -> str:
    """Return the section of Ethos-U units."""
    lines = [
        "## Ethos-U (`npu`)",
        "",
        "Single int8 layers against the cycles of Vela 5.2.0. Parameters are fitted to half of the first layers,",
        "drawn with seed 0; `half` is the other half. The form (blocks, bursts, what hides behind what) was chosen",
        "among four with the errors of both halves in sight, so that `half` flatters; how Ethos-U85 reads and writes",
        "DRAM was chosen on the half of the fits alone. The honest number is that of `later`.",
        "",
        zigzag_layers.about_later(),
        "Vela refuses those with an h-swish.",
        "",
        "Aim: 80 % of layers within 20 %. The model searches for no block shapes and does not know what the compiler",
        "copies to the SRAM: the core that makes these numbers is a compiled one, and the one in Python, which can be",
        "read, gives others. `npu` is without memories, `total` with them.",
        "",
        "| device | cycles | judged on | layers | within 20 % | median error [%] | aim met |",
        "|---|---|---|---|---|---|---|",
    ]
    for device, target in npu.TARGETS.items():
        given = npu.fit_device(device)
        first, known = npu.oracle("vela", target, 0)
        held = ~npu.halves(len(first))
        later = npu.oracle("vela", target, 1)
        judges = {"half": (first[held], {name: column[held] for name, column in known.items()}), "later": later}
        for at, (name, column) in enumerate((("npu", "npu_cycles"), ("total", "cycles"))):
            for judge, (layers, true) in judges.items():
                error = np.abs(npu.predictions(device, layers, given)[at] / true[column] - 1)
                share, median = float((error <= 0.2).mean()), float(np.median(error))
                met = "yes" if share >= 0.8 else "no"
                numbers = f"{len(error)} | {share:.1%} | {100 * median:.1f} | {met} |"
                lines.append(f"| {device} | {name} | {judge} | {numbers}")
    return "\n".join([*lines, "", *_sram()]) + "\n"


def _sram() -> list[str]:
    """Return how Ethos-U55's SRAM compares with inputs and outputs."""
    return [
        "SRAM of Ethos-U55 (Vela buffers some weights in it) against inputs and outputs alone, or with all weights:",
        "",
        "| layers | n | alone within 1 % | alone or with | between |",
        "|---|---|---|---|---|",
        *(_sram_row(name, part) for part, name in enumerate(("first", "later"))),
        "",
        "Which weights are buffered, and what is cut into stripes and so takes less than inputs and outputs, follows",
        "from the compiler's search. On U65 and U85 tensors are outside, and the SRAM is a cache that the compiler",
        "fills: that is not modelled.",
    ]


def _sram_row(name: str, part: int) -> str:
    from hwnasbench.costs.layers import Layers

    layers, true = npu.oracle("vela", "ethos-u55-128", part)
    columns = Layers(layers)
    tensors = columns.input_bytes + columns.output_bytes
    weights = columns.weight_bytes + 10.0 * np.where(columns.weight_bytes > 0, columns.out_channels, 0.0)
    vela = true["sram_kib"] * 1024
    exact = np.abs(tensors / vela - 1) <= 0.01
    whole = exact | (np.abs((tensors + weights) / vela - 1) <= 0.01)
    between = (vela >= 0.99 * tensors) & (vela <= 1.01 * (tensors + weights))
    return f"| {name} | {len(layers)} | {exact.mean():.1%} | {whole.mean():.1%} | {between.mean():.1%} |"
