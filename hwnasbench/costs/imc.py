"""In-memory computing, analog and digital: ZigZag's model of one macro, without its search of loop orders.

Energy, delay and area of the macro follow zigzag-dse 3.9.1 (``hardware/architecture/imc_array.py``, `get_area`,
`get_tclk`, `get_energy_for_a_layer`). A full adder is 3 NAND and 2 XOR gates, an XOR 1.5 NAND gates of capacitance and
2.4 of delay and area, a flip-flop 3 of capacitance and 6 of area (``imc_unit.py``). What is not ZigZag's: a partly
filled adder tree counts with the logarithm of its inputs, and DRAM traffic comes from a rule instead of a search.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.costs.base import CostModel, Values
from hwnasbench.costs.layers import LayerCosts, Layers
from hwnasbench.costs.traffic import read_share

if TYPE_CHECKING:
    from typing import Any

    from hwnasbench.costs.layers import Floats

#: Capacitance of a full adder, of one whose other input is 0, of its two XORs' delay and of its area, in NAND gates.
_ADDER, _HALF_ADDER, _REGISTER = 3 + 2 * 1.5, 2 * 1.5, 3.0
_ADDER_AREA, _REGISTER_AREA = 3 + 2 * 2.4, 6.0
_SUM, _CARRY, _CARRY_ON = 2 * 2.4, 2.4 + 2, 2.0


class InMemory(CostModel):
    """Latency, energy and area of one SRAM macro that multiplies in its array."""

    name = "imc"

    def cost(self, layers: Layers, values: Values) -> LayerCosts:
        """Return the cost of every layer; see `CostModel.cost`."""
        v = values
        matrix = layers.is_conv | layers.is_linear
        groups = np.where(layers.is_conv, layers.groups, 1.0)
        filters, channels, window = layers.out_channels / groups, layers.in_channels / groups, layers.kernel**2
        # Whole windows lie along the rows, as many channels as there is room for.
        row_folds = np.where(
            window <= v.rows,
            np.ceil(channels / np.maximum(np.floor(v.rows / window), 1.0)),
            channels * np.ceil(window / v.rows),
        )
        column_folds = np.ceil(filters / v.columns)
        rows, columns = channels * window / row_folds, filters / column_folds
        positions = layers.out_height * layers.out_width * layers.batch
        bits, weight_bits = layers.activation_bits, layers.weight_bits
        steps = np.ceil(bits / v.serial_bits)
        activations = row_folds * column_folds * groups * positions * matrix
        switched = steps * activations

        mac = switched * self._energy(v, rows, columns, bits, weight_bits)
        held = np.where(matrix & (row_folds > 1.0), positions * columns * v.partial_bits / 8, 0.0)
        input_bytes, weight_bytes = self._traffic(layers, v, groups, np.where(matrix, column_folds, 1.0), held)
        # Each activation fetches its window anew and puts its sums away, in whole words.
        outputs = groups * column_folds * positions
        reads = np.where(matrix, activations * _words(rows * bits, v), layers.input_bytes)
        sums = np.where(matrix, (row_folds - 1.0) * outputs * _words(columns * v.partial_bits, v), 0.0)
        written = np.where(matrix, outputs * _words(columns * bits, v), layers.output_bytes)
        buffer_reads, buffer_writes = reads + sums + layers.output_bytes, input_bytes + sums + written
        cells = weight_bytes * v.cell_write_pj
        register = 2 * v.register_pj * activations * (rows + columns)

        read_bits, written_bits = 8 * (input_bytes + weight_bytes), 8 * layers.output_bytes
        vector = np.where(matrix, 0.0, np.maximum(layers.input_elements, layers.pool_operations)) / v.vector_lanes
        cycles = np.maximum(switched + vector, (read_bits + written_bits) / v.dram_bits_per_cycle)
        latency = cycles * self._clock_ns(v) * 1e-6
        return LayerCosts(
            latency=latency,
            mac=1e-9 * mac,
            register=1e-9 * (register + cells),
            buffer=8e-9 * (buffer_reads * v.buffer_read_pj_per_bit + buffer_writes * v.buffer_write_pj_per_bit),
            dram=1e-9 * (read_bits * v.dram_read_pj_per_bit + written_bits * v.dram_write_pj_per_bit),
            static=1e-3 * v.static_mw * latency,
        )

    @staticmethod
    def _traffic(
        layers: Layers, values: Values, groups: Floats, column_folds: Floats, held: Floats
    ) -> tuple[Floats, Floats]:
        """Return the bytes of inputs and weights that come from DRAM.

        Weights go into the cells. Half of the buffer is for inputs, half for the partial sums of one fold of columns
        (`held` bytes). Where those do not fit, pixels are cut into parts and weights come again for each. Where the
        inputs of a group do not fit, either they come again for each fold of columns or weights do for each part.
        """
        half = values.buffer_kib * 512.0
        inputs, weights = layers.input_bytes * read_share(layers), layers.weight_bytes
        cuts, parts = (np.maximum(np.ceil(size / half), 1.0) for size in (held, inputs / groups))
        finer = np.where(column_folds > 1.0, np.maximum(cuts, parts), cuts)
        again = np.where(finer > cuts, (column_folds - 1.0) * inputs, 0.0)
        cheaper = again < (finer - cuts) * weights
        return inputs + again * cheaper, weights * np.where(cheaper, cuts, finer)

    def _energy(self, v: Values, rows: Any, columns: Any, bits: Any, weight_bits: Any) -> Any:
        """Return the pJ of one step: converters, multipliers, bit lines, adders and accumulators."""
        kinds = (self._analog, self._digital)
        if np.ndim(v.kind) == 0:
            return kinds[int(v.kind)](v, rows, columns, bits, weight_bits)
        return np.where(v.kind == 0, *(energy(v, rows, columns, bits, weight_bits) for energy in kinds))

    @staticmethod
    def _analog(v: Values, rows: Any, columns: Any, bits: Any, weight_bits: Any) -> Any:
        """Return the pJ of a step with a converter for each bit of a column, and adders that weigh the bits."""
        square = v.vdd**2 * 1e-3
        gate = v.gate_ff * square
        adc = (v.adc_ff_per_bit * v.adc_bits + v.adc_ff_per_level * 4.0**v.adc_bits) * square
        dac = np.where(v.serial_bits == 1, 0.0, v.dac_ff_per_bit * v.serial_bits * square)
        lines = 0.5 * gate * weight_bits * columns * v.rows
        weighing = _ADDER * gate * _place_value(v.adc_bits, weight_bits) * columns
        multiplied = 0.5 * gate * weight_bits * v.columns
        energy = dac * rows + (adc * weight_bits) * columns + multiplied * rows + lines + weighing
        return energy + _adding(v, columns, bits) * (bits + v.adc_bits + weight_bits)

    @staticmethod
    def _digital(v: Values, rows: Any, columns: Any, bits: Any, weight_bits: Any) -> Any:
        """Return the pJ of a step with an adder tree for each bit that enters, and adders that weigh those bits."""
        gate, depth = v.gate_ff * v.vdd**2 * 1e-3, np.log2(v.rows)
        used = np.log2(np.maximum(rows, 1.0))
        full = rows * (weight_bits + 1) - (weight_bits + used + 1)
        half = (depth - used) * weight_bits + (depth * (depth - 1) - used * (used - 1)) / 2
        trees = gate * (_ADDER * full + _HALF_ADDER * half) * v.serial_bits * columns
        weighing = _ADDER * gate * _place_value(weight_bits + depth, v.serial_bits) * columns
        multiplied = 0.5 * gate * weight_bits * v.columns * v.serial_bits * v.rows
        return multiplied + trees + weighing + _adding(v, columns, bits) * (bits + depth + weight_bits)

    def _clock_ns(self, v: Values, bits: float = 8.0) -> Any:
        """Return the nanoseconds of a cycle: converter, multiplier, adder trees, accumulator, for 8 bit operands."""
        depth = np.log2(v.rows)
        adc = v.adc_bits * (0.00653 * v.rows + 0.640)
        analog = _CARRY + (np.log2(bits) - 1) * _SUM + (bits - 1) * _CARRY_ON + 1
        # The weighing adder puts out (inputs + bits of an input); the accumulator carries through what is left.
        analog_left = 2 * bits + v.adc_bits - (bits + v.adc_bits)
        tree = (depth - 1) * _SUM + _CARRY + (bits + depth - 2) * _CARRY_ON + 1
        several = v.serial_bits > 1
        weighing = (np.log2(v.serial_bits) - 1) * _SUM + _CARRY + (v.serial_bits - 1) * _CARRY_ON
        digital_left = 2 * bits + depth - (bits + depth + np.where(several, v.serial_bits, 0.0))
        serial = v.serial_bits < bits
        analog = analog + serial * (_CARRY + (analog_left - 1) * _CARRY_ON)
        digital = tree + several * weighing + serial * (_CARRY + (digital_left - 1) * _CARRY_ON)
        return np.where(v.kind == 0, adc + analog * v.gate_ns, digital * v.gate_ns)

    def peak_macs(self, values: Values, weight_bits: Any, activation_bits: Any) -> Any:
        """Return the multiply-accumulates a millisecond with every row and column in use."""
        steps = np.ceil(activation_bits / values.serial_bits)
        return values.rows * values.columns / steps / self._clock_ns(values) * 1e6

    def area(self, values: Values) -> Any:
        """Return the area in mm2 of the macro (8 bit operands) and its buffer."""
        v, bits = values, 8.0
        depth, cells = np.log2(v.rows), v.rows * v.columns
        adc = 10 ** (-0.0369 * v.adc_bits + 1.206) * 2**v.adc_bits * (v.adc_bits > 1) * bits * v.columns
        serial = v.serial_bits < bits
        adder, register = _ADDER_AREA * v.gate_um2, _REGISTER_AREA * v.gate_um2
        analog = adc + v.gate_um2 * bits * cells + adder * _place_value(v.adc_bits, bits) * v.columns
        analog = analog + serial * (adder + register) * (2 * bits + v.adc_bits) * v.columns
        tree = v.rows * (bits + 1) - (bits + depth + 1)
        digital = v.gate_um2 * v.serial_bits * bits * cells + adder * tree * v.serial_bits * v.columns
        digital = digital + adder * _place_value(bits + depth, v.serial_bits) * v.columns
        digital = digital + serial * (adder + register) * (2 * bits + depth) * v.columns
        macro = np.where(v.kind == 0, analog, digital) + v.cell_um2 * cells
        return macro * 1e-6 + v.buffer_kib * v.sram_mm2_per_kib


def _words(bits: Any, values: Values) -> Any:
    """Return the bytes of the buffer's words that so many bits take."""
    return np.ceil(bits / values.buffer_word_bits) * values.buffer_word_bits / 8


def _adding(v: Values, columns: Any, bits: Any) -> Any:
    """Return the pJ a bit of the accumulators, which run where operands enter in parts."""
    gate = v.gate_ff * v.vdd**2 * 1e-3
    return (_ADDER + _REGISTER) * gate * columns * (bits != v.serial_bits)


def _place_value(bits: Any, inputs: Any) -> Any:
    """Return the full adders that add `inputs` numbers of `bits` bits, each one place above the last."""
    several = np.maximum(inputs, 1.0)
    return (bits * (several - 1) + several * (np.log2(several) - 0.5)) * (several > 1)
