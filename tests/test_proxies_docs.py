"""The page on proxies: its examples run, and its figures are what the report says."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_store import ARCHS, CONNECTED, SPACE

import hwnasbench
from data_builders import proxies_table
from hwnasbench import proxies
from hwnasbench.benchmark import Benchmark
from hwnasbench.tables.store import Store
from hwnasbench.tables.store_builder import build_store
from hwnasbench.tables.write import ColumnData, concat, write_table

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
try:
    import proxies_report as report
finally:
    sys.path.pop(0)
TEXT = report.PAGE.read_text("utf-8")
CODE = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
INDEX = np.arange(len(ARCHS))
ACCURACY = 10 + INDEX * 7919 % len(ARCHS) / 200


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    """NASWOT and parameters rank as accuracy does, all others the other way round."""
    root = tmp_path_factory.mktemp("report")
    columns = []

    def add(metric: str, source: str, values: Any, keys: dict[str, Any], kind: str = "measured") -> None:
        status = np.where(CONNECTED, 0, 1).astype(np.int8)
        held = np.where(CONNECTED, values, np.nan)
        columns.append(ColumnData(SPACE.name, metric, source, kind, ARCHS, held, INDEX, status, keys))

    for dataset in SPACE.datasets:
        at = {"precision": "fp32", "split": "test", "recipe": "standard", "epochs": 200}
        add("accuracy", report.ACCURACIES, ACCURACY, {"dataset": dataset, **at})
        for name in proxies.names():
            counted = name in proxies_table.COUNTED
            source, keys = ("hwnasbench-counts", {}) if counted else (proxies_table.SOURCE, proxies_table.KEYS)
            values = ACCURACY if name in ("naswot", "params") else -ACCURACY
            add(name, source, values, {"dataset": dataset, **keys})
        add("proxy_time", proxies_table.SOURCE, np.full(len(ARCHS), 0.25), {"dataset": dataset, **proxies_table.KEYS})
    add("naswot", "naswot", -ACCURACY, {"dataset": "cifar10"}, "estimated")
    write_table(concat(column.to_table() for column in columns), root / "tables" / "made_up.parquet")
    sources = {column.source: {"priority": 0} for column in columns}
    build_store([root / "tables" / "made_up.parquet"], root / "store", "made-up", sources, root)
    return Benchmark(SPACE, [Store(root / "store")])


def test_report_ranks_and_checks(bench: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "kendall", lambda *_: 0.5)  # over all pairs of 15,284 it takes seconds
    found = report.correlations(bench)
    assert found["naswot"]["cifar10"] == pytest.approx(1)
    assert found["zen"]["ImageNet16-120"] == pytest.approx(-1)
    told = report.checks(bench, found)
    assert [holds for _, holds in told] == [True, True, None, None]
    assert told[2][0].endswith("Spearman -1.0000 on 15,284 cells")
    assert told[3][0].endswith("it has none of this space")
    monkeypatch.setattr(report, "LEAST", {"zen": 0.5})
    assert report.checks(bench, found)[0] == ("zen at CIFAR-10: -1.0000, expected 0.5 or more", False)
    text = report.section(bench, found)
    assert "| naswot | 1.000 | 1.000 | 1.000 | 0.500 | 1.000 |" in text
    assert "0.25 s at cifar10" in text


def test_page_has_one_place_for_the_figures() -> None:
    assert TEXT.count(report.BEGIN) == TEXT.count(report.END) == 1
    assert TEXT.index(report.BEGIN) < TEXT.index(report.END)


def test_page_names_all_proxies() -> None:
    listed = re.search(r"proxies\.names\(\)  # (.*)", TEXT)
    assert listed is not None
    assert listed[1].split(", ") == proxies.names()


def test_first_example_runs() -> None:
    pytest.importorskip("torch")
    exec(CODE[0], {})


def test_query_of_the_page_runs() -> None:
    shipped = hwnasbench.load("nasbench201", data="shipped")
    for line in CODE[1].strip().splitlines():
        answer = eval(line.split("#")[0], {"bench": shipped, "arch": 6111})
        published = "source=" in line
        assert answer["naswot"].source == ("naswot" if published else proxies_table.SOURCE)
        assert bool(answer["naswot"].flags) == published


@pytest.mark.slow
def test_own_proxy_of_the_page_runs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from hwnasbench.proxies import comparison

    monkeypatch.setattr(comparison, "_TIMED", 1)
    own = CODE[2]
    assert len(own.splitlines()) <= 20
    assert own.count("sample=100") == 1
    names: dict[str, Any] = {}
    exec(own.replace("sample=100", "sample=10"), names)
    assert set(names["frame"].index) == {"head_gradient", *proxies.names()}
    printed = capsys.readouterr().out
    assert "head_gradient" in printed
    assert "'split': 'test'" in printed
