"""Ensembles of small multi-layer perceptrons, trained side by side in torch."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from surrogates.families.repeatable import repeatable

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


@dataclass(frozen=True)
class MLP:
    """Settings.

    Attributes
    ----------
    hidden : tuple of int
        Units of each hidden layer.
    members : int
        Networks, each from its own start and with its own order of the rows; the answer is their mean.
    epochs, batch : int
    steps : int
        The fewest steps; few rows are gone through more often.
    rate : float
        Largest learning rate; it rises and falls once.
    decay : float
        Decay of the weights.
    knee : float
        Residual, in standard deviations of the target, beyond which the loss grows linearly: timings have
        outliers.
    features : str
    """

    hidden: tuple[int, ...] = (32, 32)
    members: int = 4
    epochs: int = 30
    batch: int = 128
    steps: int = 900
    rate: float = 0.01
    decay: float = 0.2
    knee: float = 0.2
    features: str = "layerwise"
    name: str = "MLP ensemble"

    def fit(self, x: NDArray[np.float32], y: NDArray[np.float64], seed: int) -> FittedMLP:
        """Fit to (n, features) and (n,) values; the same arguments give the same model to the last bit."""
        with repeatable(seed) as generator:
            return self._fit(x, y, generator)

    def _fit(self, x: NDArray[np.float32], y: NDArray[np.float64], generator: torch.Generator) -> FittedMLP:
        import torch

        mean, scale = float(y.mean()), float(y.std()) or 1.0
        centre = x.mean(axis=0, dtype=np.float64).astype(np.float32)
        inputs = torch.from_numpy(x - centre)
        target = torch.from_numpy(((y - mean) / scale).astype(np.float32))[:, None]
        layers = self._start(x.shape[1], generator)
        optimiser = torch.optim.AdamW(
            [
                {"params": [weights for weights, _ in layers], "weight_decay": self.decay},
                {"params": [bias for _, bias in layers], "weight_decay": 0.0},
            ],
            lr=self.rate,
        )
        steps_an_epoch = -(-len(x) // self.batch)
        epochs = max(self.epochs, -(-self.steps // steps_an_epoch))
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, self.rate, total_steps=epochs * steps_an_epoch, pct_start=0.1, final_div_factor=1000.0
        )
        for _ in range(epochs):
            order = torch.stack([torch.randperm(len(x), generator=generator) for _ in range(self.members)])
            for start in range(0, len(x), self.batch):
                rows = order[:, start : start + self.batch]
                error = (_forward(inputs[rows], layers) - target[rows]).abs()
                loss = torch.where(error < self.knee, error**2, self.knee * (2 * error - self.knee))
                optimiser.zero_grad()
                loss.mean((1, 2)).sum().backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
        found = [(weights.detach().numpy(), bias.detach().numpy()) for weights, bias in layers]
        return FittedMLP(centre, found, mean, scale)

    def _start(self, features: int, generator: torch.Generator) -> list[Any]:
        import torch

        sizes = (features, *self.hidden, 1)
        layers = []
        for wide, narrow in pairwise(sizes):
            largest = (3 / wide) ** 0.5 * (0.3 if narrow == 1 else 1.0)
            weights = (torch.rand(self.members, wide, narrow, generator=generator) * 2 - 1) * largest
            layers.append((weights.requires_grad_(), torch.zeros(self.members, 1, narrow, requires_grad=True)))
        return layers


def _forward(x: torch.Tensor, layers: list[Any]) -> torch.Tensor:
    import torch

    for weights, bias in layers[:-1]:
        x = torch.nn.functional.silu(torch.baddbmm(bias, x, weights))
    weights, bias = layers[-1]
    return torch.baddbmm(bias, x, weights)


@dataclass
class FittedMLP:
    """A fitted ensemble.

    Attributes
    ----------
    centre : (features,) ndarray of float32
        Subtracted from the features.
    layers : list of (weights, bias)
        Of shapes (members, in, out) and (members, 1, out).
    mean, scale : float
        Of the target.
    """

    centre: NDArray[np.float32]
    layers: list[tuple[NDArray[np.float32], NDArray[np.float32]]]
    mean: float
    scale: float

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return one prediction a row of `x`, as torch computes it."""
        import torch

        layers = [(torch.from_numpy(weights), torch.from_numpy(bias)) for weights, bias in self.layers]
        inputs = torch.from_numpy(x - self.centre).expand(len(layers[0][0]), *x.shape)
        with torch.no_grad():
            answers = _forward(inputs, layers)[:, :, 0].double().mean(0).numpy()
        return np.asarray(answers * self.scale + self.mean, np.float64)
