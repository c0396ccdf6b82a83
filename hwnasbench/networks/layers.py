"""The layer table of a network, the edges between its layers, and what can be counted on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

    from hwnasbench.networks.torch_module import TorchNetwork

#: Source of an edge that brings the network's input.
INPUT = -1


class Op(IntEnum):
    """What a layer does with the sum of its inputs."""

    #: 2-D convolution.
    CONV = 0
    #: Matrix product over channels, at 1x1 resolution.
    LINEAR = 1
    #: Average pooling; padding is left out of the average.
    AVG_POOL = 2
    #: Average over all pixels.
    GLOBAL_POOL = 3
    #: Nothing beyond summing the inputs; zeros where there is no input.
    ADD = 4
    #: Batch normalisation (and activation) on its own.
    NORM = 5
    #: Exchange of channels between `groups` groups.
    SHUFFLE = 6


class Activation(IntEnum):
    """Elementwise function of a layer."""

    NONE = 0
    RELU = 1


#: One layer. Sizes are in elements; `kernel`, `stride` and `padding` hold for both axes.
#:
#: op : `Op` code.
#: in_channels, in_height, in_width, out_channels, out_height, out_width : shapes without the batch.
#: kernel, stride, padding, groups : geometry; 1, 1, 0, 1 where the operator has none.
#: bias : whether a bias of `out_channels` is added.
#: batch_norm : whether batch normalisation follows the operator.
#: activation : `Activation` code; `activation_first` : it comes before the operator
#:     (ReLU-Conv-BN), not after it and its batch normalisation (Conv-BN-ReLU).
#: weight_bits, activation_bits : bits of a weight, and of an element of the input and output.
LAYER = np.dtype(
    [
        ("op", "u1"),
        ("in_channels", "<i4"),
        ("in_height", "<i4"),
        ("in_width", "<i4"),
        ("out_channels", "<i4"),
        ("out_height", "<i4"),
        ("out_width", "<i4"),
        ("kernel", "<i2"),
        ("stride", "<i2"),
        ("padding", "<i2"),
        ("groups", "<i4"),
        ("bias", "?"),
        ("batch_norm", "?"),
        ("activation", "u1"),
        ("activation_first", "?"),
        ("weight_bits", "u1"),
        ("activation_bits", "u1"),
    ]
)


def weights(layers: NDArray[np.void]) -> NDArray[np.int64]:
    """Return the weights of each layer's operator, without bias and batch normalisation.

    Parameters
    ----------
    layers : (n,) ndarray of LAYER

    Returns
    -------
    (n,) ndarray of int64
    """
    heavy = (layers["op"] == Op.CONV) | (layers["op"] == Op.LINEAR)
    fan_in = layers["in_channels"] // layers["groups"]
    kernel = layers["kernel"].astype(np.int64)
    return np.where(heavy, layers["out_channels"].astype(np.int64) * fan_in * kernel * kernel, 0)


def params(layers: NDArray[np.void]) -> NDArray[np.int64]:
    """Return each layer's trainable parameters: weights, bias, batch normalisation's scale and shift.

    Parameters
    ----------
    layers : (n,) ndarray of LAYER

    Returns
    -------
    (n,) ndarray of int64
    """
    per_channel = layers["bias"].astype(np.int64) + 2 * layers["batch_norm"]
    return weights(layers) + per_channel * layers["out_channels"]


def outputs(layers: NDArray[np.void]) -> NDArray[np.int64]:
    """Return the elements of each layer's output for one image.

    Parameters
    ----------
    layers : (n,) ndarray of LAYER

    Returns
    -------
    (n,) ndarray of int64
    """
    return layers["out_channels"].astype(np.int64) * layers["out_height"] * layers["out_width"]


def macs(layers: NDArray[np.void]) -> NDArray[np.int64]:
    """Return each layer's multiply-accumulates for one image: those of convolutions and linear layers.

    Bias, batch normalisation, activations, pooling and sums count nothing.

    Parameters
    ----------
    layers : (n,) ndarray of LAYER

    Returns
    -------
    (n,) ndarray of int64
    """
    return weights(layers) * layers["out_height"] * layers["out_width"]


@dataclass(frozen=True, eq=False)
class Network:
    """An architecture at a data set's input size.

    Attributes
    ----------
    layers : (n,) ndarray of LAYER, read-only
        In an order in which each layer comes after its inputs. The last layer is the output.
    edges : (m, 2) ndarray of int32, read-only
        ``(source, target)`` layer numbers; source ``INPUT`` (-1) is the network's input. The
        inputs of a layer are summed.
    name : str
        Space and canonical string of the architecture.
    dataset : str
    input_shape : tuple of int
        ``(channels, height, width)``.
    classes : int
    """

    layers: NDArray[np.void]
    edges: NDArray[np.int32]
    name: str
    dataset: str
    input_shape: tuple[int, int, int]
    classes: int

    def __post_init__(self) -> None:
        layers = np.array(self.layers, LAYER)
        edges = np.array(self.edges, np.int32).reshape(-1, 2)
        layers.flags.writeable = edges.flags.writeable = False
        object.__setattr__(self, "layers", layers)
        object.__setattr__(self, "edges", edges)

    def __len__(self) -> int:
        return len(self.layers)

    def __reduce__(self) -> tuple[Any, ...]:
        # Through the constructor, so that a copy's arrays are read-only too.
        return Network, (self.layers, self.edges, self.name, self.dataset, self.input_shape, self.classes)

    @property
    def params(self) -> int:
        """Trainable parameters, of every layer of the table (see `live`)."""
        return int(params(self.layers).sum())

    @property
    def macs(self) -> int:
        """Multiply-accumulates of convolutions and linear layers, for one image."""
        return int(macs(self.layers).sum())

    @property
    def activations(self) -> int:
        """Elements of the outputs of convolutions and linear layers, for one image."""
        heavy = (self.layers["op"] == Op.CONV) | (self.layers["op"] == Op.LINEAR)
        return int(outputs(self.layers)[heavy].sum())

    @property
    def model_size(self) -> float:
        """KiB of all parameters, each at its layer's `weight_bits`."""
        return float((params(self.layers) * self.layers["weight_bits"]).sum()) / 8 / 1024

    def inputs(self) -> list[list[int]]:
        """Return the sources of each layer, in the order of `edges`."""
        sources: list[list[int]] = [[] for _ in self.layers]
        for source, target in self.edges.tolist():
            sources[target].append(source)
        return sources

    def live(self) -> Network:
        """Return the network without what does not bear on its output, as an engine runs it.

        Layers off every path from the input to the output are left out, and so are `Op.ADD`
        layers with a single input, which pass it on. Empty where no path leads to the output.

        Returns
        -------
        Network
        """
        count = len(self.layers)
        sources = self.inputs()
        forward = [False] * count
        for layer, from_layers in enumerate(sources):
            forward[layer] = any(source == INPUT or forward[source] for source in from_layers)
        backward = [False] * count
        if count:
            backward[-1] = True
        for layer in range(count - 1, -1, -1):
            for source in sources[layer] if backward[layer] else ():
                if source != INPUT:
                    backward[source] = True
        keep: list[int] = []
        number: dict[int, int] = {INPUT: INPUT}
        edges: list[tuple[int, int]] = []
        for layer in range(count):
            if not (forward[layer] and backward[layer]):
                continue
            alive = [number[source] for source in sources[layer] if source in number]
            if self.layers["op"][layer] == Op.ADD and len(alive) == 1 and not self.layers["activation"][layer]:
                number[layer] = alive[0]
                continue
            number[layer] = len(keep)
            edges.extend((source, len(keep)) for source in alive)
            keep.append(layer)
        return Network(
            self.layers[keep],
            np.array(edges, np.int32).reshape(-1, 2),
            self.name,
            self.dataset,
            self.input_shape,
            self.classes,
        )

    def to_torch(self) -> TorchNetwork:
        """Build a PyTorch module that runs the table, with freshly initialised parameters.

        Returns
        -------
        torch.nn.Module
            Takes ``(batch, channels, height, width)``, returns ``(batch, classes)``.

        Raises
        ------
        MissingExtra
            Where PyTorch is not installed.
        InvalidRequest
            Where the table is empty.
        """
        from hwnasbench.networks.torch_module import TorchNetwork

        return TorchNetwork(self)

    def __repr__(self) -> str:
        return f"<network {self.name} at {self.dataset}: {len(self)} layers, {self.params} params, {self.macs} MACs>"


class Builder:
    """Lays out a network layer by layer and keeps track of shapes.

    Each method adds one layer and returns its number, to be named as a source later.

    Parameters
    ----------
    input_shape : (int, int, int)
        Channels, height, width.
    weight_bits, activation_bits : int
        Bit widths of the layers added.
    """

    def __init__(self, input_shape: tuple[int, int, int], *, weight_bits: int = 32, activation_bits: int = 32) -> None:
        self.input_shape = input_shape
        self.weight_bits = weight_bits
        self.activation_bits = activation_bits
        self._rows: list[tuple[Any, ...]] = []
        self._edges: list[tuple[int, int]] = []
        self._shapes: list[tuple[int, int, int]] = []

    def shape(self, layer: int) -> tuple[int, int, int]:
        """Return the (channels, height, width) that `layer`, or ``INPUT``, puts out."""
        return self.input_shape if layer == INPUT else self._shapes[layer]

    def _append(
        self,
        op: Op,
        sources: int | Sequence[int],
        *,
        out: int | None = None,
        size: tuple[int, int] | None = None,
        kernel: int = 1,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        bias: bool = False,
        batch_norm: bool = False,
        activation: Activation = Activation.NONE,
        activation_first: bool = False,
        shape: tuple[int, int, int] | None = None,
    ) -> int:
        from_layers = [sources] if isinstance(sources, int) else list(sources)
        shapes = {self.shape(source) for source in from_layers} | ({shape} if shape else set())
        if len(shapes) != 1:
            raise InvalidRequest(f"{op.name} cannot sum inputs of shapes {sorted(shapes)}; expected equal shapes")
        channels, height, width = shapes.pop()
        wide = channels if out is None else out
        if channels % groups or wide % groups:
            raise InvalidRequest(f"{op.name} from {channels} to {wide} channels cannot be cut into {groups} groups")
        if size is None:
            size = ((height + 2 * padding - kernel) // stride + 1, (width + 2 * padding - kernel) // stride + 1)
        number = len(self._rows)
        self._rows.append(
            (op, channels, height, width, wide, *size, kernel, stride, padding, groups, bias, batch_norm)
            + (activation, activation_first, self.weight_bits, self.activation_bits)
        )
        self._shapes.append((wide, *size))
        self._edges.extend((source, number) for source in from_layers)
        return number

    def conv(
        self,
        source: int | Sequence[int],
        out: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        bias: bool = False,
        batch_norm: bool = True,
        activation: Activation = Activation.NONE,
        activation_first: bool = False,
    ) -> int:
        """Add a convolution to `out` channels, padded by half its kernel."""
        return self._append(
            Op.CONV,
            source,
            out=out,
            kernel=kernel,
            stride=stride,
            padding=kernel // 2,
            groups=groups,
            bias=bias,
            batch_norm=batch_norm,
            activation=activation,
            activation_first=activation_first,
        )

    def avg_pool(self, source: int | Sequence[int], kernel: int, stride: int, padding: int = 0) -> int:
        """Add an average pooling that leaves its padding out of the average."""
        return self._append(Op.AVG_POOL, source, kernel=kernel, stride=stride, padding=padding)

    def global_pool(self, source: int | Sequence[int]) -> int:
        """Add an average over all pixels."""
        return self._append(Op.GLOBAL_POOL, source, size=(1, 1))

    def add(self, sources: Sequence[int], shape: tuple[int, int, int] | None = None) -> int:
        """Add a sum; `shape` tells that of the zeros where `sources` is empty."""
        return self._append(Op.ADD, sources, shape=shape)

    def norm(self, source: int | Sequence[int], activation: Activation = Activation.NONE) -> int:
        """Add a batch normalisation."""
        return self._append(Op.NORM, source, batch_norm=True, activation=activation)

    def shuffle(self, source: int | Sequence[int], groups: int) -> int:
        """Add an exchange of channels between `groups` groups."""
        return self._append(Op.SHUFFLE, source, groups=groups)

    def linear(self, source: int | Sequence[int], out: int, *, bias: bool = True) -> int:
        """Add a linear layer to `out` features."""
        return self._append(Op.LINEAR, source, out=out, bias=bias)

    def network(self, name: str, dataset: str) -> Network:
        """Return the network; its last layer is the output, one channel a class."""
        return Network(
            np.array(self._rows, LAYER),
            np.array(self._edges, np.int32).reshape(-1, 2),
            name,
            dataset,
            self.input_shape,
            self._shapes[-1][0],
        )
