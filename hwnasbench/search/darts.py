"""Differentiable architecture search by a softmax over choices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnasbench.search.relaxed import RelaxedSearch

if TYPE_CHECKING:
    from torch import Tensor


class Darts(RelaxedSearch):
    """Every choice at once, weighted by a softmax of the architecture parameters; the largest is derived.

    See `RelaxedSearch` for the settings.

    Notes
    -----
    Equation (7) of the survey. Adam's betas (0.5, 0.999) and weight decay 1e-3, and parameters that start at 1e-3 x
    normal, were read in quark0/darts (``cnn/architect.py``, ``cnn/train_search.py``; the start is recalled). Its
    learning rate, 3e-4, is for tens of thousands of steps; the default here is for hundreds.
    """

    name = "darts"
    title = "DARTS: softmax relaxation"
    paper = "H. Liu, K. Simonyan and Y. Yang, DARTS: Differentiable Architecture Search, ICLR 2019 (recalled)"
    betas = (0.5, 0.999)
    weight_decay = 1e-3

    def _parameters(self) -> list[Tensor]:
        self.alpha = (1e-3 * self.torch.randn(self.mask.shape, generator=self.generator)).requires_grad_(True)
        return [self.alpha]

    def _relax(self) -> Tensor:
        weights: Tensor = (self.alpha + self.blocked).softmax(dim=1).unsqueeze(0)
        return weights

    def _probabilities(self) -> Tensor:
        chances: Tensor = (self.alpha.detach() + self.blocked).softmax(dim=1)
        return chances
