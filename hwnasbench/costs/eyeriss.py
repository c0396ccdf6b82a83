"""A row-stationary array: rows of filters stay in processing elements, rows of inputs pass diagonally."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.costs.base import CostModel, Values
from hwnasbench.costs.layers import LayerCosts, Layers
from hwnasbench.costs.traffic import refetched

if TYPE_CHECKING:
    from typing import Any


class Eyeriss(CostModel):
    """Latency, energy and area of an Eyeriss-like array.

    A filter row and an output row make a processing element busy for (output width x kernel) cycles; a set of (kernel
    x output rows) elements makes a two-dimensional convolution of one filter and one channel. Sets lie above each
    other where the kernel is lower than the array, and side by side where the output is; what does not fit is folded.
    """

    name = "eyeriss"

    def cost(self, layers: Layers, values: Values) -> LayerCosts:
        """Return the cost of every layer; see `CostModel.cost`."""
        v = values
        convolved = layers.is_conv | layers.is_linear | (layers.is_pool & (layers.kernel > 1))
        dense = convolved & (layers.is_conv | layers.is_linear) | (layers.is_pool & (v.pool_as_convolution > 0.5))
        kernel, height = layers.kernel, layers.out_height
        # A pooling without dense kernels convolves each channel with itself alone.
        grouped = np.where(layers.is_conv, layers.groups, 1.0)
        channels = np.where(dense, layers.in_channels / grouped, 1.0)
        above = np.maximum(np.floor(v.rows / kernel), 1.0)
        beside = np.maximum(np.floor(v.columns / height), 1.0)
        folds = np.ceil(kernel / v.rows) * np.ceil(height / v.columns)
        passes = np.ceil(layers.out_channels * channels / (above * beside)) * folds
        operations = layers.out_channels * channels * kernel * kernel * height * layers.out_width * layers.batch
        work = np.where(convolved, operations, layers.input_elements)
        elements = v.rows * v.columns
        cycles = np.where(
            convolved, passes * layers.out_width * kernel * layers.batch, layers.input_elements / elements
        )

        input_bytes, weight_bytes = refetched(layers, v.buffer_kib * 1024.0)
        moved = input_bytes + weight_bytes + layers.output_bytes
        stalled = moved / v.dram_gbps * 1e-6
        latency = np.maximum(cycles / v.clock_mhz * 1e-3, stalled)

        bits, weight_bits = layers.activation_bits, layers.weight_bits
        # Channels that a pass adds up inside the array, and filters that share its inputs, by the scratch pads.
        held = np.minimum(np.maximum(np.floor(v.ifmap_words / kernel), 1.0), channels)
        filters = np.maximum(np.minimum(np.floor(v.filter_words / (kernel * held)), v.psum_words), 1.0)
        input_reads = np.ceil(layers.out_channels / (grouped * filters * beside)) * layers.input_bytes
        sums = np.where(convolved, np.ceil(channels / (held * above)), 1.0)
        sum_bytes = layers.output_bytes * (2.0 * sums - 1.0)
        weight_reads = layers.weight_bytes * np.ceil(height / v.columns)
        reads = np.where(convolved, input_reads, layers.input_bytes) + weight_reads + sum_bytes * 0.5
        writes = input_bytes + sum_bytes * 0.5
        buffer = 8e-9 * (reads * v.buffer_read_pj_per_bit + writes * v.buffer_write_pj_per_bit)
        register = 1e-9 * work * ((bits + weight_bits) * v.spad_pj_per_bit + v.psum_pj * bits / 8)
        return LayerCosts(
            latency=latency,
            mac=1e-9 / 64 * work * v.mac_pj * bits * weight_bits,
            register=register,
            buffer=buffer,
            dram=8e-9 * moved * v.dram_pj_per_bit,
            static=1e-3 * v.static_mw * latency,
        )

    def peak_macs(self, values: Values, weight_bits: Any, activation_bits: Any) -> Any:
        """Return the multiply-accumulates a millisecond at full use; narrow operands are no faster."""
        return values.rows * values.columns * values.clock_mhz * 1e3

    def area(self, values: Values) -> Any:
        """Return the area in mm2 of processing elements and buffer."""
        return values.rows * values.columns * values.pe_mm2 + values.buffer_kib * values.sram_mm2_per_kib
