"""FPGA designs against published latencies and against measured blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnasbench.devices.parameters import fit_of
from surrogates.fidelity import published, scores

if TYPE_CHECKING:
    from pathlib import Path


def section(sources: Path | None) -> str:
    """Return the section of FPGAs."""
    lines = ["## FPGA designs (`fpga`)", ""]
    if not sources:
        return "\n".join([*lines, "Not compared here: the published files are absent."]) + "\n"
    lines += [
        "ZC706:",
        "",
        *published.latencies(sources, "fpga"),
        "",
        published.sample("fpga"),
        "Published energy is 7 W times the published latency, and so is this model's.",
        "",
        *_networks(),
        "",
        *_blocks(),
        "",
        "No model gives an FPGA's silicon area.",
    ]
    return "\n".join(lines) + "\n"


def _networks() -> list[str]:
    """Return the held-out scores of the boards whose whole networks were measured."""
    return [
        "Whole networks of the MnasNet space in int8 (Accel-NASBench), each predicted by a fit that never saw it (5",
        "folds). VCK190 computes on engines that the tiled design does not have: its clock is an effective one, and",
        "the slices and look-up tables given for it are those of the design.",
        "",
        *scores.of_networks(("zcu102", "vck190")),
    ]


def _blocks() -> list[str]:
    card = fit_of("ultra96")["scorecards"][0]
    return [
        "Ultra96-V2: blocks of Once-for-all measured in int8, each predicted by a fit of four constants that never saw",
        "it (5 folds; the lanes and the overlap were chosen on all blocks). The board's processor is a fixed engine,",
        "no tiled loop nest, and how it schedules squeeze-and-excitation and large depthwise kernels is not modelled.",
        "",
        "| blocks | MAPE [%] | median error [%] | Spearman | R2 of logarithms |",
        "|---|---|---|---|---|",
        f"| {scores.of_card(card, 'r2_log')} |",
    ]
