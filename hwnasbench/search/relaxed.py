"""What differentiable searchers share: steps down a surrogate's loss, and the architectures that follow from them.

No network is trained here. The accuracy that a supernet's shared weights would have told is that of a surrogate,
learned from what the search was told of the architectures it asked for; the latency is a sum of alpha x operator
latency, by a table.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.errors import UnknownName
from hwnasbench.search.base import positive
from hwnasbench.search.choice_costs import ChoiceCosts, choice_costs
from hwnasbench.search.limits import CostLimit
from hwnasbench.search.objectives.base import Metric, Objective
from hwnasbench.search.objectives.differentiable import DifferentiableLoss, make
from hwnasbench.search.objectives.numbers import positive as above_zero
from hwnasbench.search.score_surrogate import SURROGATES, AdditiveSurrogate, MlpSurrogate, one_thread
from hwnasbench.search.torch_tools import torch_of
from hwnasbench.search.warm_start import WarmStart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from hwnasbench.search.base import Vector
    from hwnasbench.search.problem import Problem

    Floats = NDArray[np.float64]

#: What an expected cost of twice its limit costs, in spreads of the task's loss.
_OVER_LIMIT = 20.0
#: Scores below the median by more than so many spreads are taken as so far below: what is bad need not be told apart.
_FLOOR = 1.0
#: Rounds of samples before a searcher makes do with fewer than a batch, each nearer to uniform; how many each draws.
_ROUNDS, _DRAWN = 20, 32
_TINY = 1e-4


class RelaxedSearch(WarmStart):
    """Base of the differentiable searchers. A subclass says how choices are relaxed.

    A batch of random architectures comes first and counts. Then in turn: the surrogate is fitted to all scores so far,
    the architecture parameters go down on the loss for some steps, and the architecture derived from them is asked for,
    with samples from their distribution. What breaks a limit of a `Constrained` objective on a cost is not asked for.

    Parameters
    ----------
    problem : Problem
    seed : int
    loss : DifferentiableLoss, str or mapping, optional
        Of `hwnasbench.search.objectives.differentiable`: a loss, its name there, or a record of ``name`` and settings.
        None is the loss of the task alone. Limits of the objective are kept in either case: an expected cost over a
        limit adds 20 x the excess as a fraction of the limit, in spreads of the task's loss.
    surrogate : {"mlp", "additive"}
    warmup : int
        Architectures drawn at random first.
    batch : int
        Architectures asked for between two fits.
    steps : int
        Gradient steps between two fits.
    learning_rate : float
        Of Adam, on the architecture parameters.

    Notes
    -----
    The task's loss is the share of errors, ``1 - accuracy / 100``, where the objective is accuracy: the benchmark has
    no cross-entropies. For another objective it is how far a score is below one spread above the best, in spreads. A
    spread is the root mean square by which scores above their median are above it.

    Raises
    ------
    InvalidRequest, UnknownName
        For settings out of range.
    MissingExtra
        Without PyTorch.
    """

    #: Of Adam.
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0

    def __init__(
        self,
        problem: Problem,
        seed: int,
        *,
        loss: DifferentiableLoss | Mapping[str, Any] | str | None = None,
        surrogate: str = "mlp",
        warmup: int = 20,
        batch: int = 5,
        steps: int = 40,
        learning_rate: float = 0.1,
    ) -> None:
        super().__init__(problem, seed, warmup=warmup, batch=batch)
        positive(self, steps=steps)
        if surrogate not in SURROGATES:
            raise UnknownName("surrogate", surrogate, SURROGATES)
        rate = above_zero(self.name, "learning_rate", learning_rate)
        self.loss, self.steps = None if loss is None else make(loss), steps
        self.torch = torch_of(self.name)
        self.generator = self.torch.Generator().manual_seed(int(self.rng.integers(2**31)))
        self.surrogate: AdditiveSurrogate | MlpSurrogate = SURROGATES[surrogate](
            problem.choices, self.torch, self.generator
        )
        self._accuracy = _is_accuracy(problem.objective)
        self._rounds = 0
        self._prepare()
        self.optimizer = self.torch.optim.Adam(
            self._parameters(), rate, betas=self.betas, weight_decay=self.weight_decay, fused=True
        )

    # -- what a subclass says -----------------------------------------------------------------

    @abstractmethod
    def _parameters(self) -> list[Tensor]:
        """Make the architecture parameters; called once."""

    @abstractmethod
    def _relax(self) -> Tensor:
        """Return weights of choices to take a step by, (n, positions, choices), differentiable."""

    @abstractmethod
    def _probabilities(self) -> Tensor:
        """Return the distribution that samples are drawn from, (positions, choices)."""

    def _derive(self) -> list[int]:
        """Return the architecture that follows from the parameters: at each position the likeliest choice."""
        likeliest: list[int] = self._probabilities().argmax(dim=1).tolist()
        return likeliest

    def _step(self) -> None:
        """Take one step down on the loss."""
        self.optimizer.zero_grad()
        self._lose(self._relax()).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    def _propose(self, n: int, vectors: NDArray[np.int8], scores: Floats) -> list[Vector]:
        with one_thread(self.torch):
            self._fit(vectors, scores)
            for _ in range(self.steps):
                self._step()
            self._rounds += 1
            return self._follow(n)

    # -- within -------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Turn the tables of costs into tensors, and say which choices have one."""
        torch, choices = self.torch, self.problem.choices
        self.mask = torch.zeros(len(choices), max(choices), dtype=torch.bool)
        for position, count in enumerate(choices):
            self.mask[position, :count] = True
        self._over = [(limit, self._tensor(limit.table)) for limit in self.limits.limits]
        self._cost, self._target = None, 1.0
        if self.loss is not None:
            table = choice_costs(self.problem, self.loss.metric)
            self._cost = (table, self._tensor(table))
            self._target = self.loss.target or self.limits.of(self.loss.metric) or _mean(table)
        # A choice without a cost would be one that costs nothing.
        for table in [limit.table for limit in self.limits.limits] + ([] if self._cost is None else [self._cost[0]]):
            for position, known in enumerate(table.known()):
                self.mask[position, : len(known)] &= torch.from_numpy(known)
        self.blocked = torch.zeros(self.mask.shape).masked_fill(~self.mask, float("-inf"))

    def _tensor(self, table: ChoiceCosts) -> Tensor:
        rows: Tensor = self.torch.zeros(self.mask.shape)
        for position, costs in enumerate(table.costs):
            rows[position, : len(costs)] = self.torch.from_numpy(np.nan_to_num(costs))
        return rows

    def _fit(self, vectors: NDArray[np.int8], scores: Floats) -> None:
        """Fit the surrogate to scores in spreads about their median."""
        self._middle = float(np.median(scores))
        above = scores[scores >= self._middle] - self._middle
        self._spread = float(np.sqrt((above**2).mean())) or float(scores.std())
        targets = np.maximum((scores - self._middle) / self._spread, -_FLOOR)
        self._top = float(targets.max()) + 1.0
        self.surrogate.fit(vectors, targets)

    def _lose(self, relaxed: Tensor) -> Tensor:
        """Return the loss of weights of choices, over all of them."""
        told = self.surrogate(relaxed)
        if self._accuracy:
            task, unit = 1.0 - (self._middle + self._spread * told) / 100.0, self._spread / 100.0
        else:
            task, unit = self._top - told, 1.0
        if self.loss is not None and self._cost is not None:
            task = self.loss(task.clamp(min=_TINY), _expected(relaxed, *self._cost), self._target)
        # In spreads of the task's loss, weight decay means the same for every objective.
        loss: Tensor = task.mean() / unit
        for limit, rows in self._over:
            loss = loss + _OVER_LIMIT * _excess(limit, _expected(relaxed, limit.table, rows).mean())
        return loss

    def _follow(self, n: int) -> list[Vector]:
        """Return the derived architecture and samples, as far as they are new."""
        derived = np.array([self._derive()], np.int8)
        self.limits.calibrate(tuple(derived[0].tolist()))
        found = dict.fromkeys(self.limits.new(derived, self.asked))
        likely, uniform = self._probabilities(), self.mask / self.mask.sum(dim=1, keepdim=True)
        for turn in range(_ROUNDS):
            if len(found) >= n:
                break
            share = turn / _ROUNDS
            mixed = (1.0 - share) * likely + share * uniform
            rows = self.torch.multinomial(mixed, _DRAWN, replacement=True, generator=self.generator).T
            found.update(dict.fromkeys(self.limits.new(rows.numpy().astype(np.int8), self.asked)))
        return list(found)[:n]


def _expected(relaxed: Tensor, table: ChoiceCosts, rows: Tensor) -> Tensor:
    """Return the cost of weights of choices: the sum of alpha x cost."""
    total = (relaxed * rows).sum(dim=(1, 2)) + table.base
    return total.exp() if table.link == "exp" else total


def _excess(limit: CostLimit, cost: Tensor) -> Tensor:
    """Return by how much an expected cost breaks a limit, as a fraction of it."""
    return (limit.sign * (cost / limit.target - 1.0)).clamp(min=0.0)


def _mean(table: ChoiceCosts) -> float:
    """Return the mean cost by a table over architectures drawn uniformly."""
    if table.link == "exp":
        # Decisions are drawn independently: the mean of the product is the product of the means.
        return float(np.exp(table.base) * np.prod([np.nanmean(np.exp(costs)) for costs in table.costs]))
    return table.base + sum(float(np.nanmean(costs)) for costs in table.costs)


def _is_accuracy(objective: Objective) -> bool:
    """Whether scores are accuracies, within limits or not."""
    while (within := getattr(objective, "objective", None)) is not None:
        objective = within
    return isinstance(objective, Metric) and objective.metrics[0] == "accuracy"
