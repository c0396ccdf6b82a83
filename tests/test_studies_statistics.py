"""What studies make of runs: curves, tests and ranks, against numbers worked out by hand or by SciPy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import hwnasbench
from hwnasbench import search
from hwnasbench.errors import InvalidArchitecture
from hwnasbench.search.indicators import ExactFront, hypervolume_curve
from hwnasbench.search.objectives import Constrained, Front, Metric
from hwnasbench.studies import landscape, pictures, statistics
from hwnasbench.studies.judging import Judge
from hwnasbench.studies.statistics import Outcome


def trajectories(runs, seconds=None):
    """Return the rows of runs: {searcher: [scores of seed 0, scores of seed 1, ...]}."""
    rows = [
        {"searcher": name, "seed": seed, "evaluation": at + 1, "report_score": score}
        | {"seconds": np.nan if seconds is None else seconds[name][seed][at]}
        for name, seeds in runs.items()
        for seed, scores in enumerate(seeds)
        for at, score in enumerate(scores)
    ]
    return pd.DataFrame(rows)


def ended(**values):
    """Return an outcome of which only the last values matter."""
    columns = {name: np.array(of, float)[:, None] for name, of in values.items()}
    seeds = tuple(range(len(next(iter(columns.values())))))
    return Outcome("p", "score", "evaluation", np.array([1.0]), seeds, columns)


QUERIES, SECONDS = {"queries": 4, "seconds": None}, {"queries": None, "seconds": 100.0}


def test_the_curves_are_medians_and_quartiles_over_the_seeds():
    runs = trajectories({"a": [[1, 2, 3, 3], [1, 1, 5, 5], [2, 4, 4, 6], [0, 0, 0, 9], [3, 3, 3, 3]]})
    found = statistics.outcome("p", {"best": None, "many": False}, runs, QUERIES)
    assert (found.measure, found.unit, found.sign) == ("score", "evaluation", 1.0)
    table = statistics.curves(found)
    assert table["evaluation"].tolist() == [1, 2, 3, 4]
    assert table["median"].tolist() == [1, 2, 3, 5]
    assert table["q25"].tolist() == [1, 1, 3, 3]
    assert table["q75"].tolist() == [2, 3, 4, 6]
    regret = statistics.outcome("p", {"best": 9.0, "many": False}, runs, QUERIES)
    assert regret.measure == "regret"
    assert statistics.curves(regret)["median"].tolist() == [8, 7, 6, 4]
    assert regret.sign == -1.0
    end = statistics.final(regret, runs).iloc[0]
    assert end["median"] == 4
    assert end["at_best"] == 0.2
    assert end["mean"] == pytest.approx(np.mean([6, 4, 3, 0, 6]))
    assert end["std"] == pytest.approx(np.std([6, 4, 3, 0, 6], ddof=1))


def test_a_run_that_ends_early_keeps_its_best():
    runs = trajectories({"a": [[1, 2, 3, 4]], "b": [[5, 6]]})
    found = statistics.outcome("p", {"best": None, "many": False}, runs, QUERIES)
    assert found.values["b"].tolist() == [[5, 6, 6, 6]]


def test_curves_over_seconds_hold_the_last_value():
    seconds = {"a": [[10.0, 20.0, 80.0]], "b": [[40.0, 90.0]]}
    runs = trajectories({"a": [[1, 2, 3]], "b": [[7, 8]]}, seconds)
    found = statistics.outcome("p", {"best": None, "many": False}, runs, SECONDS)
    assert found.unit == "seconds"
    assert (found.points[0], found.points[-1]) == (pytest.approx(10), 90.0)
    a, b = found.values["a"][0], found.values["b"][0]
    np.testing.assert_array_equal(a, np.where(found.points < 20, 1, np.where(found.points < 80, 2, 3)))
    assert (b[found.points < 40] == -np.inf).all()
    assert b[-1] == 8
    table = statistics.curves(found)
    assert table[(table["searcher"] == "b") & (table["seconds"] < 40)]["median"].isna().all()


def test_what_found_nothing_is_worse_than_all_others_and_no_number():
    nan = np.nan
    runs = trajectories({"a": [[nan, 2], [nan, nan], [1, 1]], "b": [[3, 3], [3, 3], [3, 3]]})
    found = statistics.outcome("p", {"best": None, "many": False}, runs, QUERIES)
    last = found.final()
    assert last["a"][1] < 1
    assert np.isfinite(last["a"]).all()
    table = statistics.curves(found)
    assert table["median"].isna().tolist() == [True, False, False, False]
    end = statistics.final(found, runs)
    assert np.isnan(end["mean"].iloc[0])  # a mean over some of the runs would flatter
    nobody = statistics.outcome("p", {"best": None, "many": False}, trajectories({"a": [[nan]], "b": [[nan]]}), QUERIES)
    assert statistics.pairs(nobody)["p"].tolist() == [1.0]


def test_wilcoxon_is_paired_by_seed_and_corrected_for_all_pairs():
    rng = np.random.default_rng(0)
    base = rng.normal(size=30)
    found = ended(a=base, b=base + 0.1 + 0.01 * rng.random(30), c=rng.normal(size=30))
    table = statistics.pairs(found).set_index(["first", "second"])
    expected = stats.wilcoxon(found.values["a"][:, 0], found.values["b"][:, 0]).pvalue
    assert table.loc[("a", "b"), "p"] == expected < 1e-8
    assert table.loc[("a", "b"), "p_holm"] == 3 * expected
    assert table.loc[("a", "b"), "better"] == "b"
    assert table.loc[("a", "b"), "difference"] == pytest.approx(-0.105, abs=0.005)
    assert table.loc[("a", "c"), "better"] == ""
    less = Outcome("p", "regret", "evaluation", found.points, found.seeds, found.values)
    assert statistics.pairs(less).set_index(["first", "second"]).loc[("a", "b"), "better"] == "a"
    assert statistics.pairs(less)["difference"].tolist() == statistics.pairs(found)["difference"].tolist()


def test_holm_by_hand():
    assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert statistics.holm([0.5, 0.9]) == [1.0, 1.0]
    assert statistics.holm([]) == []


def test_equal_searchers_do_not_differ():
    found = ended(a=[1, 2, 3], b=[1, 2, 3], c=[1, 2, 3])
    assert (statistics.pairs(found)["p_holm"] == 1).all()
    ranked = statistics.ranks(found.final())
    assert ranked.friedman == 1.0
    assert set(ranked.mean.values()) == {2.0}


def test_ranks_by_hand():
    ranked = statistics.ranks({"a": np.array([3.0, 3.0, 1.0]), "b": np.array([2.0, 3.0, 2.0]), "c": np.array([1.0, 1.0, 3.0])})  # fmt: skip  # noqa: E501
    assert ranked.mean == pytest.approx({"a": (1 + 1.5 + 3) / 3, "b": (2 + 1.5 + 2) / 3, "c": (3 + 3 + 1) / 3})
    assert ranked.blocks == 3
    assert ranked.friedman == stats.friedmanchisquare([3, 3, 1], [2, 3, 2], [1, 1, 3]).pvalue


@pytest.mark.parametrize(("k", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_the_critical_difference_is_that_of_the_published_table(k, q):
    """Demsar 2006, Table 5(a), the Nemenyi test at .05 (recalled)."""
    rng = np.random.default_rng(0)
    ranked = statistics.ranks({str(name): rng.random(14) for name in range(k)})
    assert ranked.critical / np.sqrt(k * (k + 1) / (6 * 14)) == pytest.approx(q, abs=1e-3)


def test_one_searcher_alone_has_no_rival():
    found = ended(a=[1, 2, 3])
    assert statistics.pairs(found).empty
    ranked = statistics.ranks(found.final())
    assert ranked.mean == {"a": 1.0}
    assert np.isnan(ranked.critical)


def test_problems_are_ranked_by_their_medians():
    one, two = ended(a=[1, 1, 9], b=[2, 2, 2]), ended(a=[1, 1, 1], b=[0, 0, 5])
    over = statistics.over_problems([one, two])
    assert over.mean == {"a": 1.5, "b": 1.5}
    assert over.blocks == 2
    table = statistics.rank_table([one, two])
    assert table["problem"].tolist() == ["p", "p", "p", "p", "all", "all"]


def test_stretches_that_do_not_differ():
    assert pictures.cliques([1.0, 1.5, 2.4, 4.0], 1.0) == [(0, 1), (1, 2)]
    assert pictures.cliques([1.0, 1.2, 1.4], 1.0) == [(0, 2)]
    assert pictures.cliques([1.0, 3.0], 1.0) == []
    assert pictures.cliques([1.0], float("nan")) == []


@pytest.fixture(scope="module")
def front():
    bench = hwnasbench.load("nasbench201", data="shipped")
    return search.Problem(bench, Front("accuracy", "latency"), "pixel3", split="test")


def test_a_run_over_the_whole_space_has_no_regret(front):
    """With the split that is reported, the exact front is found, and its volume is the best."""

    class Everything(search.Searcher):
        name = "everything"
        many = True
        told = 0

        def ask(self, n):
            first, self.told = self.told, self.told + min(n, 1000)
            return [tuple(v) for v in self.problem.space.all_vectors()[first : first + min(n, 1000)].tolist()]

    judge = Judge(front)
    run = search.run(Everything, front, queries=len(front.space))
    volume = np.asarray(judge.table(run)["report_score"])
    assert judge.best == 1.0
    assert volume[-1] == pytest.approx(1.0, rel=1e-12)
    assert (np.diff(volume) >= -1e-12).all()
    assert volume[0] < volume[-1]


def test_the_volume_of_two_objectives_by_hand(front):
    """Against the area under the stairs: sorted by one cost, a rectangle a step."""
    judge = Judge(front)
    run = search.run("random", front, queries=300, seed=1)
    best, scores = front.best, run.scores[run.front()]
    top, span = best.max(axis=0), np.ptp(best, axis=0)
    costs = (top - scores) / span
    costs = costs[(costs < 1.1).all(axis=1)]
    costs = costs[np.argsort(costs[:, 0])]
    edges = np.append(costs[:, 0], 1.1)
    area = sum((edges[i + 1] - edges[i]) * (1.1 - costs[: i + 1, 1].min()) for i in range(len(costs)))
    exact = ExactFront(front)
    share = np.asarray(judge.table(run)["report_score"])[-1]
    assert share == pytest.approx(area / exact.indicators(best).hypervolume)
    assert share == pytest.approx(exact.indicators(scores).hypervolume_share)
    assert share == pytest.approx(hypervolume_curve(run)[-1])  # seen and reported accuracy are the same here


def test_what_is_no_architecture_has_no_name():
    """A decision vector that breaks the rules of its space is scored as infeasible and kept without a string."""

    class Odd(search.Searcher):
        name = "odd"

        def ask(self, n):
            good = tuple(self.problem.space.sample_many(self.rng, 1)[0].tolist())
            return [good, (1,) * len(good)][:n]

    bench = hwnasbench.load("nasbench101", data="shipped")
    with pytest.raises(InvalidArchitecture):
        bench.space.parse([1] * len(bench.space.choices))
    problem = search.Problem(bench, Metric("params"))
    table = Judge(problem).table(search.run(Odd, problem, queries=2))
    assert table["arch"].null_count == 1
    assert table["score"].to_pylist()[1] == -np.inf


def test_the_axes_of_a_landscape():
    bench = hwnasbench.load("nasbench201", data="shipped")
    plain = search.Problem(bench, Metric("accuracy"))
    assert landscape._axes(plain) == ("accuracy", "params")
    assert landscape._axes(search.Problem(bench, Metric("accuracy"), "pixel3")) == ("accuracy", "latency")
    capped = Constrained(Metric("accuracy"), {"energy": 1e9})
    assert landscape._axes(search.Problem(bench, capped, "eyeriss")) == ("accuracy", "energy")
