"""Problems, budgets, runs and the loop: what a search is told, what it may spend, and what is refused."""

from __future__ import annotations

import random
import re
from types import SimpleNamespace

import numpy as np
import pytest

import hwnasbench
from hwnasbench import search, spaces
from hwnasbench.benchmark import Benchmark
from hwnasbench.errors import InvalidArchitecture, InvalidRequest, NoColumn, UnknownName
from hwnasbench.search import Budget, Problem, Run, Searcher
from hwnasbench.search.objectives import Constrained, Front, Metric
from hwnasbench.search.random import RandomSearch

INF = float("inf")


@pytest.fixture(scope="module")
def nasbench201() -> Benchmark:
    return hwnasbench.load("nasbench201", data="shipped")


@pytest.fixture(scope="module")
def fbnet() -> Benchmark:
    return hwnasbench.load("fbnet", data="shipped")


class Scripted(Searcher):
    """Asks for what it was given, one entry a time."""

    name = title = paper = "scripted"

    def __init__(self, problem, seed, *, script, fidelities=()):
        super().__init__(problem, seed)
        self.script, self.told, self.levels = list(script), [], list(fidelities)

    def ask(self, n):
        if self.levels:
            self.fidelity = self.levels.pop(0)
        return self.script.pop(0) if self.script else []

    def tell(self, vectors, scores):
        self.told.append((list(vectors), list(scores)))


@pytest.fixture
def asked(monkeypatch):
    """Record the rows and the keys of every batch of queries."""
    found = []
    original = Benchmark.query_many

    def query_many(self, archs, *args, **keys):
        found.append((len(archs), keys))
        return original(self, archs, *args, **keys)

    monkeypatch.setattr(Benchmark, "query_many", query_many)
    return found


# -- the wall ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("dataset", "epochs"), [("cifar10", 200), ("cifar100", 12), ("ImageNet16-120", 12)])
def test_a_search_is_told_validation_accuracy_and_its_report_has_test_accuracy(nasbench201, dataset, epochs):
    problem = Problem(nasbench201, Metric("accuracy"), dataset=dataset)
    everything = list(map(tuple, nasbench201.space.all_vectors().tolist()))
    seen = nasbench201.query_many(
        np.arange(15625), dataset=dataset, metrics=("accuracy",), split="valid", epochs=epochs
    )["accuracy"].to_numpy()
    test = nasbench201.query_many(np.arange(15625), dataset=dataset, metrics=("accuracy",), split="test")
    assert test.attrs["request"]["epochs"] == 200
    assert problem.fidelities[-1].epochs == epochs
    np.testing.assert_array_equal(problem.scores(everything), seen)
    np.testing.assert_array_equal(problem.report(None)["accuracy"], test["accuracy"])
    np.testing.assert_array_equal(problem.report(None)["score"], test["accuracy"])
    assert (np.abs(test["accuracy"] - seen) > 0.1).mean() > 0.9


def test_until_the_report_nothing_asks_for_test_accuracy(nasbench201, asked):
    problem = Problem(nasbench201, Constrained(Metric("accuracy"), {"latency": 10.0}), "pixel3")
    run = search.run("regularized_evolution", problem, queries=300)
    search.run("random", problem, seconds=1e5)
    splits = [keys.get("split") for _, keys in asked if "accuracy" in keys["metrics"]]
    assert splits
    assert set(splits) == {"valid"}
    asked.clear()
    problem.report([run.best])
    assert [keys["split"] for _, keys in asked if "accuracy" in keys["metrics"]] == ["test"]


def test_what_the_test_accuracy_is_changes_no_search(nasbench201, monkeypatch):
    objective = Constrained(Metric("accuracy"), {"latency": 10.0})
    before = search.run("regularized_evolution", Problem(nasbench201, objective, "pixel3"), queries=500, seed=3)
    original = Benchmark.query_many

    def poisoned(self, archs, *args, **keys):
        frame = original(self, archs, *args, **keys)
        if "accuracy" in keys["metrics"] and keys.get("split") != "valid":
            frame["accuracy"] = -frame["accuracy"]
        return frame

    monkeypatch.setattr(Benchmark, "query_many", poisoned)
    problem = Problem(nasbench201, objective, "pixel3")
    after = search.run("regularized_evolution", problem, queries=500, seed=3)
    assert before.vectors.tobytes() == after.vectors.tobytes()
    assert before.scores.tobytes() == after.scores.tobytes()
    assert problem.report([after.best])["score"][0] < 0


def test_accuracy_with_keys_of_its_own_is_behind_the_wall_too(nasbench201, asked):
    problem = Problem(nasbench201, Front("accuracy", "accuracy?recipe=standard"))
    problem.scores([(0,) * 6])
    assert {keys["split"] for _, keys in asked} == {"valid"}
    with pytest.raises(InvalidRequest, match="split is the problem's"):
        Metric("accuracy?split=test")


def test_a_space_without_validation_accuracy_says_so(fbnet):
    with pytest.raises(InvalidRequest, match="say split='test'"):
        Problem(fbnet, Metric("accuracy"))
    problem = Problem(fbnet, Metric("accuracy"), split="test")
    vector = (0,) * 22
    assert problem.scores([vector]) == problem.report([vector])["score"].tolist()


def test_the_length_of_training_may_be_chosen(nasbench201):
    problem = Problem(nasbench201, Metric("accuracy"), epochs=12)
    assert [level.epochs for level in problem.fidelities] == [12]
    known = nasbench201.query((1, 2, 3, 0, 1, 2), metrics=("accuracy",), split="valid", epochs=12).accuracy
    assert problem.scores([(1, 2, 3, 0, 1, 2)]) == [pytest.approx(known)]
    both = Problem(nasbench201, Metric("accuracy"))
    assert both.scores([(1, 2, 3, 0, 1, 2)], 0) == problem.scores([(1, 2, 3, 0, 1, 2)])
    assert both.scores([(1, 2, 3, 0, 1, 2)], 1) == both.scores([(1, 2, 3, 0, 1, 2)], -1)


# -- scores -----------------------------------------------------------------------------------


def test_what_breaks_a_limit_has_minus_infinity(nasbench201):
    problem = Problem(nasbench201, Constrained(Metric("accuracy"), {"latency": 10.0}), "pixel3")
    free = Problem(nasbench201, Metric("accuracy"))
    everything = list(map(tuple, nasbench201.space.all_vectors().tolist()))
    latency = nasbench201.query_many(np.arange(15625), "pixel3", metrics=("latency",))["latency"].to_numpy()
    expected = np.where(latency <= 10.0, free.scores(everything), -np.inf)
    np.testing.assert_array_equal(problem.scores(everything), expected)
    assert 0 < np.isfinite(expected).sum() < 15625


def test_scores_of_a_front_are_tuples_with_infinity_everywhere_or_nowhere(nasbench201):
    problem = Problem(nasbench201, Constrained(Front("accuracy", "latency"), {"latency": 10.0}), "pixel3")
    scores = problem.scores(list(map(tuple, nasbench201.space.all_vectors().tolist())))
    assert {type(score) for score in scores} == {tuple}
    finite = np.isfinite(np.array(scores))
    assert (finite.all(axis=1) == finite.any(axis=1)).all()
    assert 0 < finite[:, 0].sum() < len(scores)


def test_a_space_without_end_is_asked_once_for_each_architecture(fbnet, asked):
    problem = Problem(fbnet, Metric("accuracy"), split="test")
    asked.clear()
    one, other = (0,) * 22, (1,) * 22
    first = problem.scores([one, other, one])
    assert [rows for rows, _ in asked] == [2]
    assert problem.scores([other, one]) == first[1::-1]
    assert len(asked) == 1
    problem.forget()
    assert problem.scores([one]) == pytest.approx(first[:1], rel=1e-6)
    assert len(asked) == 2


def test_random_search_asks_in_batches(fbnet, asked):
    problem = Problem(fbnet, Metric("accuracy"), split="test")
    asked.clear()
    assert len(search.run("random", problem, queries=2500)) == 2500
    assert [rows for rows, _ in asked] == [1000, 1000, 500]


def test_rules_of_a_space_are_kept_by_draws_and_neighbours():
    space = spaces.get("nasbench101")
    problem = Problem(hwnasbench.load("nasbench101", data="shipped"), Metric("params"))
    generator = random.Random(0)
    drawn = [problem.draw(generator) for _ in range(200)]
    for vector in drawn:
        assert space.parse(list(vector)).vector == vector
    near = problem.neighbours(drawn[0])
    assert near == [arch.vector for arch in space.neighbours(list(drawn[0]))]
    broken = (0,) * len(space.choices)
    with pytest.raises(InvalidArchitecture):
        space.parse(list(broken))
    told = problem.scores([broken, drawn[0]])
    assert told[0] == -INF
    assert np.isfinite(told[1])


# -- what is refused --------------------------------------------------------------------------


def test_a_limit_that_leaves_nothing_says_what_there_is(nasbench201):
    latency = nasbench201.query_many(np.arange(15625), "pixel3", metrics=("latency",))["latency"].to_numpy()
    text = (
        "no architecture of nasbench201 is feasible within latency 0.001; accuracy is "
        f".* to .*, latency is {np.nanmin(latency):g} to {np.nanmax(latency):g}"
    )
    with pytest.raises(InvalidRequest, match=text):
        Problem(nasbench201, Constrained(Metric("accuracy"), {"latency": 0.001}), "pixel3")
    with pytest.raises(InvalidRequest, match="within accuracy 99"):
        Problem(nasbench201, Constrained(Metric("latency"), {"accuracy": 99.0}), "pixel3")


@pytest.mark.parametrize(
    ("objective", "keys", "error", "text"),
    [
        ("accuracy", {}, InvalidRequest, "objective='accuracy'; expected one of hwnasbench.search.objectives"),
        (Metric("accuracy"), {"split": "train"}, InvalidRequest, "split='train'; expected 'valid' or 'test'"),
        (Metric("latency"), {"device": "pixel33"}, UnknownName, "did you mean 'pixel3'"),
        (Metric("accuracy"), {"dataset": "cifar11"}, UnknownName, "cifar10"),
        (Metric("accuracy"), {"epochs": 50}, NoColumn, "no column answers accuracy"),
        (Metric("area"), {"device": "pixel3"}, NoColumn, "no column answers area"),
    ],
)
def test_a_problem_that_cannot_be_is_refused(nasbench201, objective, keys, error, text):
    with pytest.raises(error, match=re.escape(text)):
        Problem(nasbench201, objective, **keys)


def test_an_unknown_metric_is_refused():
    with pytest.raises(UnknownName, match="did you mean 'accuracy'"):
        Metric("acuracy")


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({}, "a budget needs queries or seconds"),
        ({"queries": 0}, "queries=0; expected a finite number, more than 0"),
        ({"queries": -3}, "queries=-3"),
        ({"queries": 2.5}, "queries=2.5; expected an integer"),
        ({"queries": "10"}, "queries='10'"),
        ({"queries": True}, "queries=True"),
        ({"seconds": 0.0}, "seconds=0.0"),
        ({"seconds": -1}, "seconds=-1"),
        ({"seconds": float("nan")}, "seconds=nan"),
        ({"seconds": INF}, "seconds=inf"),
        ({"queries": 5, "seconds": 0}, "seconds=0"),
    ],
)
def test_a_budget_of_nothing_is_refused(nasbench201, keys, text):
    with pytest.raises(InvalidRequest, match=re.escape(text)):
        search.run("random", Problem(nasbench201, Metric("accuracy")), **keys)


def test_numbers_of_numpy_are_budgets(nasbench201):
    assert Budget(np.int64(5), np.float32(1.5)) == Budget(5, 1.5)
    assert len(search.run("random", Problem(nasbench201, Metric("accuracy")), queries=np.int64(5))) == 5


OUTSIDE = [
    ((0, 0, 0, 0, 0, 5), "decision 5 of .* is 5; expected an integer from 0 to 4"),
    ((0, 0, 0, 0, 0, -1), "decision 5 of .* is -1"),
    ((0, 0, 0), "has 3 decisions; 'nasbench201' takes 6"),
    ((0,) * 7, "has 7 decisions"),
    ((0, 0, 0, 0, 0, 0.5), "decision 5 of .* is 0.5"),
    ("abc", "'abc' is not an architecture of nasbench201: expected 6 integers"),
    (17, "17 is not an architecture of nasbench201: expected 6 integers"),
    (None, "None is not an architecture"),
]


@pytest.mark.parametrize("budget", [{"queries": 10}, {"seconds": 1e6}], ids=["queries", "seconds"])
@pytest.mark.parametrize(("vector", "text"), OUTSIDE, ids=lambda value: str(value)[:20])
def test_a_searcher_that_asks_outside_the_space_is_stopped(nasbench201, vector, text, budget):
    problem = Problem(nasbench201, Metric("accuracy"))
    with pytest.raises(InvalidArchitecture, match=text):
        search.run(Scripted, problem, script=[[(1,) * 6], [(2,) * 6, vector]], **budget)


@pytest.mark.parametrize("vector", [(9,) * 22, (0,) * 21, (-1,) * 22, "0" * 22])
def test_also_where_the_space_has_no_end(fbnet, vector):
    problem = Problem(fbnet, Metric("accuracy"), split="test")
    with pytest.raises(InvalidArchitecture):
        search.run(Scripted, problem, script=[[vector]], queries=3)


@pytest.mark.parametrize("array", [np.int8, np.int64])
def test_lists_and_arrays_of_decisions_are_taken(nasbench201, fbnet, array):
    for problem in (Problem(nasbench201, Metric("accuracy")), Problem(fbnet, Metric("accuracy"), split="test")):
        drawn = problem.space.sample_many(np.random.default_rng(0), 3)
        known = problem.scores(list(map(tuple, drawn.tolist())))
        for script in ([drawn.astype(array)], [drawn.tolist()], [[tuple(row) for row in drawn.astype(array)]]):
            run = search.run(Scripted, problem, queries=9, script=script)
            assert run.vectors.tolist() == drawn.tolist()
            assert run.scores.tolist() == known


def test_a_searcher_that_asks_for_too_many_is_stopped(nasbench201):
    problem = Problem(nasbench201, Metric("accuracy"))
    script = [[(0,) * 6] * 3, [(0,) * 6] * 3]
    with pytest.raises(InvalidRequest, match="scripted asks for 3 architectures; 2 are left"):
        search.run(Scripted, problem, queries=5, script=script)
    assert len(search.run(Scripted, problem, queries=6, script=script)) == 6


def test_a_searcher_that_has_nothing_more_to_ask_ends_its_run(nasbench201):
    problem = Problem(nasbench201, Metric("accuracy"))
    assert len(search.run(Scripted, problem, queries=50, script=[[(0,) * 6], [(1,) * 6]])) == 2
    with pytest.raises(InvalidRequest, match="scripted evaluated nothing: it asked for nothing"):
        search.run(Scripted, problem, queries=50, script=[])


def test_settings_and_names_that_are_not_there_are_refused(nasbench201):
    problem = Problem(nasbench201, Metric("accuracy"))
    with pytest.raises(UnknownName, match="setting of evolution 'popluation'; did you mean 'population'"):
        search.run("evolution", problem, queries=5, popluation=3)
    with pytest.raises(UnknownName, match="did you mean 'regularized_evolution'"):
        search.run("regularised_evolution", problem, queries=5)
    with pytest.raises(UnknownName, match="unknown searcher"):
        search.get(["random"])


def test_what_a_searcher_raises_is_not_hidden(nasbench201):
    class Broken(RandomSearch):
        def ask(self, n):
            raise ZeroDivisionError("on purpose")

    with pytest.raises(ZeroDivisionError, match="on purpose"):
        search.run(Broken, Problem(nasbench201, Metric("accuracy")), queries=5)


# -- the loop ---------------------------------------------------------------------------------


def test_a_searcher_is_told_the_scores_of_what_it_asked(nasbench201):
    problem = Problem(nasbench201, Metric("accuracy"))
    batches = [[(0,) * 6, (1,) * 6], [(2,) * 6], [(0,) * 6]]
    searcher = Scripted(problem, 5, script=batches)
    run = search.loop.run(searcher, Budget(queries=10))
    assert searcher.told == [(batch, problem.scores(batch)) for batch in batches]
    assert (run.searcher, run.seed, run.problem) == ("scripted", 5, problem)
    assert run.vectors.dtype == np.int8
    assert run.vectors.tolist() == [list(v) for batch in batches for v in batch]
    assert run.scores.tolist() == [score for batch in batches for score in problem.scores(batch)]
    assert run.fidelities.tolist() == [1] * 4
    assert run.seconds is None


def test_fidelities_are_those_that_the_searcher_set(nasbench201):
    problem = Problem(nasbench201, Metric("accuracy"))
    vector = (3, 2, 1, 0, 1, 2)
    run = search.run(Scripted, problem, queries=9, script=[[vector] * 2, [vector], [vector]], fidelities=[0, -1, 0])
    assert run.fidelities.tolist() == [0, 0, 1, 0]
    short, long = problem.scores([vector], 0)[0], problem.scores([vector], 1)[0]
    assert run.scores.tolist() == [short, short, long, short]
    assert short != long


def test_simulated_seconds_are_those_of_training(nasbench201):
    problem = Problem(nasbench201, Metric("accuracy"))
    run = search.run("random", problem, seconds=20_000.0, seed=1)
    epochs = nasbench201.query_many([0], metrics=("train_time",)).attrs["request"]["epochs"]
    times = nasbench201.query_many(run.vectors, metrics=("train_time",))["train_time"].to_numpy(float) / epochs * 200
    np.testing.assert_allclose(run.seconds, np.cumsum(times), rtol=1e-12)
    assert run.seconds[-1] <= 20_000
    longer = search.run("random", problem, queries=len(run) + 1, seed=1)
    assert longer.vectors[:-1].tolist() == run.vectors.tolist()
    assert run.seconds[-1] + problem.costs([tuple(longer.vectors[-1])])[0] > 20_000


def test_the_evaluation_that_would_go_beyond_is_not_made(nasbench201):
    problem = Problem(nasbench201, Metric("accuracy"))
    batch = [(0,) * 6, (3,) * 6, (1,) * 6]
    costs = problem.costs(batch)
    exact = costs[0] + costs[1]
    searcher = Scripted(problem, 0, script=[batch, batch])
    run = search.loop.run(searcher, Budget(seconds=exact))
    assert run.vectors.tolist() == [list(v) for v in batch[:2]]
    assert run.seconds.tolist() == [costs[0], exact]
    assert [vectors for vectors, _ in searcher.told] == [batch[:2]]
    less = search.run(Scripted, problem, script=[batch], seconds=np.nextafter(exact, 0))
    assert len(less) == 1


def test_the_limit_that_is_reached_first_ends_the_search(nasbench201):
    problem = Problem(nasbench201, Metric("accuracy"))
    assert len(search.run("random", problem, queries=3, seconds=1e9)) == 3
    few = search.run("random", problem, queries=1000, seconds=20_000.0)
    assert 0 < len(few) < 1000
    with pytest.raises(InvalidRequest, match="random evaluated nothing: the budget is below the cost of one arch"):
        search.run("random", problem, queries=3, seconds=1e-3)


def test_a_shorter_training_costs_less(nasbench201):
    problem = Problem(nasbench201, Metric("accuracy"))
    vectors = [(0,) * 6, (3,) * 6]
    np.testing.assert_allclose(np.array(problem.costs(vectors, 0)) * 200, np.array(problem.costs(vectors, 1)) * 12)


def test_where_no_time_of_training_is_known_seconds_are_refused(fbnet):
    with pytest.raises(NoColumn, match="give the budget in queries"):
        search.run("random", Problem(fbnet, Metric("accuracy"), split="test"), seconds=100)


def test_a_time_of_training_that_is_predicted_is_paid_too():
    """Of MnasNet's the benchmark knows 16 epochs: what its accuracies are after, too."""
    bench = hwnasbench.load("mnasnet", data="shipped")
    problem = Problem(bench, Metric("accuracy"), split="test")
    run = search.run("random", problem, seconds=30_000.0, seed=0)
    times = bench.query_many(run.vectors, metrics=("train_time",))["train_time"].to_numpy(float)
    np.testing.assert_allclose(run.seconds, np.cumsum(times), rtol=1e-6)


def test_the_same_seed_gives_the_same_bytes(nasbench201, fbnet):
    for problem in (Problem(nasbench201, Metric("accuracy")), Problem(fbnet, Metric("accuracy"), split="test")):
        runs = []
        for seed in (0, 0, 1):
            problem.forget()
            runs.append(search.run("random", problem, queries=200, seed=seed))
        assert runs[0].vectors.tobytes() == runs[1].vectors.tobytes() != runs[2].vectors.tobytes()
        assert runs[0].scores.tobytes() == runs[1].scores.tobytes()


# -- runs -------------------------------------------------------------------------------------


def made(scores, fidelities=None, vectors=None) -> Run:
    n = len(scores)
    rows = np.arange(n) if vectors is None else np.array(vectors)
    levels = np.ones(n) if fidelities is None else np.array(fidelities)
    return Run(
        SimpleNamespace(),
        "made",
        7,
        rows.reshape(n, 1).astype(np.int8),
        np.array(scores, float),
        levels.astype(np.int8),
        None,
    )


@pytest.mark.parametrize(
    ("scores", "fidelities", "rows"),
    [
        ([1, 3, 2, 3, 4], None, [0, 1, 1, 1, 4]),
        ([-INF, -INF, 1, -INF], None, [0, 0, 2, 2]),
        ([-INF, -INF], None, [0, 0]),
        ([9, 8, 1, 2, 10], [0, 0, 1, 1, 0], [0, 0, 2, 3, 3]),
        ([9, -INF, 10], [0, 1, 0], [0, 0, 2]),
        ([-5.0, -7.0], None, [0, 0]),
    ],
)
def test_incumbents_are_the_best_at_the_highest_fidelity(scores, fidelities, rows):
    run = made(scores, fidelities)
    assert run.incumbents().tolist() == rows
    if scores[rows[-1]] > -INF:
        assert run.best == (rows[-1],)
    else:
        with pytest.raises(InvalidRequest, match="made with seed 7 found nothing feasible in 2 evaluations"):
            _ = run.best


def test_the_front_has_each_architecture_that_none_beats_once():
    scores = [(1, 5), (2, 2), (-INF, -INF), (3, 3), (1, 5), (5, 1), (3, 3)]
    run = made(scores, vectors=[0, 1, 2, 3, 0, 5, 6])
    assert run.front().tolist() == [0, 3, 5, 6]
    with pytest.raises(InvalidRequest, match=r"no one best architecture; see front\(\)"):
        run.incumbents()
    with pytest.raises(InvalidRequest, match=r"see front\(\)"):
        _ = run.best
    assert made([(-INF, -INF)] * 2).front().tolist() == []


def test_the_front_of_one_objective_are_its_best():
    assert made([1, 3, 2, 3]).front().tolist() == [1, 3]


def test_the_front_of_a_run_is_the_exact_one_where_everything_was_seen(nasbench201):
    problem = Problem(nasbench201, Front("accuracy", "latency"), "pixel3")
    everything = list(map(tuple, nasbench201.space.all_vectors().tolist()))

    class Everything(RandomSearch):
        def ask(self, n):
            return everything

    run = search.run(Everything, problem, queries=15625)
    exact = nasbench201.pareto(("accuracy", "latency"), "pixel3", split="valid", epochs=200)
    assert sorted(map(nasbench201.space.format, run.front().tolist())) == sorted(exact["arch"])
