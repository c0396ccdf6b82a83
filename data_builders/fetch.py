"""Download published files: pinned, checked, resumable."""

from __future__ import annotations

import importlib.metadata
import logging
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote

import pooch
import requests
from tqdm import tqdm

from data_builders.build import file_digest
from hwnasbench.errors import ChecksumMismatch, DownloadFailed, SourceMissing, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from data_builders.catalog import Source, SourceFile

_GITHUB = "https://raw.githubusercontent.com"
#: Attempts at one file before giving up; each continues where the last one ended.
_ATTEMPTS = 3
#: Seconds without a byte after which an attempt ends.
_TIMEOUT = 30
_CHUNK = 1 << 16


class _Resuming:
    """A pooch downloader that keeps ``<file>.partial`` and continues it with an HTTP range."""

    def __init__(self, file: SourceFile, partial: Path, bar: tqdm[NoReturn] | None) -> None:
        self.file = file
        self.partial = partial
        self.bar = bar

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        expected = self.file.bytes or 0
        reason = ""
        for _ in range(_ATTEMPTS):
            before = self._size()
            if before < expected:
                reason = self._attempt(url, before)
            if self._size() >= expected or self._size() == before:
                break
        if self._size() < expected:
            kept = f"; {self.partial} is kept and continued next time" if self._size() else ""
            raise DownloadFailed(f"{url} ended after {self._size()} of {expected} bytes{reason}{kept}")
        self._check(url)
        shutil.move(self.partial, output_file)

    def _size(self) -> int:
        return self.partial.stat().st_size if self.partial.exists() else 0

    def _attempt(self, url: str, start: int) -> str:
        """Fetch from byte `start` on; return why it ended early, or nothing."""
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        try:
            with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
                response.raise_for_status()
                # A server without ranges answers 200 with the whole file.
                resumed = response.status_code == requests.codes.partial_content
                with self.partial.open("ab" if resumed else "wb") as handle:
                    for chunk in response.iter_content(_CHUNK):
                        handle.write(chunk)
                        if self.bar is not None:
                            self.bar.update(len(chunk))
        except requests.RequestException as error:
            return f" ({error})"
        return ""

    def _check(self, url: str) -> None:
        size, digest = self._size(), file_digest(self.partial)
        if size != self.file.bytes or digest != self.file.sha256:
            self.partial.unlink()
            raise ChecksumMismatch(
                f"{url} has SHA-256 {digest} ({size} bytes); expected {self.file.sha256} ({self.file.bytes} bytes); "
                "nothing of it was kept"
            )


def url_of(source: Source, path: str, mirror: str | None = None) -> str:
    """Return where a file of `source` is: at the pinned commit, or below a mirror."""
    if mirror is not None:
        return f"{mirror.rstrip('/')}/{quote(source.id)}/{quote(path)}"
    return f"{_GITHUB}/{source.repository}/{source.commit}/{quote(path)}"


def fetch(
    source: Source, home: Path, mirror: str | None = None, progress: bool = False, say: Callable[[str], object] = print
) -> Path:
    """Download every file of `source` that is not there yet into ``home/sources/<id>``.

    Parameters
    ----------
    source : Source
    home : Path
        The data folder.
    mirror : str, optional
        Base address that holds the files under ``<id>/<path in the repository>``.
    progress : bool
        Whether to show a progress bar on standard error.
    say : callable
        Is given the licence and the citation.

    Returns
    -------
    Path
        The folder with the files.

    Raises
    ------
    SourceMissing
        For a source without pinned checksums, which the user supplies.
    ChecksumMismatch, DownloadFailed, StorageError
    """
    folder = home / "sources" / source.id
    if not source.pinned:
        wanted = ", ".join(file.path for file in source.files)
        raise SourceMissing(
            f"no checksum of {source.id} is pinned; take {wanted} from {source.repository} yourself "
            f"and put it into {folder}"
        )
    say(f"{source.id}: {source.title}\nlicence: {source.licence}\n{source.citation.strip()}")
    if source.package is not None and mirror is None:
        fetch_package(source, folder)
        return folder
    pooch.get_logger().setLevel(logging.ERROR)
    total = sum(file.bytes or 0 for file in source.files)
    with tqdm(total=total, unit="B", unit_scale=True, desc=source.id, disable=not progress) as bar:
        for file in source.files:
            _fetch_file(source, file, folder / file.path, mirror, bar)
    return folder


def _fetch_file(source: Source, file: SourceFile, target: Path, mirror: str | None, bar: tqdm[NoReturn]) -> None:
    partial = target.with_name(target.name + ".partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if partial.exists():
            bar.update(partial.stat().st_size)
        elif target.exists():
            bar.update(target.stat().st_size)
        pooch.retrieve(
            url_of(source, file.path, mirror),
            known_hash=f"sha256:{file.sha256}",
            fname=target.name,
            path=target.parent,
            downloader=_Resuming(file, partial, bar),
        )
    except (ChecksumMismatch, DownloadFailed):
        raise
    except OSError as error:
        raise StorageError(
            f"cannot write {target}: {error.strerror or error}; expected a writable folder with room for "
            f"{file.bytes} bytes"
        ) from error


def fetch_package(source: Source, folder: Path) -> None:
    """Download a source that is a Python package, with pip's own client, and check it.

    Raises
    ------
    DownloadFailed
        When pip fails or is not installed.
    ChecksumMismatch
        When the file is not the pinned one.
    """
    (file,) = source.files
    target = folder / file.path
    if target.is_file() and file_digest(target) == file.sha256:
        return
    # Looking for the module with find_spec would, below Python 3.12, keep setuptools from being imported ever after.
    if not any(importlib.metadata.distributions(name="pip")):
        raise DownloadFailed(f"{source.package} is downloaded with pip, which is not installed here")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".pip-") as temporary:
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--disable-pip-version-check"]
            done = subprocess.run(
                [*command, "--dest", temporary, str(source.package)], capture_output=True, text=True, check=False
            )
            found = Path(temporary) / file.path
            if done.returncode or not found.is_file():
                reason = done.stderr.strip().splitlines()
                raise DownloadFailed(f"pip could not download {source.package}: {reason[-1] if reason else 'no file'}")
            digest = file_digest(found)
            if digest != file.sha256:
                raise ChecksumMismatch(f"{file.path} has SHA-256 {digest}; expected {file.sha256}")
            found.replace(target)
    except (ChecksumMismatch, DownloadFailed):
        raise
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error.strerror or error}; expected a writable folder") from error
