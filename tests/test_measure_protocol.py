"""The protocol on runners whose times are known: disturbed rounds go, drift is corrected, orders are shuffled."""

from __future__ import annotations

import numpy as np
import pytest

from data_builders.measure import raw, summary
from data_builders.measure.backends.base import Runner
from data_builders.measure.protocol import Clock as Reference
from data_builders.measure.protocol import Protocol, Samples, corrected, summarise, time_chunk, undisturbed
from hwnasbench.errors import MeasurementDisturbed


class Clock:
    """Time that the runners share: `factor` says how much slower the machine is at the n-th inference."""

    def __init__(self, factor=lambda n: 1.0):
        self.factor, self.count, self.order = factor, 0, []


class Known(Runner):
    def __init__(self, name, seconds, clock):
        self.name, self._seconds, self.clock = name, seconds, clock

    def run(self):
        self.clock.count += 1

    def seconds(self):
        self.run()
        self.clock.order.append(self.name)
        return self._seconds * self.clock.factor(self.clock.count)

    def output(self):
        return np.zeros((1, 1), np.float32)


def chunk(clock, n=10):
    return [Known(i, 1e-3 * (i + 1), clock) for i in range(n)], Known("reference", 2e-3, clock)


def test_quiet_rounds_give_the_times():
    clock = Clock()
    runners, reference = chunk(clock)
    samples = time_chunk(runners, reference, Protocol(rounds=4), np.random.default_rng(0))
    assert samples.kept.all()
    assert samples.reference.shape == (4, 2)
    np.testing.assert_allclose(samples.seconds, np.tile(np.arange(1, 11) * 1e-3, (4, 1)))
    found = summarise([samples, samples], Reference(2e-3))
    np.testing.assert_allclose(found.value, np.arange(1, 11) * 1e-3)
    np.testing.assert_allclose(found.noise, 0, atol=1e-15)
    assert (found.rounds == 8).all()


def test_each_round_has_an_order_of_its_own_that_follows_from_the_seed():
    def orders(seed):
        clock = Clock()
        runners, reference = chunk(clock)
        protocol = Protocol(rounds=5, inner=1)
        time_chunk(runners, reference, protocol, np.random.default_rng(seed))
        return np.array([name for name in clock.order if name != "reference"]).reshape(5, 10)

    found = orders(1)
    assert len({tuple(row) for row in found}) == 5
    assert (np.sort(found, axis=1) == np.arange(10)).all()
    assert (found == orders(1)).all()
    assert (found != orders(2)).any()


def test_disturbed_rounds_do_not_count():
    # A neighbour makes every third round 1.6 times slower.
    per_round = (10 + 2) * (1 + 2)
    clock = Clock(lambda n: 1.6 if (n - 22) // per_round % 3 == 0 else 1.0)
    runners, reference = chunk(clock)
    samples = time_chunk(runners, reference, Protocol(rounds=6, inner=2), np.random.default_rng(0))
    assert samples.kept.sum() == 6
    assert (~samples.kept).sum() >= 2
    np.testing.assert_allclose(summarise([samples], Reference(2e-3)).value, np.arange(1, 11) * 1e-3)


def test_a_machine_that_never_rests_is_refused():
    rng = np.random.default_rng(3)
    clock = Clock(lambda n: float(rng.uniform(1, 3)))
    runners, reference = chunk(clock)
    with pytest.raises(MeasurementDisturbed, match="doing something else"):
        time_chunk(runners, reference, Protocol(rounds=50, inner=1, extra=5), np.random.default_rng(0))


def test_the_reference_corrects_a_slower_clock():
    slow = Samples(np.full((2, 3), 2.2), np.full((2, 2), 1.1), np.array([True, True]))
    np.testing.assert_allclose(corrected(slow, Reference(1.0)), 2.0)
    np.testing.assert_allclose(corrected(slow, Reference(1.0, 0.0)), 2.2)
    np.testing.assert_allclose(corrected(slow, Reference(1.0, 0.5)), 2.2 / 1.1**0.5)
    fast = Samples(np.full((2, 3), 2.0), np.full((2, 2), 1.0), np.array([True, False]))
    found = summarise([slow, fast], Reference(1.0))
    np.testing.assert_allclose(found.value, 2.0)
    np.testing.assert_allclose(found.noise, 0, atol=1e-12)
    assert (found.rounds == 3).all()


def test_both_references_of_a_round_must_be_undisturbed():
    pairs = np.array([[1.0, 1.0], [1.0, 1.06], [1.06, 1.0], [1.04, 1.04]])
    assert undisturbed(pairs, 0.05).tolist() == [True, False, False, True]


def test_interleaved_minima_rank_better_than_sequential_medians():
    """What the protocol is for, on a clock that drifts by 20 % with neighbours that come and go."""
    from scipy.stats import kendalltau

    true = 1e-3 * (1 + np.random.default_rng(5).random(60))

    def noisy(seed):
        rng = np.random.default_rng(seed)
        bursts = rng.random(4000) < 0.3
        return Clock(
            lambda n: (1 + 0.1 * np.sin(n / 500)) * (1.6 if bursts[n // 40 % 4000] else 1 + 0.01 * rng.random())
        )

    def sequential(seed):
        clock = noisy(seed)
        return [np.median([Known(0, t, clock).seconds() for _ in range(21)]) for t in true]

    def interleaved(seed):
        clock = noisy(seed)
        protocol = Protocol(rounds=7, inner=2, limit=0.25, extra=200)
        runners = [Known(i, t, clock) for i, t in enumerate(true)]
        samples = time_chunk(runners, Known("reference", 1e-3, clock), protocol, np.random.default_rng(seed))
        return summarise([samples], Reference(1e-3)).value

    plain = kendalltau(sequential(1), sequential(2)).statistic
    ours = kendalltau(interleaved(1), interleaved(2)).statistic
    assert ours > 0.9 > plain


def made_up_chunk(references, slope, rng, n=40):
    """What processes see of a chunk whose networks change as a power of the reference does."""
    true = 1e-3 * (1 + rng.random(n))
    return [
        raw.Chunk(
            [str(i) for i in range(n)],
            ["ok"] * n,
            Samples((true * one**slope)[None], np.full((1, 2), one), np.array([True])),
            np.full(n, np.nan),
            {},
        )
        for one in references
    ]


@pytest.mark.parametrize("slope", [0.0, 0.4, 1.0])
def test_how_far_networks_change_with_the_reference_is_fitted(slope):
    rng = np.random.default_rng(2)
    chunks = [made_up_chunk(rng.uniform(1.0, 1.1, 3), slope, rng) for _ in range(100)]
    found = summary.clock([chunks])
    assert found.slope == pytest.approx(slope, abs=0.01)
    assert found.base == pytest.approx(1.05, abs=0.01)
    assert summary.spread(chunks).between < 0.001
    values = summary.frame(chunks)["value"].to_numpy()
    fixed = [one.samples.seconds[0] * (found.base / one.fastest) ** slope for one, *_ in chunks]
    np.testing.assert_allclose(values, 1e3 * np.concatenate(fixed), rtol=2e-3)


def test_a_few_differences_leave_the_reference_trusted():
    rng = np.random.default_rng(2)
    chunks = [made_up_chunk([1.0, 1.001, 0.999], 0.0, rng)]
    assert summary.clock([chunks]).slope > 0.99
    assert summary.clock([[made_up_chunk([1.0], 0.0, rng)]]).slope == 1
