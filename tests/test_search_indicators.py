"""Regret and the indicators of fronts, against values computed by hand and by brute force."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import hwnasbench
from hwnasbench import search
from hwnasbench.errors import InvalidRequest, MissingExtra, NotEnumerable
from hwnasbench.search.indicators import ExactFront, fronts, hypervolume_curve, regret
from hwnasbench.search.objectives import Constrained, Front, Function, Metric


def known(scores: Any, seen: Any = None) -> Any:
    """Return a problem of a handful of architectures whose scores are these."""
    scores = np.array(scores, np.float64)
    space = SimpleNamespace(
        name="few", enumerable=True, all_vectors=lambda: np.arange(len(scores), dtype=np.int8)[:, None]
    )

    def report(vectors: Any) -> dict[str, Any]:
        return {"score": scores if vectors is None else scores[np.asarray(vectors)[:, 0]]}

    many = scores.ndim > 1
    count = scores.shape[1] if many else 1
    return SimpleNamespace(
        space=space, many=many, report=report, objective=SimpleNamespace(count=count), best=np.array([scores.max()])
    )


def run_over(problem: Any, rows: list[int], told: Any) -> search.Run:
    vectors = np.array(rows, np.int8)[:, None]
    return search.Run(problem, "by hand", 0, vectors, np.array(told, np.float64), np.zeros(len(rows), np.int8), None)


#: A front of three, from (10, 0) to (0, 20), and one that is beaten.
FOUR = [(10, 0), (0, 20), (5, 15), (4, 14)]


@pytest.fixture(scope="module")
def bench():
    return hwnasbench.load("nasbench201", data="shipped")


def test_a_front_by_hand():
    """Scaled costs are (0, 1), (1, 0), (.5, .25): with the reference at 1.1 three rectangles."""
    exact = ExactFront(known(FOUR))
    assert exact.scores.tolist() == [[10, 0], [0, 20], [5, 15]]
    assert exact.vectors.tolist() == [[0], [1], [2]]
    whole = 0.5 * 0.1 + 0.5 * 0.85 + 0.1 * 1.1
    found = exact.indicators(exact.scores)
    assert found == pytest.approx((whole, 1, 0, 0))
    # (4, 14) is (.6, .3) scaled. From it (0, 1) is .6 away, as it is better in the other; (1, 0) is .3, (.5, .25) is
    # sqrt(.1^2 + .05^2); .6 is also what must be taken off to reach all.
    one = exact.indicators(np.array([[4.0, 14.0]]))
    assert one.hypervolume == pytest.approx(0.5 * 0.8)
    assert one.hypervolume_share == pytest.approx(0.4 / whole)
    assert one.igd_plus == pytest.approx((0.6 + 0.3 + 0.0125**0.5) / 3)
    assert one.epsilon == pytest.approx(0.6)


def test_nothing_feasible_is_no_front():
    exact = ExactFront(known(FOUR))
    nothing = np.full((2, 2), -np.inf)
    assert exact.indicators(nothing) == (0, 0, np.inf, np.inf)
    assert exact.share(nothing) == 0
    some = np.array([[5.0, 15.0], [-np.inf, -np.inf]])
    assert exact.indicators(some) == exact.indicators(some[:1])


def test_an_objective_that_does_not_spread_is_not_divided():
    exact = ExactFront(known([(3, 7), (2, 6)]))
    assert exact.indicators(np.array([[3.0, 7.0]])) == pytest.approx((1.1**2, 1, 0, 0))
    assert exact.indicators(np.array([[2.5, 7.0]])).epsilon == pytest.approx(0.5)


@given(arrays(np.float64, (4, 2), elements=st.integers(0, 20)), arrays(np.float64, 2, elements=st.integers(0, 20)))
def test_one_more_architecture_never_harms(scores, another):
    exact = ExactFront(known(FOUR))
    before, after = exact.indicators(scores), exact.indicators(np.vstack([scores, another]))
    assert after.hypervolume >= before.hypervolume - 1e-12
    assert after.igd_plus <= before.igd_plus + 1e-12
    assert after.epsilon <= before.epsilon + 1e-12


def test_three_objectives_by_brute_force(bench):
    """IGD+ by its definition, epsilon by its, the volume by counting points of a grid."""
    problem = search.Problem(bench, Front("accuracy", "latency", "energy"), "eyeriss")
    exact = ExactFront(problem)
    whole = problem.report(None)["score"]
    np.testing.assert_array_equal(whole[bench.space.indices(exact.vectors)], exact.scores)
    scores = problem.report(bench.space.sample_many(np.random.default_rng(0), 40))["score"]
    scores = scores[np.isfinite(scores).all(axis=1)]
    ideal, nadir = exact.scores.max(axis=0), exact.scores.min(axis=0)
    front, costs = (ideal - exact.scores) / (ideal - nadir), (ideal - scores) / (ideal - nadir)
    found = exact.indicators(scores)
    worse = costs[None] - front[:, None]
    assert found.igd_plus == pytest.approx(np.sqrt((np.maximum(worse, 0) ** 2).sum(axis=2)).min(axis=1).mean())
    assert found.epsilon == pytest.approx(worse.max(axis=2).min(axis=1).max())
    points = np.random.default_rng(1).uniform(0, 1.1, (20_000, 3))
    inside = np.zeros(len(points), bool)
    for cost in costs:
        inside |= (points >= cost).all(axis=1)
    share = inside.mean()
    # Four standard errors of the share of points that a volume holds.
    assert found.hypervolume == pytest.approx(
        share * 1.1**3, abs=4 * 1.1**3 * np.sqrt(share * (1 - share) / len(points))
    )


def test_the_front_of_a_problem_is_that_of_the_benchmark(bench):
    exact = ExactFront(search.Problem(bench, Front("accuracy", "latency"), "pixel3", split="test"))
    frame = bench.pareto(["accuracy", "latency"], "pixel3", split="test")
    assert sorted(frame["arch_index"]) == bench.space.indices(exact.vectors).tolist()


def test_regret_by_hand():
    """The search takes 0 for infeasible, then 1, then 2, which the report has for worse, then 3."""
    problem = known([70, 80, 75, 90])
    run = run_over(problem, [0, 1, 0, 2, 3], [-np.inf, 60, -np.inf, 65, 68])
    assert regret(run).tolist() == [np.inf, 10, 10, 15, 0]


def test_regret_of_a_search(bench):
    capped = Constrained(Metric("accuracy"), {"latency": 5.0})
    problem = search.Problem(bench, capped, "pixel3")
    run = search.run("random", problem, queries=300, seed=3)
    found = regret(run)
    assert found.shape == (300,)
    first = int(np.flatnonzero(np.isfinite(run.scores))[0])
    assert np.isinf(found[:first]).all()
    assert (found[first:] >= 0).all()
    best = bench.query(list(run.best), metrics=("accuracy",), split="test").accuracy
    latency = bench.column("latency", "pixel3")
    most = np.nanmax(np.where(latency <= 5.0, bench.column("accuracy", split="test"), np.nan))
    assert found[-1] == pytest.approx(most - best)


def test_regret_is_of_what_is_reported_and_not_of_what_is_seen(bench):
    """The best by validation is found at once: there is no more to see, and still the regret is not 0."""
    problem = search.Problem(bench, Metric("accuracy"))
    seen = problem.values(None)["accuracy"]

    class Knows(search.Searcher):
        name = "knows"

        def ask(self, n):
            return [tuple(self.problem.space.all_vectors()[np.nanargmax(seen)].tolist())]

    found = regret(search.run(Knows, problem, queries=1))
    reported = bench.column("accuracy", split="test")
    assert found[0] == pytest.approx(np.nanmax(reported) - reported[np.nanargmax(seen)])
    assert found[0] > 0


def test_the_curve_is_of_the_front_that_the_search_would_return():
    """What it saw of 2 and 3 is the other way round in the report: the volume falls when it changes its mind."""
    problem = known(FOUR)
    run = run_over(problem, [3, 3, 2, 0, 1], [(4, 16), (4, 16), (-np.inf, -np.inf), (10, 1), (3, 15)])
    exact = ExactFront(problem)
    curve = hypervolume_curve(run)
    first = exact.share(np.array([[4.0, 14.0]]))
    both = exact.share(np.array([[4.0, 14.0], [10.0, 0.0]]))
    assert curve.tolist() == pytest.approx([first, first, first, both, both])
    falling = run_over(problem, [2, 3], [(4, 15), (5, 16)])
    assert hypervolume_curve(falling, exact).tolist() == pytest.approx([exact.share(np.array([[5.0, 15.0]])), first])


def test_fronts_are_those_of_a_run(bench):
    problem = search.Problem(bench, Front("accuracy", "latency"), "pixel3")
    run = search.run("random", problem, queries=400, seed=1)
    changes = fronts(run)
    assert sorted(changes[-1][1]) == run.front().tolist()
    rows = [row for row, _ in changes]
    assert rows == sorted(set(rows))
    assert all(row in front for row, front in changes)


def test_everything_reaches_all_of_the_volume(bench):
    problem = search.Problem(bench, Front("accuracy", "latency"), "pixel3", split="test")
    every = search.Run(
        problem, "all", 0, bench.space.all_vectors(), problem.report(None)["score"], np.zeros(15625, np.int8), None
    )
    curve = hypervolume_curve(every)
    assert curve[-1] == pytest.approx(1)
    assert (np.diff(curve) >= -1e-12).all()


def test_what_is_not_known_is_said(bench, monkeypatch):
    one, two = search.Problem(bench, Metric()), search.Problem(bench, Front("accuracy", "params"))
    with pytest.raises(InvalidRequest, match="one score"):
        ExactFront(one)
    with pytest.raises(InvalidRequest, match="see front"):
        regret(search.run("random", two, queries=2))
    large = search.Problem(hwnasbench.load("fbnet", data="shipped"), Front("accuracy", "macs"), split="test")
    with pytest.raises(NotEnumerable, match="fbnet"):
        ExactFront(large)
    with pytest.raises(NotEnumerable, match="best of fbnet"):
        regret(search.run("random", search.Problem(large.bench, Metric("macs")), queries=2))
    with pytest.raises(InvalidRequest, match="no front"):
        ExactFront(known([(-np.inf, -np.inf)]))
    with pytest.raises(InvalidRequest, match="no best"):
        regret(run_over(known([-np.inf]), [0], [1.0]))
    monkeypatch.setitem(sys.modules, "pymoo.indicators.hv", None)
    with pytest.raises(MissingExtra, match=r"hwnasbench\[search\]"):
        ExactFront(two)


def test_a_front_of_a_function_has_indicators_too(bench):
    both = Function(lambda found: (found.accuracy, -found.latency * found.energy), ["accuracy", "latency", "energy"], 2)
    problem = search.Problem(bench, both, "eyeriss")
    curve = hypervolume_curve(search.run("random", problem, queries=50, seed=0))
    assert 0 < curve[-1] < 1
