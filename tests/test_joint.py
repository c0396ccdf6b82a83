"""Pairs of a network and an accelerator: a batch says what single queries say."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import hwnasbench
from hwnasbench import spaces
from hwnasbench.devices.accelerator_spaces import joint
from hwnasbench.devices.accelerator_spaces import names as accelerator_names
from hwnasbench.devices.parametric import Systolic
from hwnasbench.errors import InvalidRequest, NoColumn, UnknownName
from hwnasbench.joint import JointBenchmark
from hwnasbench.spaces.mixed import mixed_precision
from hwnasbench.vocabulary import METRICS


def load(base: str, accelerators: str) -> JointBenchmark:
    return hwnasbench.load(joint(spaces.get(base), accelerators), data="shipped")


def test_load_takes_a_joint_space() -> None:
    bench = load("mobilenetv2", "systolic")
    assert isinstance(bench, JointBenchmark)
    assert bench.metrics()[:3] == ["accuracy", "latency", "energy"]
    assert "mobilenetv2xsystolic" in repr(bench)
    arch = bench.space.sample(np.random.default_rng(1))
    assert bench.space.parse(bench.space.format(arch)) == arch
    assert pickle.loads(pickle.dumps(bench)).query(arch).latency == bench.query(arch).latency


@pytest.mark.parametrize("base", ["mobilenetv2", "nasbench201"])
@pytest.mark.parametrize("name", accelerator_names())
def test_a_batch_says_what_single_queries_say(base: str, name: str) -> None:
    bench = load(base, name)
    vectors = bench.space.sample_many(np.random.default_rng(0), 40)
    if base == "nasbench201":
        vectors[0, :6] = [0, 0, 0, 0, 0, 0]  # no path from input to output
    frame = bench.query_many(vectors, batch=2)
    unbuilt = 0
    for row, vector in enumerate(vectors.tolist()):
        result = bench.query(tuple(vector), batch=2)
        try:
            result.to_dict()
        except InvalidRequest:
            unbuilt += 1
            assert frame.loc[row, "latency_status"] == frame.loc[row, "model_size_status"] == "does_not_fit"
            continue
        proxies = {name for name in bench.metrics() if METRICS[name].scope == "proxy"}  # whose batch is stated
        assert set(bench.metrics()) - proxies == set(result.keys()) - proxies
        for metric in result.keys():  # noqa: SIM118
            value = result[metric]
            assert value.status == frame.loc[row, f"{metric}_status"], metric
            number = np.nan if value.value is None else value.value
            assert frame.loc[row, metric] == pytest.approx(number, rel=1e-12, nan_ok=True), metric
    assert unbuilt == (frame["model_size_status"] == "does_not_fit").sum()
    assert unbuilt < len(vectors)
    if base == "nasbench201":
        assert frame.loc[0, "latency_status"] in ("disconnected", "does_not_fit")
        assert (frame["accuracy_status"] == "ok").all()


def test_each_layer_keeps_its_bits_in_a_mixed_space() -> None:
    bench = hwnasbench.load(joint(mixed_precision(spaces.get("mobilenetv2")), "systolic"), data="shipped")
    vectors = bench.space.sample_many(np.random.default_rng(2), 4)
    frame = bench.query_many(vectors, metrics=("latency", "energy", "peak_memory"))
    for row, vector in enumerate(vectors.tolist()):
        result = bench.query(tuple(vector))
        for metric in frame.columns[::2]:
            assert frame.loc[row, metric] == pytest.approx(result[metric].value, rel=1e-12)
    assert "sandler2018mobilenetv2" in bench.cite(frame)


def test_metrics_are_chosen_and_cited() -> None:
    bench = load("nasbench201", "systolic")
    vectors = bench.space.sample_many(np.random.default_rng(3), 60)
    frame = bench.query_many(vectors, metrics=("accuracy", "energy"), dataset="cifar100", split="test")
    assert [c for c in frame if c in bench.metrics()] == ["accuracy", "energy"]
    assert frame.attrs["request"]["dataset"] == "cifar100"
    assert frame.attrs["release"] == bench.networks.release
    text = bench.cite(frame)
    assert "hwnasbench_costs" in text
    assert "dong2020nasbench201" in text
    alone = bench.query_many(vectors, metrics="latency", precision="int16")
    assert list(alone) == ["latency", "latency_status"]
    assert (alone.latency > 0).any()


def test_the_front_of_pairs() -> None:
    bench = load("nasbench201", "systolic")
    vectors = bench.space.sample_many(np.random.default_rng(4), 200)
    metrics = ("accuracy", "latency", "area")
    found = bench.pareto(metrics, vectors)
    frame = bench.query_many(vectors, metrics=metrics)
    costs = frame[list(metrics)].to_numpy() * [-1, 1, 1]
    costs = costs[np.isfinite(costs).all(axis=1)]
    best = [c for c in costs if not ((costs <= c).all(axis=1) & (costs < c).any(axis=1)).any()]
    assert sorted(map(tuple, found[list(metrics)].to_numpy() * [-1, 1, 1])) == sorted(map(tuple, best))
    assert found.accuracy.is_monotonic_decreasing
    network, design = bench.space.split(found.arch[0])
    assert bench.networks.query(network, device=bench.space.accelerators.device(design)).latency == pytest.approx(
        found.latency[0], rel=1e-12
    )


def test_faults() -> None:
    bench = load("mobilenetv2", "fpga")
    vectors = bench.space.sample_many(np.random.default_rng(0), 3)
    with pytest.raises(UnknownName, match="'latency'"):
        bench.query_many(vectors, metrics=("latencyy",))
    with pytest.raises(NoColumn):
        bench.query_many(vectors, metrics=("train_time",))
    with pytest.raises(NoColumn):
        bench.query_many(vectors, metrics=("area",))
    with pytest.raises(InvalidRequest, match="batch=0"):
        bench.query_many(vectors, batch=0)
    with pytest.raises(UnknownName, match="int16"):
        bench.query_many(vectors, precision="fp32")
    with pytest.raises(InvalidRequest, match="two metrics"):
        bench.pareto("latency", vectors)


def test_designs_do_not_pile_up() -> None:
    bench = hwnasbench.load("nasbench201", data="shipped")
    for number in range(1100):
        bench.query(0, device=Systolic(clock_mhz=500.0 + number), metrics=("latency",))
    assert len(bench._plans) <= 1024
    assert len(bench.settings) <= 1024


def test_requests_that_no_pair_answers_are_refused() -> None:
    bench = hwnasbench.load(joint(spaces.get("nasbench201"), "systolic"), data="shipped")
    vectors = bench.space.sample_many(np.random.default_rng(0), 3)
    for request in ({"kinds": ["measured"]}, {"source": "help"}):
        with pytest.raises(NoColumn, match="simulated"):
            bench.query_many(vectors, metrics=["latency"], **request)
    with pytest.raises(TypeError, match="engines"):
        bench.query_many(vectors, metrics=["latency"], engines="tflite")
    with pytest.raises(InvalidRequest, match="batch=True"):
        bench.query_many(vectors, metrics=["latency"], batch=True)
    one, two = (bench.query_many(vectors, metrics=["latency"], batch=batch).latency for batch in (2, np.int64(2)))
    assert one.tolist() == two.tolist()
