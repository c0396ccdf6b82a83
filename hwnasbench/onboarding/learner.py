"""Learn one new device from few measurements: a mixture of Gaussian processes over what known devices say.

Each expert is a prior over devices. On the logarithm of the cost: like all known columns, or like one of
them and a little of all, with a share that adds up over operators; on the cost itself: adding up over
operators alone. Experts differ in how far the device's values spread and how noisy they are. Each is
weighed by the evidence of the measurements (their marginal likelihood), so that what resembles the device
and how far to trust it is decided by the measurements, and a few heavy experts answer together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwnasbench.onboarding.known import Features

    Floats = NDArray[np.float64]

#: Spread of the logarithm of a device's costs over a space, and the noise in shares of it.
_SPREADS, _NOISES = (0.15, 0.3, 0.6), (0.05, 0.1, 0.2, 0.4, 0.7, 1.0)
#: Kernels that every expert on logarithms shares; after them comes one for each known column.
_SHARED = 3
#: Share that adds up over operators, beside all known columns; share of all columns beside a single one.
_ADDITIVE, _BESIDE = (0.0, 0.1, 0.3), (0.05, 0.15, 0.3)
#: The same of costs that are a sum: spreads and noises, both relative to the geometric mean.
_SUM_SPREADS, _SUM_NOISES = (0.3, 0.6, 1.0), (1e-5, 1e-3)
#: Logarithm of the prior weight of all sums together, of every other group 0.
_SUM_PRIOR = -2.0
#: Experts are kept from the heaviest until they hold this share, and never more than so many.
_SHARE, _MOST = 0.999, 48
#: Measurements that weigh the experts; later ones are learned from by the heavy experts alone.
_WEIGHING = 40
#: A sum is exact when measurements beyond its terms agree with it to this share.
EXACT, _SPARE = 1e-6, 3
#: No prediction of a sum is below this share of the geometric mean of the measurements.
_FLOOR = 0.02


class Expert(NamedTuple):
    """One prior: weights of base kernels, noise, and the scale it speaks on.

    Attributes
    ----------
    weight : float
        Posterior probability.
    parts : tuple of (str, int, float)
        Name in `Features`, column (-1: all) and weight of each kernel.
    noise : float
        Variance of a measurement.
    summed : bool
        Whether it speaks of the cost over its mean, minus 1, instead of the logarithm.
    """

    weight: float
    parts: tuple[tuple[str, int, float], ...]
    noise: float
    summed: bool


class Posterior:
    """What the measurements say of every architecture.

    Attributes
    ----------
    resembles : int or None
        The known column that single-device experts favour, None where they hold no weight.
    exact : bool
        Whether the measurements are a sum over operator counts.
    """

    def __init__(self, measured: Features, values: Floats) -> None:
        self._measured = measured
        self._centre = float(np.exp(np.log(values).mean()))
        self._log, self._sum = np.log(values / self._centre), values / self._centre - 1
        self.resembles: int | None = None
        self._coefficients = _as_sum(measured.all_counts, values)
        self.exact = self._coefficients is not None
        self.experts = () if self.exact else self._weigh()
        self._solved = [self._solve(expert) for expert in self.experts]

    def _weigh(self) -> tuple[Expert, ...]:
        """Weigh every expert by the evidence of the first measurements, and keep the heaviest."""
        few = self._measured.at(np.arange(min(len(self._log), _WEIGHING)))
        z, sums = self._log[:_WEIGHING], self._sum[:_WEIGHING]
        parts, theta, noise, prior = _grid(few.known.shape[1])
        base = np.stack([_kernel(few, few, name, column) for name, column in parts])
        total = [_evidence(theta, noise, base, z) - z.sum() + prior]
        grid = [(n, s**2, q**2) for n in ("all_counts", "all_sites") for s in _SUM_SPREADS for q in _SUM_NOISES]
        for name, spread, quiet in grid:
            kernel = _kernel(few, few, name, -1)[None]
            one = _evidence(np.array([[spread]]), np.array([quiet]), kernel, sums)
            total.append(one + _SUM_PRIOR - np.log(len(grid)))
        score = np.concatenate(total)
        weights = np.exp(score - score.max())
        weights /= weights.sum()
        single = weights[: len(theta)] @ (theta[:, _SHARED:] > 0)
        self.resembles = int(single.argmax()) if single.max() > 0 else None

        def expert(number: int, weight: float) -> Expert:
            if number >= len(theta):
                name, spread, quiet = grid[number - len(theta)]
                return Expert(weight, ((name, -1, spread),), quiet, True)
            told = tuple((*part, float(w)) for part, w in zip(parts, theta[number], strict=True) if w)
            return Expert(weight, told, float(noise[number]), False)

        order = np.argsort(-weights, kind="stable")[: min(_MOST, max(8, 2_000 // len(self._log)))]
        order = order[: 1 + int(np.searchsorted(np.cumsum(weights[order]), _SHARE))]
        return tuple(expert(int(i), float(weights[i] / weights[order].sum())) for i in order)

    def _solve(self, expert: Expert) -> tuple[Floats, Floats]:
        k = 1 + sum(w * _kernel(self._measured, self._measured, n, c) for n, c, w in expert.parts)
        inverse = np.linalg.inv(k + expert.noise * np.eye(len(self._log)))
        return np.asarray(inverse), np.asarray(inverse @ (self._sum if expert.summed else self._log))

    def predict(self, features: Features) -> tuple[Floats, Floats]:
        """Return the cost of many architectures and its standard deviation, in the unit of the measurements."""
        if self._coefficients is not None:
            # Costs that are equal but for the last bits of a solution are equal.
            sums = _with_constant(features.all_counts) @ self._coefficients
            values: Floats = np.maximum([float(f"{v:.9g}") for v in sums], _FLOOR * self._centre)
            return values, EXACT * values
        n = len(features.known)
        mean: Floats = np.zeros(n)
        square: Floats = np.zeros(n)
        cross: dict[tuple[str, int], tuple[Floats, Floats]] = {}
        for expert, (inverse, alpha) in zip(self.experts, self._solved, strict=True):
            k, own = np.ones((n, len(self._log))), np.full(n, 1.0)
            for name, column, weight in expert.parts:
                if (name, column) not in cross:
                    mixed = _kernel(features, self._measured, name, column)
                    cross[name, column] = mixed, _diagonal(features, name, column)
                k += weight * cross[name, column][0]
                own += weight * cross[name, column][1]
            middle = k @ alpha
            variance = np.maximum(own - np.einsum("ij,ij->i", k @ inverse, k), 0) + expert.noise
            if expert.summed:
                cost = np.maximum(1 + middle, _FLOOR)
                middle, variance = np.log(cost), variance / cost**2
            mean += expert.weight * middle
            square += expert.weight * (variance + middle**2)
        values = self._centre * np.exp(mean)
        return values, np.asarray(values * np.sqrt(np.maximum(square - mean**2, 0)))


def _grid(columns: int) -> tuple[list[tuple[str, int]], Floats, Floats, Floats]:
    """Return the kernels, and of every expert on logarithms their weights, the noise and the log prior weight."""
    parts = [("known", -1), ("sites", -1), ("counts", -1), *(("known", column) for column in range(columns))]
    mixed = np.zeros((len(_ADDITIVE), len(parts)))
    for row, share in zip(mixed, _ADDITIVE, strict=True):
        row[:_SHARED] = 1 - share, share / 2, share / 2
    single = np.zeros((columns * len(_BESIDE), len(parts)))
    for number, row in enumerate(single):
        share = _BESIDE[number % len(_BESIDE)]
        row[:_SHARED] = 0.8 * share, 0.1 * share, 0.1 * share
        row[_SHARED + number // len(_BESIDE)] = 1 - share
    settings = [(spread, noise) for spread in _SPREADS for noise in _NOISES]
    shapes = np.concatenate([mixed, single])
    theta = np.concatenate([shapes * spread**2 for spread, _ in settings])
    noise = np.concatenate([np.full(len(shapes), (spread * quiet) ** 2) for spread, quiet in settings])
    prior = -np.log(np.concatenate([np.full(len(mixed), len(mixed)), np.full(len(single), len(single))]))
    return parts, theta, noise, np.tile(prior, len(settings)) - np.log(len(settings))


def _evidence(theta: Floats, noise: Floats, base: Floats, z: Floats) -> Floats:
    """Return the log marginal likelihood of `z` under each expert; its mean is unknown, with a variance of 1."""
    m = len(z)
    out = np.empty(len(theta))
    for start in range(0, len(theta), 512):
        part = slice(start, start + 512)
        k = np.tensordot(theta[part], base, 1) + 1 + noise[part][:, None, None] * np.eye(m)
        half = np.linalg.cholesky(k)
        white = np.linalg.solve(half, np.broadcast_to(z[:, None], (*half.shape[:2], 1)))[..., 0]
        out[part] = -0.5 * (white**2).sum(axis=1) - np.log(np.diagonal(half, axis1=1, axis2=2)).sum(axis=1)
    return np.asarray(out - 0.5 * m * np.log(2 * np.pi))


def _columns(features: Features, name: str, column: int) -> Floats:
    part: Floats = getattr(features, name)
    return part if column < 0 else part[:, [column]]


def _kernel(a: Features, b: Features, name: str, column: int) -> Floats:
    return np.asarray((_columns(a, name, column) @ _columns(b, name, column).T) / _size(a, name, column))


def _diagonal(a: Features, name: str, column: int) -> Floats:
    part = _columns(a, name, column)
    return np.asarray(np.einsum("ij,ij->i", part, part) / _size(a, name, column))


def _size(features: Features, name: str, column: int) -> int:
    """Return what brings the mean of a kernel's diagonal to 1."""
    return features.known.shape[1] if name == "known" and column < 0 else 1


def _with_constant(counts: Floats) -> Floats:
    return np.concatenate([np.ones((len(counts), 1)), counts], axis=1)


def _as_sum(counts: Floats, values: Floats) -> Floats | None:
    """Return the cost of each operator where the measurements are exactly such a sum, else None.

    It takes measurements beyond the terms that they decide: fewer could agree by chance.
    """
    terms = _with_constant(counts)
    coefficients, _, rank, _ = np.linalg.lstsq(terms, values, rcond=1e-9)
    # The counts of a cell always add up to its edges, so that one term is decided by the others.
    if rank < counts.shape[1] or len(values) < rank + _SPARE:
        return None
    off = np.abs(terms @ coefficients - values).max()
    return np.asarray(coefficients) if off <= EXACT * np.abs(values).max() else None
