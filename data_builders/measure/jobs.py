"""Runs a job in a measuring process of its own, here or on a cluster's worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any

from hwnasbench import errors


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
    HwnasbenchError
        What the process raised.
    """
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
        tail = done.stderr.decode("utf-8", "replace").strip().splitlines()[-3:]
        raise Crashed(f"exit status {done.returncode}; {' / '.join(tail) or 'nothing was said'}")


def _error(kind: str, text: str) -> Exception:
    found = getattr(errors, kind, errors.Unmeasurable)
    # An unknown name is made of parts that the text no longer tells apart.
    found = errors.InvalidRequest if found is errors.UnknownName else found
    made: Exception = found(text)
    return made


class Slots:
    """Gives each process that measures at the same time cores of its own.

    Parameters
    ----------
    workers : int
    """

    def __init__(self, workers: int) -> None:
        self._free: SimpleQueue[int] = SimpleQueue()
        for slot in range(workers):
            self._free.put(slot)

    def perform(self, job: dict[str, Any], networks: bytes) -> bytes:
        """Do a job as `perform` does, on the cores of a free slot."""
        slot = self._free.get()
        try:
            return perform({**job, "slot": slot}, networks)
        finally:
            self._free.put(slot)
