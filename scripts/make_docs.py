"""Write docs/devices.md from the shipped catalogue and columns.

usage: python scripts/make_docs.py
"""

from __future__ import annotations

from pathlib import Path

import hwnasbench
from hwnasbench import spaces
from hwnasbench.devices import Device, load_catalog
from hwnasbench.tables.store import Column

PAGE = Path(__file__).parent.parent / "docs" / "devices.md"
INTRODUCTION = """# Devices

Made by `python scripts/make_docs.py` from the catalogue (`hwnasbench/devices/catalog/`) and the shipped
columns. Engine and precision are as the source states them; a `?` marks what it does not state and
the importer assumed (such values carry a flag). "of" says what the shipped predictions were fitted to.

| device | name and aliases | class | space | metrics | data sets | engine | precision | batch | of | sources |
|---|---|---|---|---|---|---|---|---|---|---|
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
    return "| " + " | ".join(cells) + " |"


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
    return INTRODUCTION + "\n".join(lines) + "\n\n## Notes\n\n" + "\n".join(notes) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
