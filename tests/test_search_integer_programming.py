"""Costs of choices, limits known beforehand, and integer programming over both."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from own_searchers import Within
from scipy.stats import wilcoxon

import hwnasbench
from hwnasbench import search
from hwnasbench.errors import InvalidRequest, NoColumn, UnknownName
from hwnasbench.search import Problem
from hwnasbench.search.choice_costs import ChoiceCosts, choice_costs, one_hot, read, split
from hwnasbench.search.integer_programming import IntegerProgramming, _Program
from hwnasbench.search.limits import CostLimit, Limits
from hwnasbench.search.objectives import Constrained, Metric
from hwnasbench.search.score_surrogate import ridge

CHOICES = (3, 4, 2, 1, 3)


@pytest.fixture(scope="module")
def fbnet():
    return Problem(
        hwnasbench.load("fbnet", data="shipped"), Constrained(Metric(), {"latency": 16.0}), "pixel3", split="test"
    )


@pytest.fixture(scope="module")
def cells():
    """NAS-Bench-201 without a limit."""
    return Problem(hwnasbench.load("nasbench201", data="shipped"), Metric(), "pixel3")


# -- what choices cost ------------------------------------------------------------------------


def test_a_look_up_table_is_the_benchmarks_own(fbnet):
    table = choice_costs(fbnet, "latency")
    assert table.exact
    assert table.mape < 1e-9
    assert [len(costs) for costs in table.costs] == list(fbnet.choices)
    drawn = fbnet.space.sample_many(np.random.default_rng(5), 50)
    expected = fbnet.bench.query_many(drawn, "pixel3", metrics=("latency",))["latency"]
    np.testing.assert_allclose(table.predict(drawn), expected, rtol=1e-9)


def test_a_table_of_logarithms_says_so(fbnet):
    assert choice_costs(fbnet, "latency").link == "identity"
    table = choice_costs(fbnet, "latency@pixel2")
    assert (table.link, table.exact) == ("exp", True)
    drawn = fbnet.space.sample_many(np.random.default_rng(5), 50)
    expected = fbnet.bench.query_many(drawn, "pixel2", metrics=("latency",))["latency"]
    np.testing.assert_allclose(table.predict(drawn), expected, rtol=1e-9)


def test_a_sum_is_recovered_by_a_fit(cells):
    """What eyeriss takes is a sum over the operators of a cell."""
    table = choice_costs(cells, "latency@eyeriss")
    assert not table.exact
    assert table.mape < 1e-5
    assert all(costs.min() == 0 for costs in table.costs)
    everything = cells.space.all_vectors()
    truth = cells.bench.column("latency", "eyeriss")
    known = np.isfinite(truth)
    np.testing.assert_allclose(table.predict(everything)[known], truth[known], rtol=1e-4)


def test_a_fit_records_how_wrong_it_is(cells):
    """Latency on pixel3 is no sum: dead edges cost nothing. The held-out error is the error over all cells."""
    table = choice_costs(cells, "latency")
    truth = cells.bench.column("latency", "pixel3")
    known = np.isfinite(truth)
    error = np.abs(table.predict(cells.space.all_vectors()) - truth)[known] / truth[known]
    assert table.samples > 200
    assert 0.05 < table.mape < 0.3
    # Of the mean of so many errors, three standard errors.
    assert abs(table.mape - error.mean()) < 3 * error.std() / table.samples**0.5


def test_choices_that_were_not_measured_have_no_cost():
    problem = Problem(hwnasbench.load("mobilenetv2", data="shipped"), Metric("latency"), "epyc_zen4")
    table = choice_costs(problem, "latency")
    known = np.concatenate(table.known())
    assert 0 < known.sum() < len(known)
    drawn = problem.space.sample_many(np.random.default_rng(1), 200)
    np.testing.assert_array_equal(np.isfinite(table.predict(drawn)), np.isfinite(read(problem, "latency", drawn)))


def test_a_table_is_made_once_for_a_problem(fbnet):
    assert choice_costs(fbnet, "latency") is choice_costs(fbnet, "latency")
    assert choice_costs(fbnet, "latency@raspi4") is not choice_costs(fbnet, "latency")


@pytest.mark.parametrize("metric", ["accuracy", "train_time"])
def test_what_comes_of_training_is_no_cost(cells, metric):
    with pytest.raises(InvalidRequest, match=f"{metric} is no cost"):
        choice_costs(cells, metric)


def test_a_metric_that_nobody_knows(cells):
    with pytest.raises(UnknownName, match="latency"):
        choice_costs(cells, "latncy")
    with pytest.raises(NoColumn):
        choice_costs(cells, "dsp@raspi4")


# -- limits -----------------------------------------------------------------------------------


def test_limits_are_those_of_all_that_is_constrained_and_never_on_accuracy(cells):
    inner = Constrained(Metric(), {"latency": 12.0, "accuracy": 50.0})
    problem = Problem(cells.bench, Constrained(inner, {"latency": 10.0, "params": 1e6}), "pixel3")
    limits = Limits(problem)
    assert {limit.name: limit.limit for limit in limits.limits} == {"latency": 10.0, "params": 1e6}
    rows = [tuple(row) for row in cells.space.all_vectors()[:2000].tolist()]
    frame = cells.bench.query_many(np.array(rows), "pixel3", metrics=("latency", "params"))
    expected = (frame["latency"] <= 10.0) & (frame["params"] <= 1e6)
    assert limits.keeps(rows) == expected.tolist()
    assert 0 < expected.sum() < 2000


def test_where_more_is_better_a_limit_is_the_least(cells):
    problem = Problem(cells.bench, Constrained(Metric(), {"utilisation@eyeriss": 0.5}), "pixel3")
    limit = Limits(problem).limits[0]
    assert limit.sign == -1
    assert limit.kept(np.array([0.4, 0.6, np.nan])).tolist() == [False, True, False]


def test_draws_keep_a_limit_that_one_in_a_thousand_keeps(fbnet):
    tight = Problem(fbnet.bench, Constrained(Metric(), {"latency": 9.5}), "pixel3", split="test")
    values = read(tight, "latency", tight.space.sample_many(np.random.default_rng(0), 10_000))
    assert (values <= 9.5).sum() < 10
    drawn = Limits(tight).draw(20, {}, np.random.default_rng(0))
    assert len(set(drawn)) == 20
    assert (read(tight, "latency", drawn) <= 9.5).all()


# -- gains ------------------------------------------------------------------------------------


def test_gains_of_scores_that_are_a_sum_are_found():
    rng = np.random.default_rng(0)
    truth = [rng.normal(size=n) for n in CHOICES]
    vectors = rng.integers(0, CHOICES, size=(60, len(CHOICES))).astype(np.int8)
    scores = 70 + sum(gain[vectors[:, p]] for p, gain in enumerate(truth))
    base, found, _ = ridge(CHOICES, vectors, scores)
    told = base + sum(gain[vectors[:, p]] for p, gain in enumerate(found))
    np.testing.assert_allclose(told, scores, atol=0.01)
    for ours, theirs in zip(found, truth, strict=True):
        np.testing.assert_allclose(ours - ours.mean(), theirs - theirs.mean(), atol=0.01)


def test_noise_makes_gains_smaller_and_what_was_never_seen_gains_nothing():
    rng = np.random.default_rng(0)
    vectors = rng.integers(0, (3, 3, 2, 1, 3), size=(40, len(CHOICES))).astype(np.int8)
    noise = rng.normal(size=40)
    _, found, _ = ridge(CHOICES, vectors, noise)
    features = np.hstack([np.ones((40, 1)), one_hot(CHOICES, vectors)])
    least_squares = split(CHOICES, np.linalg.lstsq(features, noise, rcond=None)[0][1:])
    assert found[1][3] == pytest.approx(0, abs=1e-12)
    assert sum(np.ptp(gain) for gain in found) < 0.5 * sum(np.ptp(gain) for gain in least_squares)


# -- the program ------------------------------------------------------------------------------


def ranked(found, costs, limit):
    """Return every vector within the limit, the largest gain first."""
    kept = []
    for vector in itertools.product(*map(range, CHOICES)):
        cost = sum(part[choice] for part, choice in zip(costs, vector, strict=True))
        if cost <= limit:
            kept.append((sum(part[choice] for part, choice in zip(found, vector, strict=True)), vector))
    return [vector for _, vector in sorted(kept, reverse=True)]


@pytest.mark.parametrize("link", ["identity", "exp"])
@pytest.mark.parametrize("seed", range(3))
def test_solutions_come_in_the_order_of_their_gains_and_all_of_them(seed, link):
    rng = np.random.default_rng(seed)
    values, costs = ([rng.normal(size=n) for n in CHOICES] for _ in range(2))
    expected = ranked(values, costs, 0.3)
    table = ChoiceCosts("latency", 2.0, tuple(costs), link, True, 0.0, 1)
    limit = 2.3 if link == "identity" else float(np.exp(2.3))
    limits = SimpleNamespace(limits=[CostLimit("latency", limit, table)])
    program, found = _Program(CHOICES), []
    while (solution := program.solve(values, limits)) is not None:
        found.append(solution)
        program.exclude(solution)
    assert 5 < len(expected) < np.prod(CHOICES)
    assert found == expected


def test_a_choice_without_a_cost_is_never_chosen():
    values = [np.arange(n, dtype=float) for n in CHOICES]
    costs = [np.zeros(n) for n in CHOICES]
    costs[1][3] = np.nan
    limits = SimpleNamespace(limits=[CostLimit("latency", 1.0, ChoiceCosts("latency", 0.0, tuple(costs), "identity", True, 0.0, 1))])  # fmt: skip  # noqa: E501
    assert _Program(CHOICES).solve(values, limits) == (2, 2, 1, 0, 2)


def test_without_limits_the_largest_gains_are_taken():
    values = [np.arange(n, dtype=float) for n in CHOICES]
    assert _Program(CHOICES).solve(values, SimpleNamespace(limits=[])) == (2, 3, 1, 0, 2)


# -- the search -------------------------------------------------------------------------------


def test_a_search_asks_for_each_feasible_architecture_once_and_ends(cells):
    latency = cells.bench.column("latency", "pixel3")
    limit = float(np.sort(latency[np.isfinite(latency)])[40])
    problem = Problem(cells.bench, Constrained(Metric(), {"latency": limit}), "pixel3")
    feasible = {tuple(v) for v in cells.space.all_vectors()[latency <= limit].tolist()}
    run = search.run("integer_programming", problem, queries=200, seed=0)
    asked = list(map(tuple, run.vectors.tolist()))
    assert len(asked) == len(set(asked))
    assert set(asked) <= feasible
    assert len(asked) > 0.8 * len(feasible)


def test_nothing_beyond_the_limit_is_asked_for_though_the_table_is_wrong(cells):
    problem = Problem(cells.bench, Constrained(Metric(), {"latency": 10.0}), "pixel3")
    assert choice_costs(problem, "latency").mape > 0.05
    run = search.run("integer_programming", problem, queries=60, seed=1)
    assert np.isfinite(run.scores).all()


def test_gains_of_a_search_are_there_to_be_looked_at(fbnet):
    searcher = IntegerProgramming(fbnet, 0)
    assert searcher.gains == []
    drawn = searcher.ask(20)
    assert len(drawn) == 20
    searcher.tell(drawn, fbnet.scores(drawn))
    assert len(searcher.ask(3)) == 3
    assert [len(gain) for gain in searcher.gains] == list(fbnet.choices)


def test_draws_of_gains_spread_where_little_was_seen():
    """About the fitted gains; as far as the prior lets them where a choice was never seen."""
    rng = np.random.default_rng(0)
    vectors = rng.integers(0, (3, 3), size=(40, 2)).astype(np.int8)
    vectors[vectors[:, 1] == 2, 1] = 0
    scores = vectors[:, 0] + rng.normal(size=40)
    found = ridge((3, 3), vectors, scores)
    drawn = np.array([np.concatenate(found.draw(rng)) for _ in range(4000)])
    spread = drawn.std(axis=0)
    np.testing.assert_allclose(drawn.mean(axis=0), np.concatenate(found.gains), atol=4 * spread.max() / np.sqrt(4000))
    assert spread[:5].max() < spread[5]
    np.testing.assert_array_equal(
        np.concatenate(found.draw(np.random.default_rng(1))), np.concatenate(found.draw(np.random.default_rng(1)))
    )


@pytest.mark.parametrize("setting", [{"warmup": 0}, {"batch": 1.5}])
def test_settings_out_of_range(fbnet, setting):
    with pytest.raises(InvalidRequest, match=f"integer_programming: {next(iter(setting))}="):
        search.run("integer_programming", fbnet, queries=10, **setting)


def test_it_beats_random_search_that_knows_the_limit_too(fbnet):
    """HAO's paper compares with other searches than random; so this is ours to claim."""
    ours, chance = (
        fbnet.report([search.run(kind, fbnet, queries=60, seed=seed).best for seed in range(30)])["score"]
        for kind in ("integer_programming", Within)
    )
    assert wilcoxon(ours, chance, alternative="greater").pvalue < 0.01
