"""From files to tables: whole or not at all, resumable, the same bytes every time."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from data_builders import build as building
from data_builders import catalog
from data_builders.build import build, build_one, checksums, lock, source_records
from data_builders.rows import cells
from hwnasbench import spaces
from hwnasbench.errors import (
    BuildLocked,
    ChecksumMismatch,
    CorruptFile,
    SourceMissing,
    StorageError,
    UnknownName,
    UnsafePickle,
)
from hwnasbench.tables.store_builder import build_user_store
from hwnasbench.tables.write import read_table

SPACE = spaces.get("nasbench201")


def digests(folder: Path) -> dict[str, str]:
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


# -- a small source that needs no published file ------------------------------------------------


@pytest.fixture
def zen(tmp_path, monkeypatch) -> Path:
    """Return a folder of files for source naslib_zen, in its layout but with NAS-Bench-201 rows."""
    folder = tmp_path / "files" / "naslib_zen" / "run/results/benchmarks"
    folder.mkdir(parents=True)
    write_zen(folder / "nb201_zen.zip", range(20))
    monkeypatch.setitem(catalog._catalog(), "naslib_zen", unpinned("naslib_zen"))
    return tmp_path / "files"


def unpinned(name: str) -> catalog.Source:
    source = catalog.get(name)
    files = [file.model_copy(update={"bytes": None, "sha256": None}) for file in source.files]
    return source.model_copy(update={"files": files, "pinned": False})


def write_zen(path: Path, indices, dataset: str = "cifar10", space: str = "nasbench201") -> None:
    with zipfile.ZipFile(path, "w") as archive:
        records = [
            {
                "idx": str(i),
                "arch": SPACE.format(SPACE.from_index(i), "naslib"),
                "zen": {"score": i / 8, "time": 1.0},
                "val_accuracy": 90.0,
            }
            for i in indices
        ]
        archive.writestr(f"zen/benchmark--{space}--{dataset}--0.json", json.dumps(records))
        archive.writestr("zen/benchmark--transbench101_micro--normal--0.json", json.dumps(records))


def test_zen_rows_of_nasbench201_are_imported(zen, tmp_path):
    report = build(["naslib_zen"], home=tmp_path / "home", sources=zen, store=False)
    assert report.built == {"naslib_zen": "nasbench201: 1 columns, 15625 rows"}
    table = read_table(tmp_path / "home/tables/naslib_zen/nasbench201.parquet").to_pandas()
    assert set(table["metric"]) == {"zen"}
    assert table["value"].dropna().tolist() == [i / 8 for i in range(20)]
    assert table["arch"].tolist()[:20] == cells().archs[:20]
    assert (table["status"] == "not_measured").sum() == 15605


def test_a_source_without_a_row_of_ours_says_so(zen, tmp_path):
    write_zen(zen / "naslib_zen/run/results/benchmarks/nb201_zen.zip", range(3), space="transbench101_micro")
    report = build(["naslib_zen"], home=tmp_path / "home", sources=zen, store=False)
    assert report.empty == {"naslib_zen": "no rows of a registered space"}
    assert list((tmp_path / "home").rglob("*.parquet")) == []
    assert build(["naslib_zen"], home=tmp_path / "home", sources=zen, store=False).empty == report.empty


def test_what_is_built_is_kept_until_its_input_changes(zen, tmp_path):
    home = tmp_path / "home"
    build(["naslib_zen"], home=home, sources=zen, store=False)
    table = home / "tables/naslib_zen/nasbench201.parquet"
    before = table.stat().st_mtime_ns
    assert set(build(["naslib_zen"], home=home, sources=zen, store=False).kept) == {"naslib_zen"}
    assert table.stat().st_mtime_ns == before
    write_zen(zen / "naslib_zen/run/results/benchmarks/nb201_zen.zip", range(21))
    assert set(build(["naslib_zen"], home=home, sources=zen, store=False).built) == {"naslib_zen"}
    assert read_table(table)["value"].null_count == 15604


def test_a_damaged_table_is_built_again(zen, tmp_path):
    home = tmp_path / "home"
    build(["naslib_zen"], home=home, sources=zen, store=False)
    whole = digests(home / "tables")
    table = home / "tables/naslib_zen/nasbench201.parquet"
    table.write_bytes(table.read_bytes()[:-100])
    with pytest.raises(CorruptFile, match=r"nasbench201\.parquet"):
        read_table(table)
    with pytest.raises(CorruptFile, match=r"nasbench201\.parquet"):
        build_user_store(home, source_records())
    assert set(build(["naslib_zen"], home=home, sources=zen).built) == {"naslib_zen"}
    assert digests(home / "tables") == whole


def test_same_bytes_in_any_executor(zen, tmp_path):
    found = []
    for number, executor in enumerate((None, ThreadPoolExecutor(2))):
        home = tmp_path / f"home{number}"
        build(["naslib_zen"], home=home, sources=zen, executor=executor)
        assert (home / "store/CURRENT").is_file()
        found.append(digests(home / "tables"))
    assert found[0] == found[1]
    assert set(found[0]) == {"naslib_zen/built.json", "naslib_zen/nasbench201.parquet"}


# -- bad input ----------------------------------------------------------------------------------


def test_unknown_source(tmp_path):
    with pytest.raises(UnknownName, match=r"did you mean 'robot'"):
        build(["robott"], home=tmp_path)


def test_no_files(tmp_path):
    with pytest.raises(SourceMissing, match="hwnasbench fetch robot"):
        build(["robot"], home=tmp_path, sources=tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.sources
def test_a_wrong_checksum_builds_nothing(sources, tmp_path):
    shutil.copytree(sources / "robot", tmp_path / "files" / "robot")
    path = tmp_path / "files/robot/data/nb2_cf10_test_accuracy.p"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ChecksumMismatch, match=r"nb2_cf10_test_accuracy\.p.*expected"):
        build(["robot"], home=tmp_path / "home", sources=tmp_path / "files")
    assert digests(tmp_path / "home") == {}


def test_a_hostile_file_builds_nothing(tmp_path, monkeypatch):
    monkeypatch.setitem(catalog._catalog(), "robot", unpinned("robot"))
    witness = tmp_path / "witness"
    for file in catalog.get("robot").files:
        path = tmp_path / "files/robot" / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"cos\nsystem\n(S'touch " + str(witness).encode() + b"'\ntR.")
    with pytest.raises(UnsafePickle, match=r"os\.system"):
        build(["robot"], home=tmp_path / "home", sources=tmp_path / "files")
    assert not witness.exists()
    assert digests(tmp_path / "home") == {}


# -- the data folder ----------------------------------------------------------------------------


def test_a_data_folder_that_is_a_file(zen, tmp_path):
    (tmp_path / "home").write_text("")
    with pytest.raises(StorageError, match="expected a writable folder"):
        build(["naslib_zen"], home=tmp_path / "home", sources=zen)


def test_a_tables_folder_that_is_a_file(zen, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "tables").write_text("")
    with pytest.raises(StorageError, match="expected a writable folder"):
        build(["naslib_zen"], home=tmp_path / "home", sources=zen)
    assert sorted(p.name for p in (tmp_path / "home").iterdir()) == ["tables"]


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a file system that not even root may write")
def test_a_read_only_data_folder(zen):
    with pytest.raises(StorageError, match="expected a writable folder"):
        build(["naslib_zen"], home=Path("/proc/self/hwnasbench"), sources=zen)


def test_a_full_data_folder(zen, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("hwnasbench.tables.write.os.fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        build(["naslib_zen"], home=tmp_path / "home", sources=zen)
    assert digests(tmp_path / "home") == {}


def test_the_lock_of_a_live_process(zen, tmp_path):
    home = tmp_path / "home"
    with lock(home):
        with pytest.raises(BuildLocked, match=f"process {os.getpid()}"):
            build(["naslib_zen"], home=home, sources=zen)
        assert (home / "build.lock").exists()
    assert digests(home) == {}
    assert build(["naslib_zen"], home=home, sources=zen, store=False).built


def test_the_lock_of_a_dead_process_is_taken_over(zen, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (home / "build.lock").write_text(str(dead.pid))
    assert build(["naslib_zen"], home=home, sources=zen, store=False).built
    assert not (home / "build.lock").exists()


_SLOW = """
import sys, time
from pathlib import Path
from data_builders import build as b
real = b.build_one
def slow(folder, target, digests):
    if folder.source.id == "robot":
        print("robot", flush=True)
        time.sleep(60)
    return real(folder, target, digests)
b.build_one = slow
class Here:
    def submit(self, f, *a):
        class Done:
            def result(self): return f(*a)
            def cancel(self): pass
        return Done()
b.build(["mini_nasbench201", "robot"], home=Path(sys.argv[1]), sources=Path(sys.argv[2]), executor=Here())
"""


@pytest.mark.sources
def test_kill_and_resume_and_two_at_once(sources, tmp_path):
    home = tmp_path / "home"
    command = [sys.executable, "-c", _SLOW, str(home), str(sources)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "robot\n"
            with pytest.raises(BuildLocked, match=f"process {process.pid}"):
                build(["robot"], home=home, sources=sources)
        finally:
            process.send_signal(signal.SIGKILL)
    first = home / "tables/mini_nasbench201/nasbench201.parquet"
    assert first.is_file()
    first.with_name(f".nasbench201.parquet.{process.pid}.partial").write_bytes(b"half")
    assert not (home / "tables/robot").exists()
    before = first.stat().st_mtime_ns

    report = build(["mini_nasbench201", "robot"], home=home, sources=sources)
    assert (set(report.kept), set(report.built)) == ({"mini_nasbench201"}, {"robot"})
    assert first.stat().st_mtime_ns == before
    assert not [p for p in home.rglob("*") if "partial" in p.name or "lock" in p.name]

    # The same bytes as a build that nothing disturbed.
    build(["robot", "mini_nasbench201"], home=tmp_path / "other", sources=sources)
    assert digests(home / "tables") == digests(tmp_path / "other" / "tables")


@pytest.mark.sources
def test_workers_end_with_a_killed_build(sources, tmp_path):
    """Two sources build in worker processes; none of them outlives a kill -9 of the build."""
    code = (
        "import sys; from pathlib import Path; from data_builders.build import build; "
        "build(['help', 'latbench'], home=Path(sys.argv[1]), sources=Path(sys.argv[2]), store=False)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(sources)]) as process:
        workers = _wait_for(lambda: _children(process.pid))
        process.kill()
    _wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    build(["latbench"], home=tmp_path, sources=sources, store=False)
    assert read_table(tmp_path / "tables/latbench/nasbench201.parquet").num_rows == 156250


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8")
    return [int(child) for child in text.split()]


def _wait_for(condition, seconds: float = 30):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "timed out"
        time.sleep(0.05)
    return found


@pytest.mark.sources
def test_sql_over_the_built_folder(sources, tmp_path):
    import duckdb

    build(["robot", "naswot", "oneproxy", "fbnet_proxies"], home=tmp_path, sources=sources, store=False)
    everything = f"read_parquet('{tmp_path}/tables/**/*.parquet')"
    rows = duckdb.sql(f"select source, count(*), count(value) from {everything} group by source order by source")
    assert rows.fetchall() == [
        ("fbnet_proxies", 65000, 65000),
        ("naswot", 62500, 62159),
        ("oneproxy", 31984, 31725),
        ("robot", 78125, 78125),
    ]
    best = duckdb.sql(
        f"""select dataset, round(max(value), 4) from {everything}
        where source = 'robot' and metric = 'accuracy' and split = 'test' group by dataset order by dataset"""
    )
    assert best.fetchall() == [("ImageNet16-120", 47.3111), ("cifar10", 94.3733), ("cifar100", 73.5133)]
    refused = duckdb.sql(f"select device, count(*) from {everything} where status = 'compile_failed' group by device")
    assert refused.fetchall() == [("edgetpu", 259)]
    joined = duckdb.sql(
        f"""select count(*), min(l.value) from {everything} l join {everything} a using (space, arch)
        where l.device = 'pixel3' and a.source = 'robot' and a.dataset = 'cifar100' and a.value > 70"""
    ).fetchall()
    raw = pickle.loads((sources / "oneproxy/latency_data/rice_pixel3.pickle").read_bytes())
    ((count, fastest),) = joined
    assert count == 834
    assert fastest in raw


@pytest.mark.sources
@pytest.mark.slow
def test_every_source_in_a_minute(sources, tmp_path):
    before = os.times()
    wanted = [n for n in catalog.names() if n not in ("hwnasbench", "analog-nasbench")]
    report = build(wanted, home=tmp_path, sources=sources)
    # CPU seconds of this process and its workers, so that a busy machine does not fail it.
    assert sum(os.times()[:4]) - sum(before[:4]) < 60
    # One is of another space; three hold single layers, which are fitted and are no rows of a space.
    empty = {"naslib_zen", "haq", "icas_jetson", "micronas", "ofa_fpga", "platformx", "spnas_pixel1", "tfnas"}
    empty |= {"tinynas_v100"}
    assert set(report.built) == set(wanted) - empty
    assert set(report.empty) == empty


def test_the_record_names_the_input(zen, tmp_path):
    folder = building.locate(catalog.get("naslib_zen"), tmp_path, zen)
    record = build_one(folder, tmp_path / "tables/naslib_zen", checksums(folder))
    assert record["inputs"] == checksums(folder)
    assert json.loads((tmp_path / "tables/naslib_zen/built.json").read_text("utf-8")) == record
