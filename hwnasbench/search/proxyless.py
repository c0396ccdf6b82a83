"""Differentiable architecture search by binary gates, two paths at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwnasbench.search.base import positive
from hwnasbench.search.relaxed import RelaxedSearch

if TYPE_CHECKING:
    from torch import Tensor

    from hwnasbench.search.problem import Problem


class Proxyless(RelaxedSearch):
    """Binary gates: at each position two paths are sampled, one of them is active, and the two are weighed.

    Parameters
    ----------
    problem : Problem
    seed : int
    samples : int
        Networks of two paths drawn for each step; their gradients are averaged.
    **settings
        Of `RelaxedSearch`.

    Notes
    -----
    The sampling of two paths by their probabilities, of the active one of them by theirs alone, the gradient
    ``sum_j dL/dg_j p_j (delta_ij - p_i)`` over the two, and the shift after a step that leaves the probability of the
    others as it was, were read in mit-han-lab/proxylessnas (``search/modules/mix_op.py``, mode "two"), and so were
    Adam's betas (0, 0.999) without weight decay and parameters that start at 1e-3 x normal
    (``search/imagenet_arch_search.py``). Its learning rate, 1e-3, is for tens of thousands of steps.
    """

    name = "proxyless"
    title = "ProxylessNAS: binary gates"
    paper = (
        "H. Cai, L. Zhu and S. Han, ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware, "
        "ICLR 2019 (read: mit-han-lab/proxylessnas search/modules/mix_op.py)"
    )
    betas = (0.0, 0.999)

    def __init__(self, problem: Problem, seed: int, *, samples: int = 4, **settings: Any) -> None:
        super().__init__(problem, seed, **settings)
        positive(self, samples=samples)
        self.samples = samples

    def _parameters(self) -> list[Tensor]:
        self.alpha = (1e-3 * self.torch.randn(self.mask.shape, generator=self.generator)).requires_grad_(True)
        return [self.alpha]

    def _probabilities(self) -> Tensor:
        chances: Tensor = (self.alpha.detach() + self.blocked).softmax(dim=1)
        return chances

    def _relax(self) -> Tensor:
        """Return gates: 1 for the active path, 0 for all others."""
        return self._gate()[0]

    def _gate(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gates, the two paths of each position, and the probabilities of the two, sample by sample."""
        torch = self.torch
        # Positions with a single choice have no second path; a choice that is blocked stands in, with probability 0.
        likely = self._probabilities().clamp(min=1e-12).repeat(self.samples, 1)
        paths = torch.multinomial(likely, 2, generator=self.generator).view(self.samples, -1, 2)
        logits = (self.alpha.detach() + self.blocked).expand(self.samples, -1, -1).gather(2, paths)
        two = logits.softmax(dim=2)
        second = torch.rand(two.shape[:2], generator=self.generator) >= two[..., 0]
        active = paths.gather(2, second.long().unsqueeze(2))
        return torch.zeros(self.samples, *self.mask.shape).scatter_(2, active, 1.0), paths, two

    def _step(self) -> None:
        torch = self.torch
        gates, paths, two = self._gate()
        gates.requires_grad_(True)
        (slope,) = torch.autograd.grad(self._lose(gates) * self.samples, gates)
        slope = slope.gather(2, paths)
        # sum_j g_j p_j (delta_ij - p_i) = p_i (g_i - sum_j p_j g_j)
        along = two * (slope - (two * slope).sum(dim=2, keepdim=True))
        self.alpha.grad = torch.zeros(gates.shape).scatter_(2, paths, along).mean(dim=0)
        # Adam's first beta is 0: parameters of paths that were not sampled stay.
        sampled = torch.zeros(gates.shape, dtype=torch.bool).scatter_(2, paths, True).any(dim=0)
        others = torch.zeros(self.mask.shape).masked_fill(~sampled, float("-inf")) + self.blocked
        before = (self.alpha.detach() + others).logsumexp(dim=1, keepdim=True)
        self.optimizer.step()
        with torch.no_grad():
            # Sampled paths compete with one another alone: together they keep their probability.
            offset = (self.alpha + others).logsumexp(dim=1, keepdim=True) - before
            self.alpha -= torch.where(sampled, offset, torch.zeros(()))
