"""What the README shows runs as it stands, one block after the other, and its inventory is what ships."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import hwnasbench

TEXT = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def test_every_block_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("HWNASBENCH_HOME", str(tmp_path))
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) == 3
    known: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), known)
    assert len(known["values_ms"]) == 10
    assert len(known["some"]) == 1000


@pytest.mark.parametrize("space", ["nasbench201", "fbnet"])
def test_the_inventory_counts_the_devices(space: str) -> None:
    line = next(line for line in TEXT.splitlines() if line.startswith(f"| `{space}` |"))
    frame = hwnasbench.load(space, data="shipped").coverage()
    rows = frame[(frame["metric"] == "latency") & (frame["kind"] != "simulated")]
    assert f"latency on {rows['device'].nunique()} devices" in line
