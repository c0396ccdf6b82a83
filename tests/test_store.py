"""The column store: derived from the tables to the byte, and refused when it is damaged or stale."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pytest
from small_store import ARCHS, SOURCES, build, columns, lookups, write_tables

import hwnasbench
from hwnasbench import spaces
from hwnasbench.benchmark import Benchmark
from hwnasbench.errors import CorruptFile, NoColumn, StaleStore, StorageError, UnknownName
from hwnasbench.tables.schema import OBSERVATIONS, validate
from hwnasbench.tables.store import DATA_FILE, INDEX_FILE, Store
from hwnasbench.tables.store_builder import build_store, build_user_store
from hwnasbench.tables.write import ColumnData, concat, read_table, write_table


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    build(folder)
    return folder


@pytest.fixture
def store(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built / "store", tmp_path / "store"))


def test_every_stored_value_is_the_tables(built: Path) -> None:
    rows = duckdb.sql(
        f"select * from '{built}/tables/observations.parquet' where space = 'nasbench201' order by arch_index"
    ).df()
    store = Store(built / "store")
    seen = 0
    for column in store.columns:
        if column.space != "nasbench201":
            continue
        mask = (rows["metric"] == column.metric) & (rows["source"] == column.source)
        for key, value in column.keys.items():
            mask &= rows[key].isna() if value is None else rows[key] == value
        part = rows[mask]
        seen += len(part)
        values = np.asarray(column.vector(), float)[part["arch_index"]]  # type: ignore[attr-defined]
        np.testing.assert_array_equal(values, part["value"].to_numpy(float))
        for _, row in part.head(40).iterrows():
            assert column.status(row["arch_index"]) == row["status"]
            assert column.kind_at(row["arch_index"]) == row["kind"]
            assert ";".join(column.flags_at(row["arch_index"])) == (
                row["flags"] if isinstance(row["flags"], str) else ""
            )
    assert seen == len(rows), "every row of the table is in exactly one column"


def test_same_tables_same_bytes(built: Path, tmp_path: Path) -> None:
    build(tmp_path)
    for name in (INDEX_FILE, DATA_FILE):
        assert (tmp_path / "store" / name).read_bytes() == (built / "store" / name).read_bytes()


def test_the_fingerprint_is_of_values_not_of_rows_order(tmp_path: Path) -> None:
    prints = []
    for name, step in (("a", 1), ("b", -1)):
        path = tmp_path / name / "t.parquet"
        write_table(concat(c.to_table() for c in columns()[::step]), path)
        prints.append(build_store([path], tmp_path / name / "store", "r", SOURCES, tmp_path / name))
    assert prints[0] == prints[1]
    changed = columns()
    changed[0].values[100] += 1e-9
    path = tmp_path / "c" / "t.parquet"
    write_table(concat(c.to_table() for c in changed), path)
    assert build_store([path], tmp_path / "c" / "store", "r", SOURCES, tmp_path / "c") != prints[0]


@pytest.mark.parametrize("keep", [0, 1, 1000, -1])
def test_a_truncated_data_file_is_refused(store: Path, keep: int) -> None:
    data = (store / DATA_FILE).read_bytes()
    (store / DATA_FILE).write_bytes(data[:keep])
    with pytest.raises(CorruptFile, match="bytes, expected"):
        Store(store)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"format": 3'])
def test_a_damaged_index_is_refused(store: Path, content: bytes) -> None:
    (store / INDEX_FILE).write_bytes(content)
    with pytest.raises(CorruptFile):
        Store(store)


def test_a_changed_byte_is_found(store: Path) -> None:
    Store(store).verify()
    data = bytearray((store / DATA_FILE).read_bytes())
    data[1234] ^= 1
    (store / DATA_FILE).write_bytes(data)
    with pytest.raises(CorruptFile, match="SHA-256"):
        Store(store).verify()


@pytest.mark.parametrize("part", ["release", "arrays", "columns", "devices", "sha256", "order"])
def test_an_index_without_a_part_is_refused(store: Path, part: str) -> None:
    index = json.loads((store / INDEX_FILE).read_text())
    del index[part]
    (store / INDEX_FILE).write_text(json.dumps(index))
    with pytest.raises(CorruptFile, match=part):
        Store(store)


def test_a_missing_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptFile, match="no column store"):
        Store(tmp_path)


def test_another_format_is_refused(store: Path) -> None:
    index = json.loads((store / INDEX_FILE).read_text())
    (store / INDEX_FILE).write_text(json.dumps({**index, "format": "hwnasbench-store/0"}))
    with pytest.raises(StaleStore, match="hwnasbench-store/0"):
        Store(store)


def test_the_same_column_twice_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_table(columns()[0].to_table(), tmp_path / f"{name}.parquet")
    with pytest.raises(CorruptFile, match="second time"):
        build_store(tmp_path.glob("*.parquet"), tmp_path / "store", "r", SOURCES, tmp_path)
    assert not (tmp_path / "store").exists()


def test_an_architecture_twice_is_refused(tmp_path: Path) -> None:
    table = columns()[0].to_table()
    write_table(concat([table, table.slice(0, 1)]), tmp_path / "a.parquet")
    with pytest.raises(CorruptFile, match="twice"):
        build_store([tmp_path / "a.parquet"], tmp_path / "store", "r", SOURCES, tmp_path)


def test_a_users_store_is_switched_and_refused_when_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWNASBENCH_HOME", str(tmp_path))
    with pytest.raises(NoColumn, match="hwnasbench build"):
        hwnasbench.load("nasbench201", data="built")
    first = columns()[0]
    write_table(first.to_table(), tmp_path / "tables" / "low" / "nasbench201.parquet")
    write_table(lookups(), tmp_path / "lookups" / "model" / "fbnet.parquet")
    old = build_user_store(tmp_path, SOURCES)
    assert hwnasbench.load("fbnet", data="built").query([0] * 22, device="pixel3").latency == 2.0 + sum(range(22))
    bench = hwnasbench.load("nasbench201", data="built")
    assert bench.query(7, device="pixel3").latency == pytest.approx(10.007)
    assert bench.release.startswith("built-")
    with pytest.raises(NoColumn, match=r"hwnasbench fetch help.* would fill it"):
        bench.query(7, device="raspi4", metrics="latency", kinds=("measured", "estimated", "predicted"))
    both = hwnasbench.load("nasbench201", data="auto")
    assert both.query(7, device="pixel3").latency == pytest.approx(10.007), "measured beats predicted"
    assert "+" in both.release

    first.values += 1
    write_table(first.to_table(), tmp_path / "tables" / "low" / "nasbench201.parquet")
    with pytest.raises(StaleStore, match="hwnasbench build"):
        hwnasbench.load("nasbench201", data="built")
    new = build_user_store(tmp_path, SOURCES)
    assert new != old
    assert not old.exists()
    assert hwnasbench.load("nasbench201", data="built").query(7, device="pixel3").latency == pytest.approx(11.007)
    assert bench.query(8, device="pixel3").latency == pytest.approx(10.008), "a mapped store outlives the switch"

    data = new / DATA_FILE
    content = data.read_bytes()
    for damage in (content[:100], content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]):
        data.unlink()
        data.write_bytes(damage)
        assert build_user_store(tmp_path, SOURCES) == new
        assert data.read_bytes() == content, "a build mends a damaged store"

    (tmp_path / "store" / "CURRENT").write_text("../elsewhere")
    with pytest.raises(CorruptFile, match="no store"):
        hwnasbench.load("nasbench201", data="built")


def test_unknown_data_word() -> None:
    with pytest.raises(UnknownName, match="'shipped'"):
        hwnasbench.load("nasbench201", data="shiped")  # type: ignore[arg-type]
    with pytest.raises(UnknownName, match="'nasbench201'"):
        hwnasbench.load("nasbench-201")


def test_writing_under_a_file_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="writable"):
        write_table(columns()[0].to_table(), tmp_path / "file" / "t.parquet")
    with pytest.raises(StorageError):
        build_user_store(tmp_path / "file", SOURCES)


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.parquet"
    write_table(columns()[0].to_table(), path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        write_table(columns()[1].to_table(), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("keep", [0, 4, 1000])
def test_corrupt_parquet_is_refused(tmp_path: Path, keep: int) -> None:
    (path,) = write_tables(tmp_path)[:1]
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CorruptFile, match="observations"):
        read_table(path)


def _bad(**change: object) -> ColumnData:
    data = columns()[0]
    for name, value in change.items():
        setattr(data, name, value)
    return data


def test_tables_outside_the_vocabulary_are_refused(tmp_path: Path) -> None:
    for change, says in (
        ({"kind": "guessed"}, "guessed"),
        ({"metric": "lateness"}, "lateness"),
        ({"values": np.full(len(ARCHS), np.inf)}, "not finite"),
        ({"status": np.full(len(ARCHS), 1, np.int8), "values": np.zeros(len(ARCHS))}, None),
    ):
        table = _bad(**change).to_table()
        if says is None:
            table = table.set_column(
                table.schema.get_field_index("value"), OBSERVATIONS.field("value"), columns()[1].to_table()["value"]
            )
            says = "must have a value"
        with pytest.raises(CorruptFile, match=says):
            write_table(table, tmp_path / "t.parquet")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(CorruptFile, match="missing"):
        validate(columns()[0].to_table().drop_columns(["flags"]))


def test_a_listed_space_keeps_its_rows(tmp_path: Path) -> None:
    space = spaces.get("fbnet")
    archs = [space.format(v) for v in np.random.default_rng(1).integers(0, 9, (50, 22))]
    keys = {"device": "pixel3", "dataset": "cifar100", "batch": 1, "engine": "tflite", "precision": "fp32"}
    data = ColumnData("fbnet", "latency", "low", "measured", archs, np.arange(50) + 0.5, keys=keys)
    write_table(data.to_table(), tmp_path / "t.parquet")
    build_store([tmp_path / "t.parquet"], tmp_path / "store", "r", SOURCES, tmp_path)
    bench = Benchmark(space, [Store(tmp_path / "store")])
    assert [bench.query(a, device="pixel3").latency for a in archs] == (np.arange(50) + 0.5).tolist()
    other = "0_" * 21 + "0"
    assert bench.query(other, device="pixel3")["latency"].status == "not_measured"
    frame = bench.query_many([*archs[:3], other], device="pixel3", metrics=("latency",))
    assert frame["latency"].tolist()[:3] == [0.5, 1.5, 2.5]
    assert frame["latency_status"].tolist() == ["ok", "ok", "ok", "not_measured"]


def test_the_first_answer_imports_neither_numpy_nor_pandas_nor_pyarrow(built: Path) -> None:
    code = f"""
import sys
before = set(sys.modules)  # an editable install brings pathlib along
from hwnasbench import spaces
from hwnasbench.benchmark import Benchmark
from hwnasbench.tables.store import Store
for name, arch in (("nasbench201", spaces.get("nasbench201").format([3] * 6)), ("nasbench201", 5), ("fbnet", [0] * 22)):
    bench = Benchmark(spaces.get(name), [Store({str(built / "store")!r})])
    result = bench.query(arch, device="pixel3")
    result.latency, result["latency"], bench.metrics()
    # What is simulated brings NumPy when it is read; what is stored never does.
    result = bench.query(arch, device="pixel3", metrics="latency")
    result.to_dict(), repr(result)
bench.cite(result)
loaded = set(sys.modules) - before
heavy = {{"numpy", "pandas", "pyarrow", "xgboost", "torch", "dataclasses", "inspect", "pathlib"}} & loaded
print(sorted(heavy))
"""
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.strip() == "[]"
