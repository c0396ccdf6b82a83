"""docs/fidelity.md is what the command prints; the constants that nobody could check are all on it."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from hwnasbench import costs
from hwnasbench.devices.parameters import parameters
from surrogates.fidelity import MODULES
from surrogates.fidelity.__main__ import evidence

PAGE = Path(__file__).parent.parent / "docs" / "fidelity.md"


@pytest.mark.sources
@pytest.mark.slow
@pytest.mark.parametrize("name", MODULES)
def test_the_page_is_what_is_computed(name: str, sources: Path) -> None:
    section = importlib.import_module(f"surrogates.fidelity.{name}").section(sources).strip()
    assert section in PAGE.read_text("utf-8")


def test_the_recalled_constants_are_listed() -> None:
    page = PAGE.read_text("utf-8")
    assert evidence() in page
    for model in costs.names():
        for key, parameter in parameters(model).items():
            assert parameter.evidence != "recalled" or f"`{model}.{key}`" in page
