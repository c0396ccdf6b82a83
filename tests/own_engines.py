"""Back-ends that tests bring in by MODULE:CLASS: one that crashes on some networks, one that refuses some."""

from __future__ import annotations

import os

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
    """Dies of networks with an average pooling, and refuses those without any 3 x 3 convolution."""

    def prepare(self, network, precision, batch, threads):
        kernels = network.layers["kernel"][network.layers["op"] == 0][1:]
        if (network.layers["op"] == 2).sum() > 5 and network.classes == 10 and network.name.startswith("|avg"):
            os.abort()
        if not (kernels == 3).any():
            raise Unmeasurable(f"no kernel for {network.name!r}")
        return super().prepare(network, precision, batch, threads)
