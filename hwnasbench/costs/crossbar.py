"""Crossbars of non-volatile cells: weights are programmed in advance, activations enter bit by bit.

After ISAAC (Shafiee et al., ISCA 2016, from memory): a weight lies in ceil(weight bits / bits per cell) columns, an
activation takes ceil(activation bits / DAC bits) steps, converters are shared by columns, and what several crossbars
contribute to one output is shifted and added digitally. A converter's energy and area are ZigZag's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.costs.base import CostModel, Values, require
from hwnasbench.costs.layers import LayerCosts, Layers

if TYPE_CHECKING:
    from typing import Any

#: Bits that a cell of each type can hold, in the order of the parameter's choices; from memory.
_CELL_BITS = {"reram": 4, "fefet": 3, "sttmram": 1}


class Crossbar(CostModel):
    """Latency, energy and area of a chip of crossbars that holds all weights of a network."""

    name = "crossbar"

    def cost(self, layers: Layers, values: Values) -> LayerCosts:
        """Return the cost of every layer; see `CostModel.cost`."""
        v = values
        matrix = layers.is_conv | layers.is_linear
        groups = np.where(layers.is_conv, layers.groups, 1.0)
        inputs = layers.in_channels / groups * layers.kernel**2
        stacked = np.ceil(inputs / v.rows)
        columns = layers.out_channels / groups * np.ceil(layers.weight_bits / v.bits_per_cell)
        wide = np.ceil(columns / v.columns)
        positions = layers.out_height * layers.out_width * layers.batch * matrix
        steps = positions * np.ceil(layers.activation_bits / v.dac_bits)

        # All crossbars of a layer, those of its groups too, work at once; each converter serves its columns in turn.
        served = np.minimum(v.columns_per_adc, np.minimum(columns, v.columns))
        step_ns = np.maximum(v.read_ns, served / v.adc_gsps)
        vector = np.where(matrix, 0.0, np.maximum(layers.input_elements, layers.pool_operations)) / v.vector_gops
        spilled = _spilled(layers, v)
        latency = 1e-6 * np.maximum(steps * step_ns + vector, spilled / v.dram_gbps)

        adc = (v.adc_ff_per_bit * v.adc_bits + v.adc_ff_per_level * 4.0**v.adc_bits) * v.vdd**2
        conversions = steps * groups * stacked * columns
        cells = steps * groups * inputs * columns
        driven = steps * groups * inputs * wide
        mac = 1e-12 * (conversions * adc + cells * v.cell_fj + driven * v.driver_fj)
        reads = np.where(matrix, positions * inputs * groups * layers.activation_bits / 8, layers.input_bytes)
        buffer = reads * v.buffer_read_pj_per_bit + layers.output_bytes * v.buffer_write_pj_per_bit
        return LayerCosts(
            latency=latency,
            mac=mac,
            register=1e-12 * conversions * v.add_fj,
            buffer=8e-9 * buffer,
            dram=8e-9 * spilled * v.dram_pj_per_bit,
            static=1e-3 * v.static_mw * latency,
        )

    def crossbars(self, layers: Layers, values: Values) -> Any:
        """Return how many crossbars the weights of each layer take."""
        groups = np.where(layers.is_conv, layers.groups, 1.0)
        rows = np.ceil(layers.in_channels / groups * layers.kernel**2 / values.rows)
        cells = layers.out_channels / groups * np.ceil(layers.weight_bits / values.bits_per_cell)
        return groups * rows * np.ceil(cells / values.columns) * (layers.is_conv | layers.is_linear)

    def peak_macs(self, values: Values, weight_bits: Any, activation_bits: Any) -> Any:
        """Return the multiply-accumulates a millisecond with every cell of the chip in use."""
        v = values
        weights = v.crossbars * v.rows * v.columns / np.ceil(weight_bits / v.bits_per_cell)
        served = np.minimum(v.columns_per_adc, v.columns)
        step_ns = np.maximum(v.read_ns, served / v.adc_gsps) * np.ceil(activation_bits / v.dac_bits)
        return weights / step_ns * 1e6

    def area(self, values: Values) -> Any:
        """Return the area in mm2 of all crossbars with their converters, and of the buffer."""
        v = values
        adc = 10 ** (-0.0369 * v.adc_bits + 1.206) * 2**v.adc_bits * (v.adc_bits > 1)
        one = v.rows * v.columns * v.cell_um2 + np.ceil(v.columns / v.columns_per_adc) * adc
        return v.crossbars * one * 1e-6 + v.buffer_kib * v.sram_mm2_per_kib

    def excess(self, values: Values, peak_kib: Any, model_kib: Any) -> dict[str, Any]:
        """Return the KiB of weights that the ``cells`` do not hold; see `CostModel.excess`."""
        cells = values.crossbars * values.rows * values.columns * values.bits_per_cell
        return {"cells": model_kib - cells / 8192}

    def check(self, values: Values) -> None:
        """Refuse cells that cannot hold their bits, and converters that lose those of a dot product."""
        v = values
        word, held = list(_CELL_BITS.items())[int(v.cell_type)]
        require(
            v.bits_per_cell <= held,
            f"bits_per_cell={v.bits_per_cell:g}: expected at most {held} for cell_type={word!r}",
        )
        needed = _needed_bits(v)
        require(
            v.adc_bits >= needed,
            f"adc_bits={v.adc_bits:g} cannot resolve {v.rows:g} rows of {v.bits_per_cell:g} bit cells with "
            f"{v.dac_bits:g} bit inputs; expected at least adc_bits={needed}",
        )
        require(
            v.columns_per_adc <= v.columns,
            f"columns_per_adc={v.columns_per_adc:g}: expected at most columns={v.columns:g}",
        )


def _needed_bits(v: Values) -> int:
    """Return the converter bits that lose nothing: log2 rows + cell bits + DAC bits, less 1 where either is 1 bit.

    Another bit is saved by storing a column of mostly large weights inverted (ISAAC, from memory).
    """
    both = v.bits_per_cell > 1 and v.dac_bits > 1
    return max(int(np.ceil(np.log2(v.rows))) + int(v.bits_per_cell) + int(v.dac_bits) - (1 if both else 2), 1)


def _spilled(layers: Layers, v: Values) -> Any:
    """Return the bytes of activations that do not fit into the buffer and cross the DRAM's bus once."""
    held = layers.input_bytes + layers.output_bytes
    return np.maximum(held - v.buffer_kib * 1024.0, 0.0)
