"""``python -m surrogates.fidelity``: print how wrong the cost models are, as docs/fidelity.md."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections import Counter
from pathlib import Path

from hwnasbench import costs
from hwnasbench.devices import catalog
from hwnasbench.devices.parameters import EVIDENCE, parameters
from surrogates.fidelity import MODULES

_HEAD = """# How wrong the cost models are

What `python -m surrogates.fidelity --from DIR` prints (DIR: the published files, one folder a source). A simulated
value is a cost model's; its parameters are read, fitted, chosen (a design decision) or recalled (nobody could check
them here). A held-out score judges layers or networks that the fit never saw.
"""


_UNCOMPARED = (
    "Compared with nothing: every energy of a processor, a TPU and an Edge TPU but those above, every area, every peak",
    "memory but those of microcontrollers and Ethos-U55, and every precision but the one of the published column.",
)


def evidence() -> str:
    """Return the section that counts the evidence of every constant and lists the recalled ones."""
    lines = ["## Evidence of the constants", "", f"| cost model | {' | '.join(EVIDENCE)} |", "|---" * 5 + "|"]
    for name in costs.names():
        counts = Counter(parameter.evidence for parameter in parameters(name).values())
        lines.append(f"| {name} | " + " | ".join(str(counts[word]) for word in EVIDENCE) + " |")
    lines += ["", *_UNCOMPARED]
    lines += ["", "Recalled defaults of the models, and what they move:", ""]
    for name in costs.names():
        recalled = [p for p in parameters(name).values() if p.evidence == "recalled"]
        lines += [f"- `{name}.{p.name}` = {p.value} {p.unit}: {p.about}" for p in recalled]
    lines += ["", "Recalled values of devices:", ""]
    for device in sorted(set(catalog().values()), key=lambda d: d.name):
        own = device.cost.get("parameters", {})
        told = ", ".join(f"{key} = {own[key]['value']}" for key in own if own[key]["evidence"] == "recalled")
        lines += [f"- `{device.name}`: {told}"] if told else []
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the page, or write it."""
    parser = argparse.ArgumentParser(prog="python -m surrogates.fidelity", description=__doc__)
    parser.add_argument("--from", dest="sources", type=Path, help="folder of published files")
    parser.add_argument("--out", type=Path, help="write here instead of printing")
    arguments = parser.parse_args()
    parts = [_HEAD]
    for name in MODULES:
        parts.append(importlib.import_module(f"surrogates.fidelity.{name}").section(arguments.sources).strip() + "\n")
    text = "\n".join([*parts, evidence()])
    if arguments.out:
        arguments.out.write_text(text, "utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
