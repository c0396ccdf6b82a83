"""What a layer moves between DRAM and a chip whose buffer is too small for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Any

    from hwnasbench.costs.layers import Floats, Layers


def read_share(layers: Layers) -> Floats:
    """Return the share of the input's pixels that are in any window: a stride above the kernel leaves some out."""
    skips = layers.kernel < layers.stride
    share = np.ones(len(layers))
    pixels = layers.out_height[skips] * layers.out_width[skips] * layers.kernel[skips] ** 2
    share[skips] = pixels / (layers.in_height[skips] * layers.in_width[skips])
    return share


def refetched(layers: Layers, buffer_bytes: Any) -> tuple[Floats, Floats]:
    """Return the bytes of inputs and of weights that are read from DRAM.

    Whatever fits into the buffer is read once. Where neither inputs nor weights fit, the cheaper of two loop orders
    runs: each buffer of weights sees all inputs (inputs are read again and again), or each buffer of inputs sees all
    weights. Half of the buffer is for what stays, half for the rest.

    Parameters
    ----------
    layers : Layers
    buffer_bytes : float or array

    Returns
    -------
    inputs, weights : ndarray
    """
    inputs, weights = layers.input_bytes * read_share(layers), layers.weight_bytes
    half = buffer_bytes / 2
    input_parts = np.maximum(np.ceil(inputs / half), 1.0)
    weight_parts = np.maximum(np.ceil(weights / half), 1.0)
    again_inputs, again_weights = (weight_parts - 1) * inputs, (input_parts - 1) * weights
    inputs_again = again_inputs < again_weights
    return inputs + again_inputs * inputs_again, weights + again_weights * ~inputs_again
