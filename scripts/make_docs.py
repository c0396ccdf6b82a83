"""Write docs/devices.md from the shipped catalogue and columns.

usage: python scripts/make_docs.py
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import hwnasbench
from data_builders import markdown
from hwnasbench import spaces
from hwnasbench.devices import Device, load_catalog
from hwnasbench.devices.parameters import EVIDENCE, fit_of
from hwnasbench.tables.columns import Column

PAGE = Path(__file__).parent.parent / "docs" / "devices.md"
INTRODUCTION = """# Devices

Made by `python scripts/make_docs.py` from the catalogue (`hwnasbench/devices/catalog/`) and the shipped
columns. Engine and precision are as the source states them; a `?` marks what it does not state and
the importer assumed (such values carry a flag). "of" says what the shipped predictions were fitted to.

| device | name and aliases | class | space | metrics | data sets | engine | precision | batch | of | sources |
|---|---|---|---|---|---|---|---|---|---|---|
"""


SIMULATED = """

## How each is simulated

Every device, in every space, by its cost model; [how wrong that is](fidelity.md). The parameters are counted by their
evidence: read in a file, fitted to measurements, recalled (nobody could check them), or chosen (a design). Of desktop
CPUs, edge GPUs, DSPs, VPUs, TPUs and Edge TPUs there are two: no data of a third were at hand.

| device | class | cost model | precisions | read | fitted | recalled | chosen | fitted to |
|---|---|---|---|---|---|---|---|---|
"""


def cell(columns: list[Column], key: str) -> str:
    """Join the values that columns have for a key; mark assumed ones."""
    words = set()
    for column in columns:
        value = column.keys[key]
        doubt = "?" if f"assumed:{key}" in column.flags else ""
        words.add("not stated" if value is None else f"{value}{doubt}")
    return ", ".join(sorted(words, key=lambda word: (len(word), word)))


def row(device: Device, space: str, columns: list[Column]) -> str:
    """Return one line of the table."""
    names = ", ".join(f"`{name}`" for name in (device.name, *device.aliases))
    cells = [
        device.title,
        names,
        device.device_class,
        space,
        ", ".join(sorted({c.metric for c in columns})),
        *(cell(columns, key) for key in ("dataset", "engine", "precision", "batch")),
        ", ".join(sorted({c.of or c.kind for c in columns})),
        ", ".join(sorted({c.source for c in columns})),
    ]
    return markdown.row(cells)


def simulated_row(device: Device) -> str:
    """Return one line of the second table."""
    counts = Counter(record["evidence"] for record in device.parameters().values())
    cards = fit_of(device.name).get("scorecards", ())
    cells = [
        f"`{device.name}`",
        device.device_class,
        device.cost["model"],
        ", ".join(device.cost["precisions"]),
        *(str(counts[word]) for word in EVIDENCE),
        ", ".join(sorted({source for card in cards for source in re.findall(r"([a-z_0-9-]+):", card["source"])})),
    ]
    return markdown.row(cells)


def page() -> str:
    """Return the page."""
    lines = []
    notes = []
    for device in load_catalog().values():
        for space in spaces.names():
            bench = hwnasbench.load(space, data="shipped")
            columns = [c for c in bench.all_columns() if c.keys["device"] == device.name]
            if columns:
                lines.append(row(device, space, columns))
        evidence = "" if device.chip_evidence == "stated" else " (recalled)"
        notes.append(f"- **{device.title}**: chip {device.chip}{evidence}. {device.note}")
    simulated = "\n".join(simulated_row(device) for device in load_catalog().values())
    return INTRODUCTION + "\n".join(lines) + SIMULATED + simulated + "\n\n## Notes\n\n" + "\n".join(notes) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
