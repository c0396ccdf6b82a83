"""A small graph network over cells (torch): each node sums what its edges bring, and the output node is read.

In the manner of encoders that walk a directed acyclic graph from its input to its output: an edge multiplies the
state of the node that it leaves by a matrix of its operator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from surrogates.families.repeatable import repeatable

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

#: Edges of a cell as (from, to), in the order of its decisions.
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
_NODES, _OPERATORS = 4, 5


@dataclass(frozen=True)
class GraphNetwork:
    """Settings.

    Attributes
    ----------
    features : str
        A feature set whose columns are the operators of the six edges, one-hot, ``none`` first.
    width : int
        Numbers in a node's state.
    members : int
        Networks, each from its own start; the answer is their mean.
    epochs, batch : int
    rate, decay : float
        Largest learning rate, which rises and falls once, and decay of the weights.
    """

    features: str = "cells"
    width: int = 32
    members: int = 3
    epochs: int = 60
    batch: int = 128
    rate: float = 0.01
    decay: float = 0.01
    name: str = "graph network"

    def fit(self, x: NDArray[np.float32], y: NDArray[np.float64], seed: int) -> FittedGraph:
        """Fit to (n, 30) and (n,) values; the same arguments give the same model to the last bit."""
        with repeatable(seed) as generator:
            return self._fit(x, y, generator)

    def _fit(self, x: NDArray[np.float32], y: NDArray[np.float64], generator: torch.Generator) -> FittedGraph:
        import torch

        mean, scale = float(y.mean()), float(y.std()) or 1.0
        inputs, target = torch.from_numpy(x), torch.from_numpy(((y - mean) / scale).astype(np.float32))
        weights = self._start(generator)
        optimiser = torch.optim.AdamW(weights, lr=self.rate, weight_decay=self.decay)
        steps = -(-len(x) // self.batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, self.rate, total_steps=self.epochs * steps)
        for _ in range(self.epochs):
            order = torch.randperm(len(x), generator=generator)
            for start in range(0, len(x), self.batch):
                rows = order[start : start + self.batch]
                error = _forward(inputs[rows], weights) - target[rows]
                optimiser.zero_grad()
                torch.nn.functional.smooth_l1_loss(error, torch.zeros_like(error), beta=0.2).backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
        return FittedGraph([weight.detach() for weight in weights], mean, scale)

    def _start(self, generator: torch.Generator) -> list[Any]:
        """Return the input's state, the operators' matrices, the nodes' biases, and two layers that read the output."""
        import torch

        members, width = self.members, self.width
        shapes = {
            (members, width): 1.0,
            (members, _OPERATORS - 1, width, width): width**-0.5,
            (members, _NODES, width): 0.1,
            (members, width, width): width**-0.5,
            (members, width, 1): width**-0.5,
        }
        return [
            (torch.randn(*shape, generator=generator) * spread).requires_grad_() for shape, spread in shapes.items()
        ]


def _forward(x: torch.Tensor, weights: list[Any]) -> torch.Tensor:
    """Return every member's answer, (members, n)."""
    import torch

    first, matrices, bias, read, out = weights
    hot = x.reshape(len(x), len(EDGES), _OPERATORS)[:, :, 1:]
    states = [torch.nn.functional.silu(first + bias[:, 0])[:, None].expand(-1, len(x), -1)]
    for node in range(1, _NODES):
        total = bias[:, node][:, None]
        for edge, (start, end) in enumerate(EDGES):
            if end == node:
                sent = torch.einsum("mnw,mowv->mnov", states[start], matrices)
                total = total + (sent * hot[None, :, edge, :, None]).sum(2)
        states.append(torch.nn.functional.silu(total))
    answer: torch.Tensor = torch.nn.functional.silu(states[-1] @ read) @ out
    return answer[:, :, 0]


@dataclass
class FittedGraph:
    """A fitted ensemble of graph networks; `mean` and `scale` are of the target."""

    weights: list[Any]
    mean: float
    scale: float

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return one prediction a row."""
        import torch

        with torch.no_grad():
            answers = _forward(torch.from_numpy(x), self.weights).double().mean(0).numpy()
        return np.asarray(answers * self.scale + self.mean, np.float64)
