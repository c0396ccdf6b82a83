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

import numpy as np
import pytest

from data_builders import build as building
from data_builders import catalog
from data_builders.build import build, build_one, checksums, lock, source_records
from data_builders.rows import cells
from data_builders.sources import hwnasbench as hwnb
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


# -- the catalogue ------------------------------------------------------------------------------


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
    import tomllib

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
    start = time.perf_counter()
    wanted = [n for n in catalog.names() if n not in ("hwnasbench", "analog-nasbench")]
    report = build(wanted, home=tmp_path, sources=sources)
    assert time.perf_counter() - start < 60
    assert set(report.built) == set(wanted) - {"naslib_zen"}
    assert set(report.empty) == {"naslib_zen"}


# -- HW-NAS-Bench's own pickle ------------------------------------------------------------------


def write_hwnasbench(folder: Path, **changes: float) -> Path:
    """Write a file in HW-NAS-Bench's layout; its numbers are made up but for the published sample."""
    metrics = [*hwnb.METRICS, "eyeriss_arithmetic_intensity"]
    table = {}
    for number, dataset in enumerate(("cifar10", "cifar100", "ImageNet16-120")):
        part = {name: (np.arange(15625) * 1e-3 + number + 1).tolist() for name in metrics}
        part["edgetpu_latency"][5] = -1
        part["config"] = [{"name": "infer.tiny", "C": 16, "N": 5}] * 15625
        table[dataset] = part
    for name, value in {**hwnb.SAMPLE, **changes}.items():
        table["cifar10"][name][0] = value
    names = {n for d in ("cifar100", "imagenet") for _, _, n in hwnb.blocks(d)}
    names |= {n for d in ("cifar100", "imagenet") for n in hwnb.fixed_blocks(d)}
    costs = {name: float(len(name)) for name in sorted(names)}
    blocks = {name: costs for name in hwnb.METRICS if not name.startswith("edgetpu")}
    folder.mkdir(parents=True)
    (folder / "HW-NAS-Bench-v1_0.pickle").write_bytes(pickle.dumps({"nasbench201": table, "fbnet": blocks}))
    return folder


def test_hwnasbench_layout(tmp_path):
    write_hwnasbench(tmp_path / "files/hwnasbench")
    report = build(["hwnasbench"], home=tmp_path / "home", sources=tmp_path / "files")
    assert report.built == {"hwnasbench": "nasbench201: 27 columns, 421875 rows"}
    table = read_table(tmp_path / "home/tables/hwnasbench/nasbench201.parquet").to_pandas()
    first = table[(table["dataset"] == "cifar10") & (table["arch_index"] == 0)].set_index(["device", "metric"])["value"]
    assert first["jetson_tx2", "latency"] == 5.807418537139893
    assert first["jetson_tx2", "energy"] == 24.226614330768584
    assert first["edgetpu", "latency"] == 0.9571811309997429
    assert first["fpga", "energy"] == 7 * 2.57296
    refused = table[table["status"] == "compile_failed"]
    assert refused.groupby("dataset", observed=True)["arch_index"].unique().map(list).to_dict() == {
        "cifar10": [5],
        "cifar100": [5],
        "ImageNet16-120": [5],
    }


def test_hwnasbench_block_tables(tmp_path):
    folder = catalog.Folder(catalog.get("hwnasbench"), write_hwnasbench(tmp_path / "hwnasbench"))
    table = hwnb.lookups(folder)["fbnet"].to_pandas()
    assert len(table) == 8 * 2 * (22 * 9 + 1)
    one = table[(table["device"] == "pixel3") & (table["dataset"] == "cifar100")].set_index(["position", "choice"])
    # The first block of stage 3 halves 32 px; the network ends at 4 px with the header.
    assert one["value"][5, 8] == len("Skip_H32_W32_Cin24_Cout32_stride2")
    assert one["value"][0, 1] == len("ConvBlock_H32_W32_Cin16_Cout16_exp1_kernel3_stride1_group2")
    assert one["value"][-1, 0] == sum(
        len(name)
        for name in (
            "ConvNorm_H32_W32_Cin3_Cout16_kernel3_stride1_group1",
            "ConvNorm_H4_W4_Cin352_Cout1504_kernel1_stride1_group1",
            "AvgP_H4_W4_Cin1504_Cout1504_kernel4_stride1",
            "FC_Cin1504_Cout100",
        )
    )


@pytest.mark.parametrize("name", hwnb.SAMPLE)
def test_a_file_that_disagrees_with_the_published_sample_is_refused(tmp_path, name):
    write_hwnasbench(tmp_path / "files/hwnasbench", **{name: hwnb.SAMPLE[name] + 1e-9})
    with pytest.raises(CorruptFile, match=f"{name} of index 0 at cifar10"):
        build(["hwnasbench"], home=tmp_path / "home", sources=tmp_path / "files")
    assert digests(tmp_path / "home") == {}


def test_a_file_of_another_layout_is_refused(tmp_path):
    folder = tmp_path / "files/hwnasbench"
    folder.mkdir(parents=True)
    (folder / "HW-NAS-Bench-v1_0.pickle").write_bytes(pickle.dumps({"nasbench201": {"cifar10": {}}}))
    with pytest.raises(CorruptFile, match="layout"):
        build(["hwnasbench"], home=tmp_path / "home", sources=tmp_path / "files")


def test_the_record_names_the_input(zen, tmp_path):
    folder = building.locate(catalog.get("naslib_zen"), tmp_path, zen)
    record = build_one(folder, tmp_path / "tables/naslib_zen", checksums(folder))
    assert record["inputs"] == checksums(folder)
    assert json.loads((tmp_path / "tables/naslib_zen/built.json").read_text("utf-8")) == record
