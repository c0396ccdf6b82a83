"""Builds that were killed while writing, met damage, or ran without a network."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from data_builders import catalog
from data_builders.build import build, file_digest
from hwnasbench.errors import CorruptFile, DownloadFailed, SourceMissing, StorageError
from hwnasbench.tables import write
from hwnasbench.tables.user import current_store

pytestmark = pytest.mark.sources
IDS = ("oneproxy", "mini_nasbench201")


def hashes(home: Path) -> dict[str, str]:
    return {p.relative_to(home).as_posix(): file_digest(p) for p in sorted((home / "tables").rglob("*.parquet"))}


def leftovers(home: Path) -> list[Path]:
    return [p for p in home.rglob("*") if "partial" in p.name or "lock" in p.name]


@pytest.fixture(scope="module")
def built(sources, tmp_path_factory) -> Path:
    """A data folder with two small sources, built once; tests change copies of it."""
    home = tmp_path_factory.mktemp("built")
    assert set(build(IDS, home=home, sources=sources).built) == set(IDS)
    return home


@pytest.fixture
def home(built, tmp_path) -> Path:
    return shutil.copytree(built, tmp_path / "home", copy_function=shutil.copy2)


@pytest.mark.parametrize("field", ["schema", "builder"])
def test_what_an_older_version_built_is_built_again(home, built, sources, field):
    path = home / "tables/oneproxy/built.json"
    record = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**record, field: record[field] - 1}), "utf-8")
    report = build(IDS, home=home, sources=sources, store=False)
    assert (set(report.built), set(report.kept)) == ({"oneproxy"}, {"mini_nasbench201"})
    assert hashes(home) == hashes(built)


def test_a_foreign_corrupt_table_is_named_and_the_old_store_stays(home, sources):
    before = (home / "store/CURRENT").read_text("utf-8")
    (home / "tables/mine.parquet").write_bytes(b"PAR1 no Parquet")
    with pytest.raises(CorruptFile, match=r"mine\.parquet"):
        build(IDS, home=home, sources=sources)
    assert (home / "store/CURRENT").read_text("utf-8") == before
    assert leftovers(home) == []


def test_a_disk_that_fills_up_half_way_keeps_the_old_tables(home, sources, monkeypatch):
    (home / "tables/oneproxy/built.json").unlink()
    before = hashes(home)

    def full(table, where, **_):
        Path(where).write_bytes(b"PAR1 half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(write.pq, "write_table", full)
    with pytest.raises(StorageError, match="No space left"):
        build(["oneproxy"], home=home, sources=sources)
    assert hashes(home) == before
    assert leftovers(home) == []
    assert current_store(home) is not None


def test_a_package_that_cannot_be_downloaded(sources, tmp_path, monkeypatch):
    """Named, it is an error; among all sources it is reported and the others are built."""

    def offline(*_):
        raise DownloadFailed("pip could not download analog-nasbench==0.1.3: offline")

    monkeypatch.setattr("data_builders.fetch.fetch_package", offline)
    files = tmp_path / "files"
    shutil.copytree(sources / "oneproxy", files / "oneproxy")
    report = build(home=tmp_path / "home", sources=files, store=False)
    assert set(report.built) == {"oneproxy"}
    assert "offline" in report.missing["analog-nasbench"]
    assert set(report.missing) == set(catalog.names()) - {"oneproxy"}
    with pytest.raises(DownloadFailed, match="offline"):
        build(["analog-nasbench"], home=tmp_path / "home", sources=files)


_STALL = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import hwnasbench.tables.write as write
from data_builders.build import build
real, calls = write.pq.write_table, []
def stall(table, where, **options):
    calls.append(where)
    real(table, where, **options)
    if len(calls) == 2:
        whole = where.read_bytes()
        where.write_bytes(whole[: len(whole) // 2])
        print("half", flush=True)
        time.sleep(600)
write.pq.write_table = stall
with ThreadPoolExecutor(1) as pool:
    build(sys.argv[3:], home=Path(sys.argv[1]), sources=Path(sys.argv[2]), executor=pool)
"""


def test_a_build_killed_while_it_writes_a_table(built, sources, tmp_path):
    command = [sys.executable, "-c", _STALL, str(tmp_path), str(sources), *IDS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "half\n"
        finally:
            process.send_signal(signal.SIGKILL)
    assert set(hashes(tmp_path)) == {"tables/oneproxy/nasbench201.parquet"}
    assert {p.name for p in leftovers(tmp_path)} == {"build.lock", f".nasbench201.parquet.{process.pid}.partial"}
    report = build(IDS, home=tmp_path, sources=sources, store=False)
    assert (set(report.kept), set(report.built)) == ({"oneproxy"}, {"mini_nasbench201"})
    assert hashes(tmp_path) == hashes(built)
    assert leftovers(tmp_path) == []


def test_a_build_of_what_was_fetched_stays_offline(tmp_path, monkeypatch):
    def never(*_):
        raise AssertionError("a build without --from and without names must not download")

    monkeypatch.setattr("data_builders.fetch.fetch_package", never)
    with pytest.raises(SourceMissing, match="hwnasbench fetch"):
        build(home=tmp_path)
    assert not (tmp_path / "tables").exists()
