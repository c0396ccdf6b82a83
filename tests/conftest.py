"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).parents[2] / "shared" / "sources"


@pytest.fixture(scope="session")
def sources() -> Path:
    """Return the folder of published files; skip where there is none."""
    chosen = os.environ.get("HWNASBENCH_SOURCES")
    folder = Path(chosen) if chosen else _BESIDE
    if not folder.is_dir() and os.environ.get("CI"):
        pytest.fail(f"{folder} is missing: with CI set no test may skip for want of the published files")
    if not folder.is_dir():
        pytest.skip("published files not found; set HWNASBENCH_SOURCES")
    return folder


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test out of the user's data folder."""
    monkeypatch.setenv("HWNASBENCH_HOME", str(tmp_path / "home"))
