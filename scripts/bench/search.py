"""Speed of searches, against loops without a library that are measured in the same run; prints ratios.

The rivals do the same: the same draws give the same architectures, which is checked. One is aging evolution over a
plain dictionary, as one writes it by hand; the other is pymoo's NSGA-II over arrays. Times are the least of several
repeats, of wall time and, in brackets, of this thread's own time, which a busy machine disturbs less; ratios are of the
latter.

usage: python scripts/bench/search.py [--repeats N] [--seeds N]
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections import deque
from collections.abc import Callable
from operator import itemgetter
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402
from pymoo.algorithms.moo.nsga2 import NSGA2  # noqa: E402
from pymoo.core.problem import Problem as PymooProblem  # noqa: E402
from pymoo.optimize import minimize  # noqa: E402

import hwnasbench  # noqa: E402
from hwnasbench import search  # noqa: E402
from hwnasbench.search.objectives import Constrained, Front, Metric  # noqa: E402
from hwnasbench.search.pymoo_algorithms import integers  # noqa: E402

LIMIT_MS = 10.0
SAMPLE = 10
EVALUATIONS, GENERATIONS, MEMBERS = 10_000, 200, 100
SEARCHERS = ("random", "local_search", "regularized_evolution", "evolution", "nsga2")
BUDGET = 1000
Seconds = tuple[float, float]


def timed(*functions: Callable[[], Any], repeats: int) -> list[Seconds]:
    """Return the least wall time and the least time of this thread [s] of each; the functions take turns."""
    for function in functions:
        function()
    wall = [[] for _ in functions]
    own = [[] for _ in functions]
    for _ in range(repeats):
        for place, function in enumerate(functions):
            start, thread = time.perf_counter(), time.thread_time()
            function()
            wall[place].append(time.perf_counter() - start)
            own[place].append(time.thread_time() - thread)
    return [(min(a), min(b)) for a, b in zip(wall, own, strict=True)]


def line(name: str, ours: Seconds, rival: Seconds, rival_name: str, aim: float) -> None:
    """Print one comparison."""
    shown = [f"{wall * 1e3:>9.1f} ms ({own * 1e3:.1f})" for wall, own in (ours, rival)]
    ratio = ours[1] / rival[1]
    print(f"{name:<46}{shown[0]:>24}{shown[1]:>24}{ratio:>8.2f}x of {rival_name}")
    print(f"{'':<46}{f'at most {aim} x: ' + ('yes' if ratio <= aim else 'NO')}")


def by_hand(
    table: dict[tuple[int, ...], tuple[float, float]], choices: tuple[int, ...], seed: int, population: int
) -> list[tuple[float, tuple[int, ...]]]:
    """Evolve by aging over a dictionary of accuracy and latency; return the scores and the architectures."""
    number = random.Random(seed).random
    score_of = itemgetter(0)
    members: deque[tuple[float, tuple[int, ...]]] = deque()
    history = []
    while len(history) < EVALUATIONS:
        if len(history) < population:
            child = tuple([int(number() * n) for n in choices])
        else:
            parent = max([members[int(number() * population)] for _ in range(SAMPLE)], key=score_of)[1]
            position = int(number() * len(choices))
            choice = int(number() * (choices[position] - 1))
            choice += choice >= parent[position]
            child = (*parent[:position], choice, *parent[position + 1 :])
        accuracy, latency = table[child]
        member = (accuracy if latency <= LIMIT_MS else float("-inf"), child)
        history.append(member)
        members.append(member)
        if len(members) > population:
            members.popleft()
    return history


class Arrays(PymooProblem):
    """Accuracy and latency in an array with an axis for each decision."""

    def __init__(self, costs: np.ndarray, choices: tuple[int, ...]) -> None:
        super().__init__(n_var=len(choices), n_obj=costs.shape[1], xl=0, xu=np.array(choices) - 1, vtype=int)
        self.costs = costs.reshape(*choices, -1)
        self.asked: list[np.ndarray] = []

    def _evaluate(self, x: np.ndarray, out: dict[str, Any], *_: Any, **__: Any) -> None:
        self.asked.append(x)
        out["F"] = self.costs[tuple(x.T)]


def evolution(bench: hwnasbench.Benchmark, vectors: list[tuple[int, ...]], repeats: int) -> None:
    """Compare aging evolution under a limit of latency."""
    problem = search.Problem(bench, Constrained(Metric("accuracy"), {"latency": LIMIT_MS}), device="pixel3")
    values = problem.values(None)
    pairs = zip(values["accuracy"].tolist(), values["latency"].tolist(), strict=True)
    table = dict(zip(vectors, pairs, strict=True))
    for population in (50, 100):

        def ours() -> search.Run:
            return search.run(
                "regularized_evolution",
                problem,
                queries=EVALUATIONS,
                population=population,  # noqa: B023
                sample=SAMPLE,
            )

        def rival() -> list[tuple[float, tuple[int, ...]]]:
            return by_hand(table, problem.choices, 0, population)  # noqa: B023

        run, history = ours(), rival()
        assert run.scores.tolist() == [score for score, _ in history]
        assert [tuple(vector) for vector in run.vectors.tolist()] == [vector for _, vector in history]
        times = timed(ours, rival, repeats=repeats)
        line(f"aging evolution, {EVALUATIONS:,}, population {population}", *times, "a dict", 1.3)
    prepared = time.thread_time()
    search.Problem(bench, problem.objective, device="pixel3").scores(vectors[:1])
    print(f"{'  before it, once: the problem and its table':<46}{(time.thread_time() - prepared) * 1e3:>15.1f} ms")


def fronts(bench: hwnasbench.Benchmark, vectors: list[tuple[int, ...]], repeats: int) -> None:
    """Compare NSGA-II, and print the time of the exact front."""
    problem = search.Problem(bench, Front("accuracy", "latency"), device="pixel3")
    places = np.ravel_multi_index(np.array(vectors).T, problem.choices)
    costs = np.empty((len(vectors), 2))
    costs[places] = -np.array(problem.scores(vectors))
    costs[~np.isfinite(costs)] = 1e300  # cells that are not connected have no latency
    rivals = []

    def ours() -> search.Run:
        return search.run("nsga2", problem, queries=GENERATIONS * MEMBERS, population=MEMBERS)

    def rival() -> None:
        asked = Arrays(costs, problem.choices)
        rivals[:] = [asked]
        minimize(asked, NSGA2(pop_size=MEMBERS, **integers()), ("n_gen", GENERATIONS), seed=0, verbose=False)

    rival()
    assert np.array_equal(ours().vectors, np.concatenate(rivals[0].asked))
    times = timed(ours, rival, repeats=max(3, repeats // 3))
    line(f"NSGA-II, {GENERATIONS * MEMBERS:,}, population {MEMBERS}", *times, "pymoo on arrays", 1.2)
    (exact,) = timed(lambda: bench.pareto(("accuracy", "latency"), device="pixel3"), repeats=repeats)
    print(f"{f'the exact front of {len(vectors):,}':<46}{exact[0] * 1e3:>15.1f} ms ({exact[1] * 1e3:.1f})")
    print(f"{'':<46}in 5 ms: {'yes' if exact[1] <= 5e-3 else 'NO'}")


def many(bench: hwnasbench.Benchmark, seeds: int) -> None:
    """Print the time of many runs, one after the other in this process."""
    one = search.Problem(bench, Constrained(Metric("accuracy"), {"latency": LIMIT_MS}), device="pixel3")
    two = search.Problem(bench, Front("accuracy", "latency"), device="pixel3")
    total = [0.0, 0.0]
    for name in SEARCHERS:
        problem = two if search.get(name).__name__.startswith("NSGA") else one
        start, thread = time.perf_counter(), time.thread_time()
        for seed in range(seeds):
            search.run(name, problem, queries=BUDGET, seed=seed)
        spent = time.perf_counter() - start, time.thread_time() - thread
        total = [a + b for a, b in zip(total, spent, strict=True)]
        print(f"{f'  {seeds} x {name}, {BUDGET:,}':<46}{spent[0]:>15.2f} s  ({spent[1]:.2f})")
    print(f"{f'{seeds} seeds x {len(SEARCHERS)} searchers x {BUDGET:,}':<46}{total[0]:>15.2f} s  ({total[1]:.2f})")
    print(f"{'':<46}under 60 s, on one core: {'yes' if total[1] < 60 else 'NO'}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=100)
    arguments = parser.parse_args()
    bench = hwnasbench.load("nasbench201", data="shipped")
    vectors = [tuple(vector) for vector in bench.space.all_vectors().tolist()]
    print(f"{'':<46}{'ours':>24}{'rival':>24}   ratio")
    evolution(bench, vectors, arguments.repeats)
    print()
    fronts(bench, vectors, arguments.repeats)
    print()
    many(bench, arguments.seeds)


if __name__ == "__main__":
    main()
