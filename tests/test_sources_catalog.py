"""Every source says what it holds, whose it is, and how it is cited."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from data_builders import catalog
from data_builders.build import source_records
from hwnasbench.errors import CorruptFile


def test_every_source_is_complete():
    assert set(catalog.names()) >= {"help", "oneproxy", "latbench", "robot", "analog-nasbench", "hwnasbench"}
    modules = {p.stem for p in Path(catalog.__file__).parent.joinpath("sources").glob("*.py")} - {"__init__"}
    assert modules == {catalog.get(name).module for name in catalog.names()}
    for name in catalog.names():
        source = catalog.get(name)
        assert callable(catalog.importer(source).columns)
        assert source.licence
        assert source.citation.startswith("@")
        assert source.unit
        assert set(source_records()[name]) >= {"title", "licence", "citation", "priority"}


@pytest.mark.parametrize("field", ["id", "unit", "unit_evidence", "licence", "citation", "priority", "files"])
def test_a_source_without_a_field_is_refused(tmp_path, field):
    text = Path(catalog.__file__).parent.joinpath("sources", "robot.toml").read_text("utf-8")
    (tmp_path / "robot.toml").write_text(text, "utf-8")
    assert catalog.read_source(tmp_path / "robot.toml").id == "robot"
    content = tomllib.loads(text)
    del content[field]
    files = content.pop("files", [])
    lines = [f"{k} = {json.dumps(v)}" for k, v in content.items()]
    for file in files:
        lines += ["[[files]]", *(f"{k} = {json.dumps(v)}" for k, v in file.items())]
    (tmp_path / "robot.toml").write_text("\n".join(lines), "utf-8")
    with pytest.raises(CorruptFile, match=field):
        catalog.read_source(tmp_path / "robot.toml")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('unit_evidence = "inferred"', 'unit_evidence = "guessed"', "unit_evidence"),
        ("unit_how = ", "unit_what = ", "unit_what"),
        ("@inproceedings{he", "{he", "BibTeX"),
        ('sha256 = "', 'sha256 = "x', "sha256"),
    ],
)
def test_a_source_with_a_bad_field_is_refused(tmp_path, old, new, complaint):
    text = Path(catalog.__file__).parent.joinpath("sources", "robot.toml").read_text("utf-8")
    assert old in text
    (tmp_path / "robot.toml").write_text(text.replace(old, new), "utf-8")
    with pytest.raises(CorruptFile, match=complaint):
        catalog.read_source(tmp_path / "robot.toml")
