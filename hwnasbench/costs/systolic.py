"""A systolic array: a layer is a matrix product, cut into folds of the array's size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.costs.base import CostModel, Values, require
from hwnasbench.costs.layers import LayerCosts, Layers
from hwnasbench.costs.traffic import read_share
from hwnasbench.networks.layers import Op

if TYPE_CHECKING:
    from typing import Any

    from hwnasbench.costs.layers import Floats


def pick(condition: Any, yes: Any, no: Any) -> Any:
    """Return one of two arrays whole where one value decides for all layers, else layer by layer."""
    if np.ndim(condition) == 0:
        return yes if condition else no
    return np.where(condition, yes, no)


@dataclass
class Folds:
    """How a layer's product (pixels x window) by (window x filters) lies on the array, one group of channels.

    Attributes
    ----------
    groups, pixels, window, filters : (n,) ndarray
    rows, columns : (n,) ndarray
        Folds down and across the array.
    cycles : (n,) ndarray
        Cycles of the whole layer, all groups.
    """

    groups: Floats
    pixels: Floats
    window: Floats
    filters: Floats
    rows: Floats
    columns: Floats
    cycles: Floats


class Systolic(CostModel):
    """Latency, energy and area of a systolic array with three buffers and a vector unit.

    Layers without multiplications run on a vector unit. Computing hides behind DRAM traffic or
    the other way round, where `staged` does not hold it up. Operands that do not fit their buffer are read again:
    inputs once for each bufferful of weights, or weights once for each bufferful of inputs, whichever is less; partial
    sums stay on the chip, since pixels can be cut to what the output buffer holds.
    """

    name = "systolic"

    def folds(self, layers: Layers, values: Values) -> Folds:
        """Return the folds of every layer and their cycles without stalls.

        A fold costs, in an array of R rows and C columns through which T vectors stream, 2 R + C + T - 2 cycles
        where an operand is loaded first and R + C + T - 2 where outputs stay; a group's last cycle counts from
        zero (read in scalesim 3.0.0: compute/systolic_compute_{ws,os,is}.py and
        memory/double_buffered_scratchpad_mem.py). Where folds overlap, the next weights enter a row a cycle, the rows
        that they fill alone. Groups, depthwise ones too, run one after the other, or as many side by side as
        `groups_at_once` allows.
        """
        v = values
        groups = np.where(layers.is_conv, layers.groups, 1.0)
        pixels = layers.out_height * layers.out_width * layers.batch
        kernel = layers.kernel * layers.kernel
        channels = layers.in_channels / groups
        together = v.window_on_rows > 0.5
        repeats = pick(together, 1.0, kernel)
        window = channels * pick(together, kernel, 1.0)
        filters = layers.out_channels / groups
        output, inputs = v.dataflow == 1, v.dataflow == 2
        down = np.ceil(pick(output, pixels, window) / v.rows)
        across = np.ceil(pick(inputs, pixels, filters) / v.columns)
        streamed = pick(output, window, pick(inputs, filters, pixels)) * self._passes(layers, v)
        fill = pick(output, v.rows, 2.0 * v.rows) + v.columns - 2.0
        beside = np.maximum(np.minimum(np.floor(v.columns / filters), v.groups_at_once), 1.0)
        filled = np.minimum(window * np.minimum(beside, groups), v.rows)
        steady = np.maximum(streamed, pick(output, 0.0, v.overlap * filled))
        turns = np.ceil(groups / beside)
        count = turns * down * across * repeats
        fills = count - (count - 1.0) * v.overlap
        return Folds(
            groups, pixels, window * repeats, filters, down * repeats, across, count * steady + fills * fill - turns
        )

    @staticmethod
    def _passes(layers: Layers, values: Values) -> Floats:
        """Return how long one product takes beside that of two words."""
        word, least = values.word_bits, values.least_bits
        whole_weight, whole_input = np.ceil(layers.weight_bits / word), np.ceil(layers.activation_bits / word)
        weight = pick(values.flexible > 0, np.maximum(layers.weight_bits, least) / word, whole_weight)
        passes: Floats = weight * pick(
            values.flexible > 1, np.maximum(layers.activation_bits, least) / word, whole_input
        )
        return passes

    @staticmethod
    def traffic(layers: Layers, values: Values) -> tuple[Floats, Floats, Floats]:
        """Return the bytes of inputs, weights and outputs that each layer moves from and to DRAM.

        Of pixels that a stride leaves out between windows none is read.
        """
        weights, outputs = layers.weight_bytes, layers.output_bytes
        inputs = layers.input_bytes * read_share(layers)
        groups = np.where(layers.is_conv, layers.groups, 1.0)
        room = values.input_kib * 1024.0
        again_inputs = np.maximum(np.ceil(weights / (groups * values.weight_kib * 1024.0)) - 1.0, 0.0) * inputs
        again_weights = np.maximum(np.ceil(inputs / (groups * room)) - 1.0, 0.0) * weights
        first = again_inputs <= again_weights
        stay = values.resident > 0.5
        moved_inputs = np.where(stay & (inputs <= room), 0.0, inputs + np.where(first, again_inputs, 0.0))
        moved_outputs = np.where(stay & (outputs <= values.output_kib * 1024.0), 0.0, outputs)
        return moved_inputs, weights + np.where(first, 0.0, again_weights), moved_outputs

    def cost(self, layers: Layers, values: Values) -> LayerCosts:
        """Return the cost of every layer; see `CostModel.cost`."""
        v = values
        folds = self.folds(layers, v)
        product = layers.is_conv | layers.is_linear
        vector = np.maximum(layers.input_elements, layers.pool_operations)
        cycles = np.where(product, folds.cycles, np.ceil(vector / self._lanes(v)))
        moved = self.traffic(layers, v)
        starts = np.where(layers.kind == np.uint8(Op.ADD), np.maximum(layers.inputs - 1.0, 1.0), 1.0)
        overhead = v.layer_us + np.where(product, 0.0, starts * v.vector_us)
        latency = self._milliseconds(layers, v, folds, cycles, moved) + overhead * 1e-3

        scale = (v.technology_nm / v.reference_nm) ** v.energy_exponent
        work = np.where(product, layers.work, vector)
        product_bits = layers.weight_bits * layers.activation_bits
        return LayerCosts(
            latency=latency,
            mac=1e-9 / 64 * work * v.mac_pj * product_bits * scale,
            register=1e-9 / 8 * work * v.register_pj * layers.activation_bits * scale,
            buffer=1e-9 * self._buffer_pj(layers, v, folds, product) * scale,
            dram=8e-9 * (moved[0] + moved[1] + moved[2]) * v.dram_pj_per_bit,
            static=1e-3 * v.static_mw * latency,
        )

    @staticmethod
    def _lanes(values: Values) -> Any:
        """Return the elements that the vector unit takes in one cycle."""
        return np.where(values.vector_lanes > 0, values.vector_lanes, values.columns)

    @staticmethod
    def _milliseconds(
        layers: Layers, values: Values, folds: Folds, cycles: Floats, moved: tuple[Floats, Floats, Floats]
    ) -> Floats:
        """Return the time of computing and DRAM traffic.

        Staged (read in zigzag-dse 3.9.1, cost_model.py: calc_double_buffer_flag, calc_loading_single_port), inputs are
        in their buffer, or fill it, before a layer computes. Weights are read in sets that cover the rows of all folds
        under one fold of columns, or in parts of a set that fit; where the buffer holds neither all weights nor two
        sets, a set is read after the one before was used.
        """
        v = values
        inputs, weights, outputs = moved
        room, total = v.weight_kib * 1024.0, inputs + weights + outputs
        found: Floats
        if np.ndim(v.staged) == 0 and v.staged <= 0.5:
            found = np.maximum(cycles / v.clock_mhz * 1e-3, total / v.dram_gbps * 1e-6)
            return found
        cell = v.rows * v.columns * layers.weight_bits / 8
        column = folds.rows * cell
        one = column / np.ceil(column / room)
        waits = (v.dataflow == 0) & (column * folds.columns * folds.groups > room) & (2.0 * one > room)
        first = np.minimum(inputs, v.input_kib * 1024.0) * (v.staged > 0.5)
        serial = np.where(waits & (v.staged > 0.5), weights, 0.0)
        computing, gbps = cycles / v.clock_mhz * 1e-3, v.dram_gbps * 1e6
        found = first / gbps + np.maximum(computing + serial / gbps, (total - first) / gbps)
        return found

    @staticmethod
    def _buffer_pj(layers: Layers, values: Values, folds: Folds, product: Any) -> Floats:
        """Return the energy of all buffers: each fold reads its operands and adds to its outputs."""
        v = values
        output, inputs = v.dataflow == 1, v.dataflow == 2
        read_inputs = folds.pixels * folds.window * folds.groups * pick(inputs, 1.0, folds.columns)
        read_weights = layers.weight_elements * pick(output, folds.rows, pick(inputs, folds.columns, 1.0))
        sums = pick(output, 1.0, 2.0 * folds.rows - 1.0) * v.accumulator_bits
        base = v.sram_pj_per_bit / 32.0**v.sram_exponent
        input_pj, weight_pj, output_pj = (
            base * kib**v.sram_exponent for kib in (v.input_kib, v.weight_kib, v.output_kib)
        )
        read_bits = np.where(product, read_inputs, layers.input_elements) * layers.activation_bits
        sum_bits = layers.output_elements * np.where(product, sums, layers.activation_bits)
        energy: Floats = input_pj * read_bits + weight_pj * read_weights * layers.weight_bits + output_pj * sum_bits
        return energy

    def overhead(self, values: Values) -> float:
        """Return the milliseconds of a call before its first layer."""
        return float(values.call_us) * 1e-3

    def peak_macs(self, values: Values, weight_bits: Any, activation_bits: Any) -> Any:
        """Return the multiply-accumulates a millisecond with every element busy."""
        v = values
        weight = pick(
            v.flexible > 0, np.maximum(weight_bits, v.least_bits) / v.word_bits, np.ceil(weight_bits / v.word_bits)
        )
        inputs = pick(
            v.flexible > 1,
            np.maximum(activation_bits, v.least_bits) / v.word_bits,
            np.ceil(activation_bits / v.word_bits),
        )
        return v.rows * v.columns * v.clock_mhz * 1e3 / (weight * inputs)

    def area(self, values: Values) -> Any:
        """Return the area in mm2 of processing elements and buffers."""
        v = values
        elements = v.rows * v.columns * v.pe_mm2 * (v.word_bits / 8.0) ** 2
        buffers = (v.input_kib + v.weight_kib + v.output_kib) * v.sram_mm2_per_kib
        return (elements + buffers) * (v.technology_nm / v.reference_nm) ** v.area_exponent

    def check(self, values: Values) -> None:
        """Refuse buffers smaller than what one fold needs; see `CostModel.check`."""
        v = values
        needs = {
            "input_kib": v.rows * v.word_bits,
            "weight_kib": v.rows * v.columns * v.word_bits,
            "output_kib": v.columns * v.accumulator_bits,
        }
        for name, bits in needs.items():
            kib = bits / 8 / 1024
            given = getattr(v, name)
            require(given >= kib, f"{name}={given:g}: expected at least one fold of the array, {kib:g} KiB")
