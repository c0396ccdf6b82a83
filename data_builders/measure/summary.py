"""From the raw samples of a campaign to one row a network, and how well the processes agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from data_builders.measure import raw
from data_builders.measure.protocol import Clock, Samples, corrected, summarise
from hwnasbench.errors import CorruptFile, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from data_builders.measure.campaign import Campaign


#: Trust in a slope of 1, as ten differences of 1 % between the references of a chunk's processes would give.
_TRUST = 10 * 0.01**2


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
    disturbed : float
        Rounds that did not count.
    first : float
        Median over networks of the first process's corrected minimum over the others' mean, less 1; NaN for one
        process. First by its number: chunks that were measured again came later.
    """

    within: float
    between: float
    uncorrected: float
    kendall: float
    disturbed: float
    first: float


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


def clock(campaigns: Iterable[Sequence[Sequence[raw.Chunk]]]) -> Clock:
    """Return what the reference network tells in campaigns at one setting on one machine.

    How far the times of a chunk's networks differ between its processes is compared with how far its reference's do,
    both as mean logarithms about the chunk's mean, by least squares. Where there are few such differences the slope
    stays near 1.

    Parameters
    ----------
    campaigns : iterable of sequence of sequence of Chunk
        Of `of_campaign` or `of_file`.
    """
    references, told, changed = [], [], []
    for processes in (processes for chunks in campaigns for processes in chunks):
        fastest = np.log([chunk.fastest for chunk in processes])
        references.append(fastest)
        ok = np.logical_and.reduce([chunk.ok for chunk in processes])
        if ok.any():
            times = np.log([_fastest(_only(chunk, ok)) for chunk in processes]).mean(axis=1)
            told.append(fastest - fastest.mean())
            changed.append(times - times.mean())
    x, y = (np.concatenate(parts) if parts else np.zeros(1) for parts in (told, changed))
    slope = (float(x @ y) + _TRUST) / (float(x @ x) + _TRUST)
    return Clock(float(np.exp(np.median(np.concatenate(references)))), min(1.0, max(0.0, slope)))


def frame(chunks: Sequence[Sequence[raw.Chunk]], by: Clock | None = None) -> pd.DataFrame:
    """Summarise a campaign.

    Parameters
    ----------
    chunks : sequence of sequence of Chunk
        Of `of_campaign` or `of_file`.
    by : Clock, optional
        By which times are corrected; the campaign's own by default.

    Returns
    -------
    pandas.DataFrame
        One row a network: ``name``, ``status``; in ms ``value``, ``noise``, ``lower``, ``upper``; then ``rounds``,
        ``joules``, ``begun`` and ``started``: seconds since 1970 when the first and the last process began on the
        network's chunk.
    """
    by = by or clock([chunks])
    rows = []
    for processes in chunks:
        ok = np.logical_and.reduce([chunk.ok for chunk in processes])
        found = summarise([_only(chunk, ok) for chunk in processes], by)
        joules = np.median([chunk.joules[ok[chunk.ok]] for chunk in processes], axis=0)
        number = iter(range(int(ok.sum())))
        begun, started = (float(processes[at].about.get("started", np.nan)) for at in (0, -1))
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
                    "begun": begun,
                    "started": started,
                }
            )
    columns = ["name", "status", "value", "noise", "lower", "upper", "rounds", "joules", "begun", "started"]
    return pd.DataFrame(rows, columns=columns)


def spread(chunks: Sequence[Sequence[raw.Chunk]], by: Clock | None = None) -> Spread:
    """Return how well a campaign's rounds and processes agree; see `frame`."""
    by = by or clock([chunks])
    within, timed, plain, kept = [], [], [], []
    for processes in chunks:
        ok = np.logical_and.reduce([chunk.ok for chunk in processes])
        samples = [_only(chunk, ok) for chunk in processes]
        for one in samples:
            fastest = _fastest(one)
            within.append((np.quantile(one.seconds[one.kept], 0.9, axis=0) - fastest) / fastest)
            kept.append(one.kept)
        timed.append(np.array([corrected(one, by).min(axis=0) for one in samples]))
        plain.append(np.array([_fastest(one) for one in samples]))
    ours, as_timed = np.concatenate(timed, axis=1), np.concatenate(plain, axis=1)
    return Spread(
        float(np.median(np.concatenate(within))),
        _relative(ours),
        _relative(as_timed),
        _agreement(ours),
        1 - float(np.concatenate(kept).mean()),
        float(np.median(ours[0] / ours[1:].mean(axis=0)) - 1) if len(ours) > 1 else float("nan"),
    )


def _fastest(samples: Samples) -> NDArray[np.float64]:
    """Return the minimum of each network over undisturbed rounds, in seconds."""
    fastest: NDArray[np.float64] = samples.seconds[samples.kept].min(axis=0)
    return fastest


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
