"""How networks are timed so that the numbers can be trusted: shuffled rounds, a reference, the minimum.

One network after the other, medians of the same network differ by 14 % between two runs on a shared server, because
the clock and the neighbours change meanwhile. So networks are prepared in chunks and timed in rounds: each round times
each network of the chunk once, in a new random order, and a reference network that is the same in the whole campaign.
A round whose reference is slow was disturbed and is repeated. The minimum over rounds is kept; the reference's own
minimum in the chunk, against that of other chunks, corrects what the clock did in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hwnasbench.errors import MeasurementDisturbed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from data_builders.measure.backends.base import Runner


@dataclass(frozen=True)
class Protocol:
    """How often and under which limits networks are timed.

    Attributes
    ----------
    rounds : int
        Rounds that count.
    inner : int
        Timed inferences of a network in a round, of which the fastest is the round's sample; one more, untimed, goes
        before them: it brings the network's weights into the caches that the others threw them out of.
    warm_up : int
        Untimed inferences of each network before the first round.
    limit : float
        A round whose reference is slower than its fastest in the chunk by more than this share is disturbed. On a
        quiet shared server samples jitter by 5 %, which the minimum takes out; a neighbour on the same core slows by
        25 to 70 %.
    extra : int
        Disturbed rounds that are borne before the chunk is given up.
    """

    rounds: int = 7
    inner: int = 2
    warm_up: int = 2
    limit: float = 0.1
    extra: int = 30


@dataclass(frozen=True)
class Samples:
    """What the rounds of a chunk gave.

    Attributes
    ----------
    seconds : (rounds, n) ndarray of float64
        The fastest inference of each network in each round, disturbed ones included.
    reference : (rounds, 2) ndarray of float64
        That of the reference network, at the start and at the end of each round.
    kept : (rounds,) ndarray of bool
        Which rounds were not disturbed.
    """

    seconds: NDArray[np.float64]
    reference: NDArray[np.float64]
    kept: NDArray[np.bool_]


def time_chunk(runners: Sequence[Runner], reference: Runner, protocol: Protocol, rng: np.random.Generator) -> Samples:
    """Time networks in rounds until enough of them were not disturbed.

    Parameters
    ----------
    runners : sequence of Runner
    reference : Runner
        Timed at the start and at the end of each round; both must be undisturbed.
    protocol : Protocol
    rng : numpy.random.Generator
        Of the order in each round.

    Raises
    ------
    MeasurementDisturbed
        When more than ``extra`` rounds are disturbed.
    """
    for runner in (reference, *runners):
        for _ in range(protocol.warm_up):
            runner.run()
    seconds: list[NDArray[np.float64]] = []
    references: list[tuple[float, float]] = []
    while True:
        row = np.empty(len(runners))
        before = _sample(reference, protocol.inner)
        for number in rng.permutation(len(runners)):
            row[number] = _sample(runners[number], protocol.inner)
        seconds.append(row)
        references.append((before, _sample(reference, protocol.inner)))
        pairs = np.array(references)
        kept = undisturbed(pairs, protocol.limit)
        if kept.sum() >= protocol.rounds:
            return Samples(np.array(seconds), pairs, kept)
        if (~kept).sum() > protocol.extra:
            raise MeasurementDisturbed(
                f"{(~kept).sum()} of {len(kept)} rounds had a reference more than {protocol.limit:.0%} slower than the "
                f"fastest ({pairs.min() * 1e3:.3f} ms, slowest {pairs.max() * 1e3:.3f} ms); expected at most "
                f"{protocol.extra}: is the machine doing something else?"
            )


def undisturbed(references: NDArray[np.float64], limit: float) -> NDArray[np.bool_]:
    """Return in which rounds both references, (rounds, 2), are within a share of the fastest of all."""
    return np.asarray(references.max(axis=1) <= references.min() * (1 + limit))


def _sample(runner: Runner, inner: int) -> float:
    runner.run()
    return min(runner.seconds() for _ in range(inner))


@dataclass(frozen=True)
class Summary:
    """What is reported of networks that were timed in several processes, in seconds.

    Attributes
    ----------
    value : (n,) ndarray of float64
        The median over processes of the corrected minima.
    noise : (n,) ndarray of float64
        Their standard deviation; NaN for one process.
    lower, upper : (n,) ndarray of float64
        Tenth and ninetieth percentile of the corrected samples of all undisturbed rounds.
    rounds : (n,) ndarray of int64
        Undisturbed rounds, over all processes.
    """

    value: NDArray[np.float64]
    noise: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    rounds: NDArray[np.int64]


class Clock(NamedTuple):
    """What the reference network tells of other networks' times.

    Attributes
    ----------
    base : float
        Median over chunks of the reference's fastest inference, in seconds.
    slope : float
        By which power of its changes the times of other networks change: 1 where a slower clock slows all alike, 0
        where the reference's changes are its own.
    """

    base: float
    slope: float = 1.0


def corrected(samples: Samples, clock: Clock) -> NDArray[np.float64]:
    """Return the samples of undisturbed rounds, (rounds, n), as if the reference had taken `clock.base` seconds."""
    fastest = float(samples.reference[samples.kept].min())
    found: NDArray[np.float64] = samples.seconds[samples.kept] * (clock.base / fastest) ** clock.slope
    return found


def summarise(processes: Sequence[Samples], clock: Clock) -> Summary:
    """Summarise one chunk, timed by one or several processes.

    Parameters
    ----------
    processes : sequence of Samples
        Of the same networks.
    clock : Clock
        Of the campaign.
    """
    each = [corrected(samples, clock) for samples in processes]
    minima = np.array([rows.min(axis=0) for rows in each])
    pooled = np.concatenate(each)
    noise = minima.std(axis=0, ddof=1) if len(minima) > 1 else np.full(minima.shape[1], np.nan)
    lower, upper = np.quantile(pooled, (0.1, 0.9), axis=0)
    return Summary(np.median(minima, axis=0), noise, lower, upper, np.full(minima.shape[1], len(pooled)))
