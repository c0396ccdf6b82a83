"""Gaussian processes: a Matern kernel with one scale a feature, learned by the marginal likelihood.

Rows with equal features are one point: their mean, whose noise shrinks with their number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_JITTER = 1e-6
#: Where the search for a feature's scale starts, and the spread of the prior around it (of its logarithm).
_SCALE, _PRIOR = 0.1, 1.5
#: Start of the other parameters: variance of the smooth and of the linear part, noise of a point and of a row.
_START = (1.0, 0.1, 0.02, 0.02)
_BOUNDS = ((-6.0, 5.0), (-6.0, 5.0), (-12.0, 0.0), (-12.0, 0.0))


@dataclass(frozen=True)
class GaussianProcess:
    """Settings of a Gaussian process.

    Attributes
    ----------
    features : str
    learned_on : int
        Points that the kernel's scales are learned on; the predictions are from all.
    steps : int
        Steps of that search.
    crowded : int
        Points of more rows than this always belong to them.
    """

    features: str
    learned_on: int = 900
    steps: int = 50
    crowded: int = 8
    name: str = "Gaussian process"

    def fit(self, x: NDArray[np.float32], y: NDArray[np.float64], seed: int) -> FittedProcess:
        """Learn the kernel on some of the points, then condition on all of them."""
        points, code, counts = np.unique(x, axis=0, return_inverse=True, return_counts=True)
        code = code.reshape(-1)
        means = np.bincount(code, y) / counts
        middle, spread = float(y.mean()), float(y.std()) or 1.0
        z = (means - middle) / spread
        shuffled = np.random.Generator(np.random.PCG64(seed)).permutation(len(points))
        some = np.union1d(shuffled[: self.learned_on], np.flatnonzero(counts > self.crowded))
        kernel = learn_kernel(points[some].astype(np.float64), z[some], counts[some], self.steps)
        return FittedProcess(kernel, points.astype(np.float64), z, counts, middle, spread)


@dataclass(frozen=True)
class Kernel:
    """Covariance of two points, and the noise of one.

    Attributes
    ----------
    scales : (features,) ndarray of float64
        What each feature is multiplied by.
    smooth, linear : float
        Variances of the Matern 5/2 part and of the linear one.
    point, row : float
        Variance of the noise of a point, however many rows it has, and of each of its rows.
    """

    scales: NDArray[np.float64]
    smooth: float
    linear: float
    point: float
    row: float

    def __call__(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the covariances of the rows of `a` with those of `b`."""
        a, b = a * self.scales, b * self.scales
        product = a @ b.T
        distance = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None] - 2 * product
        return np.asarray(self.smooth * _matern(distance)[0] + self.linear * product)

    def variance(self, a: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the variance of each row of `a`, without noise."""
        return np.asarray(self.smooth + self.linear * ((a * self.scales) ** 2).sum(axis=1))

    def noise(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the variance of the noise of points with so many rows."""
        return self.point + self.row / counts + _JITTER


class FittedProcess:
    """A Gaussian process, conditioned on points.

    Parameters
    ----------
    kernel : Kernel
    points : (n, features) ndarray of float64
    z : (n,) ndarray of float64
        Standardised means of their rows.
    counts : (n,) ndarray of int
    middle, spread : float
        What `z` was standardised with.
    """

    def __init__(
        self,
        kernel: Kernel,
        points: NDArray[np.float64],
        z: NDArray[np.float64],
        counts: NDArray[np.int64],
        middle: float,
        spread: float,
    ) -> None:
        from scipy.linalg import cho_factor, cho_solve

        self.kernel, self.points, self.middle, self.spread = kernel, points, middle, spread
        covariance = kernel(points, points)
        covariance[np.diag_indices_from(covariance)] += kernel.noise(counts)
        self.factor = cho_factor(covariance, lower=True, overwrite_a=True, check_finite=False)
        self.weights = cho_solve(self.factor, z, check_finite=False)

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the mean of each row."""
        return np.asarray(self.middle + self.spread * (self.kernel(x.astype(np.float64), self.points) @ self.weights))

    def std(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the standard deviation of a new row's value, its noise included."""
        from scipy.linalg import solve_triangular

        x64 = x.astype(np.float64)
        known = solve_triangular(self.factor[0], self.kernel(self.points, x64), lower=True, check_finite=False)
        variance = self.kernel.variance(x64) - (known**2).sum(axis=0) + self.kernel.point + self.kernel.row
        return np.asarray(self.spread * np.sqrt(np.maximum(variance, 0)))


def learn_kernel(x: NDArray[np.float64], z: NDArray[np.float64], counts: NDArray[np.int64], steps: int) -> Kernel:
    """Return the kernel of the largest marginal likelihood that is found in so many steps."""
    from scipy.optimize import minimize

    width = x.shape[1]
    start = np.r_[np.full(width, np.log(1.5 * _SCALE)), np.log(_START)]
    bounds = [(-6.0, 2.0)] * width + [*_BOUNDS]
    found = minimize(
        loss, start, (x, z, counts), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": steps}
    )
    return _kernel(found.x)


def _kernel(parameters: NDArray[np.float64]) -> Kernel:
    return Kernel(np.exp(parameters[:-4]), *(float(p) for p in np.exp(parameters[-4:])))


def loss(
    parameters: NDArray[np.float64], x: NDArray[np.float64], z: NDArray[np.float64], counts: NDArray[np.int64]
) -> tuple[float, NDArray[np.float64]]:
    """Return the negative log marginal likelihood and prior, a point, with its gradient.

    Parameters
    ----------
    parameters : (features + 4,) ndarray of float64
        Logarithms of a `Kernel`'s numbers, in its order.
    x, z, counts
        As in `FittedProcess`.
    """
    from scipy.linalg import cholesky, lapack

    kernel, n = _kernel(parameters), len(z)
    a = x * kernel.scales
    product = a @ a.T
    square = np.diag(product)
    smooth, slope = _matern(square[:, None] + square[None] - 2 * product)
    covariance = kernel.smooth * smooth + kernel.linear * product
    covariance[np.diag_indices_from(covariance)] += kernel.noise(counts)
    lower = cholesky(covariance, lower=True, check_finite=False)
    inverse = lapack.dpotri(lower, lower=1)[0]
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    weights = inverse @ z
    # By the chain rule: first the derivative by each entry of the covariance, then by what the entry is made of.
    entry = 0.5 * (inverse - np.outer(weights, weights))
    bent, own = entry * (kernel.smooth * slope), np.diag(entry)
    by_scale = 4 * (bent.sum(axis=1) @ (a * a) - np.einsum("ij,ij->j", a, bent @ a))
    by_scale += 2 * kernel.linear * np.einsum("ij,ij->j", a, entry @ a)
    away = (parameters[:-4] - np.log(_SCALE)) / _PRIOR
    value = 0.5 * z @ weights + np.log(np.diag(lower)).sum() + 0.5 * away @ away
    gradient = np.r_[
        by_scale + away / _PRIOR,
        kernel.smooth * (entry * smooth).sum(),
        kernel.linear * (entry * product).sum(),
        kernel.point * own.sum(),
        kernel.row * (own / counts).sum(),
    ]
    return float(value) / n, gradient / n


def _matern(distance: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the Matern 5/2 correlation at squared distances, and its derivative by them."""
    root = np.sqrt(5 * np.maximum(distance, 0))
    fall = np.exp(-root)
    return (1 + root + root * root / 3) * fall, -5 / 6 * (1 + root) * fall
