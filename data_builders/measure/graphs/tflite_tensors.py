"""Tensors and operators of a TFLite model that is float32 or int8 throughout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data_builders.tflite_file import TfliteFile
from hwnasbench.networks.layers import Activation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Value:
    """A tensor; scale and zero mean nothing where it is float32."""

    tensor: int
    shape: tuple[int, ...]
    scale: float
    zero: int = 0

    @property
    def limit(self) -> float:
        """The largest magnitude that it holds."""
        return self.scale * (127 - self.zero)


class Tensors:
    """Adds tensors and operators to a file.

    Parameters
    ----------
    quantised : bool
        Whether numbers are int8.
    """

    def __init__(self, quantised: bool) -> None:
        self.quantised = quantised
        self.file = TfliteFile("measure")
        self.known: dict[tuple[Any, ...], Any] = {}

    def new(self, shape: Sequence[int], limit: float, prescribed: tuple[float, int] | None = None) -> Value:
        """Add a tensor for numbers of some largest magnitude, or with a prescribed scale and zero."""
        scale, zero = prescribed or (limit / 127, 0)
        return self.like(Value(-1, (), scale, zero), shape)

    def like(self, value: Value, shape: Sequence[int]) -> Value:
        """Add a tensor with another's scale and zero."""
        kind, scales = ("INT8", [value.scale]) if self.quantised else ("FLOAT32", [])
        return Value(self.file.tensor(shape, kind, scales, zero=value.zero), tuple(shape), value.scale, value.zero)

    def number(self, value: float) -> Value:
        """Add one number."""
        result: Value = self.once(("number", value), lambda: self.constant(np.array(value)))
        return result

    def constant(self, values: NDArray[Any], like: Value | None = None) -> Value:
        """Add numbers, in int8 with a scale of their own or another tensor's."""
        shape = values.shape
        if not self.quantised:
            return Value(self.file.tensor(shape, "FLOAT32", values=values.astype(np.float32)), shape, 1.0)
        scale, zero = (like.scale, like.zero) if like else (float(np.abs(values).max()) / 127, 0)
        whole = np.rint(values / scale + zero).astype(np.int8)
        return Value(self.file.tensor(shape, "INT8", [scale], whole, zero=zero), shape, scale, zero)

    def whole_numbers(self, numbers: Any) -> Value:
        """Add what an operator reads besides its data: a shape, axes, widths of borders."""
        values = np.array(numbers, np.int32)
        key = ("whole", values.shape, values.tobytes())
        tensor: int = self.once(key, lambda: self.file.tensor(values.shape, "INT32", values=values))
        return Value(tensor, values.shape, 1.0)

    def once(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """Return what `make` wrote the first time that it was asked for."""
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]

    def options(self, kind: str, fused: Activation = Activation.NONE) -> Any:
        """Return the options of an operator."""
        found = getattr(self.file.schema, f"{kind}OptionsT")()
        if fused != Activation.NONE:
            found.fusedActivationFunction = getattr(self.file.schema.ActivationFunctionType, fused.name)
        return found

    def operator(self, name: str, inputs: Sequence[Value], result: Value, options: Any = None) -> Value:
        """Add an operator; return its result."""
        self.file.operator(name, [value.tensor for value in inputs], result.tensor, options)
        return result

    def shaped(self, value: Value, shape: Sequence[int]) -> Value:
        """Return a tensor in another shape."""
        if value.shape == tuple(shape):
            return value
        return self.operator("RESHAPE", [value, self.whole_numbers(shape)], self.like(value, shape))
