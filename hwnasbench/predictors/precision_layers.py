"""How sensitive a network's layers are to their bits: a model of few parameters over the layer table."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hwnasbench.errors import InvalidRequest
from hwnasbench.networks.layers import Activation, Op

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from hwnasbench.spaces.base import Space


class Sensitivity(NamedTuple):
    """The parameters; all but the last three are fitted together.

    With one bit less, quantisation noise of a layer does `ratio` times the harm. Noise of weights counts by the
    layer's share of parameters, noise of activations by its share of multiply-accumulates, and a network with
    twice the parameters loses ``2 ** -exponent`` of what the smaller one does.

    Attributes
    ----------
    ptq, qat : float
        Loss in points at w4a4 of a network with ten million parameters between its first and its last layer.
    exponent, ratio, weights : float
        `weights` is the share of w4a4's loss that is due to the weights.
    ceiling : float
        Loss at which nothing is left to lose.
    floor, relative : float
        Spread on networks left out: of a loss of nothing, and relative to the loss.
    """

    ptq: float
    qat: float
    exponent: float
    ratio: float
    weights: float
    ceiling: float
    floor: float
    relative: float


def weighted_layers(
    space: Space, vectors: NDArray[np.int8], dataset: str
) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """Return the convolutions and linear layers of many networks, and the (n + 1,) offsets of each one's."""
    if space.layerwise:
        layers, offsets = space.layer_table(vectors, dataset)
    else:
        # Dead layers have bits too: `layer_table` leaves them out.
        tables = [space.network(vector, dataset).layers for vector in vectors.tolist()]
        layers = np.concatenate(tables)
        offsets = np.cumsum([0, *map(len, tables)])
    heavy = np.isin(layers["op"], (Op.CONV, Op.LINEAR))
    counts = np.concatenate([[0], np.cumsum(heavy)])[offsets]
    return layers[heavy], counts.astype(np.int64)


def align(bits: ArrayLike, offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (n, layers, 2) bits as one row a layer, those beyond a network's layers left out.

    Raises
    ------
    InvalidRequest
    """
    given, counts = np.asarray(bits), np.diff(offsets)
    if (
        given.ndim != 3
        or given.shape[0] != len(counts)
        or given.shape[1] < counts.max(initial=0)
        or given.shape[2] != 2
    ):
        expected = f"({len(counts)}, {counts.max(initial=0)} or more, 2)"
        raise InvalidRequest(f"bits of shape {given.shape}: expected {expected}, of weights and activations by layer")
    flat = given[np.arange(given.shape[1]) < counts[:, None]].astype(np.float64)
    if not ((flat >= 1) & (flat <= 32)).all():
        raise InvalidRequest("bits of a layer: expected 1 to 32")
    return flat


def ends(offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows of the first and of the last layer of each network, shape (2, n)."""
    return np.stack([offsets[:-1], offsets[1:] - 1])


def gated(layers: NDArray[np.void], offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which networks have an activation other than ReLU and ReLU6: swish, or the sigmoid of a gate."""
    smooth = layers["activation"] > Activation.RELU6
    return np.logical_or.reduceat(smooth, offsets[:-1])


def millions(layers: NDArray[np.void], offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return each network's parameters between its first and its last layer, in millions."""
    params = layers["params"].astype(np.float64) / 1e6
    inner = np.add.reduceat(params, offsets[:-1]) - params[ends(offsets)].sum(axis=0)
    found: NDArray[np.float64] = np.maximum(inner, 1e-3)
    return found


def loss(
    model: Sensitivity, method: str, layers: NDArray[np.void], offsets: NDArray[np.int64], bits: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the loss in points of networks given by their weighted layers, one after the other, and their bits."""
    harm = model.ratio ** (4 - bits)
    shares = []
    for number, name in enumerate(("params", "macs")):
        size = layers[name].astype(np.float64)
        total = np.add.reduceat(size, offsets[:-1])
        inner = np.maximum(total - size[ends(offsets)].sum(axis=0), 1e-3 * total)
        shares.append(np.add.reduceat(size * harm[:, number], offsets[:-1]) / inner)
    return saturated(model, method, millions(layers, offsets), *shares)


def saturated(
    model: Sensitivity,
    method: str,
    size: NDArray[np.float64],
    weights: NDArray[np.float64],
    activations: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the loss by the noise of weights and of activations, 1 each at 4 bits everywhere."""
    noise = model.weights * weights + (1 - model.weights) * activations
    linear = getattr(model, method) * (size / 10) ** -model.exponent * noise
    found: NDArray[np.float64] = model.ceiling * (1 - np.exp(-linear / model.ceiling))
    return found
