"""Differentiable architecture search by thresholds over nested choices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.errors import NoColumn
from hwnasbench.search.base import positive
from hwnasbench.search.choice_costs import choice_costs
from hwnasbench.search.relaxed import RelaxedSearch

if TYPE_CHECKING:
    from torch import Tensor

    from hwnasbench.search.problem import Problem


class SinglePath(RelaxedSearch):
    """A super-kernel at each position: the choices nested, from the cheapest; thresholds say how far it reaches.

    A position with n choices has n - 1 thresholds. Each choice holds the one before it, as a 5 x 5 kernel holds a
    3 x 3 one, and is reached when no threshold up to it stops. The order is that of the table of costs: of the loss,
    else of the objective's first limit, else of the multiply-accumulate operations.

    Parameters
    ----------
    problem : Problem
    seed : int
    samples : int
        Networks drawn for each step; their losses are averaged.
    **settings
        Of `RelaxedSearch`.

    Notes
    -----
    Equation (9) of the survey. The indicator whose gradient is a sigmoid's was read in enyac-group/single-path-nas
    (``nas-search/superkernel.py``); the nested form, and the start at which every choice is equally likely, in
    cap-lab/S3NAS (``graph/searchable_utils.py``). What the norm of the outer weights is above the threshold, is one
    architecture parameter here, since there are no weights. Both repositories drop parts of the super-kernel at random
    while it is trained; here a step looks at networks drawn with the probability that the sigmoid gives each indicator.
    """

    name = "single_path"
    title = "Single-Path NAS: thresholds"
    paper = (
        "D. Stamoulis et al., Single-Path NAS: Designing Hardware-Efficient ConvNets in less than 4 Hours, ECML PKDD "
        "2019 (read: enyac-group/single-path-nas nas-search/superkernel.py)"
    )

    def __init__(self, problem: Problem, seed: int, *, samples: int = 4, **settings: Any) -> None:
        super().__init__(problem, seed, **settings)
        positive(self, samples=samples)
        self.samples = samples

    def _parameters(self) -> list[Tensor]:
        torch, choices = self.torch, self.problem.choices
        self.order = torch.zeros(self.mask.shape, dtype=torch.int64)
        start = torch.full((len(choices), max(choices)), float("-inf"))
        for position, costs in enumerate(self._ranking()):
            known = self.mask[position].numpy()
            rank = sorted(
                range(len(known)),
                key=lambda c: (not known[c], np.nan_to_num(costs[c], nan=np.inf) if c < len(costs) else np.inf, c),
            )
            self.order[position] = torch.tensor(rank)
            reachable = int(known.sum())
            for threshold in range(reachable - 1):
                # The first of n choices is stopped at with probability 1 / n, the next with 1 / (n - 1), ...
                start[position, threshold] = float(np.log(reachable - threshold - 1))
        self.beyond = torch.isinf(start)
        self.theta = start.masked_fill(self.beyond, 0.0).requires_grad_(True)
        return [self.theta]

    def _ranking(self) -> list[np.ndarray[Any, np.dtype[np.float64]]]:
        """Return what the choices of each position are ordered by."""
        limits = self.limits.limits
        metric = self.loss.metric if self.loss is not None else limits[0].name if limits else "macs"
        try:
            return list(choice_costs(self.problem, metric).costs)
        except NoColumn:
            return [np.arange(n, dtype=np.float64) for n in self.problem.choices]

    def _reach(self) -> Tensor:
        """Return the probability of each indicator, 0 beyond the last choice; (positions, choices)."""
        reach: Tensor = self.theta.sigmoid().masked_fill(self.beyond, 0.0)
        return reach

    def _nest(self, indicators: Tensor) -> Tensor:
        """Return weights of choices, (..., positions, choices), from those of indicators."""
        reached = indicators.cumprod(dim=-1)
        first = self.torch.ones_like(reached[..., :1])
        weights = self.torch.cat([first, reached[..., :-1]], dim=-1) - reached
        nested: Tensor = self.torch.zeros_like(weights).scatter(-1, self.order.expand_as(weights), weights)
        return nested

    def _relax(self) -> Tensor:
        likely = self._reach().expand(self.samples, -1, -1)
        drawn = (self.torch.rand(likely.shape, generator=self.generator) < likely).float()
        # Forward the indicator, backward the sigmoid.
        return self._nest(drawn - likely.detach() + likely)

    def _probabilities(self) -> Tensor:
        return self._nest(self._reach().detach()).clamp(min=0.0)

    def _derive(self) -> list[int]:
        indicators = ((self.theta.detach() >= 0) & ~self.beyond).float()
        reached: list[int] = self._nest(indicators).argmax(dim=1).tolist()
        return reached
