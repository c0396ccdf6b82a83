"""Search algorithms that run on the benchmark.

>>> import hwnasbench
>>> from hwnasbench import search
>>> from hwnasbench.search.objectives import Constrained, Metric
>>> bench = hwnasbench.load("nasbench201", data="shipped")
>>> problem = search.Problem(bench, Constrained(Metric("accuracy"), {"latency": 10.0}), device="pixel3")
>>> found = search.run("random", problem, queries=500, seed=0)
>>> found.best in {tuple(arch.vector) for arch in bench.space}
True

A searcher of one's own is a class with ``ask`` and ``tell``; see docs/search.md.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hwnasbench.errors import UnknownName

if TYPE_CHECKING:
    from hwnasbench.search.base import Searcher
    from hwnasbench.search.loop import Budget, Run
    from hwnasbench.search.problem import Problem

__all__ = ["Budget", "Problem", "Run", "Searcher", "get", "names", "run"]
_HOMES = {"Budget": "loop", "Run": "loop", "Problem": "problem", "Searcher": "base"}

#: One line a searcher: its name, and the module and the class that it is.
_REGISTRY = {
    "bayesian_gp": ("bayesian_gp", "BayesianGp"),
    "bayesian_tree": ("bayesian_tree", "BayesianTree"),
    "darts": ("darts", "Darts"),
    "ddpg": ("ddpg", "Ddpg"),
    "dnas": ("dnas", "Dnas"),
    "evolution": ("evolution", "Evolution"),
    "hyperband": ("hyperband", "Hyperband"),
    "integer_programming": ("integer_programming", "IntegerProgramming"),
    "local_search": ("local_search", "LocalSearch"),
    "nsga2": ("nsga2", "NSGA2"),
    "nsga3": ("nsga3", "NSGA3"),
    "predictor_guided": ("predictor_guided", "PredictorGuided"),
    "proxyless": ("proxyless", "Proxyless"),
    "random": ("random", "RandomSearch"),
    "regularized_evolution": ("regularized_evolution", "RegularizedEvolution"),
    "reinforce": ("reinforce", "Reinforce"),
    "reinforce_lstm": ("reinforce_lstm", "ReinforceLstm"),
    "single_path": ("single_path", "SinglePath"),
    "successive_halving": ("successive_halving", "SuccessiveHalving"),
    "tpe": ("tpe", "Tpe"),
}


def names() -> list[str]:
    """Return the names of the registered searchers, sorted."""
    return sorted(_REGISTRY)


def get(name: str) -> type[Searcher]:
    """Return the searcher called `name`.

    Raises
    ------
    UnknownName
        When no such searcher is registered.
    MissingExtra
        When it needs a library that is not installed.
    """
    try:
        module, attribute = _REGISTRY[name]
    except (KeyError, TypeError):
        raise UnknownName("searcher", name, _REGISTRY) from None
    found: type[Searcher] = getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
    return found


def run(
    searcher: str | type[Searcher],
    problem: Problem,
    *,
    queries: int | None = None,
    seconds: float | None = None,
    seed: int = 0,
    **settings: Any,
) -> Run:
    """Search a problem.

    Parameters
    ----------
    searcher : str or subclass of Searcher
        A name of `names`, or one of your own.
    problem : Problem
    queries, seconds : optional
        The budget; see `Budget`.
    seed : int
    **settings
        Of the searcher.

    Raises
    ------
    InvalidRequest
        For a budget of nothing, a seed that is none, or a problem that the searcher cannot search.
    UnknownName
        For a setting that the searcher does not have.
    """
    from hwnasbench.search import base, loop

    budget = loop.Budget(queries, seconds)
    kind = get(searcher) if isinstance(searcher, str) else searcher
    known = base.settings_of(kind)
    for name in settings:
        if known is not None and name not in known:
            raise UnknownName(f"setting of {kind.name}", name, sorted(known))
    return loop.run(kind(problem, seed, **settings), budget)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
