"""Families of surrogates, and how one of them is chosen without what it is judged by."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from hwnasbench.paths import PACKAGE_DATA
from surrogates import catalog, curves, features, nasbench201, nested
from surrogates.families import gp
from surrogates.families.gp import GaussianProcess
from surrogates.families.graph import EDGES, GraphNetwork
from surrogates.families.ridge import Ridge
from surrogates.families.trees import Trees


def cells(rng: np.random.Generator, n: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """One-hot cells, and a value of paths: one of two edges counts where both hold an operator, one by itself."""
    vectors = rng.integers(0, 5, (n, len(EDGES)))
    x = np.eye(5, dtype=np.float32)[vectors].reshape(n, -1)
    y = (vectors[:, 0] == 3) * (vectors[:, 4] == 3) + 0.5 * (vectors[:, 3] == 2)
    return x, y.astype(np.float64)


@pytest.mark.parametrize(
    "family",
    [
        Trees("x", 60, {"max_depth": 4, "eta": 0.3}),
        GaussianProcess("x", learned_on=150, steps=20),
        GraphNetwork("x", width=16, members=2, epochs=30),
    ],
    ids=lambda family: str(family.name),
)
def test_families_learn_and_repeat_themselves(family: Any) -> None:
    x, y = cells(np.random.default_rng(0), 1200)
    first = family.fit(x[:900], y[:900], 3).predict(x[900:])
    assert np.array_equal(first, family.fit(x[:900], y[:900], 3).predict(x[900:]))
    assert np.mean((first - y[900:]) ** 2) < 0.3 * y[900:].var()


# -- Gaussian processes -------------------------------------------------------------------------


def test_a_process_is_its_closed_form() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40, 2)).astype(np.float32)
    y = np.sin(x[:, 0].astype(np.float64))
    model = GaussianProcess("x", learned_on=40, steps=10).fit(x, y, 0)
    kernel, points = model.kernel, model.points
    covariance = kernel(points, points) + np.diag(kernel.noise(np.ones(40, int)))
    z = (np.array([y[np.flatnonzero((x == point).all(axis=1))[0]] for point in points]) - y.mean()) / y.std()
    asked = rng.normal(size=(7, 2)).astype(np.float32)
    by_hand = y.mean() + y.std() * kernel(asked.astype(float), points) @ np.linalg.inv(covariance) @ z
    assert np.allclose(model.predict(asked), by_hand, atol=1e-8)


def test_the_gradient_of_the_likelihood() -> None:
    rng = np.random.default_rng(2)
    x, z, counts = rng.normal(size=(30, 3)), rng.normal(size=30), rng.integers(1, 9, 30)
    at = rng.normal(-1, 0.5, 7)
    value, gradient = gp.loss(at, x, z, counts)
    assert np.isfinite(value)
    for number in range(7):
        step = np.zeros(7)
        step[number] = 1e-6
        slope = (gp.loss(at + step, x, z, counts)[0] - gp.loss(at - step, x, z, counts)[0]) / 2e-6
        assert gradient[number] == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_far_from_the_data_a_process_is_unsure() -> None:
    rng = np.random.default_rng(3)
    x = rng.uniform(-1, 1, (200, 1)).astype(np.float32)
    model = GaussianProcess("x", learned_on=100, steps=20).fit(x, np.sin(3 * x[:, 0].astype(float)), 0)
    near, far = model.std(np.array([[0.0], [30.0]], np.float32))
    assert far > 3 * near


def test_rows_of_one_point_are_one_mean() -> None:
    x = np.repeat(np.arange(5, dtype=np.float32)[:, None], 4, axis=0)
    y = np.tile([0.0, 1.0, 2.0, 3.0], 5) + np.repeat(np.arange(5.0), 4)
    assert len(GaussianProcess("x", learned_on=5, steps=5).fit(x, y, 0).points) == 5


# -- nested selection ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Spy:
    """Remembers the rows that it was fitted to; answers with what its only feature says."""

    name: str
    sign: float
    features: str = "x"
    seen: list[set[int]] = field(default_factory=list)

    def fit(self, x: np.ndarray[Any, Any], y: np.ndarray[Any, Any], seed: int) -> Any:
        self.seen.append({int(row) for row in x[:, 0]})
        return self

    def predict(self, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return self.sign * x[:, 1].astype(np.float64)


def test_what_is_held_out_is_never_seen() -> None:
    n = 500
    rng = np.random.default_rng(4)
    classes = rng.integers(0, 100, n)
    folds = (classes % 5).astype(np.int8)
    rows = rng.random(n) < 0.9
    signal = rng.normal(size=n)
    target = np.where(rows, signal, np.nan)
    right, wrong = Spy("right", 1.0), Spy("wrong", -1.0)
    x = {"x": np.stack([np.arange(n), signal], axis=1).astype(np.float32)}
    found = nested.out_of_fold((wrong, right), x, target, rows, folds, classes)
    assert (found.shares[:, 1] > 0.8).all()
    assert np.corrcoef(found.predicted, signal)[0, 1] > 0.99
    # Two fits a fold: to the inner part, and to all that may be learned from.
    for fold in range(5):
        allowed = set(np.flatnonzero(rows & (folds != fold)).tolist())
        inner, outer = right.seen[2 * fold], right.seen[2 * fold + 1]
        assert outer == allowed
        assert inner < allowed
        assert not set(classes[list(inner)]) & set(classes[list(allowed - inner)])


def test_a_class_in_two_folds_would_be_noticed() -> None:
    """The same check fails where folds cut through classes."""
    classes = np.repeat(np.arange(50), 4)
    folds = np.tile(np.arange(4), 50).astype(np.int8)
    assert any(set(classes[folds == f]) & set(classes[folds != f]) for f in range(4))
    given = nasbench201.problem()
    for fold in range(5):
        assert not set(given.classes[given.folds == fold]) & set(given.classes[given.folds != fold])


def test_one_candidate_needs_no_choice() -> None:
    spy = Spy("one", 1.0)
    x = {"x": np.zeros((20, 2), np.float32)}
    folds = (np.arange(20) % 5).astype(np.int8)
    found = nested.out_of_fold((spy,), x, np.arange(20.0), np.ones(20, bool), folds, np.arange(20))
    assert found.shares.tolist() == [[1.0]] * 5
    assert len(spy.seen) == 5


def test_shares_add_up() -> None:
    tried = nested.blends(3)
    assert len(tried) == 66
    assert np.allclose([share.sum() for share in tried], 1)


# -- curves, catalogue, features ----------------------------------------------------------------


def test_curves_are_judged_on_other_classes() -> None:
    classes = np.repeat(np.arange(200), 2)
    values = np.arange(400.0)
    sizes = []

    def fit_predict(learned: np.ndarray[Any, Any], asked: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        assert not set(classes[learned]) & set(classes[asked])
        sizes.append(len(learned))
        return values[asked]

    found = curves.learning_curve(fit_predict, values, classes, "latency", (10, 100, 300, 1000))
    assert sizes == [10, 100, 300]
    assert [point["learned_from"] for point in found] == sizes
    assert found[0]["kendall"] == 1


def test_every_shipped_column_has_a_rule_and_every_rule_a_column() -> None:
    cards = json.loads((PACKAGE_DATA / "scorecards.json").read_text("utf-8"))["columns"]
    used = set()
    for name, card in cards.items():
        if card["space"] == "nasbench201":
            text = name.split("/", 1)[1]
            rule = next(rule for rule in catalog.RULES if catalog.fnmatchcase(text, rule.pattern))
            used.add(rule.pattern)
    assert used >= {rule.pattern for rule in catalog.RULES if "help" in rule.pattern or "robot" in rule.pattern}


def test_features_of_a_class_are_equal() -> None:
    given = nasbench201.problem()
    x = given.features["class"]
    assert np.isfinite(x).all()
    _, first = np.unique(given.classes, return_index=True)
    assert np.array_equal(x, x[first][given.classes])
    # Counts of paths do not tell every function from every other one: 54 share their features with another.
    assert len(np.unique(x[first], axis=0)) == 4876


def test_live_operators_know_no_dead_edge() -> None:
    given = nasbench201.problem()
    hot = features.live_operators(given.space).reshape(-1, 6, 5)
    assert (hot.sum(axis=2) == 1).all()
    disconnected = hot[~given.connected]
    assert (disconnected[:, :, 0] == 1).all()


def test_ridge_shrinks() -> None:
    x, y = cells(np.random.default_rng(5), 300)
    weak, strong = (np.abs(Ridge(p).fit(x, y, 0).weights).sum() for p in (0.1, 1000.0))
    assert strong < weak / 2
