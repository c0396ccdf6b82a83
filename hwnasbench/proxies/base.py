"""What proxies look at: an untrained network in two parts, a batch, and the passes that they share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from hwnasbench.errors import InvalidRequest, MissingExtra
from hwnasbench.networks.layers import Op

try:
    import torch
    from torch import nn
except ImportError as error:  # pragma: no cover - the tests run it in a subprocess
    raise MissingExtra("proxies need PyTorch: pip install 'hwnasbench[torch]'") from error

from hwnasbench.networks.torch_module import TorchNetwork

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwnasbench.networks.layers import Network

    Function = Callable[["ProxyNetwork", "Batch", np.random.Generator], float]

#: Images of a batch where nothing else is said.
BATCH = 16
_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.SiLU)


@dataclass(frozen=True)
class Proxy:
    """A registered proxy.

    Attributes
    ----------
    name : str
    function : callable
        Takes a network, a batch and a generator; returns a float.
    paper : str
        Where the score is from.
    definition : str
        The code that the definition was read in.
    """

    name: str
    function: Function
    paper: str
    definition: str

    def __call__(self, network: ProxyNetwork, batch: Batch, rng: np.random.Generator) -> float:
        return self.function(network, batch, rng)


@dataclass(frozen=True, eq=False)
class Batch:
    """Images and their labels.

    Attributes
    ----------
    images : (n, channels, height, width) float tensor
    labels : (n,) int tensor
    """

    images: torch.Tensor
    labels: torch.Tensor

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or len(self.images) != len(self.labels):
            raise InvalidRequest(
                f"a batch of images {tuple(self.images.shape)} and {len(self.labels)} labels: "
                "expected (n, channels, height, width) and n"
            )


class ProxyNetwork(nn.Module):
    """An untrained network: the trunk, from the images to the features, and the head, a linear layer on them.

    Parameters
    ----------
    trunk : TorchNetwork
    head : torch.nn.Linear

    Attributes
    ----------
    memory : dict
        What proxies found out once; networks that share a trunk share it. Whoever made the network empties it:
        it refers back to the network, and holds far more memory than Python's collector knows of.
    """

    def __init__(self, trunk: TorchNetwork, head: nn.Linear) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head
        self.memory: dict[str, tuple[object, Any]] = {}

    def with_head(self, head: nn.Linear) -> ProxyNetwork:
        """Return a network of the same trunk and memory."""
        other = ProxyNetwork(self.trunk, head).train(self.training)
        other.memory = self.memory
        return other

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "memory": {}}

    def once(self, what: str, of: object, make: Callable[[], Any]) -> Any:
        """Return what `make` returned the first time that this was asked of the same object."""
        known = self.memory.get(what)
        if known is None or known[0] is not of:
            known = self.memory[what] = (of, make())
        return known[1]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, classes) of images (n, channels, height, width)."""
        return cast("torch.Tensor", self.head(self.trunk(images)))

    def weighted(self) -> list[nn.Conv2d | nn.Linear]:
        """Return the convolutions and linear layers, the head last."""
        return [layer for layer in self.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]


def generator_of(rng: np.random.Generator) -> torch.Generator:
    """Return a PyTorch generator that follows from a NumPy one."""
    return torch.Generator().manual_seed(int(rng.integers(2**63)))


def gaussian_batch(shape: tuple[int, int, int], classes: int, rng: np.random.Generator, n: int = BATCH) -> Batch:
    """Draw images from N(0, 1), and labels uniformly.

    Parameters
    ----------
    shape : tuple of int
        (channels, height, width).
    classes : int
    rng : numpy.random.Generator
    n : int
    """
    images = torch.from_numpy(rng.standard_normal((n, *shape), dtype=np.float32))
    return Batch(images, torch.from_numpy(rng.integers(classes, size=n)))


def build(network: Network, rng: np.random.Generator) -> ProxyNetwork:
    """Return a network without its dead layers as a module in training mode, with fresh weights.

    Weights and biases of convolutions and linear layers are uniform within 1 / sqrt(fan-in), as PyTorch's
    own are; batch normalisations start at 1 and 0.

    Parameters
    ----------
    network : Network
        Ends in a linear layer.
    rng : numpy.random.Generator

    Raises
    ------
    InvalidRequest
        When nothing leads from the input to the output, or the last layer is not linear.
    """
    live = network.live()
    if not len(live) or live.layers["op"][-1] != Op.LINEAR:
        raise InvalidRequest(f"{network.name!r} does not lead from its input to a linear layer; proxies need one")
    last = len(live) - 1
    trunk = TorchNetwork(replace(live, layers=live.layers[:last], edges=live.edges[live.edges[:, 1] != last]))
    given = generator_of(rng)
    for layer in trunk.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            reset(layer, given)
    return ProxyNetwork(trunk, new_head(int(live.layers["in_channels"][-1]), network.classes, rng)).train()


def new_head(features: int, classes: int, rng: np.random.Generator) -> nn.Linear:
    """Return a linear layer with fresh weights."""
    head = nn.Linear(features, classes)
    reset(head, generator_of(rng))
    return head


def reset(layer: nn.Conv2d | nn.Linear, given: torch.Generator) -> None:
    """Draw weights and biases of a layer, uniform within 1 / sqrt(fan-in)."""
    bound = layer.weight[0].numel() ** -0.5
    with torch.no_grad():
        for values in (layer.weight, layer.bias):
            if values is not None:
                values.uniform_(-bound, bound, generator=given)


class _Forward:
    """One forward pass of a trunk, and what proxies read of it."""

    def __init__(self, trunk: TorchNetwork, images: torch.Tensor) -> None:
        self.images = images.detach().clone().requires_grad_(True)
        self.outputs: list[torch.Tensor] = []
        self.kernel = torch.zeros(len(images), len(images), dtype=torch.float64)
        hooks = []
        for layer in trunk.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                hooks.append(layer.register_forward_hook(self._keep))
            elif isinstance(layer, _ACTIVATIONS):
                hooks.append(layer.register_forward_hook(self._count))
        self.features = trunk(self.images)
        for hook in hooks:
            hook.remove()

    def _keep(self, _layer: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        self.outputs.append(output)

    def _count(self, _layer: nn.Module, inputs: tuple[torch.Tensor, ...], _output: object) -> None:
        on = (inputs[0].detach() > 0).flatten(1).float()
        self.kernel += (on @ on.T + (1 - on) @ (1 - on).T).double()


class Passes:
    """The passes of one batch through one network, each made when it is first read.

    Attributes
    ----------
    forward : the trunk's forward pass: ``kernel``, (n, n), on how many units two images agree in sign;
        ``outputs``, of its convolutions and linear layers.
    """

    def __init__(self, network: ProxyNetwork, batch: Batch, forward: _Forward) -> None:
        self.forward = forward
        self.network, self._labels = network, batch.labels
        self.logits = cast("torch.Tensor", network.head(forward.features))

    @cached_property
    def _gradients(self) -> tuple[torch.Tensor, ...]:
        loss = nn.functional.cross_entropy(self.logits, self._labels)
        asked = [*(layer.weight for layer in self.network.weighted()), *self.forward.outputs, self.logits]
        return torch.autograd.grad(loss, asked, create_graph=True)

    @cached_property
    def weights(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Each layer's weights and the gradient of the cross-entropy with respect to them."""
        layers = self.network.weighted()
        return [(layer.weight.detach(), g) for layer, g in zip(layers, self._gradients, strict=False)]

    @cached_property
    def activations(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Each layer's output and the gradient with respect to it."""
        outputs = [*self.forward.outputs, self.logits]
        return [
            (output.detach(), g.detach()) for output, g in zip(outputs, self._gradients[-len(outputs) :], strict=True)
        ]

    @cached_property
    def curvature(self) -> list[torch.Tensor]:
        """The Hessian of the cross-entropy times its gradient, layer by layer."""
        product = sum(((g.detach() * g).sum() for _, g in self.weights), torch.zeros(()))
        asked = [layer.weight for layer in self.network.weighted()]
        found = torch.autograd.grad(product, asked, retain_graph=True, allow_unused=True)
        return [torch.zeros_like(w) if h is None else h for w, h in zip(asked, found, strict=True)]

    @cached_property
    def jacobian(self) -> np.ndarray:
        """The gradient of each image's summed logits with respect to the image, (n, pixels)."""
        found = torch.autograd.grad(self.logits.sum(), self.forward.images, retain_graph=True)[0]
        return found.flatten(1).numpy().astype(np.float64)


def passes(network: ProxyNetwork, batch: Batch) -> Passes:
    """Return the passes of a batch through a network; proxies of the same two share them.

    Networks with one trunk share its forward pass where the images are the same tensor.
    """

    def run() -> Passes:
        forward = network.once("forward", batch.images, lambda: _Forward(network.trunk, batch.images))
        return Passes(network, batch, forward)

    known = network.once("passes", batch, run)
    if known.network is not network:  # which has another head
        known = run()
        network.memory["passes"] = (batch, known)
    return cast("Passes", known)
