"""The row-stationary array against published latencies and against ZigZag."""

from __future__ import annotations

from typing import TYPE_CHECKING

from surrogates.fidelity import published, zigzag_layers

if TYPE_CHECKING:
    from pathlib import Path

#: ZigZag's Eyeriss-like hardware: 64 byte scratch pads, 5 sums of 24 bit, 1 MiB of buffer, 8 bit words.
ZIGZAG = {"word_bits": 8, "ifmap_words": 64, "filter_words": 64, "psum_words": 5, "buffer_kib": 1024.0}


def section(sources: Path | None) -> str:
    """Return the section of row-stationary arrays."""
    lines = ["## Row-stationary arrays (`eyeriss`)", ""]
    if sources:
        lines += published.latencies(sources, "eyeriss")
        lines += [
            "",
            published.sample("eyeriss"),
            "No other published energy was at hand, and none was fitted.",
        ]
    else:
        lines += ["Not compared with published latencies here: the files are absent."]
    lines += [
        "",
        "Clock and DRAM bandwidth are fitted to these latencies, and poolings run as dense convolutions because the",
        "published columns charge them so.",
        "",
        "ZigZag's Eyeriss-like hardware, 8 bit, the constants of its hardware file. Its answers unroll output by input",
        "channels over the array, this model filter rows by output rows; the energy of memories is what both share.",
        zigzag_layers.about_later(),
        "",
        *zigzag_layers.compared("eyeriss-like", "eyeriss", ZIGZAG),
    ]
    return "\n".join(lines) + "\n"
