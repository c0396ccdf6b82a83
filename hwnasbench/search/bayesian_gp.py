"""Bayesian optimisation with a Gaussian process, BoTorch's."""

from __future__ import annotations

import warnings
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.errors import MissingExtra
from hwnasbench.search.base import Searcher, positive
from hwnasbench.search.pool import Pool, standard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hwnasbench.search.base import Score, Vector
    from hwnasbench.search.problem import Problem

    Floats = NDArray[np.float64]

#: Candidates of a round: mutants of the best so far, of how many, and architectures drawn uniformly.
_MUTANTS, _PARENTS, _DRAWN = 200, 10, 200
#: A Gaussian process takes time that grows with the cube of what it knows: the best and the latest, so many each.
_MOST = 100
#: Steps of L-BFGS in a fit.
_STEPS = 100


class BayesianGp(Searcher):
    """The largest expected improvement among candidates, by a Gaussian process; for some hundred evaluations.

    The kernel is a sum: BoTorch's categorical one of the share of decisions that differ, and a radial one of the
    features of the graph. Scores become normal scores (the quantiles of the standard normal distribution at their
    ranks), or the few networks that learn nothing would decide the fit. Where something was infeasible, a second
    process of the same kernel is fitted to what was feasible (1) and what was not (0), and the expected improvement is
    multiplied by the probability of more than a half.

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
    paper = (
        "M. Balandat et al., BoTorch: A Framework for Efficient Monte-Carlo Bayesian Optimization, NeurIPS 2020 "
        "(recalled); what is infeasible as in J. Gardner et al., Bayesian Optimization with Inequality Constraints, "
        "ICML 2014 (recalled)"
    )

    def __init__(self, problem: Problem, seed: int, *, first: int = 10, batch: int = 5) -> None:
        super().__init__(problem, seed)
        positive(self, first=first, batch=batch)
        try:
            import botorch
        except ImportError as error:
            raise MissingExtra(f"{self.name} needs BoTorch: pip install 'hwnasbench[botorch]'") from error
        self._botorch: Any = botorch
        self._first, self._batch = first, batch
        self._pool = Pool(self)

    def ask(self, n: int) -> list[Vector]:
        """Return the first architectures at random, then those that promise to improve most."""
        pool, count = self._pool, min(n, self._batch)
        if len(pool) < self._first:
            return pool.drawn(min(n, self._first - len(pool)))
        _, scores, feasible = pool.known()
        # Of a single score there is nothing to learn.
        if feasible.sum() < 2:
            return pool.drawn(count)
        candidates = pool.candidates(_MUTANTS, _PARENTS, _DRAWN)
        if not candidates:
            return []
        kept = _kept(scores)
        known = [list(pool.scores)[row] for row in kept]
        gains = self._gains(self._inputs(known + candidates), scores[kept], feasible[kept])
        return [candidates[row] for row in np.argsort(-gains, kind="stable")[:count]]

    def tell(self, vectors: Sequence[Vector], scores: Sequence[Score]) -> None:
        """Remember the scores."""
        self._pool.take(vectors, scores)

    def _inputs(self, vectors: list[Vector]) -> Floats:
        """Return the decisions, and the features scaled so that architectures are about as far apart in any space."""
        features = self._pool.features(vectors).astype(np.float64)
        spread = features.std(axis=0)
        told = spread > 0
        scaled = (features[:, told] - features[:, told].mean(axis=0)) / spread[told] / np.sqrt(max(told.sum(), 1))
        return np.concatenate([np.array(vectors, np.float64), scaled], axis=1)

    def _gains(self, inputs: Floats, scores: Floats, feasible: NDArray[np.bool_]) -> Floats:
        """Return the logarithm of the expected improvement of the inputs that follow those of the scores."""
        import torch

        acquisition = self._botorch.acquisition.analytic
        known, asked = np.split(inputs, [len(scores)])
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of fits that end early: the model is usable all the same
            torch.manual_seed(self.seed)
            targets = normal_scores(scores[feasible])
            model, best = self._fitted(known[feasible], targets), float(targets.max())
            if feasible.all():
                gain = acquisition.LogExpectedImprovement(model, best_f=best)
            else:
                likely = self._fitted(known, standard(feasible.astype(np.float64)))
                half = (0.5 - feasible.mean()) / feasible.std()
                gain = acquisition.LogConstrainedExpectedImprovement(
                    self._botorch.models.ModelListGP(model, likely), best, 0, {1: (float(half), None)}
                )
            with torch.no_grad():
                return np.asarray(gain(torch.from_numpy(asked)[:, None, :]).numpy())

    def _fitted(self, inputs: Floats, targets: Floats) -> Any:
        """Return a process fitted to targets; where no fit succeeds, one with BoTorch's initial parameters."""
        import torch
        from gpytorch.mlls import ExactMarginalLogLikelihood

        botorch = self._botorch
        x, y = torch.from_numpy(inputs), torch.from_numpy(targets)[:, None]
        model = botorch.models.SingleTaskGP(x, y, covar_module=self._kernel(x.shape[1]), outcome_transform=None)
        steps = {"options": {"maxiter": _STEPS}}
        try:
            botorch.fit.fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model), optimizer_kwargs=steps)
        except botorch.exceptions.ModelFittingError:
            model.eval()
        return model

    def _kernel(self, columns: int) -> Any:
        from botorch.models.kernels import CategoricalKernel
        from gpytorch.constraints import GreaterThan
        from gpytorch.kernels import RBFKernel, ScaleKernel

        decisions = len(self.problem.choices)
        # The bound is that of BoTorch's MixedSingleTaskGP. One length for all: one each overfits a hundred scores.
        categorical = CategoricalKernel(active_dims=tuple(range(decisions)), lengthscale_constraint=GreaterThan(1e-6))
        radial = RBFKernel(active_dims=tuple(range(decisions, columns)))
        return ScaleKernel(categorical) + ScaleKernel(radial)


def normal_scores(values: Floats) -> Floats:
    """Return the quantiles of the standard normal distribution at the ranks of values; equals share their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    shares = (last - count / 2) / len(values)
    return np.array([NormalDist().inv_cdf(share) for share in shares])[place]


def _kept(scores: Floats) -> NDArray[np.intp]:
    """Return the rows of the best and of the latest."""
    best = np.argsort(-scores, kind="stable")[:_MOST]
    return np.union1d(best, np.arange(max(len(scores) - _MOST, 0), len(scores)))
