"""Processors: the time of a layer is its launch and the larger of computing and moving.

The roofline is Williams et al.'s (2009, recalled), with one rate for each sort of operator as in the
latency tables of the field; energy is idle power over the time, and a share for each
multiply-accumulate and each byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.costs.base import CostModel, Values
from hwnasbench.costs.layers import LayerCosts, Layers
from hwnasbench.networks.layers import Op

if TYPE_CHECKING:
    from hwnasbench.costs.layers import Floats

#: Giga a second is this many a millisecond; microseconds and picojoules in milliseconds and millijoules.
_GIGA, _MICRO, _PICO = 1e6, 1e-3, 1e-9


class Roofline(CostModel):
    """CPUs, GPUs, VPUs and DSPs; see the module."""

    name = "roofline"

    def cost(self, layers: Layers, values: Values) -> LayerCosts:
        moved = layers.input_bytes + layers.output_bytes + layers.weight_bytes
        speed = _speed(values, layers.weight_bits, layers.activation_bits)
        heavy = layers.is_conv | layers.is_linear
        compute = np.where(
            heavy,
            layers.work * _padding(layers, values) / (_rate(layers, values) * speed),
            layers.pool_operations / (values.pool_gops * _GIGA),
        )
        latency = np.maximum(compute, moved / (values.bandwidth_gbps * _GIGA))
        latency += np.where(heavy, values.launch_us, values.light_us) * _MICRO
        latency += np.where(layers.kind == np.uint8(Op.MUL), values.scale_us * _MICRO, 0.0)
        bits = (layers.weight_bits + layers.activation_bits) / 64
        nothing = np.zeros(len(layers))
        return LayerCosts(
            latency=latency,
            mac=layers.work * bits * (values.mac_pj * _PICO),
            register=nothing,
            buffer=moved * (values.buffer_pj_per_byte * _PICO),
            dram=moved * (values.dram_pj_per_byte * _PICO),
            static=latency * values.idle_w,
        )

    def peak_macs(self, values: Values, weight_bits: Any, activation_bits: Any) -> Any:
        return values.peak_gmacs * _GIGA * _speed(values, weight_bits, activation_bits)

    def overhead(self, values: Values) -> float:
        return float(values.call_us * _MICRO)


def _speed(values: Values, weight_bits: Any, activation_bits: Any) -> Any:
    """Return how many times faster than at 32 bits the wider of both operands is computed.

    Narrow operands are never slower than wide ones, on whose arithmetic they could run: an assumption that
    measured kernels do not always keep (docs/fidelity.md).
    """
    bits = np.maximum(weight_bits, activation_bits)
    half = np.maximum(values.speedup_16, 1.0)
    byte = np.maximum(values.speedup_8, half)
    narrow = np.where(bits > 4, byte, np.maximum(values.speedup_4, byte))
    return np.where(bits > 16, 1.0, np.where(bits > 8, half, narrow))


def _rate(layers: Layers, values: Values) -> Floats:
    """Return the multiply-accumulates a millisecond of each layer's sort of operator, at most the peak."""
    fast = (layers.kernel == 3) & (layers.stride == 1)
    rate = np.where(fast, values.conv_gmacs * values.winograd, values.conv_gmacs)
    rate = np.where(layers.kernel > 1, rate, values.pointwise_gmacs)
    grouped = layers.is_conv & (layers.groups > 1)
    rate = np.where(grouped, np.where(layers.is_depthwise, values.depthwise_gmacs, values.grouped_gmacs), rate)
    rate = np.where(layers.is_linear, values.linear_gmacs, rate)
    return np.asarray(np.minimum(rate, values.peak_gmacs) * _GIGA)


def _padding(layers: Layers, values: Values) -> Any:
    """Return how much work grows where channels are rounded up to a multiple."""
    multiple = values.channel_multiple
    if np.all(multiple == 1):
        return 1.0
    rounded = np.ceil(layers.out_channels / multiple) * multiple / layers.out_channels
    return np.where(layers.is_conv, rounded, 1.0)
