"""Intervals from quantiles of residuals, and plausible measurements."""

from __future__ import annotations

import json
import pickle
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_store import ARCHS, CONNECTED, SOURCES, column, write_tables

from hwnasbench import spaces
from hwnasbench.benchmark import Benchmark
from hwnasbench.errors import CorruptFile, InvalidRequest, NoValue
from hwnasbench.paths import PACKAGE_DATA
from hwnasbench.predictors.base import Quantiles, interpolate
from hwnasbench.tables.store import Store
from hwnasbench.tables.store_builder import build_store
from hwnasbench.tables.write import ColumnData, concat, write_table
from surrogates import calibration, rule
from surrogates.columns import Column
from surrogates.intervals import LEVELS, Residuals, coverage, repeatability

I = int(np.flatnonzero(CONNECTED)[100])  # noqa: E741
#: The keys of the small store's predicted column on pixel3, and of its least trusted measured one.
PREDICTED: dict[str, Any] = {"device": "pixel3", "kinds": "predicted"}
NOISY: dict[str, Any] = {"device": "pixel3", "source": "low"}


def made_up(rng: np.random.Generator, n: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Predictions whose error is skewed, and grows with the prediction."""
    predicted = rng.uniform(1, 10, n)
    return predicted, predicted + predicted * (rng.gamma(2, 0.1, n) - 0.1)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    """The small store, with residuals for its predicted column on pixel3: from -1 to 3 std."""
    folder = tmp_path_factory.mktemp("intervals")
    paths = write_tables(folder)
    keys: dict[str, str | int] = {
        "dataset": "cifar10", "batch": 1, "device": "pixel3", "engine": "tflite", "precision": "fp32",
    }  # fmt: skip
    own = Column("nasbench201", "latency", "model", keys, ARCHS, None, *[np.empty(0)] * 3, "measured", None)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    predicted = rng.uniform(40, 56, 4000)
    path = folder / "tables" / "intervals.parquet"
    write_table(calibration.interval_table(own, Residuals(predicted, predicted + rng.uniform(-1, 3, 4000))), path)
    build_store([*paths, path], folder / "store", "test", SOURCES, folder)
    return Benchmark(spaces.get("nasbench201"), [Store(folder / "store")])


# -- quantiles ----------------------------------------------------------------------------------


def test_interval_by_hand() -> None:
    table = Quantiles((0.05, 0.5, 0.95), (10.0,), ((-1.0, 0.0, 2.0), (-2.0, 0.0, 4.0)))
    assert table.interval(5, 2.0, 0.9) == (3.0, 9.0)
    assert table.interval(20, 1.0, 0.9) == (18.0, 24.0)
    # Half way between the 5th and the 50th percentile lies half of the way.
    assert table.interval(5, 1.0, 0.45) == pytest.approx((4.5, 6.0))


@pytest.mark.parametrize("level", [0, -0.1, 0.91, 1, 2])
def test_level_that_the_residuals_do_not_tell(level: float) -> None:
    table = Quantiles((0.05, 0.5, 0.95), (), ((-1.0, 0.0, 2.0),))
    with pytest.raises(InvalidRequest, match=r"at most 0\.9"):
        table.interval(1, 1, level)


@given(st.floats(0, 1), st.lists(st.floats(-10, 10), min_size=2, max_size=6, unique=True))
def test_interpolation_is_numpys(x: float, points: list[float]) -> None:
    xs = sorted(points)
    ys = [p**2 for p in xs]
    assert interpolate(20 * x - 10, xs, ys) == pytest.approx(float(np.interp(20 * x - 10, xs, ys)), abs=1e-9)


def test_intervals_hold_what_they_say() -> None:
    """Skewed errors that grow with the prediction: each tenth is covered, as a normal interval would not be."""
    rng = np.random.default_rng(1)
    predicted, true = made_up(rng, 20000)
    fresh, unseen = made_up(rng, 20000)
    residuals = Residuals(predicted, true)
    tenth = np.searchsorted(np.quantile(fresh, np.arange(1, 10) / 10), fresh)
    for level in (0.8, 0.95):
        held = residuals.inside(fresh, unseen, level)
        assert held.mean() == pytest.approx(level, abs=0.01)
        assert all(held[tenth == t].mean() == pytest.approx(level, abs=0.03) for t in range(10))
    low = residuals.quantiles().interval(5, float(residuals.spread(np.array([5.0]))[0]), 0.9)
    assert 5 - low[0] < (low[1] - 5) / 2


def test_one_interval_as_many() -> None:
    rng = np.random.default_rng(2)
    predicted, true = made_up(rng, 3000)
    residuals = Residuals(predicted, true)
    table, std = residuals.quantiles(), residuals.spread(predicted)
    inside = residuals.inside(predicted, true, 0.8)
    for row in range(0, 3000, 100):
        low, high = table.interval(predicted[row], std[row], 0.8)
        assert (low <= true[row] <= high) == inside[row]


def test_coverage_tells_a_wrong_spread() -> None:
    """A model whose errors were larger on new classes: what is shipped holds, what is unseen shows it."""
    rng = np.random.default_rng(3)
    classes = np.repeat(np.arange(500), 10)
    shift = rng.normal(0, 1, 500)[classes]
    predicted = rng.uniform(0, 100, 5000)
    true = predicted + shift + rng.normal(0, 0.01, 5000)
    parts = (classes % 50).astype(np.int8)
    found = coverage(predicted, true, parts, classes, "max")
    assert found["80"]["shipped"]["overall"] == pytest.approx(0.8, abs=0.01)
    assert found["80"]["unseen"]["overall"] == pytest.approx(0.8, abs=0.05)
    assert len(found["95"]["shipped"]["by_decile"]) == 10
    # The same spread said by a model that is ten times too sure of every second row.
    std = np.where(np.arange(5000) % 2, 1.0, 0.1)
    assert found != coverage(predicted, true, parts, classes, "max", std)


def test_few_residuals_make_one_group() -> None:
    rng = np.random.default_rng(4)
    residuals = Residuals(*made_up(rng, 150))
    assert residuals.table.shape == (1, len(LEVELS))
    assert np.all(np.diff(residuals.table) >= 0)


# -- repeatability ------------------------------------------------------------------------------


def test_repeatability_is_the_noise_of_one_of_two() -> None:
    rng = np.random.default_rng(5)
    true = np.repeat(rng.uniform(1, 10, 4000), 2)
    noise = np.where(true < 5, 0.1, 0.5)
    values = true + rng.normal(0, noise)
    pairs = np.arange(8000).reshape(-1, 2)
    found = repeatability(true, values, pairs)
    assert found is not None
    edges, std = found
    each = std[np.searchsorted(edges, true, side="right")]
    assert np.median(each[true < 4]) == pytest.approx(0.1, rel=0.1)
    assert np.median(each[true > 6]) == pytest.approx(0.5, rel=0.1)
    assert repeatability(true, values, pairs[:19]) is None


# -- in a query ---------------------------------------------------------------------------------


def test_value_gives_its_interval(bench: Benchmark) -> None:
    value = bench.query(I, **PREDICTED)["latency"]._replace(std=2.0)
    low, high = value.interval(0.9)
    assert value.value is not None
    # Residuals from -1 to 3 have a root mean square of sqrt(7 / 3); their 5th and 95th percentiles are -0.8 and 2.8.
    scale = 2 / np.sqrt(7 / 3)
    assert low == pytest.approx(value.value - 0.8 * scale, abs=0.4)
    assert high == pytest.approx(value.value + 2.8 * scale, abs=0.4)
    narrow = value.interval(0.5)
    assert low < narrow[0] < narrow[1] < high


def test_intervals_survive_pickling_and_are_no_field_of_plain_data(bench: Benchmark) -> None:
    result = bench.query(I, metrics="latency", **PREDICTED)
    value = result["latency"]._replace(std=1.0)
    assert pickle.loads(pickle.dumps(value)).interval(0.8) == value.interval(0.8)
    assert "residuals" not in result.to_dict()["metrics"]["latency"]


def test_values_without_residuals_have_no_interval(bench: Benchmark) -> None:
    with pytest.raises(NoValue, match="measured"):
        bench.query(I, **NOISY)["latency"].interval()
    gap = int(np.flatnonzero(~CONNECTED)[0])
    with pytest.raises(NoValue, match="disconnected"):
        bench.query(gap, **PREDICTED)["latency"].interval()


def test_an_exact_value_is_its_own_interval(bench: Benchmark) -> None:
    value = bench.query(I, **PREDICTED)["latency"]._replace(std=0.0, residuals=None)
    assert value.interval(0.9) == (value.value, value.value)


def test_percentages_stay_percentages(bench: Benchmark) -> None:
    value = bench.query(I, **PREDICTED)["latency"]._replace(value=99.9, unit="%", std=50.0)
    low, high = value.interval(0.95)
    assert 0 <= low < high == 100


def test_intervals_of_no_column_are_refused(tmp_path: Path) -> None:
    own = Column("nasbench201", "latency", "model", {"device": "pixel3"}, [], None, *[np.empty(0)] * 3, "x", None)  # type: ignore[arg-type]
    path = tmp_path / "tables" / "intervals.parquet"
    write_table(calibration.interval_table(own, Residuals(np.arange(100.0), np.arange(100.0) + 1)), path)
    with pytest.raises(CorruptFile, match="no table holds"):
        build_store([*write_tables(tmp_path), path], tmp_path / "store", "test", SOURCES, tmp_path)


# -- noise --------------------------------------------------------------------------------------


def test_a_seed_draws_the_same(bench: Benchmark) -> None:
    first, second = (bench.query(I, noise=7, **NOISY).latency for _ in range(2))
    assert first == second != bench.query(I, **NOISY).latency
    rng = np.random.default_rng(7)
    assert bench.query(I, noise=rng, **NOISY).latency == first != bench.query(I, noise=rng, **NOISY).latency


def test_a_result_is_one_measurement(bench: Benchmark) -> None:
    result = bench.query(I, noise=3, metrics="latency", **NOISY)
    assert result.latency == result["latency"].value == result.latency
    assert result["latency"].flags[-1] == "drawn"
    assert pickle.loads(pickle.dumps(result)).latency == result.latency


def test_draws_have_the_noise_of_the_value_and_not_its_std(bench: Benchmark) -> None:
    value = bench.query(8, **NOISY)["latency"]
    assert (value.noise, value.std) == (1.0, 0.5)
    rng = np.random.default_rng(0)
    logs = np.log([bench.query(8, noise=rng, **NOISY).latency for _ in range(4000)])
    assert logs.mean() == pytest.approx(np.log(value.value), abs=0.01)
    assert logs.std() == pytest.approx(1.0 / value.value, rel=0.05)  # type: ignore[operator]


def test_batches_draw_row_by_row(bench: Benchmark) -> None:
    rows = np.flatnonzero(CONNECTED)[:50]
    frame = bench.query_many(rows, metrics=("latency",), noise=1, **NOISY)
    again = bench.query_many(rows, metrics=("latency",), noise=1, **NOISY)
    plain = bench.query_many(rows, metrics=("latency",), **NOISY)
    assert np.array_equal(frame["latency"], again["latency"])
    assert (frame["latency"] != plain["latency"])[rows > 0].all()
    whole = bench.column("latency", noise=1, **NOISY)
    assert np.array_equal(np.isnan(whole), ~CONNECTED)
    assert np.array_equal(bench.column("latency", **NOISY), bench.column("latency", **NOISY), equal_nan=True)


def test_what_does_not_state_its_repeatability_draws_nothing(bench: Benchmark) -> None:
    with pytest.raises(NoValue, match="repeatability"):
        _ = bench.query(I, noise=1, **PREDICTED).latency
    with pytest.raises(NoValue, match="repeatability"):
        bench.query_many([I], metrics=("latency",), noise=1, **PREDICTED)


@pytest.mark.parametrize("noise", [-1, "x", 1.5, True])
def test_noise_is_a_generator_or_a_seed(bench: Benchmark, noise: Any) -> None:
    with pytest.raises(InvalidRequest, match="noise="):
        bench.query(I, noise=noise, **NOISY)
    with pytest.raises(InvalidRequest, match="noise="):
        bench.query_many([I], noise=noise, **NOISY)


def test_filled_rows_draw_with_the_noise_of_what_filled_them(tmp_path: Path) -> None:
    keys = {"dataset": "cifar10", "device": "jetson_tx2", "engine": "tensorrt", "batch": 1, "precision": "fp32"}
    tables: list[ColumnData] = [
        column(80, source="partial", rows=range(5), noise=np.full(5, 1e-9), **keys),
        column(90, source="partial", kind="predicted", of="measured", noise=np.full(len(ARCHS), 5.0), **keys),
    ]
    stores = []
    for number, data in enumerate(tables):
        path = tmp_path / str(number) / "tables" / "t.parquet"
        write_table(concat([data.to_table()]), path)
        build_store([path], tmp_path / str(number) / "store", "test", SOURCES, tmp_path / str(number))
        stores.append(Store(tmp_path / str(number) / "store"))
    bench = Benchmark(spaces.get("nasbench201"), stores)
    rows = [i for i in range(40) if CONNECTED[i]]
    ask: dict[str, Any] = {"device": "jetson_tx2", "metrics": ("latency",), "fill": "predicted"}
    shift = np.abs(bench.query_many(rows, noise=0, **ask)["latency"] - bench.query_many(rows, **ask)["latency"])
    few = np.array(rows) < 5
    assert shift[few].max() < 1e-6
    assert shift[~few].mean() > 1


@cache
def cards() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((PACKAGE_DATA / "scorecards.json").read_text("utf-8"))["columns"]
    return found


def test_shipped_intervals_keep_the_rule() -> None:
    """An exception that no longer misses fails as well as a new miss, in another tenth of the same column too."""
    found = {(name, miss.level, miss.part) for name, card in cards().items() for miss in rule.misses(card)}
    assert found == set(rule.EXCEPTIONS)


@pytest.mark.parametrize(
    ("rows", "overall", "tenth", "parts"),
    [
        (5000, 0.815, 0.84, []),
        (5000, 0.825, 0.80, ["overall"]),
        (5000, 0.80, 0.74, ["tenth 2"]),
        (100, 0.71, 0.2, []),
        (100, 0.69, 0.2, ["overall"]),
    ],
)
def test_the_rule_finds_what_is_off(rows: int, overall: float, tenth: float, parts: list[str]) -> None:
    shares = {"overall": overall, "by_decile": [0.8, tenth, None], "best_tenth": 0.8}
    card = {"rows": rows, "coverage": {"80": {"shipped": shares, "unseen": shares}}}
    assert [miss.part for miss in rule.misses(card)] == parts
