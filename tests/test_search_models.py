"""Searchers that go by a model of what they were told, and those that train shortly first."""

from __future__ import annotations

import sys
from statistics import NormalDist

import numpy as np
import pytest
from scipy.stats import binomtest, wilcoxon

import hwnasbench
from hwnasbench import search
from hwnasbench.errors import InvalidRequest, MissingExtra
from hwnasbench.search import Problem
from hwnasbench.search.bayesian_gp import _kept, normal_scores
from hwnasbench.search.objectives import Constrained, Metric
from hwnasbench.search.pool import Pool, one_hot, standard

# What botorch imports uses what PyTorch means to drop.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")

MODELS = ("bayesian_gp", "bayesian_tree", "predictor_guided", "tpe")
HALVINGS = ("successive_halving", "hyperband")
SEEDS = range(30)


@pytest.fixture(scope="module")
def nasbench201():
    return hwnasbench.load("nasbench201", data="shipped")


@pytest.fixture(scope="module")
def free(nasbench201):
    return Problem(nasbench201, Metric("accuracy"))


@pytest.fixture(scope="module")
def fbnet():
    return Problem(hwnasbench.load("fbnet", data="shipped"), Metric("accuracy"), split="test")


def within(nasbench201, limit):
    return Problem(nasbench201, Constrained(Metric("accuracy"), {"latency": limit}), "pixel3")


# -- candidates, and what a model sees --------------------------------------------------------


def pool_of(problem, seed=0):
    return Pool(search.get("random")(problem, seed))


def test_what_is_drawn_was_not_evaluated_and_comes_once(free):
    pool = pool_of(free)
    first = pool.drawn(500)
    pool.take(first, free.scores(first))
    second = pool.drawn(500)
    assert len({*first, *second}) == 1000


def test_of_a_space_that_is_nearly_known_the_rest_is_drawn(free):
    pool = pool_of(free)
    every = pool.whole()
    pool.take(every[3:], free.scores(every[3:]))
    assert sorted(pool.drawn(10)) == sorted(every[:3])
    pool.take(every[:3], free.scores(every[:3]))
    assert pool.drawn(10) == []
    assert pool.candidates(50, 5, 50) == []


def test_candidates_are_near_the_best_and_anywhere(free):
    pool = pool_of(free)
    known = pool.drawn(100)
    pool.take(known, free.scores(known))
    best = pool.best(5)
    assert free.scores(best) == sorted(free.scores(known), reverse=True)[:5]
    mutants = pool.candidates(60, 5, 0)
    distances = [min(np.sum(np.not_equal(m, b)) for b in best) for m in mutants]
    assert set(distances) <= {1, 2}
    assert {1, 2} <= set(distances)
    assert len(pool.candidates(60, 5, 40)) >= len(mutants)


def test_mutants_keep_the_rules_of_a_space():
    space = hwnasbench.load("darts", data="shipped")
    problem = Problem(space, Metric("params"))
    pool = pool_of(problem)
    known = pool.drawn(20)
    pool.take(known, problem.scores(known))
    for candidate in pool.candidates(100, 5, 20):
        assert problem.space.parse(list(candidate)).vector == candidate


def test_a_model_sees_choices_and_the_graph(free, fbnet):
    vectors = [(0, 1, 2, 3, 4, 0), (4,) * 6]
    graphs = free.space.encode(np.array(vectors, np.int8), kind="graph")
    seen = pool_of(free).features(vectors)
    assert seen.shape == (2, 30 + graphs.shape[1])
    np.testing.assert_array_equal(seen[:, 30:], graphs)
    np.testing.assert_array_equal(seen[0, :10].reshape(2, 5), np.eye(5)[[0, 1]])
    some = pool_of(fbnet).drawn(3)
    assert len(pool_of(fbnet).features(some)) == 3


def test_positions_of_one_choice_are_not_seen():
    assert one_hot((1, 3, 1, 2), [(0, 2, 0, 1), (0, 0, 0, 0)]).tolist() == [[0, 0, 1, 0, 1], [1, 0, 0, 1, 0]]
    assert one_hot((1, 1), [(0, 0)]).shape == (1, 0)


def test_standard_scores_and_normal_scores():
    values = np.array([3.0, -1.0, 7.0, 3.0, 100.0])
    assert standard(values).mean() == pytest.approx(0)
    assert standard(values).std() == pytest.approx(1)
    assert standard(np.full(3, 2.0)).tolist() == [0, 0, 0]
    expected = [NormalDist().inv_cdf(share) for share in (0.4, 0.1, 0.7, 0.4, 0.9)]
    np.testing.assert_allclose(normal_scores(values), expected)


def test_a_gaussian_process_knows_the_best_and_the_latest():
    scores = np.concatenate([np.arange(500.0)[::-1], np.full(50, -np.inf)])
    kept = _kept(scores)
    assert set(range(100)) <= set(kept.tolist())
    assert set(range(450, 550)) <= set(kept.tolist())
    assert len(kept) == 200


# -- the searches -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_what_is_feasible_is_learned(name, nasbench201):
    """Of one in six that is, more are asked for than chance would."""
    problem = within(nasbench201, 5.0)
    feasible = np.isfinite(problem.scores(list(map(tuple, problem.space.all_vectors().tolist())))).mean()
    assert 0.1 < feasible < 0.2
    settings = {"batch": 10} if name == "bayesian_gp" else {}
    runs = [search.run(name, problem, queries=60, seed=seed, **settings) for seed in range(3)]
    found = np.concatenate([np.isfinite(run.scores[20:]) for run in runs])
    assert binomtest(int(found.sum()), len(found), feasible, alternative="greater").pvalue < 0.01


@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_evaluated_twice_unless_by_optuna(name, free):
    run = search.run(name, free, queries=60, seed=0)
    distinct = len({tuple(v) for v in run.vectors.tolist()})
    assert distinct == 60 if name != "tpe" else distinct > 30


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("bayesian_gp", {"first": 0}),
        ("bayesian_gp", {"batch": 1.5}),
        ("bayesian_tree", {"first": 0}),
        ("bayesian_tree", {"ensemble": True}),
        ("predictor_guided", {"rounds": 0}),
        ("predictor_guided", {"explore": 1.1}),
        ("successive_halving", {"eta": 1}),
        ("successive_halving", {"eta": "3"}),
        ("hyperband", {"eta": float("nan")}),
        ("hyperband", {"first": 0}),
    ],
)
def test_settings_out_of_range(name, setting, free):
    with pytest.raises(InvalidRequest, match=f"{name}: {next(iter(setting))}="):
        search.run(name, free, queries=10, **setting)


@pytest.mark.parametrize(
    ("name", "library", "extra"),
    [
        ("bayesian_gp", "botorch", "botorch"),
        ("bayesian_tree", "xgboost", "train"),
        ("predictor_guided", "torch", "torch"),
        ("tpe", "optuna", "search"),
    ],
)
def test_without_its_library_it_says_what_to_install(name, library, extra, free, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=rf"pip install 'hwnasbench\[{extra}\]'"):
        search.get(name)(free, 0)


@pytest.mark.parametrize("name", ["bayesian_tree", "predictor_guided", "tpe"])
def test_a_model_beats_random_search(name, free):
    """By test accuracy of what was chosen by validation accuracy, after 60 evaluations."""
    assert p_value(name, free, queries=60) < 0.01


def test_a_gaussian_process_beats_random_search(free):
    """With fewer fits than by default: they are what takes time."""
    assert p_value("bayesian_gp", free, {"batch": 10}, queries=40) < 0.01


def p_value(name, problem, settings=None, **budget):
    ours, chance = (
        problem.report([search.run(n, problem, seed=seed, **budget, **given).best for seed in SEEDS])["score"]
        for n, given in ((name, settings or {}), ("random", {}))
    )
    return wilcoxon(ours, chance, alternative="greater").pvalue


# -- short trainings first --------------------------------------------------------------------


@pytest.mark.parametrize("name", HALVINGS)
def test_short_trainings_first_beat_random_search_within_the_same_time(name, free):
    """NAS-Bench-201's own budget, 12,000 simulated seconds."""
    assert p_value(name, free, seconds=12_000.0) < 0.01


def rungs(run):
    """Split a run where the fidelity changes."""
    cuts = np.flatnonzero(np.diff(run.fidelities)) + 1
    return [(int(part[0]), rows) for part, rows in zip(
        np.split(run.fidelities, cuts), np.split(np.arange(len(run)), cuts), strict=True
    )]  # fmt: skip


@pytest.mark.parametrize("settings", [{}, {"eta": 4, "first": 20}])
def test_the_best_of_a_rung_go_on(settings, free):
    run = search.run("successive_halving", free, queries=200, seed=0, **settings)
    parts = rungs(run)
    eta = settings.get("eta", 200 / 12)
    assert [level for level, _ in parts[:6]] == [0, 1] * 3
    for (_, short), (_, long) in zip(parts[:-1:2], parts[1::2], strict=False):
        if long[-1] == len(run) - 1:
            break  # the budget may have cut it
        order = np.argsort(-run.scores[short], kind="stable")[: max(1, int(len(short) / eta))]
        assert run.vectors[long].tolist() == run.vectors[short][order].tolist()


def test_by_default_the_rungs_of_a_bracket_cost_about_the_same(free):
    run = search.run("successive_halving", free, seconds=200_000.0, seed=0)
    paid = np.diff(run.seconds, prepend=0.0)
    short, long = paid[run.fidelities == 0].sum(), paid[run.fidelities == 1].sum()
    assert 0.5 < short / long < 2


def test_hyperband_begins_at_each_fidelity_in_turn(free):
    searcher = search.get("hyperband")(free, 0)
    assert searcher.brackets() == [(0, 17), (1, 2)]
    assert search.get("hyperband")(free, 0, eta=3, first=9).brackets() == [(0, 9), (1, 6)]
    assert search.get("successive_halving")(free, 0).brackets() == [(0, 17)]


def test_what_is_infeasible_does_not_go_on(nasbench201):
    problem = within(nasbench201, 5.0)
    run = search.run("successive_halving", problem, queries=300, seed=0)
    assert (run.fidelities == 1).sum() > 5
    assert np.isfinite(run.scores[run.fidelities == 1]).all()
    assert not np.isfinite(run.scores[run.fidelities == 0]).all()
