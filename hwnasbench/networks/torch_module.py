"""A PyTorch module that runs a layer table as a graph (needs the extra ``torch``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnasbench.errors import InvalidRequest, MissingExtra
from hwnasbench.networks.layers import INPUT, Activation, Op

try:
    import torch
    from torch import nn
except ImportError as error:
    raise MissingExtra(
        "a network becomes a module through PyTorch, which is not installed; pip install 'hwnasbench[torch]'"
    ) from error

if TYPE_CHECKING:
    from typing import Any

    import numpy as np

    from hwnasbench.networks.layers import Network


class TorchNetwork(nn.Module):
    """A network as a module: ``layers[i]`` runs layer i of the table on the sum of its inputs.

    Parameters
    ----------
    network : Network

    Attributes
    ----------
    layers : torch.nn.ModuleList
        One module a layer of the table.
    network : Network
        The table.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        if not len(network):
            raise InvalidRequest(f"{network!r} has no layers: no path leads from its input to its output")
        self.network = network
        self.layers = nn.ModuleList(_module(row) for row in network.layers)
        self._sources = network.inputs()
        # What may be forgotten once a layer has run.
        last_use = {source: layer for layer, sources in enumerate(self._sources) for source in sources}
        self._done: list[list[int]] = [[] for _ in self.layers]
        for source, layer in last_use.items():
            self._done[layer].append(source)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the class scores, shape (batch, classes), of images, shape (batch, C, H, W)."""
        if tuple(x.shape[1:]) != self.network.input_shape:
            raise InvalidRequest(f"input of shape {tuple(x.shape)}; expected (batch, *{self.network.input_shape})")
        values = {INPUT: x}
        rows = self.network.layers
        out = x
        for number, (layer, sources) in enumerate(zip(self.layers, self._sources, strict=True)):
            if sources:
                out = values[sources[0]]
                for source in sources[1:]:
                    out = out + values[source]
            else:
                row = rows[number]
                out = x.new_zeros((len(x), int(row["in_channels"]), int(row["in_height"]), int(row["in_width"])))
            out = layer(out)
            values[number] = out
            for source in self._done[number]:
                del values[source]
        return out.flatten(1)


class _Linear(nn.Linear):
    """A linear layer over the channels of 1x1 images."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.flatten(1))[:, :, None, None]


def _module(row: np.void) -> nn.Module:
    """Return the module of one row of a layer table."""
    entry: dict[str, Any] = {name: row[name].item() for name in row.dtype.names or ()}
    activations: dict[int, list[nn.Module]] = {Activation.NONE: [], Activation.RELU: [nn.ReLU()]}
    activation = activations[entry["activation"]]
    norm: list[nn.Module] = [nn.BatchNorm2d(entry["out_channels"])] if entry["batch_norm"] else []
    core = _core(entry)
    parts = [*activation, *core, *norm] if entry["activation_first"] else [*core, *norm, *activation]
    if not parts:
        return nn.Identity()
    return parts[0] if len(parts) == 1 else nn.Sequential(*parts)


def _core(entry: dict[str, Any]) -> list[nn.Module]:
    op = Op(entry["op"])
    if op is Op.CONV:
        return [
            nn.Conv2d(
                entry["in_channels"],
                entry["out_channels"],
                entry["kernel"],
                entry["stride"],
                entry["padding"],
                groups=entry["groups"],
                bias=entry["bias"],
            )
        ]
    if op is Op.LINEAR:
        return [_Linear(entry["in_channels"], entry["out_channels"], bias=entry["bias"])]
    if op is Op.AVG_POOL:
        return [nn.AvgPool2d(entry["kernel"], entry["stride"], entry["padding"], count_include_pad=False)]
    if op is Op.GLOBAL_POOL:
        return [nn.AdaptiveAvgPool2d(1)]
    if op is Op.SHUFFLE:
        return [nn.ChannelShuffle(entry["groups"])]
    return []
