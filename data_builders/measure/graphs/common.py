"""What the writers of all formats ask of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.networks.layers import INPUT, Activation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwnasbench.networks.layers import Network

#: Largest magnitude of every quantised activation where nothing else is said.
RANGE = 8.0


def sources_of(network: Network) -> list[list[int]]:
    """Return what each layer reads, in the order of its inputs."""
    sources: list[list[int]] = [[] for _ in range(len(network))]
    for source, target in network.edges.tolist():
        sources[target].append(source)
    return sources


def read_through(network: Network) -> list[Activation]:
    """Return of each layer the ReLU that all layers that read it apply first, else NONE."""
    found: list[set[Activation]] = [set() for _ in range(len(network))]
    for source, target in network.edges.tolist():
        if source != INPUT:
            found[source].add(Activation(int(network.layers["pre_activation"][target])))
    relus = (Activation.RELU, Activation.RELU6)
    return [min(each) if len(each) == 1 and each <= set(relus) else Activation.NONE for each in found]


def channel_scales(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the scale of each output channel's weights in symmetric int8, (out,)."""
    largest = np.abs(weights.reshape(len(weights), -1)).max(axis=1)
    return np.asarray(np.maximum(largest / 127, np.float32(1e-8)), np.float32)
