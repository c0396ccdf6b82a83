"""What the runs of a study say: curves, a final table, paired tests, and ranks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hwnasbench.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

try:
    from scipy import stats
except ImportError as error:
    raise MissingExtra("the statistics of studies need scipy: pip install 'hwnasbench[study]'") from error

#: Points of a curve, at most.
_POINTS = 200
#: A volume that was summed in another order is not as far from the best.
_NOTHING = 1e-9
#: Level of the critical difference.
LEVEL = 0.05


@dataclass(frozen=True, eq=False)
class Outcome:
    """How good the best was that each run had found, over the budget.

    Attributes
    ----------
    problem : str
    measure : {"regret", "score", "hypervolume regret", "hypervolume"}
        Regrets are what is missing to the best of the space: less is better.
    unit : {"evaluation", "seconds"}
        Of the budget.
    points : (m,) ndarray
        Where the curves are read.
    seeds : tuple of int
    values : dict of str to (seeds, m) ndarray
        For each searcher; infinitely bad where a run had found nothing feasible yet.
    """

    problem: str
    measure: str
    unit: str
    points: Floats
    seeds: tuple[int, ...]
    values: dict[str, Floats]

    @property
    def sign(self) -> float:
        """1 where more of the measure is better, -1 where less is."""
        return -1.0 if self.measure.endswith("regret") else 1.0

    def final(self) -> dict[str, Floats]:
        """Return each run's last value, larger for the better; finite, and below all others where nothing was found."""
        last = {name: self.sign * values[:, -1] for name, values in self.values.items()}
        known = np.concatenate(list(last.values()))
        known = known[np.isfinite(known)]
        worst = known.min() - np.ptp(known) - 1.0 if len(known) else 0.0
        return {name: np.where(np.isfinite(values), values, worst) for name, values in last.items()}


def outcome(problem: str, facts: Mapping[str, Any], runs: pd.DataFrame, budget: Mapping[str, Any]) -> Outcome:
    """Read the curves of a problem off its trajectories.

    Parameters
    ----------
    problem : str
    facts : mapping
        Of the trajectories' metadata: ``best`` and ``many``.
    runs : DataFrame
        Columns searcher, seed, evaluation, seconds, report_score; the rows of a run in order, together.
    budget : mapping
        ``queries`` and ``seconds``; the curves go over seconds where there are any.
    """
    unit = "evaluation" if budget["seconds"] is None else "seconds"
    values: dict[str, list[Floats]] = {}
    seeds: dict[str, list[int]] = {}
    slices = list(_runs(runs))
    along, score = runs[unit].to_numpy(np.float64), runs["report_score"].to_numpy(np.float64)
    first = min(along[part.start] for _, _, part in slices)
    last = max(along[part.stop - 1] for _, _, part in slices)
    points = np.geomspace(first, last, _POINTS) if last > first else np.array([last])
    points[-1] = last
    if unit == "evaluation":
        points = np.unique(np.rint(points))
    for searcher, seed, part in slices:
        where = np.searchsorted(along[part], points, side="right") - 1
        found = np.where(where < 0, np.nan, score[part][np.maximum(where, 0)])
        values.setdefault(searcher, []).append(np.where(np.isnan(found), -np.inf, found))
        seeds.setdefault(searcher, []).append(seed)
    best = facts["best"]
    measure = "hypervolume" if facts["many"] else "score"
    if best is not None:
        measure = "hypervolume regret" if facts["many"] else "regret"
    told = {name: np.array(rows) if best is None else _regret(np.array(rows), best) for name, rows in values.items()}
    return Outcome(problem, measure, unit, points, tuple(next(iter(seeds.values()))), told)


def _regret(scores: Floats, best: float) -> Floats:
    """Return what is missing to the best; a volume summed in another order may pass it by its last digit."""
    return np.maximum(best - scores, 0.0)


def _runs(runs: pd.DataFrame) -> Iterator[tuple[str, int, slice]]:
    """Yield the searcher, the seed and the rows of each run."""
    names, seeds = runs["searcher"].to_numpy(object), runs["seed"].to_numpy()
    starts = np.flatnonzero(runs["evaluation"].to_numpy() == 1)
    for start, stop in zip(starts, [*starts[1:], len(runs)], strict=True):
        yield str(names[start]), int(seeds[start]), slice(int(start), int(stop))


def curves(found: Outcome) -> pd.DataFrame:
    """Return the anytime curves: median and quartiles over the seeds of each searcher at each point of the budget."""
    parts = []
    for searcher, values in found.values.items():
        low, middle, high = (_quantile(values, q) for q in (0.25, 0.5, 0.75))
        parts.append(
            pd.DataFrame(
                {
                    "problem": found.problem,
                    "searcher": searcher,
                    "measure": found.measure,
                    found.unit: found.points,
                    "median": middle,
                    "q25": low,
                    "q75": high,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _quantile(values: Floats, q: float) -> Floats:
    """Return a quantile over the first axis, linear between neighbours; NaN where an infinite one takes part."""
    ordered = np.sort(values, axis=0)
    place = q * (len(ordered) - 1)
    low, high = ordered[int(np.floor(place))], ordered[int(np.ceil(place))]
    known = np.isfinite(low) & np.isfinite(high)
    out = np.full(values.shape[1], np.nan)
    out[known] = low[known] + (place - np.floor(place)) * (high[known] - low[known])
    return out


def final(found: Outcome, runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row a searcher: the measure after the whole budget, the mean rank, and the best found as reported.

    Columns: problem, searcher, measure, runs; median, q25, q75, mean and std (of a sample) of the measure; ``at_best``,
    the share of runs that found the best of the space (NaN where it is unknown); rank, the mean over the seeds; and
    mean and std of each reported metric of the incumbent.
    """
    last = [(searcher, part.stop - 1) for searcher, _, part in _runs(runs)]
    metrics = [name for name in runs.columns if name.startswith("report_") and runs[name].notna().any()]
    ranked = ranks(found.final())
    rows = []
    for searcher, values in found.values.items():
        end = values[:, -1]
        known = end[np.isfinite(end)]
        row: dict[str, Any] = {"problem": found.problem, "searcher": searcher, "measure": found.measure}
        row |= {"runs": len(end), "median": _quantile(values[:, -1:], 0.5)[0]}
        row |= {"q25": _quantile(values[:, -1:], 0.25)[0], "q75": _quantile(values[:, -1:], 0.75)[0]}
        row |= {"mean": known.mean() if len(known) == len(end) else np.nan, "std": _std(known, len(end))}
        row["at_best"] = float((end < _NOTHING).mean()) if found.sign < 0 else np.nan
        row["rank"] = ranked.mean[searcher]
        ends = runs.iloc[[at for name, at in last if name == searcher]]
        for metric in metrics:
            reported = ends[metric].to_numpy(np.float64)
            whole = reported[np.isfinite(reported)]
            row[f"{metric}_mean"] = whole.mean() if len(whole) == len(reported) else np.nan
            row[f"{metric}_std"] = _std(whole, len(reported))
        rows.append(row)
    return pd.DataFrame(rows)


def _std(values: Floats, expected: int) -> float:
    return float(values.std(ddof=1)) if len(values) == expected > 1 else float("nan")


def pairs(found: Outcome) -> pd.DataFrame:
    """Compare every two searchers of a problem by the Wilcoxon signed-rank test over the runs of equal seed number.

    Two-sided; ``p`` is that of the pair alone, ``p_holm`` holds for all pairs of the problem together (Holm's
    step-down). ``difference`` is the median of the first less the second, in the measure's unit; ``better`` names the
    one ahead where ``p_holm`` is below .05, and is empty where neither is shown to be better.
    """
    last = found.final()
    rows: list[dict[str, Any]] = []
    for a, b in combinations(last, 2):
        difference = last[a] - last[b]
        p = float(stats.wilcoxon(difference).pvalue) if difference.any() else 1.0
        median = found.sign * float(np.median(difference)) + 0.0  # no -0
        rows.append({"problem": found.problem, "first": a, "second": b, "difference": median})
        rows[-1] |= {"p": p, "ahead": _ahead(a, b, difference)}
    corrected = holm([row["p"] for row in rows])
    for row, p in zip(rows, corrected, strict=True):
        ahead = row.pop("ahead")
        row |= {"p_holm": p, "better": ahead if p < LEVEL else ""}
    return pd.DataFrame(rows, columns=["problem", "first", "second", "difference", "p", "p_holm", "better"])


def _ahead(a: str, b: str, difference: Floats) -> str:
    """Return the one whose side has the larger sum of ranks, as the test counts them."""
    apart = difference[difference != 0]
    return a if (np.sign(apart) * stats.rankdata(np.abs(apart))).sum() > 0 else b


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number by Holm's step-down procedure.

    The i-th smallest of m is multiplied by m - i + 1 and is no smaller than those before it (S. Holm, A Simple
    Sequentially Rejective Multiple Test Procedure, 1979; recalled).
    """
    out, largest = [0.0] * len(p), 0.0
    for step, at in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        largest = max(largest, min(1.0, (len(p) - step) * p[at]))
        out[at] = largest
    return out


@dataclass(frozen=True)
class Ranks:
    """Mean ranks over blocks, 1 the best.

    Attributes
    ----------
    mean : dict of str to float
    blocks : int
    friedman : float
        p-value of the Friedman test; NaN below three searchers.
    critical : float
        Two mean ranks that differ by less do not differ at .05 by the Nemenyi test; NaN for one searcher.
    """

    mean: dict[str, float]
    blocks: int
    friedman: float
    critical: float


def ranks(values: Mapping[str, Floats]) -> Ranks:
    """Rank searchers within each block (a seed, or a problem), and test whether they differ.

    The critical difference is q sqrt(k (k + 1) / (6 n)) for k searchers and n blocks, q the Studentised range at .05
    over sqrt 2 (J. Demsar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7, 2006; recalled).

    Parameters
    ----------
    values : mapping of str to (blocks,) ndarray
        Larger is better; equal ones share their mean rank.
    """
    matrix = np.column_stack(list(values.values()))
    n, k = matrix.shape
    ranked = stats.rankdata(-matrix, axis=1)
    friedman = float("nan")
    if k > 2:
        equal = bool((ranked == ranked[:, :1]).all())
        friedman = 1.0 if equal else float(stats.friedmanchisquare(*matrix.T).pvalue)
    quantile = float(stats.studentized_range.ppf(1 - LEVEL, k, np.inf)) / np.sqrt(2) if k > 1 else float("nan")
    mean = dict(zip(values, ranked.mean(axis=0).tolist(), strict=True))
    return Ranks(mean, n, friedman, float(quantile * np.sqrt(k * (k + 1) / (6 * n))))


def over_problems(found: Sequence[Outcome]) -> Ranks:
    """Rank searchers by their median on each problem, a problem a block."""
    medians = [{name: float(np.median(values)) for name, values in one.final().items()} for one in found]
    return ranks({name: np.array([of[name] for of in medians]) for name in medians[0]})


def rank_table(found: Sequence[Outcome]) -> pd.DataFrame:
    """Return the ranks of every problem over its seeds, and of all problems together where there are several."""
    listed = [(one.problem, "seed", ranks(one.final())) for one in found]
    if len(found) > 1:
        listed.append(("all", "problem", over_problems(found)))
    rows = [
        {"problem": problem, "searcher": searcher, "rank": mean, "blocks": of.blocks, "block": block}
        | {"friedman_p": of.friedman, "critical_difference": of.critical}
        for problem, block, of in listed
        for searcher, mean in of.mean.items()
    ]
    return pd.DataFrame(rows)
