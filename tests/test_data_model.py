"""Each sentence of "Which column answers" (docs/data-model.md), held by a row of a table."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_store import CONNECTED, DISCONNECTED, SOURCES, build, predictions

from hwnasbench import spaces
from hwnasbench.benchmark import Benchmark
from hwnasbench.errors import (
    AmbiguousQuery,
    InvalidArchitecture,
    InvalidRequest,
    NoColumn,
    NotEnumerable,
    NoValue,
    UnknownName,
)
from hwnasbench.tables.store import Store
from hwnasbench.tables.store_builder import build_store
from hwnasbench.tables.write import write_table

I = 7  # an index that is connected, odd, and outside the partial column  # noqa: E741
assert CONNECTED[I]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("small"))


@pytest.fixture
def bench(store: Path) -> Benchmark:
    return Benchmark(spaces.get("nasbench201"), [Store(store)])


@pytest.fixture
def fbnet(store: Path) -> Benchmark:
    return Benchmark(spaces.get("fbnet"), [Store(store)])


ANSWERS: list[tuple[str, dict[str, Any], str, float, str, tuple[str, ...]]] = [
    # sentence, request, metric, base of the column that must answer, its kind, its flags
    ("ties go to the higher priority", {"device": "pixel3"}, "latency", 20, "measured", ()),
    ("source= restricts", {"device": "pixel3", "source": "low"}, "latency", 10, "measured", ()),
    ("kinds= restricts", {"device": "pixel3", "kinds": ("predicted",)}, "latency", 40, "predicted", ()),
    ("kinds= takes one word", {"device": "pixel3", "kinds": "predicted"}, "latency", 40, "predicted", ()),
    ("a named key must match", {"device": "pixel3", "batch": 32}, "latency", 15, "measured", ()),
    ("a named engine", {"device": "pixel3", "engine": "torch"}, "latency", 30, "simulated", ()),
    ("the only other value stands in, flagged", {"device": "raspi4"}, "latency", 50, "estimated", ("assumed:dataset",)),
    ("named, the same is not flagged", {"device": "raspi4", "dataset": "cifar100"}, "latency", 50, "estimated", ()),
    ("one of several, named", {"device": "raspi5", "dataset": "darcy"}, "latency", 62, "measured", ()),
    ("an alias works", {"device": "pi5", "dataset": "darcy"}, "latency", 62, "measured", ()),
    ("accuracy is the 200-epoch test one", {}, "accuracy", 1, "measured", ()),
    ("valid never answers for test", {"split": "valid"}, "accuracy", 2, "measured", ()),
    ("epochs are a key", {"epochs": 12}, "accuracy", 3, "measured", ()),
    ("accuracy follows the device's precision", {"device": "edgetpu"}, "accuracy", 4, "measured", ()),
    ("a recipe at that precision", {"device": "edgetpu", "recipe": "qat"}, "accuracy", 5, "measured", ()),
    ("where only fp32 is known it is flagged",
     {"device": "edgetpu", "dataset": "cifar100", "metrics": ("accuracy",), "kinds": "measured"},
     "accuracy", 6, "measured", ("precision_mismatch",)),
    ("a named precision too", {"device": "pixel3", "precision": "fp16", "metrics": ("accuracy",)},
     "accuracy", 1, "measured", ("precision_mismatch",)),
    ("and without a device, where it loses nothing", {"precision": "fp16", "metrics": ("accuracy",)},
     "accuracy", 1, "measured", ("precision_mismatch",)),
    ("a 16-bit one of any name", {"precision": "bf16", "dataset": "cifar100", "metrics": ("accuracy",),
     "source": "accuracies"}, "accuracy", 6, "measured", ("precision_mismatch",)),
    ("a precision has constants of its own", {"precision": "w4a8"}, "accuracy", 7, "measured", ()),
    ("which a request overrules", {"precision": "w4a8", "epochs": 50}, "accuracy", 8, "measured", ()),
    ("a precision that is named", {"precision": "int8", "metrics": ("accuracy",)}, "accuracy", 4, "measured", ()),
    ("gaps are filled on request", {"device": "jetson_tx2", "fill": "predicted"}, "latency", 90, "predicted", ()),
    ("a mixed column says the row's kind", {"device": "pixel2"}, "latency", 100, "measured", ()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sentence", "request_", "metric", "base", "kind", "flags"), ANSWERS, ids=lambda v: str(v)[:44]
)
def test_the_column_that_answers(
    bench: Benchmark, sentence: str, request_: dict[str, Any], metric: str, base: float, kind: str, flags: tuple[str]
) -> None:
    result = bench.query(I, **request_)
    value = result[metric]
    assert value.value == pytest.approx(base + I / 1000, rel=1e-12), sentence
    assert getattr(result, metric) == value.value
    assert (value.kind, value.status, value.flags) == (kind, "ok", flags), sentence
    many = bench.query_many(np.array([I]), metrics=(metric,), **{k: v for k, v in request_.items() if k != "metrics"})
    assert many[metric][0] == value.value, "one column answers a batch and a single query alike"


REFUSALS: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("several columns are listed", {"device": "raspi5"}, AmbiguousQuery, "'cifar100', 'darcy', 'ninapro'"),
    ("a named key that nothing has", {"device": "pixel3", "batch": 64, "metrics": ("latency",),
     "kinds": ("measured", "estimated", "predicted")}, NoColumn, "batch 1, 32"),
    ("a gap in kinds names what fills it", {"device": "raspi4", "kinds": ("measured",), "metrics": ("latency",)},
     NoColumn, "estimated from low"),
    ("no column at all", {"device": "pixel3", "metrics": ("energy",), "kinds": "measured"}, NoColumn,
     "no source at hand"),
    ("a low precision without a device", {"precision": "int8", "dataset": "cifar100", "metrics": ("accuracy",),
     "kinds": "measured"}, NoColumn, "precision 'fp32'"),
    ("a source without the column", {"device": "raspi4", "source": "high", "metrics": ("latency",)}, NoColumn, "low"),
    ("a device metric without a device", {"metrics": ("latency",)}, InvalidRequest, "needs a device"),
    ("a device", {"device": "pixl3"}, UnknownName, "'pixel3'"),
    ("a metric", {"metrics": ("latancy",), "device": "pixel3"}, UnknownName, "'latency'"),
    ("a data set", {"dataset": "cifar-10"}, UnknownName, "'cifar10'"),
    ("a precision", {"precision": "int9"}, UnknownName, "'int8'"),
    ("an engine", {"engine": "tflte"}, UnknownName, "'tflite'"),
    ("a split", {"split": "tset"}, UnknownName, "'test'"),
    ("a kind", {"kinds": ("mesured",)}, UnknownName, "'measured'"),
    ("a source", {"source": "hihg"}, UnknownName, "'high'"),
    ("a fill", {"fill": "zero"}, UnknownName, "known: predicted"),
    ("a batch", {"batch": "1"}, InvalidRequest, "expected an integer"),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "request_", "error", "says"), REFUSALS, ids=lambda v: str(v)[:44])
def test_what_is_refused(
    bench: Benchmark, sentence: str, request_: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says.replace("(", r"\(")):
        bench.query(I, **request_)


def test_an_unknown_argument_of_a_batch_is_refused(bench: Benchmark) -> None:
    with pytest.raises(InvalidRequest, match="'dataset'"):
        bench.query_many([I], device="pixel3", metrics=("latency",), datset="cifar10")


def test_a_status_is_no_number(bench: Benchmark) -> None:
    result = bench.query(DISCONNECTED, device="pixel3")
    assert result["latency"].value is None
    assert result["latency"].status == "disconnected"
    with pytest.raises(NoValue, match="disconnected"):
        _ = result.latency
    assert result.accuracy == 1 + DISCONNECTED / 1000
    frame = bench.query_many([DISCONNECTED, I], device="pixel3", metrics=("latency",))
    assert math.isnan(frame["latency"][0])
    assert list(frame["latency_status"]) == ["disconnected", "ok"]
    assert np.isnan(bench.column("latency", device="pixel3")).sum() == (~CONNECTED).sum()


def test_a_partial_column_is_not_filled_unasked(bench: Benchmark) -> None:
    assert bench.query(1, device="jetson_tx2").latency == pytest.approx(80.001)
    result = bench.query(I, device="jetson_tx2")
    assert result["latency"].status == "not_measured"
    with pytest.raises(NoValue, match=r"kinds=\('predicted',\) or fill=\"predicted\" answers"):
        _ = result.latency
    frame = bench.query_many([1, I], device="jetson_tx2", metrics=("latency",), fill="predicted")
    assert list(frame["latency_kind"]) == ["measured", "predicted"]
    assert frame["latency"].tolist() == pytest.approx([80.001, 90 + I / 1000])
    filled = bench.column("latency", device="jetson_tx2", fill="predicted")
    assert np.isfinite(filled).sum() == CONNECTED.sum()


def test_gaps_are_filled_from_the_same_source_first(store: Path, tmp_path: Path) -> None:
    write_table(predictions().to_table(), tmp_path / "t.parquet")
    build_store([tmp_path / "t.parquet"], tmp_path / "store", "test", SOURCES, tmp_path)
    bench = Benchmark(spaces.get("nasbench201"), [Store(tmp_path / "store"), Store(store)])
    for request in ({}, {"source": "partial"}):
        assert bench.query(I, device="jetson_tx2", fill="predicted", **request).latency == 85 + I / 1000
        assert bench.query(1, device="jetson_tx2", fill="predicted", **request).latency == 80.001
    alone = Benchmark(spaces.get("nasbench201"), [Store(store)])
    strict = alone.query(I, device="jetson_tx2", fill="predicted", source="partial")
    assert strict["latency"].status == "not_measured", "another source never fills for one that was named"
    frame = alone.query_many([1, I], device="jetson_tx2", metrics=("latency",), fill="predicted")
    assert frame.attrs["sources"] == ["model", "partial"]
    assert "@misc{model," in alone.cite(frame)
    assert "@misc{partial," in alone.cite(frame)


def test_counts_of_our_own_answer_before_published_ones(bench: Benchmark) -> None:
    value = bench.query(I)["params"]
    assert (value.source, value.kind) == ("hwnasbench-counts", "simulated")
    assert bench.query(I, source="partial")["params"].kind == "estimated"
    assert bench.query(I, kinds="estimated")["params"].source == "partial"


def test_counts_that_are_not_stored_are_those_of_the_whole_network(bench: Benchmark) -> None:
    """Published counts hold dead layers too, one architecture or many."""
    archs = [DISCONNECTED, I, 0, 15624]
    whole = [bench.space.network(index, "cifar10") for index in archs]
    frame = bench.query_many(archs, metrics=("macs",))
    assert bench.query(I, metrics="macs")["macs"].source == "hwnasbench-counts"
    assert frame["macs"].tolist() == [network.macs for network in whole]
    assert [bench.query(index).macs for index in archs] == frame["macs"].tolist()
    assert any(network.macs != network.live().macs for network in whole)


def test_a_filling_outside_the_kinds_is_refused(bench: Benchmark) -> None:
    with pytest.raises(InvalidRequest, match="contradicts"):
        bench.query(I, device="jetson_tx2", kinds=("measured",), fill="predicted")
    both = bench.query(I, device="jetson_tx2", kinds=("measured", "predicted"), fill="predicted")
    assert both["latency"].kind == "predicted"


@pytest.mark.parametrize(
    "odd",
    [
        {"metrics": 5},
        {"metrics": [5]},
        {"kinds": 5},
        {"device": {}},
        {"device": 5.0},
        {"dataset": ["cifar10"]},
        {"fill": np.array([1, 2])},
        {"batch": 1.0},
        {"batch": True},
        {"source": {}},
    ],
    ids=str,
)
def test_odd_arguments_are_refused_in_our_own_words(bench: Benchmark, odd: dict[str, Any]) -> None:
    bench.query(I, device="pixel3", batch=1)  # what is remembered must not let an equal value of another type pass
    request = {"device": "pixel3", **odd}
    with pytest.raises((InvalidRequest, UnknownName)):
        bench.query(I, **request)
    with pytest.raises((InvalidRequest, UnknownName)):
        bench.query_many([I], **{"metrics": ("latency",), **request})


def test_integers_of_numpy_are_integers(bench: Benchmark) -> None:
    assert bench.query(np.int64(I), device="pixel3", batch=np.int64(32)).latency == 15 + I / 1000


def test_odd_batches(bench: Benchmark) -> None:
    for odd in (np.array(5), np.zeros((2, 2, 2), int), {"a": 1}, 5, None):
        with pytest.raises(InvalidRequest):
            bench.query_many(odd, device="pixel3", metrics=("latency",))
    with pytest.raises(InvalidRequest):
        bench.pareto(5, device="pixel3")  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest):
        bench.column("latency", device="pixel3", metrics=("accuracy",))
    import pandas as pd

    for even in (pd.Series([3, 900]), (i for i in (3, 900)), [3, 900], np.array([3, 900], np.uint16)):
        assert bench.query_many(even, device="pixel3", metrics="latency")["latency"].tolist() == [20.003, 20.9]
    empty = bench.query_many(np.array([], int), device="pixel3", metrics=("latency",))
    assert list(empty.columns) == ["latency", "latency_status"]
    assert len(bench.query_many([I], device="pixel3").columns) > 4, "all metrics by default"


def test_results_and_benchmarks_pickle(bench: Benchmark) -> None:
    result = bench.query(I, device="pixel3", metrics=["latency"], batch=32)
    again = pickle.loads(pickle.dumps(result))
    assert again.to_dict() == result.to_dict()
    assert pickle.loads(pickle.dumps(bench)).fingerprint == bench.fingerprint


def test_a_mixed_column_gives_the_kind_row_by_row(bench: Benchmark) -> None:
    even = I + 1
    assert CONNECTED[even]
    result = bench.query(even, device="pixel2")
    assert (result["latency"].kind, result["latency"].flags) == ("estimated", ("copied",))
    frame = bench.query_many([I, even], device="pixel2", metrics=("latency",))
    assert list(frame["latency_kind"]) == ["measured", "estimated"]
    strict = bench.query(even, device="pixel2", kinds=("measured",))
    assert strict["latency"].status == "not_measured"
    with pytest.raises(NoValue):
        _ = strict.latency
    frame = bench.query_many([I, even], device="pixel2", metrics=("latency",), kinds=("measured",))
    assert list(frame["latency_status"]) == ["ok", "not_measured"]
    assert math.isnan(frame["latency"][1])


def test_request_holds_every_resolved_key(bench: Benchmark) -> None:
    request = bench.query(I, device="pi5", dataset="darcy", metrics=("latency",)).request
    assert request["device"] == "raspi5"
    assert request["space"] == "nasbench201"
    assert request["arch"] == bench.space.format(I)
    wanted = {"dataset": "darcy", "engine": "litert", "batch": 1, "precision": "fp32", "threads": 1}
    assert {key: request[key] for key in wanted} == wanted


def test_std_and_n_are_read_back(bench: Benchmark) -> None:
    value = bench.query(I, device="pixel3", source="low")["latency"]
    assert (value.std, value.noise, value.n, value.unit, value.source) == (0.5, I / 8, 3, "ms", "low")
    assert bench.query(I, device="pixel3")["latency"].noise is None
    assert bench.query(I, device="pixel3")["latency"].std is None


def test_no_source_is_a_status(fbnet: Benchmark) -> None:
    result = fbnet.query([0] * 22, device="pixel3")
    assert result["train_time"].status == "no_source"
    with pytest.raises(NoValue, match="no_source"):
        _ = result.train_time
    with pytest.raises(NoColumn):
        fbnet.query([0] * 22, metrics=("train_time",))


def test_a_metric_that_was_not_asked_for(bench: Benchmark) -> None:
    result = bench.query(I, device="pixel3", metrics="accuracy")
    assert result.keys() == ("accuracy",)
    with pytest.raises(InvalidRequest, match="asked for accuracy"):
        _ = result.latency
    with pytest.raises(AttributeError, match="'latency'"):
        _ = result.latencyy


def test_additive_models_answer_for_every_architecture(fbnet: Benchmark) -> None:
    rng = np.random.default_rng(5)
    archs = fbnet.space.sample_many(rng, 300)
    expected = 2.0 + sum(range(22)) + archs.sum(axis=1) / 10
    frame = fbnet.query_many(archs, device="pixel3", metrics=("latency",))
    assert frame["latency"].to_numpy() == pytest.approx(expected, rel=1e-12)
    for row in range(0, 300, 50):
        single = fbnet.query(archs[row], device="pixel3")
        assert single.latency == frame["latency"][row], "single and batch agree to the last bit"
        assert single["latency"].std == 0.25
    exponential = fbnet.query(archs[0], device="raspi4")["latency"]
    assert exponential.value == pytest.approx(math.exp(0.5 + archs[0].sum() / 100))
    assert exponential.std == pytest.approx(0.25 * exponential.value)
    with pytest.raises(NotEnumerable):
        fbnet.column("latency", device="pixel3")
    with pytest.raises(NotEnumerable):
        fbnet.pareto(("latency", "latency"), device="pixel3")


@pytest.mark.parametrize("bad", ["|nor_conv_3x3~0|", -1, 15625, (0, 1), [0.5] * 6, True, None, {"a": 1}, b"000000"])
def test_bad_architectures(bench: Benchmark, bad: object) -> None:
    with pytest.raises(InvalidArchitecture):
        bench.query(bad, device="pixel3")


def test_bad_batches(bench: Benchmark, fbnet: Benchmark) -> None:
    for bad in (np.array([0, 15625]), np.array([-1]), ["nonsense"], np.zeros((2, 5), int), np.full((1, 6), 9)):
        with pytest.raises(InvalidArchitecture):
            bench.query_many(bad, device="pixel3", metrics=("latency",))
    with pytest.raises(InvalidRequest):
        bench.query_many("one string", device="pixel3", metrics=("latency",))
    for bad in (np.full((3, 22), 9), np.zeros((3, 21), int), np.zeros((3, 22))):
        with pytest.raises(InvalidArchitecture):
            fbnet.query_many(bad, device="pixel3", metrics=("latency",))


def test_notations_of_a_batch_agree(bench: Benchmark) -> None:
    indices = np.array([3, 900, 15000])
    strings = [bench.space.format(int(i)) for i in indices]
    vectors = bench.space.all_vectors()[indices]
    for archs in (indices, strings, vectors, [bench.space.parse(s) for s in strings], indices.tolist()):
        frame = bench.query_many(archs, device="pixel3", metrics=("latency",))
        assert frame["latency"].tolist() == pytest.approx((20 + indices / 1000).tolist())


def test_columns_are_read_only(bench: Benchmark) -> None:
    with pytest.raises(ValueError, match="read-only"):
        bench.column("latency", device="pixel3")[0] = 1


def test_pareto_is_the_exact_front(bench: Benchmark) -> None:
    front = bench.pareto(("accuracy", "latency"), device="pixel3")
    accuracy, latency = bench.column("accuracy"), bench.column("latency", device="pixel3")
    known = np.flatnonzero(np.isfinite(latency))
    # Both grow with the index, so that nothing is dominated but what is disconnected.
    assert sorted(front["arch_index"]) == known.tolist()
    assert front["accuracy"].is_monotonic_decreasing
    assert accuracy[front["arch_index"][0]] == front["accuracy"][0]
    with pytest.raises(InvalidRequest):
        bench.pareto("accuracy", device="pixel3")


def test_cite_names_everything_behind_a_result(bench: Benchmark) -> None:
    text = bench.cite(bench.query(I, device="pixel3"))
    assert "@misc{high," in text
    assert "@misc{accuracies," in text
    assert "@misc{low," not in text
    assert bench.fingerprint in text
    assert "dong2020nasbench201" in text
    assert "@misc{high," in bench.cite(bench.query_many([I], device="pixel3", metrics=("latency",)))
    assert "@misc{low," in bench.cite(["low"])
    with pytest.raises(UnknownName):
        bench.cite(["lo"])


def test_to_dict_is_plain_data(bench: Benchmark) -> None:
    import json

    record = json.loads(json.dumps(bench.query(I, device="pixel3").to_dict()))
    assert record["metrics"]["latency"]["value"] == 20 + I / 1000
    assert record["release"] == "test"
    assert record["request"]["device"] == "pixel3"
