"""Runs a job in a measuring process of its own, here or on a cluster's worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from hwnasbench import errors

#: Exit status of a measuring process that could not read or write its files (EX_IOERR of sysexits.h).
DISK = 74


class Crashed(RuntimeError):
    """The measuring process died without a word of its own."""


def perform(job: dict[str, Any], networks: bytes) -> bytes:
    """Do a job in a new process; return what it wrote.

    Parameters
    ----------
    job : dict
        See `data_builders.measure.worker.main`.
    networks : bytes
        What `payload.pack` gave.

    Raises
    ------
    Crashed
        When the process died, as it does when an engine crashes.
    StorageError
        When the temporary disk is full or cannot be written.
    HwnasbenchError
        What the process raised.
    """
    try:
        return _perform(job, networks)
    except OSError as error:
        raise _storage(str(error)) from error


def _perform(job: dict[str, Any], networks: bytes) -> bytes:
    with TemporaryDirectory(prefix="hwnasbench-") as name:
        folder = Path(name)
        (folder / "job.json").write_text(json.dumps({**job, "parent": os.getpid()}), "utf-8")
        (folder / "networks.npz").write_bytes(networks)
        paths = [str(folder / part) for part in ("job.json", "networks.npz", "out")]
        threads = str(job["setting"]["threads"])
        done = subprocess.run(
            [sys.executable, "-m", "data_builders.measure.worker", *paths],
            env={**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if done.returncode == 0:
            return (folder / "out").read_bytes()
        said = folder / "out.error"
        if said.exists():
            kind, text = json.loads(said.read_text("utf-8"))
            raise _error(kind, text)
        if done.returncode == DISK:
            raise _storage(done.stderr.decode("utf-8", "replace").strip())
        tail = done.stderr.decode("utf-8", "replace").strip().splitlines()[-3:]
        raise Crashed(f"exit status {done.returncode}; {' / '.join(tail) or 'nothing was said'}")


def _storage(why: str) -> errors.StorageError:
    return errors.StorageError(f"a measuring process needs some temporary files, in {gettempdir()}: {why}")


def _error(kind: str, text: str) -> Exception:
    found = getattr(errors, kind, errors.Unmeasurable)
    # An unknown name is made of parts that the text no longer tells apart.
    found = errors.InvalidRequest if found is errors.UnknownName else found
    made: Exception = found(text)
    return made
