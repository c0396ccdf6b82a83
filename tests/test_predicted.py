"""Accuracies that models compute, as a query answers with them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_store import build

import hwnasbench
from hwnasbench import predicted, spaces
from hwnasbench.errors import InvalidRequest, NoColumn, NoValue, UnknownName
from hwnasbench.predictors import imagenet, precision
from hwnasbench.spaces.mixed import mixed_precision
from hwnasbench.tables.store import Store


@pytest.fixture(scope="module")
def cells() -> hwnasbench.Benchmark:
    return hwnasbench.load("nasbench201", data="shipped")


@pytest.fixture(scope="module")
def blocks() -> hwnasbench.Benchmark:
    return hwnasbench.load("fbnet", data="shipped")


def test_the_words_are_those_of_the_models() -> None:
    """They are repeated so that a query imports no model before it reads a value."""
    assert imagenet.SPACES == predicted.SPACES
    assert imagenet.open_model().recipes == predicted.RECIPES
    assert precision.METHODS == predicted.METHODS


@pytest.mark.parametrize("name", predicted.SPACES)
def test_every_space_has_an_accuracy_on_imagenet(name: str) -> None:
    bench = hwnasbench.load(name, data="shipped")
    archs = bench.space.sample_many(np.random.default_rng(0), 5)
    ask: dict[str, Any] = {"metrics": ("accuracy",), "dataset": "imagenet", "source": predicted.IMAGENET}
    frame = bench.query_many(archs, **ask)
    assert "accuracy" in bench.metrics()
    for arch, number in zip(archs, frame["accuracy"], strict=True):
        value = bench.query(arch, **ask)["accuracy"]
        assert (value.value, value.kind, value.source) == (number, "predicted", predicted.IMAGENET)
        low, high = value.interval(0.8)
        assert 0 <= low < number < high <= 100
    assert "hwnasbench_imagenet" in bench.cite(frame)


def test_recipes_are_keys(blocks: hwnasbench.Benchmark) -> None:
    arch = [3] * 22
    found = {r: blocks.query(arch, dataset="imagenet", recipe=r).accuracy for r in predicted.RECIPES}
    assert found["advanced"] > found["standard"] > found["accelnasbench_proxy"]
    with pytest.raises(UnknownName, match="recipe"):
        blocks.query(arch, dataset="imagenet", recipe="standart")


def test_fbnet_on_cifar100_is_a_guess_and_says_so(blocks: hwnasbench.Benchmark) -> None:
    value = blocks.query([3] * 22, device="pixel3")["accuracy"]
    assert value.keys["dataset"] == "cifar100"
    assert "extrapolated" in value.flags
    assert value.std is not None
    assert value.std > 3


def test_kinds_and_sources_restrict(blocks: hwnasbench.Benchmark) -> None:
    for restricted in ({"kinds": "measured"}, {"source": "hwnasbench-simulated"}, {"split": "valid"}, {"epochs": 3}):
        with pytest.raises(NoColumn):
            blocks.query([3] * 22, metrics="accuracy", dataset="imagenet", **restricted)


def test_coverage_lists_them(blocks: hwnasbench.Benchmark) -> None:
    frame = blocks.coverage()
    rows = frame[frame["source"] == predicted.IMAGENET]
    assert set(rows["recipe"]) == set(predicted.RECIPES)
    assert set(rows["dataset"]) == {"imagenet", "cifar100"}


# -- precision ----------------------------------------------------------------------------------


def test_a_precision_costs_what_the_model_says(cells: hwnasbench.Benchmark) -> None:
    rows = np.array([100, 5000, 15000])
    lower = cells.query_many(rows, metrics=("accuracy",), precision="w4a8", recipe="qat")["accuracy"]
    full = cells.query_many(rows, metrics=("accuracy",))["accuracy"]
    loss = precision.open_model().loss(cells.space, cells.space.all_vectors()[rows], "cifar10", "w4a8", "qat")
    assert np.allclose(lower, full - loss.values)
    value = cells.query(5000, precision="w4a8", recipe="qat")["accuracy"]
    assert (value.source, value.keys["precision"], value.keys["recipe"]) == (predicted.PRECISION, "w4a8", "qat")
    whole = cells.query(5000)["accuracy"].std
    assert value.std is not None
    assert whole is not None
    assert value.std > whole
    (low, high), (lowest, highest) = value.interval(0.5), value.interval(0.95)
    assert value.value is not None
    assert 0 <= lowest < low < value.value < high < highest <= 100
    assert pickle.loads(pickle.dumps(value)).interval(0.5) == (low, high)


def test_intervals_at_a_precision_end_where_the_tables_do(blocks: hwnasbench.Benchmark) -> None:
    value = blocks.query([3] * 22, metrics="accuracy", dataset="imagenet", precision="int8")["accuracy"]
    full = blocks.query([3] * 22, metrics="accuracy", dataset="imagenet")["accuracy"]
    (low, high), (full_low, full_high) = value.interval(0.95), full.interval(0.95)
    # Another error is added, and a large one has the better of a small one.
    assert full_high - full_low < high - low < 1.1 * (full_high - full_low)
    with pytest.raises(InvalidRequest, match=r"at most 0\.95"):
        value.interval(0.98)


def test_every_low_precision_of_predictions_has_an_interval() -> None:
    space = mixed_precision(spaces.get("nasbench201"))
    for chosen in (space, spaces.get("nasbench201"), spaces.get("ofa_mobilenetv3"), spaces.get("nasbench_macro")):
        bench = hwnasbench.load(chosen, data="shipped")
        arch = chosen.sample_many(np.random.default_rng(7), 1)[0]
        words: dict[str, Any] = {} if chosen is space else {"precision": "w4a8"}
        for method in ("ptq", "qat"):
            value = bench.query(arch, metrics="accuracy", recipe=method, **words)["accuracy"]
            assert value.source == predicted.PRECISION
            low, high = value.interval(0.9)
            assert value.value is not None
            assert low < value.value < high
            wide = value.interval(0.95)
            assert wide[0] <= low < high <= wide[1]


def test_a_cell_without_a_path_has_the_interval_of_its_accuracy(cells: hwnasbench.Benchmark) -> None:
    dead = next(i for i in range(len(cells.space)) if not cells.space.is_connected(i))  # type: ignore[attr-defined]
    value = cells.query(dead, precision="w2a8", recipe="qat", metrics="accuracy")["accuracy"]
    full = cells.query(dead, metrics="accuracy")["accuracy"]
    assert value.value == full.value
    np.testing.assert_allclose(value.interval(0.9), full.interval(0.9), atol=1e-3 * (full.std or 0))


def test_a_measured_accuracy_less_a_loss_has_no_interval(tmp_path: Path) -> None:
    bench = hwnasbench.benchmark.Benchmark(spaces.get("nasbench201"), [Store(build(tmp_path))])
    value = bench.query(7, precision="w6a8", metrics="accuracy")["accuracy"]
    assert (value.source, value.std) == (predicted.PRECISION, None)
    with pytest.raises(NoValue, match="no held-out residuals"):
        value.interval()


def test_stored_accuracies_at_a_precision_come_first(cells: hwnasbench.Benchmark) -> None:
    assert cells.query(5000, device="edgetpu")["accuracy"].source == "analog-nasbench"


def test_an_int8_device_has_int8_accuracy_on_imagenet(blocks: hwnasbench.Benchmark) -> None:
    value = blocks.query([3] * 22, metrics="accuracy", dataset="imagenet", precision="int8")["accuracy"]
    full = blocks.query([3] * 22, metrics="accuracy", dataset="imagenet")["accuracy"]
    assert value.source == predicted.PRECISION
    assert value.value is not None
    assert full.value is not None
    assert 0 < full.value - value.value < 2


def test_sixteen_bits_lose_nothing_but_say_that_nobody_measured(blocks: hwnasbench.Benchmark) -> None:
    value = blocks.query([3] * 22, metrics="accuracy", dataset="imagenet", precision="fp16")["accuracy"]
    assert value.source == predicted.IMAGENET
    assert "precision_mismatch" in value.flags


@pytest.mark.parametrize("precision_", ["fp16", "bf16", "w16a16"])
@pytest.mark.parametrize("name", ["nasbench201", "ofa_mobilenetv3", "nasbench_macro"])
def test_a_stored_accuracy_stands_in_at_sixteen_bits(name: str, precision_: str) -> None:
    """With a device or without one, before any model of ImageNet accuracy."""
    bench = hwnasbench.load(name, data="shipped")
    arch = bench.space.sample_many(np.random.default_rng(4), 1)[0]
    full = bench.query(arch, metrics="accuracy")["accuracy"]
    for device in (None, "pixel3"):
        value = bench.query(arch, device, metrics="accuracy", precision=precision_)["accuracy"]
        assert (value.value, value.source, value.keys) == (full.value, full.source, full.keys)
        assert set(value.flags) == {*full.flags, "precision_mismatch"}


def test_coverage_lists_every_low_precision_that_answers() -> None:
    """And no other: a request that names a row's keys finds it."""
    for space in (*map(spaces.get, ("nasbench201", "ofa_mobilenetv3", "fbnet")), mixed_precision(spaces.get("fbnet"))):
        bench = hwnasbench.load(space, data="shipped")
        frame = bench.coverage()
        rows = frame[frame["source"] == predicted.PRECISION]
        words = ("per_layer",) if "@" in space.name else predicted.LOW
        assert set(rows["precision"]) == set(words)
        assert set(rows["kind"]) == {"predicted"}
        keys = rows[["dataset", "precision", "split", "recipe", "epochs"]].astype({"epochs": "Int64"}).astype(object)
        assert not keys.duplicated().any()
        for row in keys.to_dict("records"):
            named: dict[str, Any] = {str(key): value for key, value in row.items() if not pd.isna(value)}
            plan = bench.plan(metrics="accuracy", source=predicted.PRECISION, **named)
            found = {key: value for key, value in plan.resolved["accuracy"].keys.items() if value is not None}
            assert found == named
    assert set(predicted.LOW) == {"int8", "int4", "int2", "w4a8", "w2a8"}


def test_mixed_precision_has_an_accuracy() -> None:
    space = mixed_precision(spaces.get("nasbench201"))
    bench = hwnasbench.load(space, data="shipped")
    archs = space.sample_many(np.random.default_rng(1), 4)
    frame = bench.query_many(archs, metrics=("accuracy",))
    value = bench.query(archs[2])["accuracy"]
    assert value.value == frame["accuracy"][2]
    assert value.keys["precision"] == "per_layer"
    base = hwnasbench.load("nasbench201", data="shipped").query_many(archs[:, :6], metrics=("accuracy",))
    assert (frame["accuracy"] <= base["accuracy"] + 1).all()
    assert (frame["accuracy"] < base["accuracy"]).any()


def test_what_is_extrapolated_at_full_precision_is_so_at_a_low_one(blocks: hwnasbench.Benchmark) -> None:
    archs = blocks.space.sample_many(np.random.default_rng(2), 200)
    ask: dict[str, Any] = {"metrics": ("accuracy",), "dataset": "imagenet"}
    full = [arch for arch in archs if "extrapolated" in blocks.query(arch, **ask)["accuracy"].flags]
    assert 0 < len(full) < 200
    for arch in full:
        assert "extrapolated" in blocks.query(arch, precision="int8", **ask)["accuracy"].flags


def test_the_training_stays_in_the_recipe(blocks: hwnasbench.Benchmark) -> None:
    ask: dict[str, Any] = {"metrics": ("accuracy",), "dataset": "imagenet", "precision": "int8"}
    plain = blocks.query([3] * 22, **ask)["accuracy"]
    advanced = blocks.query([3] * 22, recipe="advanced", **ask)["accuracy"]
    trained = blocks.query([3] * 22, recipe="advanced+qat", **ask)["accuracy"]
    assert [v.keys["recipe"] for v in (plain, advanced, trained)] == ["ptq", "advanced+ptq", "advanced+qat"]
    assert len({v.value for v in (plain, advanced, trained)}) == 3


def test_sources_behind_a_low_precision_are_cited(cells: hwnasbench.Benchmark) -> None:
    result = cells.query(6111, precision="w4a8", recipe="qat", metrics=("accuracy",))
    assert "he2024robustifying" in cells.cite(result)


def test_sixteen_bits_everywhere_lose_nothing_in_mixed_precision() -> None:
    space = mixed_precision(spaces.get("nasbench201"), (16, 32), (16, 32))
    arch = space.sample_many(np.random.default_rng(3), 1)[0]
    found = precision.open_model().loss(space, arch[None])
    assert (found.values[0], found.std[0], bool(found.extrapolated[0])) == (0, 0, False)


def test_a_default_request_with_noise_can_be_shown(blocks: hwnasbench.Benchmark) -> None:
    result = blocks.query([3] * 22, device="pixel3", noise=1)
    assert "result fbnet" in repr(result)
    assert result.macs == blocks.query([3] * 22).macs
    assert result.to_dict()["metrics"]["peak_memory"]["value"] == result.peak_memory
