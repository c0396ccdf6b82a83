"""Spaces in which several decision vectors name one network: every spelling finds what is known of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from small_store import SOURCES

from data_builders import catalog
from hwnasbench import spaces
from hwnasbench.benchmark import Benchmark
from hwnasbench.errors import CorruptFile
from hwnasbench.tables.schema import LOOKUPS
from hwnasbench.tables.store import Store
from hwnasbench.tables.store_builder import build_store
from hwnasbench.tables.write import ColumnData, concat, write_table


def _spellings() -> list[tuple[str, Any, Any, Any]]:
    """A space, two spellings of one network in it, and another network."""
    shallow = {"ks": [3] * 20, "e": [4] * 20, "d": [2] * 5, "r": 224}
    blocks = [1] * 21
    return [
        ("ofa_mobilenetv3", shallow, {**shallow, "ks": [3, 3, 7, 5] * 5}, {**shallow, "d": [2, 2, 2, 2, 3]}),
        ("proxylessnas", [0, 6, 1, 2, *blocks[4:]], [0, 1, 2, 6, *blocks[4:]], [0, 2, 1, 6, *blocks[4:]]),
        ("resnet", "16|16-16|32-32|64-64", [0, 0, 0, 0, 0, 0, *[5] * 16, 4, 4, *[3] * 16, 12, 12, *[1] * 16],
         "16|16-16|32-32|64-60"),
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "one", "two", "other"), _spellings(), ids=lambda v: v if isinstance(v, str) else "")
@pytest.mark.parametrize("stored", ["one", "two"])
def test_every_spelling_of_a_network_finds_its_row(
    tmp_path: Path, name: str, one: Any, two: Any, other: Any, stored: str
) -> None:
    space = spaces.get(name)
    assert space.parse(one) != space.parse(two)
    row = space.format(one if stored == "one" else two)
    keys = {"device": "pixel3", "dataset": space.datasets[0], "batch": 1, "precision": "fp32"}
    column = ColumnData(name, "latency", "low", "measured", [row], np.array([2.5]), keys=keys)
    write_table(column.to_table(), tmp_path / "t.parquet")
    build_store([tmp_path / "t.parquet"], tmp_path / "store", "r", SOURCES, tmp_path)
    bench = Benchmark(space, [Store(tmp_path / "store")])
    for arch in (one, two, space.format(one), space.format(two)):
        result = bench.query(arch, device="pixel3", metrics="latency")
        assert (result.latency, result["latency"].kind) == (2.5, "measured")
        assert result.arch == space.parse(arch), "what was asked for"
    assert bench.query(other, device="pixel3", metrics="latency")["latency"].status == "not_measured"
    frame = bench.query_many([one, other, two], device="pixel3", metrics=("latency",))
    np.testing.assert_array_equal(frame["latency"], [2.5, np.nan, 2.5])
    both = ColumnData(name, "latency", "low", "measured", list(map(space.format, (one, two))), np.ones(2), keys=keys)
    write_table(both.to_table(), tmp_path / "t.parquet")
    with pytest.raises(CorruptFile, match="twice"):
        build_store([tmp_path / "t.parquet"], tmp_path / "other", "r", SOURCES, tmp_path)


def test_an_additive_model_has_one_value_a_network(tmp_path: Path) -> None:
    """The costs of the canonical decisions are summed: blocks that are not there cost what their first choice does."""
    space = spaces.get("ofa_mobilenetv3")
    base = {"space": space.name, "metric": "latency", "device": "pixel3", "dataset": "imagenet", "link": "identity",
            "kind": "predicted", "of": "measured", "source": "model", "batch": 1, "precision": "fp32"}  # fmt: skip
    rows = [
        {**base, "position": p, "choice": c, "value": c * 2.0**-p} for p in range(46) for c in range(space.choices[p])
    ]
    filled = [
        {name: row.get(name) for name in LOOKUPS.names}
        for row in [*rows, {**base, "position": -1, "choice": -1, "value": 1.0}]
    ]
    write_table(pa.Table.from_pylist(filled, schema=LOOKUPS), tmp_path / "t.parquet")
    build_store([tmp_path / "t.parquet"], tmp_path / "store", "r", SOURCES, tmp_path)
    bench = Benchmark(space, [Store(tmp_path / "store")])
    _, one, two, other = _spellings()[0]
    expected = 1.0 + sum(
        choice * 2.0**-position
        for position, choice in enumerate(space.parse(one).vector)
        if position >= 40 or position % 4 < 2
    )
    frame = bench.query_many([one, two, other], device="pixel3", metrics=("latency",))
    single = [bench.query(arch, device="pixel3").latency for arch in (one, two, other)]
    assert frame["latency"].tolist() == single
    assert single[0] == single[1] == expected != single[2]


@pytest.mark.sources
def test_published_subnetworks_answer_however_they_are_spelt(tmp_path: Path, sources: Path) -> None:
    """Each of OFA's measured networks, with other kernels and expansions in the blocks that it does not have."""
    space = spaces.get("ofa_mobilenetv3")
    columns = []
    for name in ("dynast", "help"):
        source = catalog.get(name)
        columns += list(catalog.importer(source).columns(catalog.Folder(source, sources / name)))
    columns = [column for column in columns if column.space == space.name]
    write_table(concat(column.to_table() for column in columns), tmp_path / "t.parquet")
    named = {name: {"title": name, "citation": "", "priority": 1, "licence": ""} for name in ("dynast", "help")}
    build_store([tmp_path / "t.parquet"], tmp_path / "store", "r", named, tmp_path)
    bench = Benchmark(space, [Store(tmp_path / "store")])
    rng = np.random.default_rng(0)
    for column in columns:
        vectors = space.vectors(column.archs)
        drawn = space.sample_many(rng, len(vectors))
        other = np.where(space.active(vectors), vectors, drawn)  # type: ignore[attr-defined]
        assert (other != vectors).any(axis=1).mean() > 0.9
        request = {key: value for key, value in column.keys.items() if value is not None}
        frame = bench.query_many(other, metrics=(column.metric,), source=column.source, **request)
        np.testing.assert_array_equal(frame[column.metric], column.values)
        for row in (0, 1000, 2000):
            result = bench.query(other[row], metrics=(column.metric,), source=column.source, **request)
            assert result[column.metric].value == column.values[row]


@pytest.mark.sources
def test_the_published_blocks_of_proxylessnas_cost_what_they_cost_wherever_the_zeros_stand(
    tmp_path: Path, sources: Path
) -> None:
    space = spaces.get("proxylessnas")
    source = catalog.get("ofa_luts")
    table = catalog.lookups(source, catalog.Folder(source, sources / "ofa_luts"))[space.name]
    write_table(table, tmp_path / "t.parquet")
    build_store([tmp_path / "t.parquet"], tmp_path / "store", "r", {"ofa_luts": SOURCES["model"]}, tmp_path)
    bench = Benchmark(space, [Store(tmp_path / "store")])
    vectors = space.sample_many(np.random.default_rng(1), 500)
    canonical = space.canonical_vectors(vectors)
    assert (canonical != vectors).any(axis=1).mean() > 0.5
    frame = bench.query_many(vectors, device="pixel1", metrics=("latency",))
    np.testing.assert_array_equal(
        frame["latency"], bench.query_many(canonical, device="pixel1", metrics=("latency",))["latency"]
    )
    cost = {(row["position"], row["choice"]): row["value"] for row in table.to_pylist()}
    plain = [cost[-1, -1] + sum(cost[p, c] for p, c in enumerate(vector)) for vector in vectors.tolist()]
    np.testing.assert_allclose(frame["latency"], plain, rtol=1e-12)
