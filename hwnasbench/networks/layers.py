"""The layer table: one row an operator, edges between rows, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray
    from torch import nn


class Op(IntEnum):
    """What a layer does."""

    CONV = 0
    """Convolution; depthwise where groups equal the input channels."""
    LINEAR = 1
    AVG_POOL = 2
    """Average pooling; padding is not averaged over."""
    GLOBAL_POOL = 3
    """Average over the whole image, to 1 x 1."""
    ADD = 4
    """Sum of all inputs."""
    NORM = 5
    """Batch normalisation (and activation) that no convolution can absorb."""
    SHUFFLE = 6
    """Channel shuffle over `groups`."""
    ZERO = 7
    """Multiplication by zero: what published networks hold where an edge is none."""
    MUL = 8
    """Product of all inputs; a 1 x 1 input is broadcast (squeeze-and-excitation)."""
    CONCAT = 9
    """All inputs one after the other along the channels."""
    MAX_POOL = 10
    SLICE = 11
    """`out_channels` channels of the input, from channel `groups - 1` on."""


class Activation(IntEnum):
    """Non-linearity of a layer."""

    NONE = 0
    RELU = 1
    RELU6 = 2
    HSWISH = 3
    SWISH = 4
    HSIGMOID = 5
    SIGMOID = 6


#: Source of the edges that carry the network's input.
INPUT = -1

#: One row of a layer table: 68 bytes, so that a cost model is a vectorised function of its columns.
#:
#: ===================================  ==============================================================
#: ``op``                               an `Op`
#: ``pre_activation``, ``activation``   an `Activation`, of the input; of the output after ``batch_norm``
#: ``batch_norm``                       1 where the output is batch-normalised (2 parameters a channel)
#: ``bias``                             1 where the layer has a bias
#: ``inputs``                           how many tensors come in; above 1 for ADD, MUL and CONCAT alone
#: ``weight_bits``, ``activation_bits``  bit widths; 32 is float32
#: ``in_channels`` ... ``out_width``    shapes of one image; 1 x 1 images for LINEAR
#: ``kernel``, ``stride``, ``padding``  square; 1, 1, 0 where they mean nothing
#: ``groups``                           of CONV and SHUFFLE, else 1; of SLICE the first channel, plus 1
#: ``dilation``                         of CONV, else 1
#: ``params``                           trainable parameters, batch normalisation and bias included
#: ``macs``                             multiply-accumulates of CONV and LINEAR for one image, else 0
#: ===================================  ==============================================================
LAYER = np.dtype(
    [
        ("op", "u1"),
        ("pre_activation", "u1"),
        ("activation", "u1"),
        ("batch_norm", "u1"),
        ("bias", "u1"),
        ("inputs", "u1"),
        ("weight_bits", "u1"),
        ("activation_bits", "u1"),
        ("in_channels", "<i4"),
        ("out_channels", "<i4"),
        ("in_height", "<i4"),
        ("in_width", "<i4"),
        ("out_height", "<i4"),
        ("out_width", "<i4"),
        ("kernel", "<i4"),
        ("stride", "<i4"),
        ("padding", "<i4"),
        ("groups", "<i4"),
        ("dilation", "<i4"),
        ("params", "<i8"),
        ("macs", "<i8"),
    ]
)


@dataclass(frozen=True, eq=False, repr=False)
class Network:
    """An architecture at a data set's input size.

    Attributes
    ----------
    layers : (n,) ndarray of LAYER
        The layers in topological order; the last one is the output. Read-only.
    edges : (m, 2) ndarray of int32
        (source, target) rows; the source `INPUT` (-1) is the network's input. Sorted by target.
        Read-only.
    name : str
        The architecture, in its space's canonical notation.
    dataset : str
        The data set whose input size was used.
    input_shape : tuple of int
        (channels, height, width) of one image.
    classes : int
        Number of outputs.
    """

    layers: NDArray[np.void]
    edges: NDArray[np.int32]
    name: str
    dataset: str
    input_shape: tuple[int, int, int]
    classes: int

    def __post_init__(self) -> None:
        self.layers.flags.writeable = False
        self.edges.flags.writeable = False

    def __len__(self) -> int:
        return len(self.layers)

    def __repr__(self) -> str:
        return f"<network {self.name!r} for {self.dataset}: {len(self)} layers, {self.params} params, {self.macs} MACs>"

    @property
    def params(self) -> int:
        """Trainable parameters, those of dead layers included."""
        return int(self.layers["params"].sum())

    @property
    def macs(self) -> int:
        """Multiply-accumulates of convolutions and linear layers for one image, dead ones included.

        Batch normalisation, activations, pooling and additions count nothing.
        """
        return int(self.layers["macs"].sum())

    @property
    def activations(self) -> int:
        """Elements that all layers write for one image."""
        layers = self.layers
        return int((layers["out_channels"].astype(np.int64) * layers["out_height"] * layers["out_width"]).sum())

    @property
    def memory(self) -> float:
        """Size of the weights in KiB at the layers' weight bits."""
        return float((self.layers["params"] * self.layers["weight_bits"].astype(np.int64)).sum()) / 8 / 1024

    def counts(self) -> dict[str, int]:
        """Return params, macs and the number of layers that are not ZERO."""
        return {"params": self.params, "macs": self.macs, "layers": int((self.layers["op"] != Op.ZERO).sum())}

    def at(self, precision: str) -> Network:
        """Return the network with every layer at one precision, such as ``int8`` or ``w4a8``.

        At ``per_layer`` every layer keeps its own bits.

        Raises
        ------
        UnknownName
            When the precision is unknown.
        """
        from hwnasbench.vocabulary import PER_LAYER, precision_bits

        if precision == PER_LAYER:
            return self
        layers = self.layers.copy()
        layers["weight_bits"], layers["activation_bits"] = precision_bits(precision)
        return replace(self, layers=layers)

    def live(self) -> Network:
        """Return the network that an engine runs once it has removed what cannot matter.

        ZERO layers, layers off every path from the input to the output, and additions that are
        left with one input are gone. A disconnected architecture leaves no layers.

        Returns
        -------
        Network
        """
        from hwnasbench.networks.runtime import executed

        return executed(self, "live")

    def to_torch(self) -> nn.Module:
        """Return a freshly initialised PyTorch module with this network's layers.

        Returns
        -------
        torch.nn.Module
            Takes images (batch, channels, height, width), gives logits (batch, classes).

        Raises
        ------
        MissingExtra
            When PyTorch is not installed.
        InvalidRequest
            When the network has no layers.
        """
        from hwnasbench.networks.torch_module import TorchNetwork

        return TorchNetwork(self)


class Builder:
    """Lays out a network one layer at a time.

    Each method adds one layer that reads the layer numbered `source` and returns the new layer's
    number; `INPUT` is the network's input.

    Parameters
    ----------
    input_shape : tuple of int
        (channels, height, width) of one image.
    """

    def __init__(self, input_shape: tuple[int, int, int]) -> None:
        self._input_shape = input_shape
        self._shapes: list[tuple[int, int, int]] = []
        self._rows: list[tuple[int, ...]] = []
        self._edges: list[tuple[int, int]] = []

    def shape(self, layer: int) -> tuple[int, int, int]:
        """Return (channels, height, width) of what `layer` puts out."""
        return self._input_shape if layer == INPUT else self._shapes[layer]

    def conv(
        self,
        source: int,
        channels: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        *,
        dilation: int = 1,
        bias: bool = False,
        batch_norm: bool = True,
        activation: Activation = Activation.NONE,
        pre_activation: Activation = Activation.NONE,
    ) -> int:
        """Add a convolution to `channels`, padded by half the (dilated) kernel."""
        c, h, w = self.shape(source)
        padding = dilation * (kernel // 2)
        span = dilation * (kernel - 1) + 1
        out = (channels, _extent(h, span, stride, padding), _extent(w, span, stride, padding))
        weights = channels * (c // groups) * kernel * kernel
        return self._append(
            Op.CONV,
            [source],
            out,
            kernel=kernel,
            stride=stride,
            padding=padding,
            groups=groups,
            dilation=dilation,
            bias=bias,
            batch_norm=batch_norm,
            activation=activation,
            pre_activation=pre_activation,
            params=weights + channels * (2 * batch_norm + bias),
            macs=weights * out[1] * out[2],
        )

    def linear(self, source: int, features: int, *, activation: Activation = Activation.NONE) -> int:
        """Add a linear layer to `features`, with bias, on a 1 x 1 image."""
        channels = self.shape(source)[0]
        weights = channels * features
        out, params = (features, 1, 1), weights + features
        return self._append(Op.LINEAR, [source], out, bias=True, activation=activation, params=params, macs=weights)

    def avg_pool(self, source: int, kernel: int, stride: int, padding: int) -> int:
        """Add an average pooling that leaves padding out of the average."""
        c, h, w = self.shape(source)
        out = (c, _extent(h, kernel, stride, padding), _extent(w, kernel, stride, padding))
        return self._append(Op.AVG_POOL, [source], out, kernel=kernel, stride=stride, padding=padding)

    def max_pool(self, source: int, kernel: int, stride: int, padding: int) -> int:
        """Add a maximum over windows."""
        c, h, w = self.shape(source)
        out = (c, _extent(h, kernel, stride, padding), _extent(w, kernel, stride, padding))
        return self._append(Op.MAX_POOL, [source], out, kernel=kernel, stride=stride, padding=padding)

    def global_pool(self, source: int) -> int:
        """Add an average over the whole image."""
        return self._append(Op.GLOBAL_POOL, [source], (self.shape(source)[0], 1, 1))

    def add(self, sources: Sequence[int], *, activation: Activation = Activation.NONE) -> int:
        """Add the sum of several layers of one shape."""
        return self._append(Op.ADD, sources, self.shape(sources[0]), activation=activation)

    def mul(self, source: int, scale: int, *, activation: Activation = Activation.NONE) -> int:
        """Add the product of a layer and a 1 x 1 scale of as many channels."""
        return self._append(Op.MUL, [source, scale], self.shape(source), activation=activation)

    def concat(self, sources: Sequence[int]) -> int:
        """Add the concatenation of several layers of one height and width along the channels."""
        shapes = [self.shape(source) for source in sources]
        return self._append(Op.CONCAT, sources, (sum(shape[0] for shape in shapes), *shapes[0][1:]))

    def channels_of(self, source: int, first: int, channels: int) -> int:
        """Add a slice of `channels` channels from channel `first` on."""
        return self._append(Op.SLICE, [source], (channels, *self.shape(source)[1:]), groups=first + 1)

    def norm(self, source: int, activation: Activation) -> int:
        """Add a batch normalisation of its own."""
        shape = self.shape(source)
        return self._append(Op.NORM, [source], shape, batch_norm=True, activation=activation, params=2 * shape[0])

    def shuffle(self, source: int, groups: int) -> int:
        """Add a channel shuffle."""
        return self._append(Op.SHUFFLE, [source], self.shape(source), groups=groups)

    def zero(self, source: int) -> int:
        """Add a multiplication by zero."""
        return self._append(Op.ZERO, [source], self.shape(source))

    def _append(
        self,
        op: Op,
        sources: Sequence[int],
        out: tuple[int, int, int],
        *,
        kernel: int = 1,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        dilation: int = 1,
        batch_norm: bool = False,
        bias: bool = False,
        activation: Activation = Activation.NONE,
        pre_activation: Activation = Activation.NONE,
        params: int = 0,
        macs: int = 0,
    ) -> int:
        c, h, w = self.shape(sources[0])
        number = len(self._rows)
        flags = (op, pre_activation, activation, batch_norm, bias, len(sources), 32, 32)
        shapes = (c, out[0], h, w, out[1], out[2])
        self._rows.append((*flags, *shapes, kernel, stride, padding, groups, dilation, params, macs))
        self._shapes.append(out)
        self._edges.extend((source, number) for source in sources)
        return number

    def build(self, name: str, dataset: str) -> Network:
        """Return the network whose output is the layer added last."""
        edges: NDArray[Any] = np.array(self._edges, np.int32).reshape(-1, 2)
        classes = self._shapes[-1][0]
        return Network(np.array(self._rows, LAYER), edges, name, dataset, self._input_shape, classes)


def _extent(size: int, kernel: int, stride: int, padding: int) -> int:
    return (size + 2 * padding - kernel) // stride + 1
