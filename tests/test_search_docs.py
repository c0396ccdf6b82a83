"""The page on search: its examples run, its tables are made, and the studies that ship are what running them gives."""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("plotly")
from hwnasbench import studies

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
try:
    import run_studies as script
finally:
    sys.path.pop(0)
TEXT = script.PAGE.read_text("utf-8")
STUDIES = sorted((ROOT / "studies").glob("*.toml"))


def test_the_examples_run(capsys):
    (first, *rest) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, object] = {}
    exec(first, names)
    assert "accuracy" in capsys.readouterr().out
    before = names["found"]
    for code in rest:
        assert len(code.splitlines()) <= 22  # one's own algorithm, in twenty lines
        exec(code, names)
    run = names["found"]
    assert run is not before
    assert len(run) == 500
    assert (run.scores[run.incumbents()[-1]] >= run.scores).all()


def test_the_tables_are_up_to_date():
    assert script.page(TEXT) == TEXT


def test_every_study_is_read_and_shown():
    for path in STUDIES:
        study = studies.read(path)
        assert study.name == path.stem
        if path.stem != "demo":
            assert f"### {study.title}\n" in TEXT


def test_what_ships_of_a_study_is_of_its_problems_searchers_and_seeds():
    for path in STUDIES:
        study = studies.read(path)
        if path.stem != "demo":
            with (ROOT / "docs" / "studies" / path.stem / "statistics" / "final.csv").open(encoding="utf-8") as file:
                rows = {(row["problem"], row["searcher"], int(row["runs"])) for row in csv.DictReader(file)}
            labels = [searcher.label for searcher in study.searchers]
            assert rows == {(problem.name, label, len(study.seeds)) for problem in study.problems for label in labels}


def test_the_published_comparison_agrees_by_the_rule_that_was_written_first():
    section = TEXT.split("### NAS-Bench-201's comparison of searchers")[1].split("\n### ")[0]
    rows = re.findall(r"^\| (\w+) \| [\d.]+ ± [\d.]+ \| [\d.]+ ± [\d.]+ \| (yes|no) \|$", section, re.MULTILINE)
    assert dict(rows) == dict.fromkeys(script.PUBLISHED, "yes")
    assert "The order of the means is the same." in section


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nasbench201_figure"])
def test_running_a_study_again_gives_what_ships(name, tmp_path):
    study = studies.read(ROOT / "studies" / f"{name}.toml")
    studies.run(study, tmp_path / name, jobs=1)
    studies.report(tmp_path / name)
    script.keep(tmp_path / name, tmp_path / "kept")
    shipped = ROOT / "docs" / "studies" / name / "statistics"
    for path in sorted(shipped.glob("*.csv")):
        assert (tmp_path / "kept" / "statistics" / path.name).read_bytes() == path.read_bytes(), path.name
