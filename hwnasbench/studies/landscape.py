"""Accuracy against cost: what a problem's space offers, and what its searchers found there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwnasbench import search
from hwnasbench.search.objectives import Front
from hwnasbench.search.objectives.base import reference
from hwnasbench.studies import problems
from hwnasbench.vectors import non_dominated
from hwnasbench.vocabulary import METRICS

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from hwnasbench.studies import spec

    Floats = NDArray[np.float64]

#: Architectures drawn of a space that cannot be enumerated.
_SAMPLE = 2000


@dataclass(frozen=True, eq=False)
class Landscape:
    """Two metrics of architectures, as reports give them.

    Attributes
    ----------
    x, y : str
        The metrics, with device and unit.
    x_limit : float or None
        What the objective allows of x.
    cloud : (n, 2) ndarray
        Of the whole space, or of a sample.
    whole : bool
        Whether the cloud is the whole space.
    front : (m, 2) ndarray
        What nothing of the cloud beats, from the least x to the most.
    less : bool
        Whether less of x is better.
    found : dict of str to (k, 2) ndarray
        Each searcher's: the best of every run, or the whole front of its median run.
    archs : dict of str to list of str
        Their names.
    """

    x: str
    y: str
    x_limit: float | None
    cloud: Floats
    whole: bool
    front: Floats
    less: bool
    found: dict[str, Floats]
    archs: dict[str, list[str]]


def landscape(given: spec.Problem, runs: pd.DataFrame) -> Landscape:
    """Look at a problem's first metric against its second, or against latency or size where there is one metric alone.

    Parameters
    ----------
    given : Problem
    runs : DataFrame
        The trajectories of the problem.
    """
    problem = problems.make(given)
    y, x = _axes(problem)
    both = search.Problem(
        problem.bench, Front(y, x), problem.device, split=given.split, epochs=given.epochs, **given.request
    )
    space = problem.space
    some = None if space.enumerable else space.sample_many(np.random.default_rng(0), _SAMPLE)

    def points(vectors: NDArray[np.int8] | None) -> Floats:
        values = both.report(vectors)
        return np.column_stack([values[x], values[y]])

    signs = np.array([1.0 if METRICS[reference(name).metric].direction == "max" else -1.0 for name in (x, y)])
    cloud = points(some)
    cloud = cloud[np.isfinite(cloud).all(axis=1)]
    best = np.unique(cloud[non_dominated(-cloud * signs)], axis=0)
    archs = _found(runs, problem.many)
    found = {name: points(space.vectors(texts)) if texts else np.empty((0, 2)) for name, texts in archs.items()}
    limit, device = getattr(problem.objective, "limits", {}).get(x), problem.device
    less = bool(signs[0] < 0)
    return Landscape(_label(x, device), _label(y, device), limit, cloud, space.enumerable, best, less, found, archs)


def _axes(problem: search.Problem) -> tuple[str, str]:
    """Return the metrics of both axes: the first is drawn upwards."""
    names = sorted(problem.references, key=lambda name: name != "accuracy")
    if len(names) == 1:
        costly = problem.device is not None or hasattr(problem.space, "accelerators")
        names.append("latency" if costly and names[0] != "latency" else "params")
    return names[0], names[1]


def _label(name: str, device: object) -> str:
    """Return a metric's axis label: its name, its device, its unit."""
    ref = reference(name)
    at = ref.device or device
    metric = METRICS[ref.metric]
    on = f" on {at}" if at is not None and metric.scope == "device" else ""
    keys = f" ({', '.join(str(value) for _, value in ref.keys)})" if ref.keys else ""
    return ref.metric + keys + on + (f" [{metric.unit}]" if metric.unit != "1" else "")


def _found(runs: pd.DataFrame, many: bool) -> dict[str, list[str]]:
    """Return what each searcher found, as strings."""
    out = {}
    for searcher, rows in runs.groupby("searcher", sort=False, observed=True):
        ends = rows.groupby("seed", sort=False).tail(1)
        if many:
            ordered = ends.sort_values(["report_score", "seed"])
            chosen = rows[rows["seed"] == ordered["seed"].iloc[(len(ordered) - 1) // 2]]
            out[str(searcher)] = _front(chosen)
            continue
        key = rows.set_index(["seed", "evaluation"])["arch"]
        ends = ends[ends["incumbent"].notna()]
        out[str(searcher)] = [str(key[seed, int(at)]) for seed, at in zip(ends["seed"], ends["incumbent"], strict=True)]
    return out


def _front(run: pd.DataFrame) -> list[str]:
    """Return what nothing else that a run saw beats."""
    known = run.drop_duplicates("arch")
    scores = known[[name for name in run.columns if name == "score" or name.startswith("score_")]].dropna(axis=1)
    values = scores.to_numpy(np.float64)
    real = np.isfinite(values).all(axis=1)
    return [str(name) for name in known["arch"][real].iloc[np.sort(non_dominated(-values[real]))]] if real.any() else []
