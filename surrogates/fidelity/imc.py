"""In-memory computing against ZigZag; crossbars against nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from surrogates.fidelity import zigzag_layers

if TYPE_CHECKING:
    from pathlib import Path


def section(sources: Path | None) -> str:
    """Return the section of in-memory computing; no published file has any of it."""
    del sources
    lines = [
        "## In-memory computing (`imc`) and crossbars (`crossbar`)",
        "",
        "ZigZag's example macros, 128 x 128, 8 bit, each layer alone with its DRAM traffic. Formulas and constants of",
        "the macro are ZigZag's; loop orders are not searched, so that buffer and DRAM traffic is what can differ. How",
        "windows are fetched, and what comes again, was found on the half of the layers that the scale is fitted to;",
        "but that it was looked for at all is due to the errors of `later` layers under the form before, which for",
        "aimc missed the aim.",
        "",
        zigzag_layers.about_later(),
        "",
        *zigzag_layers.compared("aimc", "imc", {}),
        "",
        *zigzag_layers.compared("dimc", "imc", {"kind": "digital", "serial_bits": 1}),
        "",
        "The crossbar model was compared with nothing: no measurement and no oracle of non-volatile crossbars was at",
        "hand. Its converters are ZigZag's, its cells, drivers and read times recalled.",
    ]
    return "\n".join(lines) + "\n"
