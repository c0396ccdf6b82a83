"""A tiled loop nest on an FPGA: Tn input channels x Tm output channels are multiplied in one cycle.

Tiles of Tr x Tc outputs are computed one after the other, their inputs with the kernel's margin and their weights
fetched anew for each tile of output channels; the layout after which the block RAMs are counted is the double-buffered
one of Zhang et al., FPGA 2015 (from memory).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.costs.base import CostModel, Values, require
from hwnasbench.costs.layers import LayerCosts, Layers
from hwnasbench.networks.layers import Activation

if TYPE_CHECKING:
    from typing import Any

#: Bits of one block RAM, which the `bram` count is in.
_BRAM_BITS = 18 * 1024
#: The last activation that only clips; those after it need a multiplication or a table.
_CLIPPING = int(Activation.RELU6)


class Fpga(CostModel):
    """Latency, energy and resources of a tiled accelerator. No model gives its silicon area."""

    name = "fpga"

    def cost(self, layers: Layers, values: Values) -> LayerCosts:
        """Return the cost of every layer; see `CostModel.cost`."""
        v = values
        matrix = layers.is_conv | layers.is_linear
        groups = np.where(layers.is_conv, layers.groups, 1.0)
        kernel, stride = layers.kernel, layers.stride
        outer = np.where(layers.is_depthwise, 1.0, groups) * np.ceil(layers.out_channels / groups / v.output_lanes)
        inner = np.ceil(layers.in_channels / groups / v.input_lanes)
        steps = np.where(layers.is_depthwise, np.ceil(layers.out_channels / v.depthwise_lanes), outer * inner)
        positions = layers.out_height * layers.out_width
        tile_rows, tile_columns = (
            np.minimum(v.tile_rows, layers.out_height),
            np.minimum(v.tile_columns, layers.out_width),
        )
        tiles = np.ceil(layers.out_height / tile_rows) * np.ceil(layers.out_width / tile_columns) * layers.batch
        vector = np.maximum(layers.input_elements, layers.pool_operations) / v.vector_lanes
        cycles = np.where(matrix, steps * kernel**2 * positions * layers.batch + tiles * steps * v.tile_cycles, vector)
        # Non-linearities other than a clipping follow the multiplications.
        curved = (layers.activation > _CLIPPING) * layers.output_elements / v.activation_lanes
        computing = (cycles + curved) / v.clock_mhz * 1e-3

        # A tile reads the margin of its kernel beside its own inputs.
        span = kernel - stride
        margin = (1 + np.maximum(span, 0.0) / (tile_rows * stride)) * (
            1 + np.maximum(span, 0.0) / (tile_columns * stride)
        )
        again = np.where(matrix & ~layers.is_depthwise, np.maximum(outer / groups, 1.0), 1.0)
        read = layers.input_bytes * np.where(tiles > layers.batch, margin, 1.0) * again
        moved = read + layers.weight_bytes * tiles + layers.output_bytes
        # Additions done while the outputs of the layer before leave the chip cost nothing of their own.
        own = np.where(layers.is_elementwise & (v.fused_elementwise > 0.5), 0.0, 1.0)
        moved = moved * own
        computing, moving = computing * own, moved / v.dram_gbps * 1e-6
        latency = computing + moving - v.overlap * np.minimum(computing, moving) + v.layer_us * 1e-3 * own
        return LayerCosts(
            latency=latency,
            mac=1e-9 * layers.work * v.mac_pj,
            register=np.zeros(len(layers)),
            buffer=np.zeros(len(layers)),
            dram=8e-9 * moved * v.dram_pj_per_bit,
            static=v.power_w * latency,
        )

    def peak_macs(self, values: Values, weight_bits: Any, activation_bits: Any) -> Any:
        """Return the multiply-accumulates a millisecond with all lanes in use."""
        return values.input_lanes * values.output_lanes * values.clock_mhz * 1e3

    def overhead(self, values: Values) -> float:
        """Return the milliseconds that the host spends on a call."""
        return float(values.call_us) * 1e-3

    def resources(self, values: Values) -> dict[str, Any]:
        """Return the ``dsp`` slices, ``lut`` and ``bram`` (18 Kibit) of the design.

        Inputs and outputs are double-buffered, one bank a lane; the weights of all lanes lie side by side.
        """
        v = values
        lanes = v.input_lanes * v.output_lanes
        side = (v.tile_rows + v.largest_kernel - 1) * (v.tile_columns + v.largest_kernel - 1)
        inputs = v.input_lanes * np.ceil(side * v.word_bits / _BRAM_BITS)
        outputs = v.output_lanes * np.ceil(v.tile_rows * v.tile_columns * v.word_bits / _BRAM_BITS)
        weights = np.ceil(lanes * v.largest_kernel**2 * v.word_bits / _BRAM_BITS)
        return {
            "dsp": np.ceil(lanes / v.macs_per_dsp),
            "lut": v.lut_fixed + v.lut_per_pe * lanes,
            "bram": 2 * (inputs + outputs + weights),
        }

    def check(self, values: Values) -> None:
        """Refuse a design that needs more DSP slices or block RAMs than the chip has."""
        used = self.resources(values)
        for name, available in (("dsp", values.dsp_available), ("bram", values.bram_available)):
            require(
                used[name] <= available,
                f"input_lanes={values.input_lanes:g} and output_lanes={values.output_lanes:g} need {used[name]:g} "
                f"{name}; expected at most {name}_available={available:g}",
            )
