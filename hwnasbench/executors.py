"""Where work in chunks runs: processes of this machine, or a Dask cluster."""

from __future__ import annotations

import importlib
import os
import threading
import time
from typing import TYPE_CHECKING, cast

from hwnasbench.errors import InvalidRequest, MissingExtra

if TYPE_CHECKING:
    from concurrent.futures import Executor, ProcessPoolExecutor


def cores() -> int:
    """Return how many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def processes(workers: int) -> ProcessPoolExecutor:
    """Return an executor of so many processes, which end with this one."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    # Spawned, because a fork of a process with Arrow's threads can deadlock.
    return ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=follow_parent, initargs=(os.getpid(),)
    )


def follow_parent(parent: int) -> None:
    """End this worker when its parent is killed: it would wait for work for ever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def dask_executor(address: str) -> Executor:
    """Return an executor on the cluster of a Dask scheduler.

    Raises
    ------
    MissingExtra
    InvalidRequest
        When no scheduler answers.
    """
    try:
        distributed = importlib.import_module("distributed")
    except ImportError as error:
        raise MissingExtra("--scheduler needs dask.distributed: pip install 'hwnasbench[dask]'") from error
    try:
        return cast("Executor", distributed.Client(address).get_executor())
    except OSError as error:
        raise InvalidRequest(f"no Dask scheduler answers at {address}: {error}") from error
