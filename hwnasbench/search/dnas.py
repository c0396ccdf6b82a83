"""Differentiable architecture search by sampling choices with Gumbel-softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwnasbench.search.base import positive, share
from hwnasbench.search.objectives.numbers import positive as above_zero
from hwnasbench.search.relaxed import RelaxedSearch

if TYPE_CHECKING:
    from torch import Tensor

    from hwnasbench.search.problem import Problem

_TINY = 1e-20


class Dnas(RelaxedSearch):
    """Choices sampled by Gumbel-softmax whose temperature falls, so that samples near single choices.

    Parameters
    ----------
    problem : Problem
    seed : int
    temperature : float
        At first.
    annealing : float
        What the temperature is multiplied by after each fit.
    samples : int
        Drawn for each step; their losses are averaged.
    **settings
        Of `RelaxedSearch`.

    Notes
    -----
    Equation (8) of the survey. Temperature 5.0, times exp(-0.045) after each epoch, and Adam's weight decay 5e-4 on the
    architecture parameters, whose start is equal, were read in notaxaiha/FBNet
    (``supernet_functions/config_for_supernet.py``, a reimplementation). The paper has 90 epochs, a search here a dozen
    rounds or some hundred: `annealing` defaults to the same fall, to 5 x exp(-0.045 x 90) = 0.087, over 15 of them.
    """

    name = "dnas"
    title = "DNAS: Gumbel-softmax relaxation"
    paper = "B. Wu et al., FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable NAS, CVPR 2019 (recalled)"
    weight_decay = 5e-4
    #: Below this samples are single choices, and gradients vanish.
    coldest = 5.0 * 2.718281828459045 ** (-0.045 * 90)

    def __init__(
        self,
        problem: Problem,
        seed: int,
        *,
        temperature: float = 5.0,
        annealing: float = 0.763,
        samples: int = 4,
        **settings: Any,
    ) -> None:
        super().__init__(problem, seed, **settings)
        positive(self, samples=samples)
        share(self, annealing=annealing)
        self.temperature = above_zero(self.name, "temperature", temperature)
        self.annealing, self.samples = annealing, samples

    def _parameters(self) -> list[Tensor]:
        self.theta = self.torch.zeros(self.mask.shape, requires_grad=True)
        return [self.theta]

    def _relax(self) -> Tensor:
        uniform = self.torch.rand((self.samples, *self.mask.shape), generator=self.generator)
        gumbel = -(-(uniform + _TINY).log() + _TINY).log()
        temperature = max(self.temperature * self.annealing**self._rounds, self.coldest)
        weights: Tensor = ((self.theta + self.blocked + gumbel) / temperature).softmax(dim=2)
        return weights

    def _probabilities(self) -> Tensor:
        chances: Tensor = (self.theta.detach() + self.blocked).softmax(dim=1)
        return chances
