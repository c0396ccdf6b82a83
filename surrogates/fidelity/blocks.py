"""Published tables of blocks and layers: how often they are not monotone, and what their sums are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data_builders.operators import tinynas_v100

if TYPE_CHECKING:
    from pathlib import Path


def section(sources: Path | None) -> str:
    """Return the section of tables of blocks and layers."""
    lines = ["## Tables of blocks and layers", ""]
    if sources is None:
        return "\n".join([*lines, "Not compared here: the published files are absent."]) + "\n"
    return "\n".join([*lines, _narrower(sources)]) + "\n"


def _narrower(sources: Path) -> str:
    """Say how often a V100 is slower at fewer bits, which the model never is."""
    half, byte = (
        {row.key: row.latency for row in tinynas_v100.rows(sources / "tinynas_v100", name) if row.latency}
        for name in ("fp16", "int8")
    )
    shared = sorted(half.keys() & byte.keys())
    slower = np.mean([byte[key] > half[key] for key in shared])
    return (
        f"TinyNAS's table of V100 convolutions: int8 is slower than fp16 on {slower:.1%} of {len(shared):,} shared\n"
        "ones. The model is analytic and never slower at fewer bits, so that it is wrong there."
    )
