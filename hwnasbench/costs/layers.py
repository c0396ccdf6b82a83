"""The columns of a layer table that cost models read, and what they give back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.networks.layers import Op

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

#: Operators that only move or combine elements.
_IS_ELEMENTWISE = np.isin(np.arange(256), [Op.ADD, Op.MUL, Op.NORM, Op.CONCAT, Op.SHUFFLE, Op.SLICE])
_IS_POOL = np.isin(np.arange(256), [Op.AVG_POOL, Op.MAX_POOL, Op.GLOBAL_POOL])


class Layers:
    """A layer table, column by column: contiguous float64 arrays made when they are first read.

    Parameters
    ----------
    table : (n,) ndarray of `hwnasbench.networks.LAYER`
    batch : int or (n,) array
        Images of one inference call.
    """

    def __init__(self, table: NDArray[np.void], batch: int | NDArray[Any] = 1) -> None:
        self.table = table
        self.batch = batch

    def __len__(self) -> int:
        return len(self.table)

    def __getattr__(self, name: str) -> Floats:
        """Return a field of the table as float64, such as ``kernel`` or ``weight_bits``."""
        if name.startswith("_") or name not in (self.table.dtype.names or ()):
            raise AttributeError(name)
        column: Floats = self.table[name].astype(np.float64)
        self.__dict__[name] = column
        return column

    @cached_property
    def kind(self) -> NDArray[np.uint8]:
        """The `Op` of each layer."""
        return np.ascontiguousarray(self.table["op"])

    @cached_property
    def is_conv(self) -> Mask:
        """Convolutions of every sort."""
        return np.asarray(self.kind == np.uint8(Op.CONV))

    @cached_property
    def is_linear(self) -> Mask:
        """Linear layers."""
        return np.asarray(self.kind == np.uint8(Op.LINEAR))

    @cached_property
    def is_depthwise(self) -> Mask:
        """Convolutions with one input channel a group, of more than one group."""
        return np.asarray(self.is_conv & (self.groups == self.in_channels) & (self.groups > 1))

    @cached_property
    def is_pool(self) -> Mask:
        """Average, maximum and global pooling."""
        return _IS_POOL[self.kind]

    @cached_property
    def is_elementwise(self) -> Mask:
        """Layers that add, multiply, normalise or move elements."""
        return _IS_ELEMENTWISE[self.kind]

    @cached_property
    def work(self) -> Floats:
        """Multiply-accumulates of the whole batch."""
        return self.macs * self.batch

    @cached_property
    def input_elements(self) -> Floats:
        """Elements that all inputs bring, of the whole batch."""
        elements = self.in_channels * self.in_height * self.in_width
        adds, scales, joins = (np.flatnonzero(self.kind == np.uint8(op)) for op in (Op.ADD, Op.MUL, Op.CONCAT))
        elements[adds] *= self.inputs[adds]
        elements[scales] += self.in_channels[scales]
        elements[joins] = self.out_channels[joins] * self.in_height[joins] * self.in_width[joins]
        return elements * self.batch

    @cached_property
    def output_elements(self) -> Floats:
        """Elements written, of the whole batch."""
        return self.out_channels * self.out_height * self.out_width * self.batch

    @cached_property
    def weight_elements(self) -> Floats:
        """Weights of convolutions and linear layers, without bias and batch normalisation."""
        per_output = self.in_channels / np.maximum(self.groups, 1.0) * self.kernel**2
        return np.asarray(self.out_channels * per_output * (self.is_conv | self.is_linear))

    @cached_property
    def pool_operations(self) -> Floats:
        """Elements that poolings read one by one, of the whole batch."""
        pools, whole = (np.flatnonzero(mask) for mask in (self.is_pool, self.kind == np.uint8(Op.GLOBAL_POOL)))
        operations = np.zeros(len(self))
        operations[pools] = self.output_elements[pools] * self.kernel[pools] ** 2
        operations[whole] = self.output_elements[whole] * self.in_height[whole] * self.in_width[whole]
        return operations

    @cached_property
    def input_bytes(self) -> Floats:
        """Bytes of all inputs at the layer's activation bits."""
        return self.input_elements * self.activation_bits / 8

    @cached_property
    def output_bytes(self) -> Floats:
        """Bytes written at the layer's activation bits."""
        return self.output_elements * self.activation_bits / 8

    @cached_property
    def weight_bytes(self) -> Floats:
        """Bytes of the weights at the layer's weight bits."""
        return self.weight_elements * self.weight_bits / 8


@dataclass
class LayerCosts:
    """What each layer of a table costs for one inference call of one batch.

    Attributes
    ----------
    latency : (n,) ndarray of float64
        Milliseconds.
    mac, register, buffer, dram, static : (n,) ndarray of float64
        Energy in mJ: of arithmetic (for analog arrays converters included), of registers and
        scratch pads, of on-chip buffers, of the memory outside the chip, and leakage or idle power
        over the latency.
    supported : (n,) ndarray of bool, or None
        Layers that the device can run; None where it runs all.
    """

    latency: Floats
    mac: Floats
    register: Floats
    buffer: Floats
    dram: Floats
    static: Floats
    supported: Mask | None = None

    @property
    def energy(self) -> Floats:
        """Energy of each layer in mJ, the sum of its parts."""
        return self.mac + self.register + self.buffer + self.dram + self.static
