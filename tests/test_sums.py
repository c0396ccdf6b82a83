"""Sums of independent errors: what is convolved is what adding draws gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats

from hwnasbench.errors import InvalidRequest
from hwnasbench.predictors.base import Quantiles
from hwnasbench.predictors.sums import LEVELS, Part, Summed, convolved
from surrogates.intervals import LEVELS as TABLED

if TYPE_CHECKING:
    from collections.abc import Sequence


def of(distribution: object) -> Quantiles:
    return Quantiles(TABLED, [], [distribution.ppf(TABLED).tolist()])  # type: ignore[attr-defined]


NORMAL, SKEWED = of(stats.norm()), of(stats.expon(loc=-1))


def test_the_sum_of_two_normal_errors_is_one() -> None:
    found = convolved([Part(NORMAL, 0, 3.0), Part(NORMAL, 0, 4.0)])
    # The tables are linear between levels and end at 0.005: a few hundredths of a std.
    np.testing.assert_allclose(found, stats.norm().ppf(LEVELS), atol=0.06)


@pytest.mark.parametrize("scales", [(1.0, -2.0), (1.0, 1.0, 1.0), (2.0, 1.0, -1.0), (0.1, 5.0)])
def test_the_sum_is_that_of_draws(scales: Sequence[float]) -> None:
    """Of skewed errors, in either direction."""
    rng = np.random.default_rng(3)
    parts = [Part(SKEWED if number % 2 else NORMAL, 0, scale) for number, scale in enumerate(scales)]
    drawn = sum(
        scale * (rng.exponential(size=400_000) - 1 if number % 2 else rng.normal(size=400_000))
        for number, scale in enumerate(scales)
    )
    expected = np.quantile(drawn / np.hypot.reduce(scales), LEVELS)
    found = convolved(parts)
    np.testing.assert_allclose(found[1:-1], expected[1:-1], atol=0.08)
    assert found == convolved(parts)
    assert found == sorted(found)


def test_one_error_keeps_its_quantiles_and_its_direction() -> None:
    found = convolved([Part(SKEWED, 0, 2.0), Part(NORMAL, 0, 0.0)])
    np.testing.assert_allclose(found, stats.expon(loc=-1).ppf(LEVELS), atol=0.1)
    np.testing.assert_allclose(convolved([Part(SKEWED, 0, -2.0)]), [-value for value in reversed(found)], atol=1e-12)


def test_nothing_wrong_is_an_interval_of_one_point() -> None:
    assert Summed([]).interval(70.0, 0.0, 0.9) == (70.0, 70.0)


def test_the_group_is_the_prediction_s() -> None:
    grouped = Quantiles(TABLED, [10.0], [[0.0] * len(TABLED), [1.0] * len(TABLED)])
    assert Summed([Part(grouped, 5.0, 2.0)]).interval(70.0, 2.0, 0.5) == (70.0, 70.0)
    assert Summed([Part(grouped, 15.0, 2.0)]).interval(70.0, 2.0, 0.5) == (72.0, 72.0)


def test_a_sum_does_not_tell_of_the_tails_that_no_table_has() -> None:
    some = Summed([Part(NORMAL, 0, 1.0), Part(NORMAL, 0, 1.0)])
    assert some.interval(0.0, 1.0, 0.98)[1] == pytest.approx(2.33, abs=0.1)
    with pytest.raises(InvalidRequest, match=r"at most 0\.98"):
        some.interval(0.0, 1.0, 0.985)
