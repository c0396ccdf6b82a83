"""Holds a folder for one process at a time."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hwnasbench.errors import BuildLocked, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOCK = "build.lock"


@contextmanager
def lock(
    home: Path, doing: str = "building", otherwise: str = "set HWNASBENCH_HOME to another folder"
) -> Iterator[None]:
    """Hold a folder for one process.

    The lock is a file with the process's id, created whole by a hard link. That of a process which is no longer alive
    is taken over.

    Parameters
    ----------
    home : Path
    doing, otherwise : str
        What the process does there, and what else another one may do: words of the refusal.

    Raises
    ------
    BuildLocked
        When another live process holds it.
    StorageError
        When the folder cannot be written.
    """
    path = home / _LOCK
    mine = home / f".{_LOCK}.{os.getpid()}"
    try:
        home.mkdir(parents=True, exist_ok=True)
        mine.write_text(str(os.getpid()), "utf-8")
    except OSError as error:
        mine.unlink(missing_ok=True) if home.is_dir() else None
        raise StorageError(f"cannot write {home}: {error.strerror or error}; expected a writable folder") from error
    try:
        _acquire(mine, path, doing, otherwise)
        # The lock is a link of its own by now: a killed build leaves nothing else behind.
        mine.unlink()
        try:
            _sweep(home)
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        mine.unlink(missing_ok=True)


def _sweep(home: Path) -> None:
    """Remove what killed processes left of their attempts to hold the folder."""
    for left in home.glob(f".{_LOCK}.*"):
        pid = left.suffix[1:]
        if pid.isdecimal() and not _is_alive(int(pid)):
            left.unlink(missing_ok=True)


def _acquire(mine: Path, path: Path, doing: str, otherwise: str) -> None:
    for _ in range(10):
        try:
            os.link(mine, path)
            return
        except FileExistsError:
            holder = _holder(path)
        if holder is not None and _is_alive(holder):
            raise BuildLocked(
                f"process {holder} is {doing} in {path.parent}; wait for it, or {otherwise} "
                f"(where no such process runs, remove {path})"
            )
        # Only one of several that see a stale lock succeeds in renaming it away.
        stale = path.with_name(f".{path.name}.stale.{os.getpid()}")
        try:
            path.rename(stale)
        except FileNotFoundError:
            continue
        stale.unlink(missing_ok=True)
    raise BuildLocked(f"{path} changes hands; try again")


def _holder(path: Path) -> int | None:
    try:
        return int(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _is_alive(pid: int) -> bool:
    if sys.platform == "win32":
        # Signal 0 is Ctrl-C there.
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
