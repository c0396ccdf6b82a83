"""One linear model for every recipe, by Bayes' rule.

The score of a network (minus the logarithm of what its accuracy lacks to a ceiling) is a level of its recipe, plus
slopes times its features, plus what its family has in common, plus noise. The slopes of a recipe's group (the published
networks; Accel-NASBench; OFA's supernet) differ from shared ones by little: so thousands of cheap trainings tell how
accuracy depends on the layers, and a few dozen full ones set the level and bend the slopes. All is Gaussian; nothing
is drawn at random.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hwnasbench.predictors.imagenet import FEATURES
from surrogates.imagenet.rows import Rows, score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: The recipes of published networks; the second is a shift of the first.
PUBLISHED = ("standard", "advanced")
#: Before anything is seen: spreads of a level, of the shift, and of a slope by a standard deviation of its feature.
_LEVEL, _SHIFT, _SLOPE = 10.0, 0.05, 0.3
#: Rows of one table err together, by what the features do not say: so many tell as much as one that errs alone.
_TOGETHER = 50


class Settings(NamedTuple):
    """Spreads. The marginal likelihood of the anchors chooses those of families and noise."""

    slopes: float
    """How far the slopes of one group lie from the shared ones."""
    family: float
    noise: float


SLOPES = (0.01, 0.014, 0.02, 0.04)
_FAMILY, _NOISE = (0.005, 0.01, 0.02, 0.03), (0.01, 0.015, 0.02, 0.03)


@dataclass(frozen=True)
class Published:
    """Published networks as arrays: `FEATURES`, top-1 in %, family, and whether the recipe is advanced."""

    features: Floats
    top1: Floats
    family: NDArray[np.str_]
    advanced: Floats

    def only(self, rows: NDArray[np.intp]) -> Published:
        """Return some of the rows."""
        return Published(self.features[rows], self.top1[rows], self.family[rows], self.advanced[rows])


class Fitted(NamedTuple):
    """Levels and slopes of each recipe, and how sure they are, per feature over its `scale`."""

    features: tuple[str, ...]
    scale: Floats
    recipes: tuple[str, ...]
    coefficients: Floats
    covariances: Floats
    residuals: tuple[float, ...]
    settings: Settings
    ceiling: float

    def predict(self, features: Floats, recipe: str) -> tuple[Floats, Floats]:
        """Return the score of networks of a family never seen, and its variance."""
        number = self.recipes.index(recipe)
        x = _with_level(_used(features, self.features) / self.scale)
        variance = np.einsum("ij,jk,ik->i", x, self.covariances[number], x)
        return x @ self.coefficients[number], variance + self.settings.family**2 + self.settings.noise**2


class Model:
    """The model on one list of features, before the published networks are seen.

    Parameters
    ----------
    features : sequence of str
    tables : mapping of str to Rows
        By recipe.
    scale : (features,) ndarray of float64
        A standard deviation of each feature.
    ceiling : float
        The accuracy in % that no size of network reaches.
    """

    def __init__(self, features: Sequence[str], tables: Mapping[str, Rows], scale: Floats, ceiling: float) -> None:
        self.features = tuple(features)
        self._ceiling = ceiling
        self.recipes = (*PUBLISHED, *tables)
        self._scale = scale
        self._size = len(self.features)
        self._groups = 1 + len(tables)  # the published networks and the tables
        self._told, self._right, self.residuals = self._of_tables(tables)

    def _rows(self, recipe: str) -> Floats:
        """Return the matrix that takes the unknowns to a recipe's level and slopes.

        The unknowns are the shared slopes, each group's differences, a level a group, and the shift.
        """
        group = max(0, self.recipes.index(recipe) - 1)
        p, eye = self._size, np.eye(self._size)
        out = np.zeros((p + 1, p * (1 + self._groups) + self._groups + 1))
        levels = p * (1 + self._groups)
        out[0, levels + group] = 1
        out[0, -1] = recipe == PUBLISHED[1]
        out[1:, :p] = eye
        out[1:, p * (1 + group) : p * (2 + group)] = eye
        return out

    def _of_tables(self, tables: Mapping[str, Rows]) -> tuple[Floats, Floats, tuple[float, ...]]:
        """Return what the tables tell, as a precision and its right-hand side, and the spread of their residuals."""
        size = self._rows(PUBLISHED[0]).shape[1]
        told, right, residuals = np.zeros((size, size)), np.zeros(size), []
        for recipe, rows in tables.items():
            x, y = _with_level(_used(rows.features, self.features) / self._scale), score(rows.top1, self._ceiling)
            own = np.linalg.lstsq(x, y, rcond=None)[0]
            variance = float(((y - x @ own) ** 2).mean())
            residuals.append(variance)
            by = self._rows(recipe)
            told += by.T @ (x.T @ x) @ by / (variance * _TOGETHER)
            right += by.T @ (x.T @ y) / (variance * _TOGETHER)
        return told, right, tuple(residuals)

    def _prior(self, slopes: float) -> tuple[Floats, Floats]:
        """Return the precision of the unknowns and its right-hand side once the tables are seen."""
        p = self._size
        spreads = np.full(len(self._right), _LEVEL)
        spreads[:p] = _SLOPE
        spreads[p : p * (1 + self._groups)] = slopes
        spreads[-1] = _SHIFT
        return self._told + np.diag(spreads**-2.0), self._right

    def _design(self, published: Published) -> Floats:
        x = _with_level(_used(published.features, self.features) / self._scale)
        standard, advanced = (x @ self._rows(recipe) for recipe in PUBLISHED)
        return np.where(published.advanced[:, None] > 0, advanced, standard)

    def _settings(self, published: Published, slopes: float) -> Settings:
        """Return the settings under which the published values are likeliest."""
        design, y = self._design(published), score(published.top1, self._ceiling)
        same = published.family[:, None] == published.family[None]
        precision, right = self._prior(slopes)
        covariance = np.linalg.inv(precision)
        left = y - design @ (covariance @ right)
        explained = design @ covariance @ design.T

        def likelihood(settings: Settings) -> float:
            spread = explained + settings.family**2 * same + settings.noise**2 * np.eye(len(y))
            return float(-left @ np.linalg.solve(spread, left) - np.linalg.slogdet(spread)[1])

        return max((Settings(slopes, family, noise) for family in _FAMILY for noise in _NOISE), key=likelihood)

    def fit(self, published: Published, slopes: float) -> Fitted:
        """Fit to published networks, with slopes that differ between groups by so much."""
        settings = self._settings(published, slopes)
        precision, right = self._prior(slopes)
        design, y = self._design(published), score(published.top1, self._ceiling)
        same = published.family[:, None] == published.family[None]
        spread = settings.family**2 * same + settings.noise**2 * np.eye(len(y))
        weighted = np.linalg.solve(spread, design)
        covariance = np.linalg.inv(precision + design.T @ weighted)
        mean = covariance @ (right + weighted.T @ y)
        by = [self._rows(recipe) for recipe in self.recipes]
        return Fitted(
            self.features,
            self._scale,
            self.recipes,
            np.array([rows @ mean for rows in by]),
            np.array([rows @ covariance @ rows.T for rows in by]),
            self.residuals,
            settings,
            self._ceiling,
        )


def _used(features: Floats, names: Sequence[str]) -> Floats:
    return features[:, [FEATURES.index(name) for name in names]]


def _with_level(x: Floats) -> Floats:
    return np.concatenate([np.ones((len(x), 1)), x], axis=1)


def scale_of(features: Floats, names: Sequence[str]) -> Floats:
    """Return a standard deviation of each named feature."""
    return np.asarray(_used(features, names).std(axis=0))
