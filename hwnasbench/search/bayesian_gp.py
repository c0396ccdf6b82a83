"""Bayesian optimisation with a Gaussian process, BoTorch's."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.errors import MissingExtra
from hwnasbench.search.base import Searcher, positive
from hwnasbench.search.pool import Seen, one_hot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnasbench.search.base import Score, Vector
    from hwnasbench.search.problem import Problem

_MUTANTS, _PARENTS, _DRAWN = 200, 10, 300
#: A Gaussian process takes time that grows with the cube of what it knows: the best and the latest are kept.
_MOST = 200
#: Of the search for the kernel's parameters.
_STEPS = 50


class BayesianGp(Searcher):
    """Expected improvement by a Gaussian process on one-hot choices; for some hundred evaluations.

    Parameters
    ----------
    problem : Problem
    seed : int
    first : int
        Architectures drawn at random to begin with.
    batch : int
        Architectures between two fits: those of the largest expected improvement.
    """

    name = "bayesian_gp"
    title = "Bayesian optimisation with a Gaussian process"
    paper = "M. Balandat et al., BoTorch: A Framework for Efficient Monte-Carlo Bayesian Optimization, NeurIPS 2020 (recalled)"  # noqa: E501

    def __init__(self, problem: Problem, seed: int, *, first: int = 20, batch: int = 5) -> None:
        super().__init__(problem, seed)
        positive(self, first=first, batch=batch)
        try:
            import botorch  # noqa: F401
        except ImportError as error:
            raise MissingExtra(f"{self.name} needs BoTorch: pip install 'hwnasbench[botorch]'") from error
        self._first, self._batch = first, batch
        self._seen = Seen(self)

    def ask(self, n: int) -> list[Vector]:
        """Return the first architectures at random, then those that promise to improve most."""
        missing = self._first - len(self._seen)
        if missing > 0:
            return self._seen.drawn(min(n, missing)) or [self.problem.draw(self.random)]
        candidates = self._seen.candidates(_MUTANTS, _DRAWN, _PARENTS)
        if not candidates:
            return [self.problem.draw(self.random)]
        gains = self._gains(candidates)
        return [candidates[row] for row in np.argsort(-gains, kind="stable")[: min(n, self._batch)]]

    def tell(self, vectors: Sequence[Vector], scores: Sequence[Score]) -> None:
        """Remember the scores."""
        self._seen.take(vectors, scores)

    def _gains(self, candidates: list[Vector]) -> Any:
        """Return the logarithm of the expected improvement of each candidate."""
        import torch
        from botorch.acquisition.analytic import LogExpectedImprovement
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from gpytorch.kernels import RBFKernel, ScaleKernel
        from gpytorch.mlls import ExactMarginalLogLikelihood

        targets, vectors = self._seen.targets(), list(self._seen.scores)
        if len(vectors) > _MOST:
            kept = np.union1d(np.argsort(-targets)[: _MOST // 2], np.arange(len(vectors))[-_MOST // 2 :])
            targets, vectors = targets[kept], [vectors[row] for row in kept]
        known = torch.from_numpy(one_hot(self.problem.choices, vectors)).double()
        asked = torch.from_numpy(one_hot(self.problem.choices, candidates)).double()
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of fits that end early: the model is usable all the same
            torch.manual_seed(self.seed)
            # One length for all choices: a kernel of how many decisions differ.
            kernel = ScaleKernel(RBFKernel())
            model = SingleTaskGP(known, torch.from_numpy(targets)[:, None], covar_module=kernel)
            steps = {"options": {"maxiter": _STEPS}}
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model), optimizer_kwargs=steps)
            with torch.no_grad():
                return LogExpectedImprovement(model, best_f=float(targets.max()))(asked[:, None, :]).numpy()
