"""How wrong the cost models are: each module compares one of them with an oracle or a measurement.

``python -m surrogates.fidelity [--from DIR]`` writes docs/fidelity.md.
"""

from __future__ import annotations

#: Modules of this package, in the order of the page; each offers ``section(sources: Path | None) -> str``,
#: Markdown with a heading of level 2. Sources are None where the published files are absent.
MODULES: tuple[str, ...] = ("roofline", "blocks", "mcu", "eyeriss", "fpga", "imc", "systolic", "npu", "energy")
