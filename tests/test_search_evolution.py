"""Steps in a space, local search, evolution, and pymoo's searchers for fronts."""

from __future__ import annotations

import random
import sys
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import Problem as PymooProblem
from pymoo.optimize import minimize
from scipy.stats import chisquare, wilcoxon

import hwnasbench
from hwnasbench import search, spaces
from hwnasbench.errors import InvalidRequest, MissingExtra
from hwnasbench.search import Budget, Problem
from hwnasbench.search.indicators import ExactFront
from hwnasbench.search.moves import cross, draw, mutate, mutate_each, neighbours
from hwnasbench.search.objectives import Constrained, Front, Metric
from hwnasbench.search.pymoo_algorithms import integers

INF = float("inf")
#: Positions with different numbers of choices, two of them with a single one.
UNEVEN = (3, 1, 5, 2, 1, 4)


class Toy:
    """What a searcher and the loop need of a problem, with a score of one's own."""

    def __init__(self, score, choices=UNEVEN, count=1):
        self.score, self.choices, self.many = score, choices, count > 1
        self.objective = SimpleNamespace(count=count)
        self.space = SimpleNamespace(name="toy")
        self.fidelities = (None,)

    def scores(self, vectors, _=-1):
        return [self.score(vector) for vector in vectors]

    def draw(self, generator):
        return draw(self.choices, generator)

    def neighbours(self, vector):
        return neighbours(self.choices, vector)


def run(name, toy, queries, seed=0, **settings):
    """Search a toy problem; return the architectures in their order."""
    found = search.loop.run(search.get(name)(toy, seed, **settings), Budget(queries))
    return list(map(tuple, found.vectors.tolist()))


def distance(one, other):
    return sum(a != b for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def nasbench201():
    return hwnasbench.load("nasbench201", data="shipped")


# -- steps ------------------------------------------------------------------------------------

choices_and_vector = st.lists(st.integers(1, 6), min_size=1, max_size=8).flatmap(
    lambda choices: st.tuples(st.just(tuple(choices)), st.tuples(*(st.integers(0, n - 1) for n in choices)))
)


@given(choices_and_vector, st.integers(0, 1000))
def test_steps_stay_in_the_space(given_, seed):
    choices, vector = given_
    generator = random.Random(seed)
    other = draw(choices, generator)
    mixed = cross(vector, other, generator)
    for found in (other, mixed, mutate_each(choices, vector, 0.5, generator)):
        assert len(found) == len(choices)
        assert all(0 <= v < n for v, n in zip(found, choices, strict=True))
    assert all(m in pair for m, pair in zip(mixed, zip(vector, other, strict=True), strict=True))
    assert mutate_each(choices, vector, 0.0, generator) == vector
    near = neighbours(choices, vector)
    assert len(near) == len(set(near)) == sum(choices) - len(choices)
    assert all(distance(vector, one) == 1 for one in near)
    if max(choices) > 1:
        assert mutate(choices, vector, generator) in near


def test_steps_are_drawn_uniformly():
    """Each p value would be below a thousandth once in a thousand seeds; this is one seed."""
    generator, vector = random.Random(0), (2, 0, 4, 0, 0, 1)
    drawn = Counter(draw(UNEVEN, generator) for _ in range(12_000))
    assert len(drawn) == 120
    assert chisquare(list(drawn.values())).pvalue > 1e-3
    changed = Counter(mutate(UNEVEN, vector, generator) for _ in range(12_000))
    assert set(changed) == set(neighbours(UNEVEN, vector))
    # A decision is drawn first, of those that have a choice; then the choice.
    expected = {near: 12_000 / 4 / (UNEVEN[p] - 1) for near in changed for p in range(6) if near[p] != vector[p]}
    assert chisquare(list(changed.values()), [expected[near] for near in changed]).pvalue > 1e-3
    anew = Counter(mutate_each(UNEVEN, vector, 1.0, generator) for _ in range(12_000))
    assert chisquare(list(anew.values())).pvalue > 1e-3
    mixed = Counter(cross((0,) * 3, (1,) * 3, generator) for _ in range(8000))
    assert len(mixed) == 8
    assert chisquare(list(mixed.values())).pvalue > 1e-3
    kept = sum(mutate_each((4,) * 10, (0,) * 10, 0.2, generator).count(0) for _ in range(2000)) / 20_000
    assert kept == pytest.approx(1 - 0.2 * 3 / 4, abs=4 * (0.15 * 0.85 / 20_000) ** 0.5)


@pytest.mark.parametrize("name", ["nasbench201", "fbnet", "mnasnet", "darts"])
def test_neighbours_are_those_of_the_space(name):
    space = spaces.get(name)
    vector = tuple(space.sample_many(np.random.default_rng(0), 1)[0].tolist())
    assert set(neighbours(space.choices, vector)) == {arch.vector for arch in space.neighbours(list(vector))}


# -- local search -----------------------------------------------------------------------------


def test_local_search_goes_to_the_best_neighbour_until_none_is_better():
    toy = Toy(lambda vector: -sum(abs(v - n // 2) for v, n in zip(vector, UNEVEN, strict=True)))
    found = run("local_search", toy, 60, seed=5)
    at, rest = found[0], found[1:]
    known = {at}
    while True:
        near = [vector for vector in neighbours(UNEVEN, at) if vector not in known]
        assert set(rest[: len(near)]) == set(near)
        known.update(near)
        rest = rest[len(near) :]
        best = max(neighbours(UNEVEN, at), key=toy.score)
        if toy.score(best) <= toy.score(at):
            break
        assert toy.score(best) > toy.score(at)
        at = best
    assert toy.score(at) == 0
    assert rest
    assert rest[0] not in known


def test_local_search_evaluates_nothing_twice_as_long_as_there_is_something_else(nasbench201):
    problem = Problem(nasbench201, Metric("accuracy"))
    found = search.run("local_search", problem, queries=3000, seed=0)
    assert len(np.unique(found.vectors, axis=0)) == 3000
    few = run("local_search", Toy(sum), 400)
    assert len(set(few)) == 120
    assert len(few) == 400


def test_local_search_asks_for_a_neighbourhood_at_once_and_for_no_more_than_it_may():
    toy = Toy(sum)
    searcher = search.get("local_search")(toy, 0)
    start = searcher.ask(100)
    assert len(start) == 1
    searcher.tell(start, toy.scores(start))
    first = searcher.ask(4)
    assert len(first) == 4
    searcher.tell(first, toy.scores(first))
    rest = searcher.ask(100)
    assert {*first, *rest} == set(neighbours(UNEVEN, start[0]))


# -- regularised evolution --------------------------------------------------------------------


def by_hand(toy, queries, seed, population, sample):
    """Aging evolution by the book: a list whose first member is the oldest."""
    generator, members, history = random.Random(seed), [], []
    while len(history) < queries:
        if len(members) < population:
            child = draw(toy.choices, generator)
        else:
            tournament = [members[int(generator.random() * population)] for _ in range(sample)]
            child = mutate(toy.choices, max(tournament, key=toy.score), generator)
            members.pop(0)
        members.append(child)
        history.append(child)
    return history


@pytest.mark.parametrize(("population", "sample"), [(1, 1), (10, 3), (30, 30)])
def test_regularised_evolution_is_the_loop_by_hand(population, sample):
    weights = np.random.default_rng(0).normal(size=(6, 5))
    toy = Toy(lambda vector: sum(weights[p, v] for p, v in enumerate(vector)))
    found = run("regularized_evolution", toy, 300, seed=4, population=population, sample=sample)
    assert found == by_hand(toy, 300, 4, population, sample)


def test_the_oldest_dies_whatever_its_score():
    population = 20
    toy = Toy(lambda vector: INF if vector == first else 0.0)
    first = draw(UNEVEN, random.Random(1))
    found = run("regularized_evolution", toy, 1000, seed=1, population=population, sample=population)
    for row in range(population, 1000):
        assert min(distance(found[row], parent) for parent in found[row - population : row]) <= 1


# -- evolution with crossover -----------------------------------------------------------------


def test_the_survey_s_example_has_400_parents_of_2000():
    toy = Toy(lambda vector: float(sum(v * 7**p for p, v in enumerate(vector))), choices=(9,) * 22)
    searcher = search.get("evolution")(toy, 0, population=2000, parent_ratio=0.2)
    first = searcher.ask(10**6)
    assert len(first) == 2000
    searcher.tell(first[:700], toy.scores(first[:700]))
    assert len(searcher.ask(10**6)) == 1300
    searcher.tell(first[700:], toy.scores(first[700:]))
    best = sorted(toy.scores(first), reverse=True)[:400]
    assert [score for score, _ in searcher._parents] == best
    second = searcher.ask(500)
    searcher.tell(second, toy.scores(second))
    assert len(searcher.ask(10**6)) == 1500


def test_children_mix_the_decisions_of_two_parents():
    toy = Toy(sum, choices=(50,) * 30)
    found = run("evolution", toy, 200, population=100, parent_ratio=0.02, mutation_ratio=0.0)
    one, other = sorted(found[:100], key=sum, reverse=True)[:2]
    strange = [
        sum(v not in pair for v, pair in zip(child, zip(one, other, strict=True), strict=True)) for child in found[100:]
    ]
    # A child that is a parent again has one decision changed.
    assert set(strange) <= {0, 1}
    copies = sum(distance(child, one) == 1 or distance(child, other) == 1 for child in found[100:])
    assert strange.count(1) <= copies
    assert 0.3 < np.mean([[c == a for c, a in zip(child, one, strict=True)] for child in found[100:]]) < 0.9


def test_children_mutate_each_decision_at_a_rate():
    toy = Toy(sum, choices=(50,) * 30)
    found = run("evolution", toy, 1100, population=1000, parent_ratio=0.001, mutation_ratio=1.0, mutation=0.2)
    parent = max(found[:1000], key=sum)
    changed = np.mean([distance(child, parent) / 30 for child in found[1000:]])
    rate = 0.2 * 49 / 50
    assert changed == pytest.approx(rate, abs=4 * (rate * (1 - rate) / 3000) ** 0.5)


def test_a_generation_does_not_repeat_its_parents_or_itself():
    found = run("evolution", Toy(sum, choices=(9,) * 22), 300, population=100, mutation=0.0, mutation_ratio=1.0)
    parents = sorted(found[:100], key=sum, reverse=True)[:25]
    children = found[100:200]
    assert len({*children, *parents}) > 120  # each child is a copy that has one decision changed
    assert all(min(distance(child, parent) for parent in parents) == 1 for child in children)


def test_the_best_of_all_stay_parents():
    toy = Toy(lambda vector: float(sum(v * 7**p for p, v in enumerate(vector))), choices=(9,) * 8)
    searcher = search.get("evolution")(toy, 2, population=50)
    found = search.loop.run(searcher, Budget(queries=500))
    best = sorted(found.scores.tolist(), reverse=True)[: len(searcher._parents)]
    assert [score for score, _ in searcher._parents] == best


@pytest.mark.parametrize(
    ("name", "settings", "text"),
    [
        ("regularized_evolution", {"population": 0}, "population=0; expected an integer of 1 or more"),
        ("regularized_evolution", {"sample": 2.5}, "sample=2.5; expected an integer"),
        ("regularized_evolution", {"population": 5, "sample": 6}, "sample=6 of a population of 5; expected at most it"),
        ("evolution", {"population": True}, "population=True"),
        ("evolution", {"parent_ratio": 1.5}, "parent_ratio=1.5; expected a number from 0 to 1"),
        ("evolution", {"mutation": -0.1}, "mutation=-0.1"),
        ("evolution", {"mutation_ratio": "half"}, "mutation_ratio='half'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name, settings, text):
    with pytest.raises(InvalidRequest, match=text):
        search.get(name)(Toy(sum), 0, **settings)


@pytest.mark.parametrize(("population", "ratio"), [(1, 0.0), (1, 1.0), (3, 1.0), (10, 0.01)])
def test_the_smallest_populations_evolve(population, ratio):
    assert len(run("evolution", Toy(sum), 50, population=population, parent_ratio=ratio)) == 50


@pytest.mark.parametrize("name", ["local_search", "regularized_evolution", "evolution"])
def test_what_is_feasible_is_found_among_much_that_is_not(name):
    toy = Toy(lambda vector: float(sum(vector)) if vector[0] == vector[2] == 1 else -INF, choices=(5,) * 5)
    assert max(map(toy.score, run(name, toy, 1500))) == 1 + 1 + 4 * 3


# -- fronts -----------------------------------------------------------------------------------


def two(vector):
    return float(sum(vector)), -float(vector[0] * vector[2])


@pytest.mark.parametrize("constrained", [False, True])
def test_nsga2_is_pymoo_s_on_arrays(nasbench201, constrained):
    front = Front("accuracy", "latency")
    objective = Constrained(front, {"latency": 1e6}) if constrained else front
    problem = Problem(nasbench201, objective, "pixel3")
    costs = np.empty((15625, 2))
    vectors = nasbench201.space.all_vectors()
    costs[np.ravel_multi_index(vectors.T, problem.choices)] = -np.array(
        problem.scores(list(map(tuple, vectors.tolist())))
    )
    # pixel3 ran none of the cells that are not connected.
    costs[~np.isfinite(costs)] = 1e300
    asked = []

    class Arrays(PymooProblem):
        def _evaluate(self, x, out, *_, **__):
            asked.append(x)
            out["F"] = costs[np.ravel_multi_index(x.T, problem.choices)]

    arrays = Arrays(n_var=6, n_obj=2, xl=0, xu=4, vtype=int)
    minimize(arrays, NSGA2(pop_size=50, **integers()), ("n_gen", 10), seed=6, verbose=False)
    found = search.run("nsga2", problem, queries=500, seed=6, population=50)
    np.testing.assert_array_equal(found.vectors, np.concatenate(asked))


@pytest.mark.parametrize("name", ["nsga2", "nsga3"])
@pytest.mark.parametrize("score", [two, lambda _: (-INF, -INF), lambda v: two(v) if v[2] == 3 else (-INF, -INF)])
def test_searchers_of_fronts_are_the_same_for_a_seed_and_leave_numpy_s_own_alone(name, score):
    toy = Toy(score, choices=(5, 4, 5, 3, 1, 5), count=2)
    before = np.random.get_state()[1].tobytes()
    found = run(name, toy, 300, population=20)
    assert found == run(name, toy, 300, population=20)
    assert found != run(name, toy, 300, population=20, seed=1)
    assert np.random.get_state()[1].tobytes() == before


@pytest.mark.parametrize("name", ["nsga2", "nsga3"])
def test_what_is_feasible_breeds(name):
    """A fifth of all architectures is feasible; of the children of what survives it is more than twice as much."""
    toy = Toy(lambda v: two(v) if v[2] == 3 else (-INF, -INF), choices=(5,) * 6, count=2)
    children = [v[2] == 3 for seed in range(5) for v in run(name, toy, 300, population=20, seed=seed)[20:]]
    assert np.mean(children) > 0.4


@pytest.mark.parametrize("name", ["nsga2", "nsga3"])
@pytest.mark.parametrize("choices", [(2, 2), (1, 1, 1), (3, 1, 2)])
def test_a_search_of_a_front_ends_once_everything_was_seen(name, choices):
    found = run(name, Toy(lambda v: (float(sum(v)), -float(v[0])), choices=choices, count=2), 1000)
    assert len(found) == len(set(found)) == np.prod(choices)


@pytest.mark.parametrize("name", ["nsga2", "nsga3"])
@pytest.mark.parametrize("population", [1, 2, 7])
def test_small_populations_and_many_objectives(name, population):
    for count in (2, 3, 5):
        toy = Toy(lambda v: tuple(map(float, v[:count])), choices=(5,) * 6, count=count)  # noqa: B023
        assert len(run(name, toy, 100, population=population)) == 100


def test_nsga3_has_as_many_directions_as_its_population_holds():
    for count, population, expected in ((2, 100, 100), (3, 100, 91), (5, 100, 70), (3, 2, 3)):
        toy = Toy(None, choices=(5,) * 6, count=count)
        made = search.get("nsga3")(toy, 0, population=population)._algorithm
        assert len(made.ref_dirs) == expected
        assert made.pop_size == max(population, expected)


@pytest.mark.parametrize("name", ["nsga2", "nsga3"])
def test_one_score_is_no_front(name, monkeypatch):
    with pytest.raises(InvalidRequest, match=f"{name} looks for a front; the objective gives one score"):
        search.get(name)(Toy(sum), 0)
    with pytest.raises(InvalidRequest, match="population=0"):
        search.get(name)(Toy(two, count=2), 0, population=0)
    monkeypatch.setitem(sys.modules, "pymoo.core.problem", None)
    with pytest.raises(MissingExtra, match=r"pip install 'hwnasbench\[search\]'"):
        search.get(name)(Toy(two, count=2), 0)


# -- better than random search ----------------------------------------------------------------

SEEDS = range(30)


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("local_search", {}),
        ("regularized_evolution", {}),
        ("regularized_evolution", {"population": 10, "sample": 3}),
        ("evolution", {}),
    ],
)
def test_it_beats_random_search(nasbench201, name, settings, dataset):
    """By test accuracy of what was chosen by validation accuracy, after 500 evaluations."""
    problem = Problem(nasbench201, Metric("accuracy"), dataset=dataset)

    def reported(searcher, **given_):
        chosen = [search.run(searcher, problem, queries=500, seed=seed, **given_).best for seed in SEEDS]
        return problem.report(chosen)["score"]

    assert wilcoxon(reported(name, **settings), reported("random"), alternative="greater").pvalue < 0.01


@pytest.mark.parametrize("name", ["nsga2", "nsga3"])
@pytest.mark.parametrize("metrics", [("accuracy", "latency"), ("accuracy", "latency", "energy@edgegpu")])
def test_its_front_beats_random_search_s(nasbench201, name, metrics):
    """By hypervolume with test accuracy, after 1,000 evaluations."""
    problem = Problem(nasbench201, Front(*metrics), "pixel3")
    exact = ExactFront(problem)

    def volumes(searcher):
        runs = [search.run(searcher, problem, queries=1000, seed=seed) for seed in SEEDS]
        return [exact.share(problem.report(run.vectors[run.front()])["score"]) for run in runs]

    assert wilcoxon(volumes(name), volumes("random"), alternative="greater").pvalue < 0.01
