"""One layer as an int8 TFLite model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from data_builders.tflite_file import TfliteFile
from hwnasbench.networks.layers import Activation, Op

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Quantisation of every activation tensor: symmetric, as weights are.
_SCALE = 0.05
_WEIGHT_SCALE = 0.01
_SEED = 20
_FUSED = {Activation.NONE: "NONE", Activation.RELU: "RELU", Activation.RELU6: "RELU6"}


class Unsupported(Exception):
    """A layer that has no TFLite model here; the message says why."""


def tflite_model(layer: np.void) -> bytes:
    """Return a TFLite model that holds one layer with seeded random int8 weights.

    Batch normalisation is folded into the convolution, as converters do; an activation of the input
    belongs to the layer before. A sum of n tensors becomes n - 1 ADD operators, since ADD takes two.

    Parameters
    ----------
    layer : np.void
        A row of `hwnasbench.networks.LAYER`.

    Returns
    -------
    bytes
        The flatbuffer; the same bytes for the same shapes and activation.

    Raises
    ------
    Unsupported
        When TFLite has no such operator or padding, or none is written here.
    """
    model = _Model(layer)
    op = Op(int(layer["op"]))
    if op == Op.CONV:
        model.convolution()
    elif op == Op.LINEAR:
        model.fully_connected()
    elif op in (Op.AVG_POOL, Op.MAX_POOL, Op.GLOBAL_POOL):
        model.pooling(op)
    elif op == Op.ADD:
        model.addition()
    else:
        raise Unsupported(f"no TFLite operator is written for {op.name}")
    return model.pack()


class _Model:
    """Writes one layer."""

    def __init__(self, layer: np.void) -> None:
        self.file = TfliteFile("oracles")
        self.schema = self.file.schema
        self.layer = layer
        # The weights follow from their shape alone: they move the compressed size, and so the cycles, a little.
        shape = [int(layer[field]) for field in ("in_channels", "out_channels", "kernel", "groups")]
        self.random = np.random.default_rng([_SEED, *shape])
        self.in_shape = (1, int(layer["in_height"]), int(layer["in_width"]), int(layer["in_channels"]))
        self.out_shape = (1, int(layer["out_height"]), int(layer["out_width"]), int(layer["out_channels"]))
        self.output = -1

    def convolution(self) -> None:
        layer, schema = self.layer, self.schema
        groups, kernel = int(layer["groups"]), int(layer["kernel"])
        c, n = self.in_shape[3], self.out_shape[3]
        depthwise = groups == c and groups > 1
        options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
        if depthwise:
            options.depthMultiplier = n // c
        self._window(options, kernel, dilation=int(layer["dilation"]))
        options.dilationHFactor = options.dilationWFactor = int(layer["dilation"])
        shape = (1, kernel, kernel, n) if depthwise else (n, kernel, kernel, c // groups)
        weights = self._weights(shape, channel_axis=3 if depthwise else 0)
        name = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        self._operator(name, options, [self._input(), weights, self._bias(n)], self.out_shape)

    def fully_connected(self) -> None:
        options = self.schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = self._activation()
        c, n = self.in_shape[3], self.out_shape[3]
        weights = self._weights((n, c), channel_axis=0)
        source = self._input((1, c))
        self._operator("FULLY_CONNECTED", options, [source, weights, self._bias(n)], (1, n))

    def pooling(self, op: Op) -> None:
        options = self.schema.Pool2DOptionsT()
        if op == Op.GLOBAL_POOL:
            options.padding = self.schema.Padding.VALID
            options.strideH = options.strideW = 1
            options.filterHeight, options.filterWidth = self.in_shape[1:3]
            options.fusedActivationFunction = self._activation()
        else:
            kernel = int(self.layer["kernel"])
            self._window(options, kernel)
            options.filterHeight = options.filterWidth = kernel
        name = "MAX_POOL_2D" if op == Op.MAX_POOL else "AVERAGE_POOL_2D"
        self._operator(name, options, [self._input()], self.out_shape)

    def addition(self) -> None:
        inputs = int(self.layer["inputs"])
        if inputs < 2:
            raise Unsupported(f"a sum of {inputs} tensor is no operator")
        total = self._input()
        for number in range(1, inputs):
            options = self.schema.AddOptionsT()
            options.fusedActivationFunction = self._activation() if number == inputs - 1 else 0
            total = self._operator("ADD", options, [total, self._input()], self.out_shape)

    def pack(self) -> bytes:
        """Return the flatbuffer."""
        return self.file.pack([self.output], "layer")

    def _window(self, options: Any, kernel: int, dilation: int = 1) -> None:
        """Set padding, stride and activation; TFLite knows two paddings, not numbers of pixels."""
        layer, stride = self.layer, int(self.layer["stride"])
        span = dilation * (kernel - 1) + 1
        heights = (self.in_shape[1], self.out_shape[1]), (self.in_shape[2], self.out_shape[2])
        if int(layer["padding"]) == 0 and all(out == (size - span) // stride + 1 for size, out in heights):
            options.padding = self.schema.Padding.VALID
        elif all(out == -(-size // stride) for size, out in heights):
            options.padding = self.schema.Padding.SAME
        else:
            raise Unsupported(f"padding {layer['padding']} is neither SAME nor VALID")
        options.strideH = options.strideW = stride
        options.fusedActivationFunction = self._activation()

    def _activation(self) -> int:
        activation = Activation(int(self.layer["activation"]))
        if activation not in _FUSED:
            raise Unsupported(f"{activation.name} is no fused activation of TFLite")
        return int(getattr(self.schema.ActivationFunctionType, _FUSED[activation]))

    def _input(self, shape: Sequence[int] | None = None) -> int:
        self.file.inputs.append(self.file.tensor(shape or self.in_shape, "INT8", [_SCALE]))
        return self.file.inputs[-1]

    def _weights(self, shape: Sequence[int], channel_axis: int) -> int:
        values = self.random.integers(-127, 128, size=tuple(shape), dtype=np.int8)
        return self.file.tensor(shape, "INT8", [_WEIGHT_SCALE] * shape[channel_axis], values, channel_axis)

    def _bias(self, channels: int) -> int:
        values = self.random.integers(-1000, 1001, size=channels, dtype=np.int32)
        return self.file.tensor((channels,), "INT32", [_SCALE * _WEIGHT_SCALE] * channels, values)

    def _operator(self, name: str, options: Any, inputs: list[int], shape: Sequence[int]) -> int:
        self.output = self.file.tensor(shape, "INT8", [_SCALE])
        self.file.operator(name, inputs, self.output, options)
        return self.output
