"""How much activation memory a network needs when its layers run in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.networks.layers import INPUT

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from hwnasbench.networks.layers import Network


def alive_elements(network: Network) -> NDArray[np.int64]:
    """Return how many activation elements are alive while each layer runs.

    Alive is what the layer writes, and every tensor written before it that it or a later layer
    reads, the network's input included.

    Parameters
    ----------
    network : Network

    Returns
    -------
    (n,) ndarray of int64
    """
    alive: NDArray[np.int64] = _alive(network, _sizes(network))
    return alive


def peak_elements(network: Network) -> int:
    """Return the largest number of activation elements that are alive at one time.

    Parameters
    ----------
    network : Network

    Returns
    -------
    int
        0 for a network without layers.
    """
    return int(alive_elements(network).max(initial=0))


def peak_bytes(network: Network) -> float:
    """Return the most bytes of activations that are alive at one time.

    A tensor has the activation bits of the layer that wrote it; the network's input has those of
    its first reader.

    Parameters
    ----------
    network : Network

    Returns
    -------
    float
        Bytes; 0 for a network without layers.
    """
    if not len(network):
        return 0.0
    sources, targets = network.edges.T
    bits = network.layers["activation_bits"].astype(np.float64)
    first_reader = int(targets[sources == INPUT][0])
    return float(_alive(network, _sizes(network) * np.append(bits[first_reader], bits) / 8).max())


def _sizes(network: Network) -> NDArray[np.int64]:
    """Return the elements of the network's input, then those that each layer writes."""
    layers = network.layers
    written = layers["out_channels"].astype(np.int64) * layers["out_height"] * layers["out_width"]
    return np.append(np.prod(network.input_shape, dtype=np.int64), written)


def _alive(network: Network, sizes: NDArray[Any]) -> NDArray[Any]:
    """Return the sum of the sizes of the tensors that are alive while each layer runs."""
    n = len(network)
    born = np.maximum(np.arange(n + 1) - 1, 0)
    last = np.arange(-1, n)  # what nobody reads lives while it is written; an unread input never does
    np.maximum.at(last, network.edges[:, 0] + 1, network.edges[:, 1])
    change = np.zeros(n + 1, sizes.dtype)
    np.add.at(change, born, sizes)
    np.subtract.at(change, last + 1, sizes)
    return np.cumsum(change)[:n]
