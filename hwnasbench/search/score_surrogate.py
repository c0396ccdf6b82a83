"""What differentiable searchers and integer programs believe of scores: models of what the search itself was told."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hwnasbench.search.choice_costs import one_hot, split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    Floats = NDArray[np.float64]

#: Strengths of the ridge penalty that are tried, in the units of one-hot features.
_PENALTIES = np.logspace(-2, 3, 11)


@contextmanager
def one_thread(torch: Any) -> Iterator[None]:
    """Let PyTorch compute with one thread: sums of several differ in the last digit with their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Ridge(NamedTuple):
    """What `ridge` found.

    Attributes
    ----------
    base : float
    gains : list of (choices,) ndarray
        Those of a position sum to about zero; a choice that was never seen gains nothing.
    draw : callable
        Draws gains from their posterior distribution, by a generator.
    """

    base: float
    gains: list[Floats]
    draw: Callable[[np.random.Generator], list[Floats]]


def ridge(choices: Sequence[int], vectors: NDArray[np.int8], targets: Floats) -> Ridge:
    """Fit ``base + sum over positions of gain[position][choice]`` by ridge regression.

    The penalty is that of `_PENALTIES` with the least error of leaving one out, in closed form [1]_.

    Parameters
    ----------
    choices : sequence of int
    vectors : (n, positions) ndarray
    targets : (n,) ndarray

    Returns
    -------
    Ridge

    References
    ----------
    .. [1] G. Golub, M. Heath and G. Wahba, Generalized Cross-Validation as a Method for Choosing a Good Ridge
       Parameter, Technometrics 21, 1979 (recalled).
    """
    features = one_hot(choices, vectors)
    middle, mean = features.mean(axis=0), float(targets.mean())
    left, singular, right = np.linalg.svd(features - middle, full_matrices=False)
    along = left.T @ (targets - mean)
    best, chosen = np.inf, _PENALTIES[-1]
    for penalty in _PENALTIES:
        shrunk = singular**2 / (singular**2 + penalty)
        leverage = (left**2) @ shrunk + 1.0 / len(targets)
        rest = (targets - mean - left @ (shrunk * along)) / np.maximum(1.0 - leverage, 1e-6)
        if (error := float(rest @ rest)) < best:
            best, chosen = error, penalty
    weights = right.T @ (singular / (singular**2 + chosen) * along)
    noise = np.sqrt(best / len(targets))

    def draw(rng: np.random.Generator) -> list[Floats]:
        free = rng.standard_normal(len(weights))
        seen = right @ free
        # Along what was seen the data narrow the distribution; elsewhere it is the prior.
        moved = right.T @ (seen / np.sqrt(singular**2 + chosen)) + (free - right.T @ seen) / np.sqrt(chosen)
        return split(choices, weights + noise * moved)

    return Ridge(mean - float(middle @ weights), split(choices, weights), draw)


class AdditiveSurrogate:
    """Ridge regression on one-hot choices: each choice's gain, whatever the others are.

    Parameters
    ----------
    choices : tuple of int
    torch : module
    generator : torch.Generator
        Not drawn from.
    """

    def __init__(self, choices: tuple[int, ...], torch: Any, generator: Any) -> None:
        self.torch, self.choices = torch, choices
        self._gains = self.torch.zeros(len(choices), max(choices))
        self._base = 0.0

    def fit(self, vectors: NDArray[np.int8], targets: Floats) -> None:
        """Fit anew to all that was told."""
        found = ridge(self.choices, vectors, targets)
        self._base = found.base
        for position, row in enumerate(found.gains):
            self._gains[position, : len(row)] = self.torch.from_numpy(row)

    def __call__(self, relaxed: Tensor) -> Tensor:
        """Return the scores of (n, positions, choices) weights of choices."""
        scores: Tensor = (relaxed * self._gains).sum(dim=(1, 2)) + self._base
        return scores


class MlpSurrogate:
    """A perceptron of two hidden layers on one-hot choices; each fit goes on where the last one ended.

    Parameters
    ----------
    choices : tuple of int
    torch : module
    generator : torch.Generator
        Of the first weights.

    Attributes
    ----------
    hidden : int
        Units of each of the two hidden layers.
    first, later : int
        Steps of the first fit and of each later one.
    """

    hidden, learning_rate, weight_decay, first, later = 64, 0.01, 1e-3, 200, 60

    def __init__(self, choices: tuple[int, ...], torch: Any, generator: Any) -> None:
        self.torch, self.choices = torch, choices
        inputs = len(choices) * max(choices)
        # One input a position is 1, the others are 0: the first layer adds as many weights as there are positions.
        shapes = (
            (inputs, self.hidden, len(choices)),
            (self.hidden, self.hidden, self.hidden),
            (self.hidden, 1, self.hidden),
        )
        self._parameters = []
        for rows, columns, summed in shapes:
            self._parameters.append(torch.randn(rows, columns, generator=generator) * (2.0 / summed) ** 0.5)
            self._parameters.append(torch.zeros(columns))
        for parameter in self._parameters:
            parameter.requires_grad_(True)
        self._optimizer = torch.optim.Adam(
            self._parameters, self.learning_rate, weight_decay=self.weight_decay, fused=True
        )
        self._steps = self.first

    def fit(self, vectors: NDArray[np.int8], targets: Floats) -> None:
        """Go on fitting, to all that was told."""
        torch = self.torch
        codes = torch.from_numpy(vectors.astype(np.int64))
        features = torch.nn.functional.one_hot(codes, max(self.choices)).float()
        wanted = torch.from_numpy(targets).float()
        for _ in range(self._steps):
            self._optimizer.zero_grad()
            ((self(features) - wanted) ** 2).mean().backward()
            self._optimizer.step()
        self._steps = self.later

    def __call__(self, relaxed: Tensor) -> Tensor:
        """Return the scores of (n, positions, choices) weights of choices."""
        w1, b1, w2, b2, w3, b3 = self._parameters
        layer = (relaxed.flatten(1) @ w1 + b1).relu()
        scores: Tensor = ((layer @ w2 + b2).relu() @ w3 + b3).squeeze(1)
        return scores


SURROGATES: dict[str, type[AdditiveSurrogate | MlpSurrogate]] = {"additive": AdditiveSurrogate, "mlp": MlpSurrogate}
