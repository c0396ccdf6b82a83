"""Microcontrollers: cycles per multiply-accumulate by operator class, and two memories that a network must fit.

The cycles follow CMSIS-NN's int8 kernels: a convolution copies each patch of its input into an
im2col buffer, multiplies, and requantises each output; a 1 x 1 convolution of stride 1 reads its
input in place. Activation functions are clamps inside the requantisation and cost nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.costs.base import CostModel
from hwnasbench.costs.layers import LayerCosts
from hwnasbench.networks.layers import Op

if TYPE_CHECKING:
    from hwnasbench.costs.base import Values
    from hwnasbench.costs.layers import Floats, Layers, Mask

#: Elementwise operators that work once for each input after the first.
_COMBINES = np.uint8(Op.ADD)
_PICO = 1e-9  # pJ to mJ
_KIB = 1024.0


class Mcu(CostModel):
    """A microcontroller that runs one layer after the other on one core."""

    name = "mcu"

    def cost(self, layers: Layers, values: Values) -> LayerCosts:
        """Return milliseconds and mJ of every layer.

        ``latency = cycles / (clock * 1000)``; ``mac = active_mw * latency / 1000``;
        ``dram = weight bytes * flash_pj``; ``buffer = (input + output bytes) * sram_pj``. Weights
        are read once a layer.
        """
        latency = self.cycles(layers, values) / (values.clock * 1e3)
        nothing = np.zeros(len(layers))
        return LayerCosts(
            latency=latency,
            mac=latency * (values.active_mw * 1e-3),
            register=nothing,
            buffer=(layers.input_bytes + layers.output_bytes) * (values.sram_pj * _PICO),
            dram=layers.weight_bytes * (values.flash_pj * _PICO),
            static=nothing,
        )

    def cycles(self, layers: Layers, values: Values) -> Floats:
        """Return the cycles of every layer.

        ``macs * rate + taps * tap_cycles + taps * in_channels * patch_cycles + outputs *
        output_cycles + layer_cycles`` for convolutions and linear layers, where only convolutions
        through im2col have taps: output pixels times kernel positions. Poolings cost
        ``pool_cycles`` an element read, the rest ``elementwise_cycles`` an output. All but
        ``layer_cycles`` is multiplied by the factor of the activations' precision.
        """
        copies = _copies(layers)
        taps = np.where(copies, layers.out_height * layers.out_width * layers.kernel**2 * layers.batch, 0.0)
        arithmetic = layers.is_conv | layers.is_linear
        busy = layers.work * self._rate(layers, copies, values)
        busy += taps * (values.tap_cycles + values.patch_cycles * layers.in_channels)
        busy += np.where(arithmetic, layers.output_elements * values.output_cycles, 0.0)
        if not arithmetic.all():
            busy += layers.pool_operations * values.pool_cycles
            again = np.where(layers.kind == _COMBINES, np.maximum(layers.inputs - 1, 1), 1.0)
            elements = np.where(layers.is_elementwise, layers.output_elements * again, 0.0)
            busy += elements * values.elementwise_cycles
        result: Floats = busy * _slowdown(layers.activation_bits, values) + values.layer_cycles
        return result

    def _rate(self, layers: Layers, copies: Mask, values: Values) -> Floats:
        """Return the cycles of one multiply-accumulate of each layer."""
        convolution = np.where(copies, values.conv_cycles, values.pointwise_cycles)
        convolution = np.where(layers.is_depthwise, values.depthwise_cycles, convolution)
        rate = np.where(layers.is_conv, convolution, values.linear_cycles)
        unpacked: Floats = np.where(layers.weight_bits < 8, rate + values.unpack_cycles, rate)
        return unpacked

    def peak_macs(self, values: Values, weight_bits: Any, activation_bits: Any) -> Any:
        """Return the multiply-accumulates a millisecond of the fastest operator class."""
        rates = (values.conv_cycles, values.pointwise_cycles, values.depthwise_cycles, values.linear_cycles)
        fastest = np.minimum.reduce([np.asarray(rate, np.float64) for rate in rates])
        fastest = fastest + np.where(np.asarray(weight_bits) < 8, values.unpack_cycles, 0.0)
        return values.clock * 1e3 / (fastest * _slowdown(activation_bits, values))

    def overhead(self, values: Values) -> float:
        """Return the milliseconds of starting one inference call."""
        return float(values.call_cycles / (values.clock * 1e3))

    def workspace(self, layers: Layers, values: Values) -> Floats:
        """Return the bytes of the im2col buffer and of the requantisation of each layer.

        ``kernel^2 * in_channels / groups * patch_bytes + out_channels * channel_bytes``, the first
        only where a convolution goes through im2col.
        """
        arithmetic = layers.is_conv | layers.is_linear
        patch = np.where(_copies(layers), layers.kernel**2 * layers.in_channels / layers.groups, 0.0)
        channels = np.where(arithmetic, layers.out_channels, 0.0)
        scratch: Floats = patch * values.patch_bytes + channels * values.channel_bytes
        return scratch

    def flash(self, layers: Layers, values: Values) -> Floats:
        """Return the bytes of a model that holds one layer alone, for each layer."""
        channels = np.where(layers.is_conv | layers.is_linear, layers.out_channels, 0.0)
        size: Floats = layers.weight_bytes + channels * values.channel_flash_bytes + values.layer_flash_bytes
        return size

    def excess(self, values: Values, peak_kib: Any, model_kib: Any) -> dict[str, Any]:
        """Return the KiB that ``sram`` and ``flash`` lack; see `CostModel.excess`."""
        return {
            "sram": peak_kib + values.runtime_kib + values.arena_bytes / _KIB - values.sram_kib,
            "flash": model_kib + values.code_kib + values.layer_flash_bytes / _KIB - values.flash_kib,
        }


def _copies(layers: Layers) -> Mask:
    """Return which convolutions go through an im2col buffer."""
    in_place = (layers.kernel == 1) & (layers.stride == 1)
    mask: Mask = layers.is_conv & ~in_place & ~layers.is_depthwise
    return mask


def _slowdown(bits: Any, values: Values) -> Any:
    """Return how many times slower than int8 the arithmetic is: float32 from 32 bits, int16 above 8."""
    wide = np.asarray(bits)
    return np.where(wide >= 32, values.fp32_factor, np.where(wide > 8, values.int16_factor, 1.0))
