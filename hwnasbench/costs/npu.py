"""An Ethos-U: blocks of outputs pass a small array, weights are decoded beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.costs.base import CostModel, Values, require
from hwnasbench.costs.layers import LayerCosts, Layers
from hwnasbench.networks.layers import Op

if TYPE_CHECKING:
    from typing import Any

    from hwnasbench.costs.layers import Floats


class Npu(CostModel):
    """Latency, energy and area of an Ethos-U class unit.

    The structure is that of Vela's performance estimate (read in ethos-u-vela 5.2.0, npu_performance.py), without its
    search of block shapes: every layer is one block as large as its output.
    """

    name = "npu"

    def cycles(self, layers: Layers, values: Values) -> Floats:
        """Return the cycles of each layer that no memory delays.

        A block depth needs ``max(decode, 4 x blocks)`` cycles for each step. A step is 32 input channels of one
        kernel position, or, where that wastes less, 8 channels of 4 positions; of a depthwise one, 4 positions.
        """
        v = values
        window = layers.kernel * layers.kernel
        groups = np.where(layers.is_conv & ~layers.is_depthwise, layers.groups, 1.0)
        channels = np.where(layers.is_depthwise, 1.0, layers.in_channels / groups)
        blocks = np.ceil(layers.out_width / v.block_width) * np.ceil(layers.out_height / v.block_height) * layers.batch
        depth = groups * np.ceil(layers.out_channels / (groups * v.block_depth))
        quads, eights, deep = np.ceil(window / 4), np.ceil(channels / 8), np.ceil(channels / 32)
        parted = (channels <= 8) | (window * deep > quads * eights)
        steps = np.where(parted & ~layers.is_linear, quads * eights, window * deep)
        words = np.ceil(layers.activation_bits / 8)
        product = np.maximum(v.decode_cycles, 4.0 * blocks) * steps * depth * words * v.efficiency
        written = layers.output_elements * words
        tiles = np.ceil(layers.out_width / v.tile) * np.ceil(layers.out_height / v.tile)
        tiles = tiles * np.ceil(layers.out_channels / v.tile_depth)
        output = written * v.output_cycles
        # Writing hides behind computing but for one block.
        product = np.maximum(product, output) + np.minimum(product, output) / tiles
        product = product + tiles * v.tile_cycles + v.layer_cycles
        whole = np.where(layers.kind == np.uint8(Op.GLOBAL_POOL), layers.in_height * layers.in_width, window)
        pool = np.maximum(4.0, whole) * blocks * depth * words * v.pool_factor + v.layer_cycles
        other = written * np.where(layers.kind == np.uint8(Op.ADD), v.add_cycles, v.other_cycles)
        found: Floats = np.where(layers.is_conv | layers.is_linear, product, np.where(layers.is_pool, pool, other))
        return found

    @staticmethod
    def traffic(layers: Layers, values: Values) -> tuple[Floats, Floats]:
        """Return the bytes that each layer moves in the SRAM, and in the memory outside.

        Blocks share a margin of inputs with their neighbours, and are read once for each block of output channels.
        Outside, a run of channels shorter than a burst costs the whole burst, and where reading and writing do not wait
        for each other (`duplex`) the longer of the two counts.
        """
        v = values
        weighted = layers.is_conv | layers.is_linear
        wide = v.tile * layers.stride
        margin = np.where(layers.out_height > v.tile, ((wide - layers.stride + layers.kernel) / wide) ** 2, 1.0)
        dense = weighted & ~layers.is_depthwise
        again = np.where(dense, np.ceil(layers.out_channels / v.tile_depth), 1.0)
        read = layers.input_bytes * np.maximum(margin, 1.0) * again
        run = np.where(layers.is_depthwise | (layers.in_channels <= 32), 16.0, v.read_run)
        product = weighted | layers.is_pool
        # A single pixel has its channels one after the other.
        several = layers.out_height * layers.out_width > 1
        broken = (layers.in_channels > v.whole_channels) & (layers.in_width > v.whole_width)
        slow_read = np.where(several & product & broken, v.burst_bytes / run, 1.0)
        slow_write = np.where(several & (layers.out_channels > 16), v.burst_bytes / v.write_run, 1.0)
        inward, outward = read * np.maximum(slow_read, 1.0), layers.output_bytes * np.maximum(slow_write, 1.0)
        tensors = np.maximum(inward, outward) + np.minimum(inward, outward) * (1.0 - v.duplex)
        scales = np.where(weighted, layers.out_channels * v.scale_bytes, 0.0)
        outside = (layers.weight_bytes + scales) * v.weight_factor + tensors * v.tensors_outside
        return read + layers.output_bytes, outside

    def cost(self, layers: Layers, values: Values) -> LayerCosts:
        """Return the cost of every layer; see `CostModel.cost`."""
        v = values
        inside, outside = self.traffic(layers, v)
        moving = np.maximum(inside / v.sram_bytes_per_cycle, outside / v.memory_bytes_per_cycle)
        latency = np.maximum(self.cycles(layers, v), moving) / v.clock_mhz * 1e-3
        work = np.where(layers.is_conv | layers.is_linear, layers.work, layers.pool_operations)
        return LayerCosts(
            latency=latency,
            mac=1e-9 / 64 * work * v.mac_pj * layers.weight_bits * layers.activation_bits,
            register=np.zeros(len(layers)),
            buffer=1e-9 * inside * v.sram_pj_per_byte,
            dram=1e-9 * outside * v.memory_pj_per_byte,
            static=1e-3 * v.static_mw * latency,
            supported=self._supported(layers, v),
        )

    @staticmethod
    def _supported(layers: Layers, values: Values) -> Any:
        """Return which layers the unit runs; a processor beside it would have to run the others."""
        tall = (layers.kernel - 1.0) * layers.dilation + 1.0
        window = layers.is_conv | layers.is_pool
        small = (tall <= values.largest_kernel) & (layers.stride <= values.largest_stride)
        shuffled = (layers.kind == np.uint8(Op.SHUFFLE)) & (layers.in_height * layers.in_width > 1)
        return (small | ~window) & ((values.shuffles > 0.5) | ~shuffled)

    def overhead(self, values: Values) -> float:
        """Return the milliseconds of a call before its first layer."""
        return float(values.call_us) * 1e-3

    def peak_macs(self, values: Values, weight_bits: Any, activation_bits: Any) -> Any:
        """Return the multiply-accumulates a millisecond; 16 bit activations take two passes."""
        return values.macs_per_cycle * values.clock_mhz * 1e3 / np.ceil(activation_bits / 8)

    def area(self, values: Values) -> Any:
        """Return the area in mm2, SRAM of the system not included."""
        return values.base_mm2 + values.macs_per_cycle * values.mac_mm2

    def excess(self, values: Values, peak_kib: Any, model_kib: Any) -> dict[str, Any]:
        """Return the KiB of activations that the ``sram`` does not hold where it must; see `CostModel.excess`."""
        return {"sram": np.where(values.tensors_outside > 0.5, -np.inf, peak_kib - values.sram_kib)}

    def check(self, values: Values) -> None:
        """Refuse a block that the multipliers cannot make; see `CostModel.check`."""
        v = values
        made = v.block_width * v.block_height * v.block_depth * 8
        require(
            made == v.macs_per_cycle,
            f"macs_per_cycle={v.macs_per_cycle:g}: expected block_width x block_height x block_depth x 8 = {made:g}",
        )
