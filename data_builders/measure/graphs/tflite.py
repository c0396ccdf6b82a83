"""Writes a network as a TFLite model, directly from its layer table: float32, or int8 throughout.

The models are what converters write: images lie with their channels last, batch normalisation is folded, ReLU and ReLU6
are part of the convolution, sum or product before them, and padding that TFLite's two words for it do not say is an
operator of its own. Int8 models have int8 weights with one scale a channel, int8 activations with one scale a tensor,
and int32 biases; all symmetric, but for the sigmoid, whose scale and zero TFLite prescribes. The scales are fixed: an
inference takes as long whatever they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from data_builders.measure.graphs.common import RANGE, channel_scales, read_through, sources_of
from data_builders.measure.graphs.tflite_tensors import Tensors, Value
from data_builders.measure.graphs.weights import draw
from hwnasbench.errors import InvalidRequest, Unmeasurable
from hwnasbench.networks.layers import INPUT, Activation, Op

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from data_builders.measure.graphs.weights import Weights
    from hwnasbench.networks.layers import Network

_RELUS = (Activation.RELU, Activation.RELU6)
#: Operators that take a ReLU or ReLU6 as part of them.
_FUSING = (Op.CONV, Op.LINEAR, Op.ADD, Op.MUL, Op.NORM)
#: A layer's int8 output must be less than this many times finer than its products: XNNPACK refuses it else, and in a
#: large network ai-edge-litert 2.3.0 does not survive that: it frees memory twice, and the process aborts.
_FINEST = 256
#: Scale and zero that TFLite prescribes for an int8 sigmoid's output.
_UNIT = (1 / 256, -128)


def tflite_model(
    network: Network,
    batch: int = 1,
    weights: Sequence[Weights] | None = None,
    quantised: bool = False,
    ranges: Sequence[float] | None = None,
) -> bytes:
    """Return a network as a TFLite model with one input and one output.

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
        Largest magnitude of the input and then of each layer's output; `RANGE` by default. Poolings, slices, shuffles
        and ReLUs have the scale of what they read.

    Returns
    -------
    bytes
        (batch, height, width, channels) in, (batch, classes) out, both int8 where quantised, else float32.

    Raises
    ------
    InvalidRequest
        When the network has no layers, or a range is missing or not positive.
    Unmeasurable
        When a layer cannot be written.
    """
    if not len(network):
        raise InvalidRequest(f"{network.name!r} has no layers left to run; nothing leads from input to output")
    limits = [RANGE] * (len(network) + 1) if ranges is None else list(ranges)
    if len(limits) != len(network) + 1 or not all(0 < limit < np.inf for limit in limits):
        raise InvalidRequest(
            f"ranges of {network.name!r}: {len(limits)} numbers, least {min(limits, default=None)}; expected "
            f"{len(network) + 1} positive finite ones, of the input and of each layer"
        )
    writer = _Writer(network, batch, limits, quantised)
    return writer.write(list(draw(network) if weights is None else weights))


class _Writer(Tensors):
    def __init__(self, network: Network, batch: int, ranges: list[float], quantised: bool) -> None:
        super().__init__(quantised)
        self.network, self.batch, self.ranges = network, batch, ranges

    def write(self, weights: list[Weights]) -> bytes:
        """Return the file."""
        network = self.network
        channels, height, width = network.input_shape
        images = self.new((self.batch, height, width, channels), self.ranges[0])
        self.file.inputs.append(images.tensor)
        values = {INPUT: images}
        sources, ahead = sources_of(network), read_through(network)
        for number, row in enumerate(network.layers):
            inputs = [values[source] for source in sources[number]]
            values[number] = self.layer(row, inputs, weights[number], self.ranges[number + 1], ahead[number])
        logits = self.shaped(values[len(network) - 1], (self.batch, network.classes))
        return self.file.pack([logits.tensor], "network")

    def layer(self, row: np.void, inputs: list[Value], weights: Weights, limit: float, ahead: Activation) -> Value:
        """Write one layer, and behind it the ReLU that all that read it apply."""
        before, after = Activation(int(row["pre_activation"])), Activation(int(row["activation"]))
        if before != Activation.NONE:
            inputs = [self.before(value, before) for value in inputs]
        taken = ahead != Activation.NONE and after == Activation.NONE
        if taken:
            after = ahead
        # Beyond RANGE the others are flat or straight: a gate of at most 1 may come of more.
        own = limit if after in (Activation.NONE, *_RELUS) else max(limit, RANGE)
        fused = after if after in _RELUS and Op(int(row["op"])) in _FUSING else Activation.NONE
        result = self.core(row, inputs, weights, own, fused)
        if fused == Activation.NONE:
            result = self.activated(result, after, limit)
        if taken:
            self.known["before", result.tensor, ahead] = result
        return result

    def before(self, value: Value, activation: Activation) -> Value:
        """Activate what several layers may read; no activation gives a larger magnitude than it reads, or than 1."""
        limit = max(value.limit, 1.0)
        result: Value = self.once(
            ("before", value.tensor, activation), lambda: self.activated(value, activation, limit)
        )
        return result

    def core(self, row: np.void, inputs: list[Value], weights: Weights, limit: float, fused: Activation) -> Value:
        """Write what the layer does between its activations, and a ReLU that is part of it."""
        op = Op(int(row["op"]))
        if op == Op.LINEAR:
            return self.linear(inputs[0], weights, limit, fused)
        # Only what linear layers give is no image.
        first, *rest = (self.shaped(v, (self.batch, 1, 1, v.shape[1])) if len(v.shape) == 2 else v for v in inputs)
        match op:
            case Op.CONV:
                return self.convolution(row, first, weights, limit, fused)
            case Op.AVG_POOL | Op.MAX_POOL:
                return self.pooling(row, first, op)
            case Op.GLOBAL_POOL:
                return self.mean(first, limit)
            case Op.ADD:
                return self.total([first, *rest], limit, fused)
            case Op.MUL:
                return self.binary("Mul", first, rest[0], limit, fused)
            case Op.CONCAT:
                return self.concatenation([first, *rest], limit)
            case Op.NORM:
                return self.norm(first, weights, limit, fused)
            case Op.SHUFFLE:
                return self.shuffle(first, int(row["groups"]))
            case Op.SLICE:
                return self.slice(first, int(row["groups"]) - 1, int(row["out_channels"]))
            case _:
                raise Unmeasurable(f"{self.network.name!r} has a layer {op.name}, which has no TFLite operator here")

    def convolution(self, row: np.void, value: Value, weights: Weights, limit: float, fused: Activation) -> Value:
        """Write CONV_2D, or DEPTHWISE_CONV_2D where each channel is a group."""
        channels, groups = value.shape[3], int(row["groups"])
        depthwise = groups == channels > 1
        options = self.options("DepthwiseConv2D" if depthwise else "Conv2D", fused)
        if depthwise:
            options.depthMultiplier = int(row["out_channels"]) // channels
        options.dilationHFactor = options.dilationWFactor = int(row["dilation"])
        padded = self.windowed(options, row, value)
        parameters = self.parameters(weights, value.scale, limit / 127, (1, 2, 3, 0) if depthwise else (0, 2, 3, 1))
        result = self.new(self.out_shape(row), limit)
        return self.operator("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [padded, *parameters], result, options)

    def linear(self, value: Value, weights: Weights, limit: float, fused: Activation) -> Value:
        """Write FULLY_CONNECTED, which takes images of one pixel as they are."""
        parameters = self.parameters(weights, value.scale, limit / 127, (0, 1))
        result = self.new((self.batch, parameters[1].shape[0]), limit)
        options = self.options("FullyConnected", fused)
        return self.operator("FULLY_CONNECTED", [value, *parameters], result, options)

    def parameters(self, weights: Weights, scale: float, out_scale: float, order: Sequence[int]) -> list[Value]:
        """Write the weights, their axes in another order, and the bias, zeros where a layer has none.

        The bias is quantised at the scale of the products: that of the weights times `scale` of what they read.
        """
        assert weights.weight is not None
        bias = np.zeros(len(weights.weight), np.float32) if weights.bias is None else weights.bias
        matrix = weights.weight.transpose(order)
        if not self.quantised:
            return [self.constant(matrix), self.constant(bias)]
        axis = list(order).index(0)
        scales = channel_scales(weights.weight)
        along = [-1 if n == axis else 1 for n in range(matrix.ndim)]
        whole = np.rint(matrix / scales.reshape(along)).astype(np.int8)
        products = scales.astype(np.float64) * scale
        if products.max() >= _FINEST * out_scale:
            raise Unmeasurable(
                f"{self.network.name!r} has a layer whose int8 output is {products.max() / out_scale:.3g} times finer "
                f"than its products; expected less than {_FINEST}: does its range fit its values?"
            )
        whole_bias = np.rint(bias / products).astype(np.int32)
        return [
            Value(self.file.tensor(whole.shape, "INT8", scales.tolist(), whole, axis), whole.shape, scale),
            Value(self.file.tensor(bias.shape, "INT32", products.tolist(), whole_bias), bias.shape, scale),
        ]

    def pooling(self, row: np.void, value: Value, op: Op) -> Value:
        """Write a pooling; an average over explicit zeros is corrected for them."""
        options = self.options("Pool2D")
        options.filterHeight = options.filterWidth = int(row["kernel"])
        padded = self.windowed(options, row, value, least=op == Op.MAX_POOL)
        result = self.like(value, self.out_shape(row))
        if op == Op.MAX_POOL:
            return self.operator("MAX_POOL_2D", [padded], result, options)
        self.operator("AVERAGE_POOL_2D", [padded], result, options)
        if padded is value:
            return result
        share = int(row["kernel"]) ** 2 / np.outer(_seen(row, "height"), _seen(row, "width"))
        return self.binary("Mul", result, self.constant(share[None, :, :, None]), value.limit)

    def windowed(self, options: Any, row: np.void, value: Value, least: bool = False) -> Value:
        """Set stride and padding; return the value, padded by an operator where neither SAME nor VALID does it.

        The border is 0, or the `least` number of the type.
        """
        stride, padding = int(row["stride"]), int(row["padding"])
        span = int(row["dilation"]) * (int(row["kernel"]) - 1) + 1
        sizes = [(int(row[f"in_{side}"]), int(row[f"out_{side}"])) for side in ("height", "width")]
        # SAME pads no more than it needs, and an odd pixel behind: as the layer does that uses all its padding.
        same = all(out == -(-size // stride) and (out - 1) * stride + span - size == 2 * padding for size, out in sizes)
        words = self.file.schema.Padding
        options.strideH = options.strideW = stride
        options.padding = words.SAME if same else words.VALID
        if same or not padding:
            return value
        batch, height, width, channels = value.shape
        result = self.like(value, (batch, height + 2 * padding, width + 2 * padding, channels))
        border = self.whole_numbers([[0, 0], [padding, padding], [padding, padding], [0, 0]])
        if not least:
            return self.operator("PAD", [value, border], result, self.options("Pad"))
        lowest = (-128 - value.zero) * value.scale if self.quantised else float(np.finfo(np.float32).min)
        filling = self.constant(np.array(lowest), like=value)
        return self.operator("PADV2", [value, border, filling], result, self.options("PadV2"))

    def mean(self, value: Value, limit: float) -> Value:
        """Write the mean over the image."""
        options = self.options("Reducer")
        options.keepDims = True
        result = self.new((self.batch, 1, 1, value.shape[3]), limit)
        return self.operator("MEAN", [value, self.whole_numbers([1, 2])], result, options)

    def total(self, inputs: list[Value], limit: float, fused: Activation) -> Value:
        """Add tensors, one after the other."""
        result, largest = inputs[0], max(value.limit for value in inputs)
        for number, other in enumerate(inputs[1:-1], 2):
            # A little more than they can reach: at exactly twice the scale half of all sums were ties, all rounded up.
            result = self.binary("Add", result, other, largest * (number + 1 / 16))
        return self.binary("Add", result, inputs[-1], limit, fused)

    def norm(self, value: Value, weights: Weights, limit: float, fused: Activation) -> Value:
        """Write a batch normalisation that no convolution absorbs."""
        assert weights.weight is not None
        assert weights.bias is not None
        scaled = value.limit * float(np.abs(weights.weight).max())
        product = self.binary("Mul", value, self.constant(weights.weight), scaled)
        return self.binary("Add", product, self.constant(weights.bias), limit, fused)

    def concatenation(self, inputs: list[Value], limit: float) -> Value:
        """Write the inputs one after the other; TFLite wants all of them, and the result, at one scale."""
        shape = (*inputs[0].shape[:3], sum(value.shape[3] for value in inputs))
        if not self.quantised or len({(value.scale, value.zero) for value in inputs}) == 1:
            result = self.like(inputs[0], shape)
        else:
            result = self.new(shape, limit)
            inputs = [
                self.operator("QUANTIZE", [value], self.like(result, value.shape), self.options("Quantize"))
                for value in inputs
            ]
        options = self.options("Concatenation")
        options.axis = 3
        return self.operator("CONCATENATION", inputs, result, options)

    def shuffle(self, value: Value, groups: int) -> Value:
        """Write a channel shuffle: split into groups, swap, join."""
        *image, channels = value.shape
        split = self.shaped(value, (*image, groups, channels // groups))
        swapped = self.like(value, (*image, channels // groups, groups))
        self.operator("TRANSPOSE", [split, self.whole_numbers([0, 1, 2, 4, 3])], swapped, self.options("Transpose"))
        return self.shaped(swapped, value.shape)

    def slice(self, value: Value, first: int, channels: int) -> Value:
        """Write a slice along the channels."""
        shape = (*value.shape[:3], channels)
        bounds = [self.whole_numbers(numbers) for numbers in ([0, 0, 0, first], shape)]
        return self.operator("SLICE", [value, *bounds], self.like(value, shape), self.options("Slice"))

    def activated(self, value: Value, activation: Activation, limit: float) -> Value:
        """Write a non-linearity whose output's largest magnitude is `limit`."""
        match activation:
            case Activation.RELU | Activation.RELU6:
                return self.operator(activation.name, [value], self.like(value, value.shape))
            case Activation.HSWISH:
                return self.operator("HARD_SWISH", [value], self.new(value.shape, limit), self.options("HardSwish"))
            case Activation.HSIGMOID:
                shifted = self.binary("Add", value, self.number(3), 6.0, Activation.RELU6)
                return self.binary("Mul", shifted, self.number(1 / 6), 1.0)
            case Activation.SIGMOID:
                return self.operator("LOGISTIC", [value], self.new(value.shape, 1.0, _UNIT))
            case Activation.SWISH:
                return self.binary("Mul", value, self.activated(value, Activation.SIGMOID, 1.0), limit)
            case Activation.NONE:
                return value

    def binary(
        self, kind: str, first: Value, second: Value, limit: float, fused: Activation = Activation.NONE
    ) -> Value:
        """Write a sum ("Add") or product ("Mul") of two tensors."""
        result = self.new(np.broadcast_shapes(first.shape, second.shape), limit)
        return self.operator(kind.upper(), [first, second], result, self.options(kind, fused))

    def out_shape(self, row: np.void) -> tuple[int, ...]:
        """Return the shape of a batch of what a layer gives."""
        return (self.batch, *(int(row[name]) for name in ("out_height", "out_width", "out_channels")))


def _seen(row: np.void, side: str) -> NDArray[np.int64]:
    """Return how many rows or columns of the image each window covers, (out,)."""
    starts = np.arange(int(row[f"out_{side}"])) * int(row["stride"]) - int(row["padding"])
    return np.minimum(starts + int(row["kernel"]), int(row[f"in_{side}"])) - np.maximum(starts, 0)
