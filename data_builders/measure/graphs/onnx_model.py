"""Writes a network as an ONNX model, directly from its layer table: float32, or int8 as quantise/dequantise pairs.

The int8 models are what the engines' own tools write for static quantisation: weights int8, symmetric, one scale a
channel; activations uint8, one scale a tensor, zero point 0 behind a ReLU and 128 elsewhere; biases int32. The scales
are fixed: an inference takes as long whatever they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from data_builders.measure.graphs.common import RANGE, channel_scales, read_through, sources_of
from data_builders.measure.graphs.weights import draw
from hwnasbench.errors import InvalidRequest, MissingExtra, Unmeasurable
from hwnasbench.networks.layers import INPUT, Activation, Op

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from data_builders.measure.graphs.weights import Weights
    from hwnasbench.networks.layers import Network

#: ONNX operator set 17 and its file format: what engines since 2022 read.
_OPSET, _IR = 17, 8
#: Activations that an engine folds into the quantisation of a convolution's output.
_FOLDED = (Activation.NONE, Activation.RELU, Activation.RELU6)
#: Non-linearities that give no negative values, and the largest that they give.
_LARGEST = {
    Activation.RELU: float("inf"),
    Activation.RELU6: 6.0,
    Activation.SIGMOID: 1.0,
    Activation.HSIGMOID: 1.0,
}


def onnx_model(
    network: Network,
    batch: int = 1,
    weights: Sequence[Weights] | None = None,
    quantised: bool = False,
    ranges: Sequence[float] | None = None,
) -> bytes:
    """Return a network as an ONNX model with the input ``images`` and the output ``logits``.

    Parameters
    ----------
    network : Network
        Of live layers: ZERO is refused.
    batch : int
    weights : sequence of Weights, optional
        One entry a layer; drawn by default.
    quantised : bool
        Whether to write int8.
    ranges : sequence of float, optional
        Largest magnitude of the input and then of each layer's output; `RANGE` by default.

    Returns
    -------
    bytes
        (batch, channels, height, width) float32 in, (batch, classes) float32 out, also where quantised.

    Raises
    ------
    InvalidRequest
        When the network has no layers.
    Unmeasurable
        When a layer cannot be written.
    """
    if not len(network):
        raise InvalidRequest(f"{network.name!r} has no layers left to run; nothing leads from input to output")
    limits = [RANGE] * (len(network) + 1) if ranges is None else list(ranges)
    writer = _Quantised(batch, limits) if quantised else _Float(batch, limits)
    return writer.write(network, list(draw(network) if weights is None else weights))


class _Float:
    """Collects the nodes and constants of a model; a tensor is known by its name."""

    def __init__(self, batch: int, ranges: list[float]) -> None:
        try:
            import onnx
        except ImportError as error:
            raise MissingExtra("an ONNX model needs onnx: pip install 'hwnasbench[measure]'") from error
        self.onnx: Any = onnx
        self.batch, self.ranges = batch, ranges
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.known: dict[tuple[Any, ...], str] = {}
        self.flat: set[str] = set()

    def write(self, network: Network, weights: list[Weights]) -> bytes:
        """Return the model's bytes."""
        helper, kind = self.onnx.helper, self.onnx.TensorProto.FLOAT
        sources = sources_of(network)
        ahead = read_through(network)
        values = {INPUT: self.stored("images", self.ranges[0], Activation.NONE)}
        for number, row in enumerate(network.layers):
            last = number == len(network) - 1
            inputs = [values[source] for source in sources[number]]
            limit = self.ranges[number + 1]
            result = self.layer(row, inputs, weights[number], limit, network.name)
            values[number] = result if last else self.finished(result, row, ahead[number], limit)
        result = values[len(network) - 1]
        self.nodes.append(helper.make_node("Identity" if result in self.flat else "Flatten", [result], ["logits"]))
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info("images", kind, [self.batch, *network.input_shape])],
            [helper.make_tensor_value_info("logits", kind, [self.batch, network.classes])],
            self.constants,
        )
        opset = [helper.make_opsetid("", _OPSET)]
        model: bytes = helper.make_model(graph, opset_imports=opset, ir_version=_IR).SerializeToString(
            deterministic=True
        )
        return model

    def layer(self, row: np.void, inputs: list[str], weights: Weights, limit: float, name: str) -> str:
        """Write one layer; return what it gives before it is stored."""
        before, after = Activation(int(row["pre_activation"])), Activation(int(row["activation"]))
        if before != Activation.NONE:
            inputs = [self.before(tensor, before, limit) for tensor in inputs]
        result = self.core(row, inputs, weights, name)
        if after not in _FOLDED:
            # Beyond RANGE these are flat or straight: a gate of at most 1 may come of more.
            result = self.stored(result, max(limit, RANGE), Activation.NONE)
        return self.activated(result, after)

    def finished(self, tensor: str, row: np.void, ahead: Activation, limit: float) -> str:
        """Store what a layer gives; where all that read it apply the same ReLU first, behind that ReLU."""
        after = Activation(int(row["activation"]))
        if ahead == Activation.NONE or after != Activation.NONE:
            return self.stored(tensor, limit, after)
        result = self.stored(self.activated(tensor, ahead), limit, ahead)
        self.known["pre", result, ahead] = result
        return result

    def before(self, tensor: str, activation: Activation, limit: float) -> str:
        """Activate what several layers may read."""
        key = ("pre", tensor, activation)
        return self.once(key, lambda: self.stored(self.activated(tensor, activation), limit, activation))

    def stored(self, tensor: str, limit: float, activation: Activation) -> str:
        """Return the tensor as it goes through memory."""
        return tensor

    def weight(self, values: NDArray[np.float32], source: str) -> str:
        """Return the weights of a layer that reads a tensor."""
        return self.constant(values)

    def bias(self, values: NDArray[np.float32], source: str, weights: NDArray[np.float32]) -> str:
        """Return the bias that is added to a layer's products."""
        return self.constant(values)

    def once(self, key: tuple[Any, ...], make: Any) -> str:
        """Return what `make` wrote the first time that it was asked for."""
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]

    def constant(self, values: NDArray[Any] | np.generic) -> str:
        """Add an array; return its name."""
        name = f"c{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator with one output; return the output's name."""
        name = f"t{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, list(inputs), [name], name=f"n{name}", **attributes))
        return name

    def core(self, row: np.void, inputs: list[str], weights: Weights, name: str) -> str:
        """Write what the layer does between its activations."""
        geometry: dict[str, Any] = {
            "kernel_shape": [int(row["kernel"])] * 2,
            "strides": [int(row["stride"])] * 2,
            "pads": [int(row["padding"])] * 4,
        }
        channels = int(row["out_channels"])
        op = Op(int(row["op"]))
        if op == Op.LINEAR:
            return self.linear(inputs[0], weights)
        inputs = [self.image(tensor, int(row["in_channels"])) for tensor in inputs]
        match op:
            case Op.CONV:
                geometry |= {"group": int(row["groups"]), "dilations": [int(row["dilation"])] * 2}
                return self.node("Conv", inputs[0], *self.parameters(weights, inputs[0]), **geometry)
            case Op.AVG_POOL:
                return self.node("AveragePool", inputs[0], **geometry, count_include_pad=0)
            case Op.MAX_POOL:
                return self.node("MaxPool", inputs[0], **geometry)
            case Op.GLOBAL_POOL:
                return self.node("GlobalAveragePool", inputs[0])
            case Op.ADD:
                return self.total(inputs)
            case Op.MUL:
                return self.node("Mul", *inputs)
            case Op.CONCAT:
                return self.node("Concat", *inputs, axis=1)
            case Op.NORM:
                return self.norm(inputs[0], weights)
            case Op.SHUFFLE:
                return self.shuffle(inputs[0], row)
            case Op.SLICE:
                first = int(row["groups"]) - 1
                bounds = [self.constant(np.array([n], np.int64)) for n in (first, first + channels, 1)]
                return self.node("Slice", inputs[0], *bounds)
            case _:
                raise Unmeasurable(f"{name!r} has a layer {op.name}, which has no ONNX operator here")

    def parameters(self, weights: Weights, source: str) -> list[str]:
        """Write the weights and, where there is one, the bias of a layer that reads `source`."""
        assert weights.weight is not None
        names = [self.weight(weights.weight, source)]
        if weights.bias is not None:
            names.append(self.bias(weights.bias, source, weights.weight))
        return names

    def linear(self, tensor: str, weights: Weights) -> str:
        """Write a linear layer on 1 x 1 images; what it gives has two dimensions."""
        flat = tensor if tensor in self.flat else self.node("Flatten", tensor)
        result = self.node("Gemm", flat, *self.parameters(weights, tensor), transB=1)
        self.flat.add(result)
        return result

    def image(self, tensor: str, channels: int) -> str:
        """Return a tensor with four dimensions."""
        if tensor not in self.flat:
            return tensor
        shape = self.constant(np.array([self.batch, channels, 1, 1], np.int64))
        return self.node("Reshape", tensor, shape)

    def total(self, inputs: list[str]) -> str:
        """Add tensors, one after the other."""
        result = inputs[0]
        for other in inputs[1:]:
            result = self.node("Add", result, other)
        return result

    def norm(self, tensor: str, weights: Weights) -> str:
        """Write a batch normalisation that no convolution absorbs."""
        assert weights.weight is not None
        assert weights.bias is not None
        zeros, ones = np.zeros_like(weights.bias), np.ones_like(weights.bias)
        arrays = [self.constant(values) for values in (weights.weight, weights.bias, zeros, ones)]
        return self.node("BatchNormalization", tensor, *arrays, epsilon=0.0)

    def shuffle(self, tensor: str, row: np.void) -> str:
        """Write a channel shuffle: split into groups, swap, join."""
        channels, groups = int(row["in_channels"]), int(row["groups"])
        image = [int(row["in_height"]), int(row["in_width"])]
        split = self.constant(np.array([self.batch, groups, channels // groups, *image], np.int64))
        joined = self.constant(np.array([self.batch, channels, *image], np.int64))
        swapped = self.node("Transpose", self.node("Reshape", tensor, split), perm=[0, 2, 1, 3, 4])
        return self.node("Reshape", swapped, joined)

    def activated(self, tensor: str, activation: Activation) -> str:
        """Write a non-linearity."""
        result = tensor
        match activation:
            case Activation.RELU:
                result = self.node("Relu", tensor)
            case Activation.RELU6:
                bounds = [self.once(("bound", b), lambda b=b: self.constant(np.float32(b))) for b in (0, 6)]
                result = self.node("Clip", tensor, *bounds)
            case Activation.HSWISH:
                result = self.node("HardSwish", tensor)
            case Activation.HSIGMOID:
                result = self.node("HardSigmoid", tensor, alpha=1 / 6, beta=0.5)
            case Activation.SIGMOID:
                result = self.node("Sigmoid", tensor)
            case Activation.SWISH:
                gate = self.stored(self.node("Sigmoid", tensor), 1.0, Activation.SIGMOID)
                result = self.node("Mul", tensor, gate)
            case Activation.NONE:
                pass
        if tensor in self.flat:
            self.flat.add(result)
        return result


class _Quantised(_Float):
    """Puts a quantise/dequantise pair behind every operator that gives a tensor."""

    def __init__(self, batch: int, ranges: list[float]) -> None:
        super().__init__(batch, ranges)
        self.scales: dict[str, float] = {}

    def stored(self, tensor: str, limit: float, activation: Activation) -> str:
        """Quantise a tensor to uint8 and back."""
        positive = activation in _LARGEST
        limit = min(limit, _LARGEST.get(activation, limit))
        scale, zero = (limit / 255, 0) if positive else (2 * limit / 255, 128)
        numbers = (
            self.once(("scale", scale), lambda: self.constant(np.float32(scale))),
            self.once(("zero", zero), lambda: self.constant(np.uint8(zero))),
        )
        result = self.node("DequantizeLinear", self.node("QuantizeLinear", tensor, *numbers), *numbers)
        self.scales[result] = scale
        if tensor in self.flat:
            self.flat.add(result)
        return result

    def weight(self, values: NDArray[np.float32], source: str) -> str:
        """Quantise weights to int8, one scale an output channel."""
        scales = channel_scales(values)
        whole = np.rint(values / scales.reshape(-1, *[1] * (values.ndim - 1))).astype(np.int8)
        zeros = self.constant(np.zeros(len(scales), np.int8))
        return self.node("DequantizeLinear", self.constant(whole), self.constant(scales), zeros, axis=0)

    def bias(self, values: NDArray[np.float32], source: str, weights: NDArray[np.float32]) -> str:
        """Quantise a bias to int32 at the scale of the products."""
        scales = (channel_scales(weights) * np.float32(self.scales[source])).astype(np.float32)
        whole = np.rint(values / scales).astype(np.int32)
        zeros = self.constant(np.zeros(len(scales), np.int32))
        return self.node("DequantizeLinear", self.constant(whole), self.constant(scales), zeros, axis=0)

    def total(self, inputs: list[str]) -> str:
        """Add tensors, one after the other, each sum quantised but the last, which the layer quantises itself."""
        result, limit = inputs[0], max(self.scales[tensor] for tensor in inputs) * 127.5
        for number, other in enumerate(inputs[1:], 2):
            result = self.node("Add", result, other)
            if number < len(inputs):
                result = self.stored(result, limit * number, Activation.NONE)
        return result
