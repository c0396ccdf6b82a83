"""What every registered searcher keeps, whoever wrote it."""

from __future__ import annotations

import numpy as np
import pytest

import hwnasbench
from hwnasbench import search
from hwnasbench.benchmark import Benchmark
from hwnasbench.errors import InvalidRequest
from hwnasbench.joint import JointBenchmark
from hwnasbench.search import Problem
from hwnasbench.search.objectives import Constrained, Front, Metric

# What botorch imports uses what PyTorch means to drop.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")

EVALUATIONS = 60
#: Smaller populations than the papers', so that 60 evaluations go beyond the first; fewer and smaller models.
SETTINGS = {
    "bayesian_gp": {"batch": 20},
    "ddpg": {"warm_up": 10, "hidden": 32, "updates": 2},
    "evolution": {"population": 16},
    "nsga2": {"population": 16},
    "nsga3": {"population": 16},
    "regularized_evolution": {"population": 16, "sample": 4},
    "successive_halving": {"first": 9},
    "hyperband": {"first": 9},
}
#: A space that can be enumerated and one that cannot: a limit of latency [ms] on pixel3, and what is asked besides.
SPACES = {"nasbench201": (10.0, {}), "fbnet": (20.0, {"split": "test"})}


class Unchecked(Problem):
    """Also where nothing is feasible."""

    def _check_feasible(self) -> None:
        pass


def problem_of(space: str, name: str, limit: float | None = None) -> Problem:
    """Return a problem that the searcher can search."""
    kind = search.get(name)
    default, keys = SPACES[space]
    objective = Front("accuracy", "latency") if kind.many else Metric("accuracy")
    constrained = Constrained(objective, {"latency": default if limit is None else limit})
    problem = Unchecked(hwnasbench.load(space, data="shipped"), constrained, "pixel3", **keys)
    if kind.needs_fidelities and len(problem.fidelities) < 2:
        with pytest.raises(InvalidRequest, match="lengths"):
            search.run(name, problem, queries=EVALUATIONS)
        pytest.skip(f"{name} needs several lengths of training; {space} has one")
    return problem


@pytest.fixture
def wall(monkeypatch):
    """Let nothing ask for accuracy but that of the split that the problem says."""
    allowed = []

    def guarded(original):
        def asks(self, *args, **keys):
            if "accuracy" in (keys.get("metrics") or ("accuracy",)):
                assert keys.get("split") in allowed, f"a search asked for {keys.get('split')} accuracy"
            return original(self, *args, **keys)

        return asks

    for kind, name in ((Benchmark, "query"), (Benchmark, "query_many"), (JointBenchmark, "query_many")):
        monkeypatch.setattr(kind, name, guarded(getattr(kind, name)))

    def never(*_, **__):
        raise AssertionError("a search looked at whole columns, or at the report")

    monkeypatch.setattr(Benchmark, "column", never)
    monkeypatch.setattr(Benchmark, "pareto", never)
    monkeypatch.setattr(Problem, "report", never)
    return allowed


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", search.names())
def test_a_search_stays_in_the_space_behind_the_wall_and_is_the_same_again(name, space, wall):
    wall.append(SPACES[space][1].get("split", "valid"))
    problem = problem_of(space, name)
    runs = []
    for seed in (3, 3, 4):
        problem.forget()
        queries = EVALUATIONS if seed == 3 else EVALUATIONS // 2
        runs.append(search.run(name, problem, queries=queries, seed=seed, **SETTINGS.get(name, {})))
    first, again, other = runs
    assert len(first) == EVALUATIONS
    assert first.vectors.min() >= 0
    assert (first.vectors < problem.choices).all()
    for level in set(first.fidelities.tolist()):
        rows = first.fidelities == level
        told = problem.scores(list(map(tuple, first.vectors[rows].tolist())), level)
        np.testing.assert_allclose(first.scores[rows], told, rtol=1e-6)
    assert first.vectors.tobytes() == again.vectors.tobytes()
    assert first.scores.tobytes() == again.scores.tobytes()
    assert first.fidelities.tobytes() == again.fidelities.tobytes()
    assert first.vectors[: len(other)].tobytes() != other.vectors.tobytes()
    if problem.many:
        assert len(first.front())
    else:
        assert problem.scores([first.best])[0] == pytest.approx(
            first.scores[first.fidelities == first.fidelities.max()].max()
        )


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", search.names())
def test_where_nothing_is_feasible_a_search_ends_all_the_same(name, space):
    problem = problem_of(space, name, 1e-6)
    try:
        run = search.run(name, problem, queries=EVALUATIONS // 2, seed=0, **SETTINGS.get(name, {}))
    except InvalidRequest as error:
        # One that knows the costs beforehand may see that there is nothing to evaluate.
        assert f"{name} evaluated nothing" in str(error)  # noqa: PT017
        return
    assert (run.scores == -float("inf")).all()
    if problem.many:
        assert not len(run.front())
    else:
        with pytest.raises(InvalidRequest, match="found nothing feasible"):
            _ = run.best


@pytest.mark.parametrize("name", search.names())
def test_a_searcher_says_what_it_is(name):
    kind = search.get(name)
    assert issubclass(kind, search.Searcher)
    assert kind.name == name
    assert kind.title
    assert "recalled" in kind.paper or "read" in kind.paper or "arXiv" in kind.paper
    assert kind.__doc__
    if not kind.many:
        problem = Problem(hwnasbench.load("nasbench201", data="shipped"), Front("accuracy", "latency"), "pixel3")
        with pytest.raises(InvalidRequest, match=f"{name} looks for one best score and the objective has 2"):
            kind(problem, 0)
