"""From the raw samples of a campaign to one row a network, and how well the processes agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from data_builders.measure import raw
from data_builders.measure.protocol import Samples, summarise
from hwnasbench.errors import CorruptFile, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from data_builders.measure.campaign import Campaign


@dataclass(frozen=True, eq=False)
class Spread:
    """How well times agree, as shares of the time.

    Attributes
    ----------
    within : float
        Median over networks and processes of (ninetieth percentile - minimum) / minimum of one process's rounds.
    between : float
        Median over networks of the standard deviation of the processes' corrected minima over their mean.
    uncorrected : float
        The same of the minima as timed.
    kendall : float
        Mean rank correlation (Kendall's tau-b) of two processes' corrected minima; NaN for one process.
    """

    within: float
    between: float
    uncorrected: float
    kendall: float


def of_campaign(campaign: Campaign) -> list[list[raw.Chunk]]:
    """Return the chunks of a finished campaign, each as its processes saw it.

    Raises
    ------
    InvalidRequest
        When chunks are missing.
    CorruptFile
    """
    left = campaign.waiting()
    if left:
        raise InvalidRequest(f"{len(left)} chunks of the campaign in {campaign.folder} are not measured yet")
    numbers = range(campaign.passes)
    return [[raw.read(campaign.path(chunk, number)) for number in numbers] for chunk in range(len(campaign.chunks))]


def of_file(path: Path) -> list[list[raw.Chunk]]:
    """Return the chunks of a file that `raw.join` wrote, each as its processes saw it.

    Raises
    ------
    CorruptFile
        When it is damaged, or a chunk lacks a process that another has.
    """
    found: dict[str, list[raw.Chunk]] = {}
    for name, chunk in sorted(raw.read_all(path).items()):
        found.setdefault(name.partition("-")[0], []).append(chunk)
    if len({len(processes) for processes in found.values()}) != 1:
        raise CorruptFile(
            f"{path} has chunks of {sorted({len(p) for p in found.values()})} processes; expected one number"
        )
    return list(found.values())


def frame(chunks: Sequence[Sequence[raw.Chunk]]) -> pd.DataFrame:
    """Summarise a campaign.

    Parameters
    ----------
    chunks : sequence of sequence of Chunk
        Of `of_campaign` or `of_file`.

    Returns
    -------
    pandas.DataFrame
        One row a network: ``name``, ``status``; in ms ``value``, ``noise``, ``lower``, ``upper``; then ``rounds``,
        ``joules`` and ``started``: seconds since 1970 when the last process began on the network's chunk.
    """
    base = min(chunk.fastest for processes in chunks for chunk in processes)
    rows = []
    for processes in chunks:
        ok = np.logical_and.reduce([chunk.ok for chunk in processes])
        found = summarise([_only(chunk, ok) for chunk in processes], base)
        joules = np.median([chunk.joules[ok[chunk.ok]] for chunk in processes], axis=0)
        number = iter(range(int(ok.sum())))
        for position, name in enumerate(processes[0].names):
            row: dict[str, object] = {"name": name, "status": "ok"}
            if not ok[position]:
                row["status"] = next(c.status[position] for c in processes if c.status[position] != "ok")
                rows.append(row)
                continue
            at = next(number)
            times = {"value": found.value, "noise": found.noise, "lower": found.lower, "upper": found.upper}
            rows.append(
                {
                    **row,
                    **{key: float(values[at]) * 1e3 for key, values in times.items()},
                    "rounds": int(found.rounds[at]),
                    "joules": float(joules[at]),
                    "started": float(processes[-1].about.get("started", np.nan)),
                }
            )
    columns = ["name", "status", "value", "noise", "lower", "upper", "rounds", "joules", "started"]
    return pd.DataFrame(rows, columns=columns)


def spread(chunks: Sequence[Sequence[raw.Chunk]]) -> Spread:
    """Return how well a campaign's rounds and processes agree."""
    base = min(chunk.fastest for processes in chunks for chunk in processes)
    within, corrected, plain = [], [], []
    for processes in chunks:
        ok = np.logical_and.reduce([chunk.ok for chunk in processes])
        minima, raws = [], []
        for chunk in processes:
            samples = _only(chunk, ok)
            kept = samples.seconds[samples.kept]
            fastest = kept.min(axis=0)
            within.append((np.quantile(kept, 0.9, axis=0) - fastest) / fastest)
            raws.append(fastest)
            minima.append(fastest * (base / chunk.fastest))
        corrected.append(np.array(minima))
        plain.append(np.array(raws))
    timed, raw_times = np.concatenate(corrected, axis=1), np.concatenate(plain, axis=1)
    return Spread(float(np.median(np.concatenate(within))), _relative(timed), _relative(raw_times), _agreement(timed))


def _relative(times: NDArray[np.float64]) -> float:
    if len(times) < 2:
        return float("nan")
    return float(np.median(times.std(axis=0, ddof=1) / times.mean(axis=0)))


def _agreement(times: NDArray[np.float64]) -> float:
    from scipy.stats import kendalltau

    pairs = [(a, b) for a in range(len(times)) for b in range(a)]
    return float(np.mean([kendalltau(times[a], times[b]).statistic for a, b in pairs])) if pairs else float("nan")


def _only(chunk: raw.Chunk, ok: NDArray[np.bool_]) -> Samples:
    samples = chunk.samples
    return Samples(samples.seconds[:, ok[chunk.ok]], samples.reference, samples.kept)
