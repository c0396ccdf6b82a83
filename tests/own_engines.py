"""Back-ends that tests bring in by MODULE:CLASS: one that crashes on some networks, one that refuses some."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np

from data_builders.measure.backends.base import Backend, Runner
from hwnasbench.errors import Unmeasurable


class Sleepless(Runner):
    """Takes as long as it takes to add up an array as large as the network's parameters."""

    def __init__(self, size):
        self.array = np.ones(size, np.float32)

    def run(self):
        self.array.sum()

    def output(self):
        return np.zeros((1, 10), np.float32)


class Plain(Backend):
    name = "plain"
    engine = "torch"
    precisions = ("fp32",)

    def versions(self):
        return {"plain": os.environ.get("PLAIN_VERSION", "1")}

    def prepare(self, network, precision, batch, threads):
        self.check(precision)
        return Sleepless(20_000 + network.params)


class Fragile(Plain):
    """Dies of cells that begin with an average pooling, and refuses those that begin with a 1 x 1 convolution."""

    def prepare(self, network, precision, batch, threads):
        if network.name.startswith("|avg_pool"):
            os.abort()
        if network.name.startswith("|nor_conv_1x1"):
            raise Unmeasurable(f"no kernel for {network.name!r}")
        return super().prepare(network, precision, batch, threads)


class Full(Plain):
    """Runs on a machine whose temporary disk is full."""

    def prepare(self, network, precision, batch, threads):
        raise OSError(28, "No space left on device")


class Sociable(Plain):
    """Waits until two processes have come to load a network: what they hold to then, they hold to at once."""

    def prepare(self, network, precision, batch, threads):
        folder = Path(tempfile.gettempdir()) / "met"
        folder.mkdir(exist_ok=True)
        (folder / str(os.getpid())).touch()
        last = time.monotonic() + 120
        while len(list(folder.iterdir())) < 2:
            if time.monotonic() > last:
                raise TimeoutError("no other process came")
            time.sleep(0.05)
        return super().prepare(network, precision, batch, threads)
