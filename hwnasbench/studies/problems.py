"""From what a study says of a problem to one that is searched, and to what its report names."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hwnasbench import search
from hwnasbench.benchmark import load
from hwnasbench.search import objectives
from hwnasbench.studies import spec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwnasbench.search.objectives.base import Objective


class Facts(NamedTuple):
    """What the numbers of a problem came from.

    Attributes
    ----------
    space, release, fingerprint : str
    sources : list of str
        Behind the metrics that the objective looks at.
    best : float or None
        What nothing beats: the score of a report, or the hypervolume of the exact front; None where the space cannot be
        enumerated.
    many : bool
        Whether a front is searched.
    """

    space: str
    release: str
    fingerprint: str
    sources: list[str]
    best: float | None
    many: bool


def objective(table: Mapping[str, Any], limits: Mapping[str, float]) -> Objective:
    """Make an objective of its table in a study, within limits."""
    made = objectives.make(table)
    return objectives.Constrained(made, limits) if limits else made


def make(problem: spec.Problem) -> search.Problem:
    """Return the problem; the same one again within this process, since its table of scores is dear."""
    return _made(problem.model_dump_json())


@lru_cache(maxsize=16)
def _made(text: str) -> search.Problem:
    given = spec.Problem.model_validate_json(text)
    bench: Any = load(given.space.make(), given.data)
    return search.Problem(
        bench,
        objective(given.objective, given.limits),
        given.device,
        split=given.split,
        epochs=given.epochs,
        **given.request,
    )


def facts(problem: search.Problem, best: float | None) -> Facts:
    """Say where the numbers of a problem are from."""
    bench: Any = getattr(problem.bench, "networks", problem.bench)
    return Facts(problem.space.name, bench.release, bench.fingerprint, sources(problem), best, problem.many)


def sources(problem: search.Problem) -> list[str]:
    """Return the ids of the sources behind a problem's metrics, as seen and as reported."""
    some = problem.space.sample_many(np.random.default_rng(0), 1)
    found: set[str] = set()
    for ref in problem.references.values():
        splits: list[dict[str, Any]] = [{"split": problem.split}, {}] if ref.metric == "accuracy" else [{}]
        device = ref.device or problem.device
        for extra in splits:
            request = {**problem.request, **extra, **dict(ref.keys), "metrics": (ref.metric,)}
            if device is not None:
                request["device"] = device
            found |= set(problem.bench.query_many(some, **request).attrs["sources"])
    return sorted(found)
