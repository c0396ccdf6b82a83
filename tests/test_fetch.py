"""Downloads from a loopback server: pinned, checked, resumed."""

from __future__ import annotations

import hashlib
import http.server
import re
import threading
from functools import partial

import pytest

from data_builders import catalog
from data_builders.catalog import Source
from data_builders.fetch import fetch, fetch_package, url_of
from hwnasbench.errors import ChecksumMismatch, DownloadFailed, SourceMissing, StorageError

CONTENT = bytes(range(256)) * 1024
NAME = "data/a b.bin"


class _Handler(http.server.BaseHTTPRequestHandler):
    """Serves one file, with ranges; misbehaves as the server's attributes say."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        start = 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and server.ranges:
            start = int(asked[1])
        server.requests.append((self.path, start))
        body = server.content[start:]
        if self.path != "/thing/data/a%20b.bin":
            self.send_error(404)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = server.cuts.pop(0) if server.cuts else None
        self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.content, server.ranges, server.cuts, server.requests = CONTENT, True, [], []
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def thing():
    return Source(
        id="thing",
        title="A thing",
        repository="someone/thing",
        commit="0" * 40,
        licence="none stated",
        citation="@misc{thing}",
        priority=1,
        unit="ms",
        unit_evidence="stated",
        files=[{"path": NAME, "bytes": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}],
    )


def leftovers(home):
    return sorted(p.name for p in home.rglob("*") if p.is_file())


def test_whole_file_and_what_is_printed(server, thing, tmp_path):
    said = []
    folder = fetch(thing, tmp_path, server.url, say=said.append)
    assert (folder / NAME).read_bytes() == CONTENT
    assert folder == tmp_path / "sources" / "thing"
    assert "licence: none stated" in said[0]
    assert "@misc{thing}" in said[0]
    assert leftovers(tmp_path) == ["a b.bin"]


def test_nothing_is_fetched_twice(server, thing, tmp_path):
    for _ in range(2):
        fetch(thing, tmp_path, server.url, say=lambda text: None)
    assert len(server.requests) == 1


def test_a_damaged_file_is_fetched_again(server, thing, tmp_path):
    fetch(thing, tmp_path, server.url, say=lambda text: None)
    path = tmp_path / "sources/thing" / NAME
    path.write_bytes(b"damaged")
    fetch(thing, tmp_path, server.url, say=lambda text: None)
    assert path.read_bytes() == CONTENT


def test_a_cut_connection_is_continued_in_the_same_call(server, thing, tmp_path):
    server.cuts = [131_072]
    fetch(thing, tmp_path, server.url, say=lambda text: None)
    assert (tmp_path / "sources/thing" / NAME).read_bytes() == CONTENT
    assert [start for _, start in server.requests] == [0, 131_072]


def test_a_truncated_download_is_kept_and_resumed_by_the_next(server, thing, tmp_path):
    server.cuts = [131_072, 0, 0, 0]
    with pytest.raises(DownloadFailed, match=r"ended after 131072 of 262144 bytes.*continued next time"):
        fetch(thing, tmp_path, server.url, say=lambda text: None)
    assert leftovers(tmp_path) == ["a b.bin.partial"]
    server.cuts, server.requests = [], []
    fetch(thing, tmp_path, server.url, say=lambda text: None)
    assert [start for _, start in server.requests] == [131_072]
    assert (tmp_path / "sources/thing" / NAME).read_bytes() == CONTENT
    assert leftovers(tmp_path) == ["a b.bin"]


def test_a_server_without_ranges_starts_over(server, thing, tmp_path):
    server.ranges, server.cuts = False, [131_072]
    fetch(thing, tmp_path, server.url, say=lambda text: None)
    assert (tmp_path / "sources/thing" / NAME).read_bytes() == CONTENT


def test_a_shorter_file_is_a_truncated_download(server, thing, tmp_path):
    server.content = CONTENT[:-1]
    with pytest.raises(DownloadFailed, match="ended after 262143 of 262144 bytes"):
        fetch(thing, tmp_path, server.url, say=lambda text: None)
    assert not (tmp_path / "sources/thing" / NAME).exists()


@pytest.mark.parametrize("content", [b"x" + CONTENT[1:], CONTENT + b"x"], ids=["changed", "longer"])
def test_wrong_checksum_leaves_nothing(server, thing, tmp_path, content):
    server.content = content
    with pytest.raises(ChecksumMismatch, match=r"SHA-256 [0-9a-f]{64}.*expected"):
        fetch(thing, tmp_path, server.url, say=lambda text: None)
    assert leftovers(tmp_path) == []


def test_not_there(server, thing, tmp_path):
    with pytest.raises(DownloadFailed, match="404"):
        fetch(thing, tmp_path, server.url + "/nowhere", say=lambda text: None)
    assert leftovers(tmp_path) == []


def test_nobody_answers(thing, tmp_path):
    with pytest.raises(DownloadFailed):
        fetch(thing, tmp_path, "http://127.0.0.1:9", say=lambda text: None)


def test_a_folder_that_cannot_be_written(server, thing, tmp_path):
    (tmp_path / "sources").write_text("a file where a folder should be")
    with pytest.raises(StorageError, match="expected a writable folder"):
        fetch(thing, tmp_path, server.url, say=lambda text: None)


def test_addresses():
    source = catalog.get("help")
    commit = source.commit
    url = url_of(source, "data/fbnet/a b.pt")
    assert url == f"https://raw.githubusercontent.com/HayeonLee/HELP/{commit}/data/fbnet/a%20b.pt"
    assert url_of(source, "x.pt", "http://here/") == "http://here/help/x.pt"


def test_an_unpinned_source_says_what_to_do(tmp_path):
    with pytest.raises(SourceMissing, match=r"take HW-NAS-Bench-v1_0\.pickle from GATECH-EIC/HW-NAS-Bench"):
        fetch(catalog.get("hwnasbench"), tmp_path)


@pytest.mark.sources
def test_a_published_source_over_http(sources, tmp_path):
    handler = partial(_Quiet, directory=str(sources))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        source = catalog.get("oneproxy")
        folder = fetch(source, tmp_path, f"http://127.0.0.1:{server.server_address[1]}", say=lambda text: None)
        server.shutdown()
        thread.join()
    for file in source.files:
        assert (folder / file.path).read_bytes() == (sources / "oneproxy" / file.path).read_bytes()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def test_pip_failing_is_a_failed_download(tmp_path, monkeypatch):
    package = catalog.get("analog-nasbench")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "empty"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(DownloadFailed, match="pip could not download analog-nasbench"):
        fetch_package(package, tmp_path / "sources")
    assert leftovers(tmp_path) == []


def test_pip_delivering_another_file_is_a_wrong_checksum(tmp_path, monkeypatch):
    package = catalog.get("analog-nasbench")
    _, name = (tmp_path / "links").mkdir(), package.files[0].path
    import zipfile

    with zipfile.ZipFile(tmp_path / "links" / name, "w") as wheel:
        info = "analog_nasbench-0.1.3.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: analog-nasbench\nVersion: 0.1.3\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(ChecksumMismatch, match=name):
        fetch_package(package, tmp_path / "sources")
    assert leftovers(tmp_path) == [name]
