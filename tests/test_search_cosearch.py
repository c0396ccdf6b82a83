"""Search over networks and accelerators, networks and bits, and all three at once."""

from __future__ import annotations

import numpy as np
import pytest

import hwnasbench
from hwnasbench import search, spaces
from hwnasbench.devices.accelerator_spaces import joint
from hwnasbench.errors import InvalidRequest, NoColumn, NotEnumerable, UnknownName
from hwnasbench.search.indicators import ExactFront
from hwnasbench.search.objectives import (
    Codesign,
    Constrained,
    EnergyDelay,
    Front,
    Metric,
    MnasNet,
    Nahas,
    Objective,
    PerformancePerArea,
)
from hwnasbench.spaces.mixed import mixed_precision

#: Of each kind: a space, and the device of those that bring none.
SPACES = {
    "accelerator": (joint(spaces.get("nasbench201"), "systolic"), None),
    "bits": (mixed_precision(spaces.get("nasbench201"), (2, 4, 8), (8,)), "bitflexible_32x32"),
    "both": (joint(mixed_precision(spaces.get("nasbench201"), (2, 4, 8), (8,)), "systolic"), None),
}


def problem_of(kind: str, objective: Objective, **more: object) -> search.Problem:
    space, device = SPACES[kind]
    return search.Problem(hwnasbench.load(space, data="shipped"), objective, device, **more)


def drawn(problem: search.Problem, n: int, seed: int = 0) -> list[tuple[int, ...]]:
    return [tuple(v) for v in problem.space.sample_many(np.random.default_rng(seed), n).tolist()]


def test_nahas_weighs_the_network_and_its_accelerator():
    """Against each pair asked alone, on the design as a device of its own."""
    problem = problem_of("accelerator", Nahas(0.2, 2.0))
    pairs = drawn(problem, 12)
    for pair, score in zip(pairs, problem.scores(pairs), strict=True):
        network, design = problem.space.split(pair)
        device = problem.space.accelerators.device(design)
        known = hwnasbench.load("nasbench201", data="shipped").query(
            network, device, split="valid", epochs=200, metrics=("accuracy", "latency", "area")
        )
        if known["latency"].value is None:
            assert score == -np.inf
            continue
        expected = known.accuracy * (known.latency / 0.2) ** -0.07 * (known.area / 2.0) ** -0.07
        assert score == pytest.approx(expected, rel=1e-6)
    assert np.isfinite(problem.scores(pairs)).sum() > 6


def test_bits_cost_accuracy_and_save_latency():
    """Of one network at 8 and at 2 bits of weights, as the benchmark has both."""
    problem = problem_of("bits", Front("accuracy", "latency", "model_size"))
    space, arch = problem.space, 6111
    pair = np.array([space.uniform(arch, precision).vector for precision in ("w8a8", "w2a8")], np.int8)
    values = problem.values(pair)
    assert values["accuracy"][1] < values["accuracy"][0]
    assert values["model_size"][1] == pytest.approx(values["model_size"][0] / 4)
    bench = hwnasbench.load("nasbench201", data="shipped")
    for row, precision in enumerate(("int8", "w2a8")):
        alone = bench.query(arch, "bitflexible_32x32", precision=precision, metrics=("latency",))
        assert values["latency"][row] == pytest.approx(alone.latency)


def test_all_three_at_once_agree_with_two():
    """A pair whose bits are all the same is what the base space says at that precision."""
    both, two = (problem_of(kind, Front("accuracy", "latency", "energy", "area")) for kind in ("both", "accelerator"))
    mixed, split = both.space.base, len(both.space.base.choices)
    designs = [vector[split:] for vector in drawn(both, 30)]
    pairs = [(*mixed.uniform(6111, "w8a8").vector, *design) for design in designs]
    plain = [(*spaces.get("nasbench201").parse(6111).vector, *design) for design in designs]
    ours, theirs = both.values(np.array(pairs, np.int8)), two.values(np.array(plain, np.int8))
    for name in ("latency", "energy", "area"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-9)
    assert np.isfinite(ours["latency"]).sum() > 20


def test_the_wall_holds_for_pairs():
    """A search sees the validation split, its report the test split by the benchmark's defaults, both at int8."""
    problem = problem_of("accelerator", Metric("accuracy"))
    assert [level.epochs for level in problem.fidelities] == [12, 200]
    vectors = np.array(drawn(problem, 20), np.int8)
    bench, device = problem.bench.networks, problem.space.accelerators.accelerator()
    networks = vectors[:, : len(bench.space.choices)]

    def known(**asked):
        return bench.query_many(networks, device, metrics=("accuracy",), **asked)["accuracy"].to_numpy()

    for level, epochs in enumerate((12, 200)):
        np.testing.assert_allclose(problem.values(vectors, level)["accuracy"], known(split="valid", epochs=epochs))
    np.testing.assert_allclose(problem.report(vectors)["accuracy"], known(split="test"))
    assert (known(split="valid", epochs=200) != known(split="test")).all()


@pytest.mark.parametrize("kind", ["bits", "both"])
def test_the_wall_holds_for_bits(kind):
    """What bits cost a network is the same for every split: the splits differ as their accuracies in fp32 do."""
    problem = problem_of(kind, Metric("accuracy"))
    assert [level.epochs for level in problem.fidelities] == [12, 200]
    vectors = np.array(drawn(problem, 20), np.int8)
    base = hwnasbench.load("nasbench201", data="shipped")
    networks = vectors[:, : len(base.space.choices)]
    lost = []
    for said, split, epochs in (
        (problem.values(vectors, 0), "valid", 12),
        (problem.values(vectors, 1), "valid", 200),
        (problem.report(vectors), "test", 200),
    ):
        full = base.query_many(networks, metrics=("accuracy",), split=split, epochs=epochs)["accuracy"].to_numpy()
        # Nothing is lost below 0 %.
        lost.append(np.where(said["accuracy"] > 0, full - said["accuracy"], np.nan))
    first = lost[0]
    for other in lost[1:]:
        both = np.isfinite(first) & np.isfinite(other)
        assert both.sum() > 10
        np.testing.assert_allclose(first[both], other[both], atol=1e-4)
    assert np.nanmax(first) > 0.1


@pytest.mark.parametrize("kind", SPACES)
@pytest.mark.parametrize("searcher", ["evolution", "local_search"])
def test_searchers_find_what_they_look_for(kind, searcher):
    objective = MnasNet(0.1) if kind == "bits" else Nahas(0.2, 2.0)
    problem = problem_of(kind, objective)
    run = search.run(searcher, problem, queries=150, seed=1)
    again = search.run(searcher, problem, queries=150, seed=1)
    np.testing.assert_array_equal(run.vectors, again.vectors)
    assert run.best in {tuple(v) for v in run.vectors.tolist()}
    assert run.scores.max() > np.median(run.scores[:20][np.isfinite(run.scores[:20])])
    reported = problem.report([run.best])
    assert np.isfinite(reported["score"]).all()
    assert problem.space.format(run.best)


@pytest.mark.parametrize("kind", SPACES)
def test_limits_hold_for_what_is_found(kind):
    problem = problem_of(kind, Constrained(Metric("accuracy"), {"latency": 0.2, "energy": 0.5}))
    run = search.run("evolution", problem, queries=200, seed=0)
    values = problem.values(run.vectors)
    kept = (values["latency"] <= 0.2) & (values["energy"] <= 0.5)
    np.testing.assert_array_equal(np.isfinite(run.scores), kept)
    assert kept.any()
    assert not kept.all()
    best = problem.values([run.best])
    assert best["latency"][0] <= 0.2
    assert best["accuracy"][0] == pytest.approx(values["accuracy"][kept].max())


def test_a_front_of_a_network_and_its_accelerator():
    problem = problem_of("accelerator", Front("accuracy", "latency", "area"))
    run = search.run("nsga2", problem, queries=300, seed=0)
    rows = run.front()
    assert len(rows) > 5
    values = problem.values(run.vectors[rows])
    for one in range(len(rows)):
        beaten = (
            (values["accuracy"] >= values["accuracy"][one])
            & (values["latency"] <= values["latency"][one])
            & (values["area"] <= values["area"][one])
        )
        strictly = (
            (values["accuracy"] > values["accuracy"][one])
            | (values["latency"] < values["latency"][one])
            | (values["area"] < values["area"][one])
        )
        assert not (beaten & strictly).any()


def test_performance_per_area_is_that_of_the_pair():
    most = search.run("random", problem_of("accelerator", PerformancePerArea()), queries=100, seed=0)
    frame = most.problem.bench.query_many(most.vectors, metrics=("latency", "area"))
    expected = 1000 / (frame["latency"] * frame["area"]).to_numpy()
    kept = np.isfinite(expected)
    np.testing.assert_allclose(most.scores[kept], expected[kept])
    assert (most.scores[~kept] == -np.inf).all()
    threshold = float(np.median(expected[kept]))
    within = search.run("random", problem_of("accelerator", Codesign(threshold)), queries=100, seed=0)
    np.testing.assert_array_equal(np.isfinite(within.scores), kept & (np.nan_to_num(expected) >= threshold))


def test_resources_of_an_fpga_stand_for_its_area():
    space = joint(spaces.get("nasbench201"), "fpga")
    bench = hwnasbench.load(space, data="shipped")
    problem = search.Problem(bench, Nahas(1.0, 200.0, resource="dsp"))
    run = search.run("random", problem, queries=50, seed=0)
    assert np.isfinite(run.scores).any()
    with pytest.raises(NoColumn, match="area"):
        search.Problem(bench, Nahas(1.0, 2.0))


def test_the_energy_delay_area_product():
    problem = problem_of("both", EnergyDelay(area=True))
    pairs = drawn(problem, 20)
    values = problem.values(np.array(pairs, np.int8))
    expected = -values["latency"] * values["energy"] * values["area"]
    np.testing.assert_allclose(problem.scores(pairs), np.where(np.isfinite(expected), expected, -np.inf))


def test_a_design_that_cannot_be_built_is_infeasible():
    problem = search.Problem(
        hwnasbench.load(joint(spaces.get("nasbench201"), "reram"), data="shipped"), Nahas(1.0, 50.0)
    )
    pairs = drawn(problem, 60)
    status = problem.bench.query_many(pairs, metrics=("latency",))["latency_status"].astype(str)
    scores = np.array(problem.scores(pairs))
    np.testing.assert_array_equal(np.isfinite(scores), (status == "ok").to_numpy())
    assert {"ok", "does_not_fit"} <= set(status)


def test_metrics_of_one_request_are_simulated_once(monkeypatch):
    problem = problem_of("accelerator", Front("accuracy", "latency", "energy", "area"))
    calls = []
    ask = problem.bench.query_many
    monkeypatch.setattr(
        problem.bench, "query_many", lambda *args, **more: calls.append(more["metrics"]) or ask(*args, **more)
    )
    problem.scores(drawn(problem, 3))
    assert sorted(calls) == [("accuracy",), ("latency", "energy", "area")]


def test_what_co_search_cannot_do_is_said():
    pair, bits = SPACES["accelerator"][0], SPACES["bits"][0]
    bench = hwnasbench.load(pair, data="shipped")
    with pytest.raises(InvalidRequest, match="brings its own devices; pixel3 is another"):
        search.Problem(bench, Nahas(1.0, 1.0), "pixel3")
    with pytest.raises(InvalidRequest, match="brings its own devices; pixel3 is another"):
        search.Problem(bench, Front("accuracy", "latency@pixel3"))
    with pytest.raises(InvalidRequest, match="needs a device"):
        search.Problem(hwnasbench.load(bits, data="shipped"), MnasNet(1.0))
    with pytest.raises(NoColumn, match="lut"):
        search.Problem(bench, Metric("lut"))
    problem = search.Problem(bench, Front("accuracy", "latency"))
    with pytest.raises(NotEnumerable, match="nasbench201xsystolic"):
        ExactFront(problem)
    with pytest.raises(UnknownName, match="key of a request for nasbench201xsystolic 'engine'"):
        search.Problem(bench, Metric("latency"), engine="tflite")


@pytest.mark.parametrize("kind", SPACES)
def test_simulated_seconds_are_those_of_training_the_network_alone(kind):
    problem = problem_of(kind, Metric("accuracy"))
    run = search.run("random", problem, seconds=50_000.0, seed=0)
    networks = run.vectors[:, :6]
    alone = search.Problem(hwnasbench.load("nasbench201", data="shipped"), Metric("accuracy"))
    np.testing.assert_allclose(run.seconds, np.cumsum(alone.costs(list(map(tuple, networks.tolist())))), rtol=1e-12)
    assert len(run) > 10
    with pytest.raises(InvalidRequest, match="nothing is trained to know latency: seconds of training"):
        search.run("random", problem_of(kind, Metric("latency")), seconds=1e4)
