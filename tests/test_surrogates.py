"""Folds, shipped tables, scorecards, exact forms, and one fold trained again."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest

from data_builders import proxies_table
from data_builders.measure import published
from hwnasbench import spaces
from hwnasbench.paths import PACKAGE_DATA
from hwnasbench.predictors import arrays
from hwnasbench.tables.schema import LOOKUPS, OBSERVATIONS, validate
from hwnasbench.tables.write import read_table, split_columns
from surrogates import additive, catalog, closed_forms, columns, folds, goals, nasbench201, nested, report, scorecard
from surrogates.columns import Column
from surrogates.families.trees import Trees
from surrogates.intervals import LEVELS

INTERVALS = PACKAGE_DATA / "tables" / "intervals.parquet"
#: What this project measured or evaluated itself, and did not learn.
OWN = (published.SOURCE, proxies_table.SOURCE)
TABLES = sorted(set((PACKAGE_DATA / "tables").glob("*.parquet")) - {INTERVALS})
MODELS = sorted((PACKAGE_DATA / "models" / "columns").glob("*.npz"))
ENUMERABLE = ("nasbench201", "nasbench_macro")
TITAN_X = "nasbench201/latency/help/dataset=cifar10,device=titan_x,batch=256,precision=fp32"
SPACE = spaces.get("nasbench201")
PIXEL3 = "nasbench201/latency/help/dataset=cifar10,device=pixel3,engine=tflite,batch=1,precision=fp32"
ROBOT = "nasbench201/accuracy/robot/dataset=cifar10,precision=fp32,split=test,recipe=standard,epochs=200"
RASPI5 = (
    "nasbench201/energy/hwnasbench360/dataset=cifar100,device=raspi5,engine=litert,threads=1,batch=1,precision=fp32"
)
CARD = {
    "space", "metric", "source", "keys", "of", "family", "scale", "rows", "r2", "spearman", "kendall", "mae", "mape",
    "within_5", "within_10", "kendall_best", "coverage", "learning_curve", "noise_ceiling", "folds", "seed",
}  # fmt: skip
EXACT = {"exact closed form", "exact look-up table"}
#: What a family's name is made of.
FAMILIES = EXACT | {
    "gradient-boosted trees", "patient gradient-boosted trees", "ridge on pairs of operators", "Gaussian process",
    "graph network", "additive", "MLP ensemble", "MLP ensemble, decay 1", "additive, corrected by an MLP ensemble",
}  # fmt: skip


def is_own(table: Path) -> bool:
    return any(source in table.stem for source in OWN)


@cache
def cards() -> dict[str, Any]:
    return dict(json.loads((PACKAGE_DATA / "scorecards.json").read_text("utf-8")))


@cache
def shipped() -> dict[str, Any]:
    """Every shipped column by name, but for those of this project's own measurements and evaluations."""
    surrogates = [path for path in TABLES if not is_own(path)]
    return {columns.table_name(piece): piece for path in surrogates for piece in split_columns(read_table(path))}


@cache
def models() -> dict[str, dict[str, Any]]:
    """The meta data of every shipped model by column name."""
    found = [arrays.load(path).meta for path in MODELS]
    return {columns.column_name(m["space"], m["metric"], m["source"], m["keys"]): dict(m) for m in found}


@cache
def canonical() -> tuple[str, ...]:
    return tuple(SPACE.canonical(arch) for arch in SPACE)


@pytest.fixture(scope="module")
def problem() -> nasbench201.Problem:
    return nasbench201.problem()


@pytest.fixture(scope="session")
def published(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built tables of the sources that these tests compare with."""
    from data_builders.build import build

    home = tmp_path_factory.mktemp("published")
    for source in ("help", "robot", "hwnasbench360"):
        build([source], home=home, sources=sources, store=False)
    return home / "tables"


def find(published: Path, name: str) -> Column:
    space, _, source, _ = name.split("/")
    return next(c for c in columns.read_columns(published / source / f"{space}.parquet") if c.name == name)


# -- folds --------------------------------------------------------------------------------------


def test_folds_never_split_a_class() -> None:
    fold = folds.assign(canonical())
    assert fold.shape == (15625,)
    pairs = set(zip(canonical(), fold.tolist(), strict=True))
    assert len(pairs) == len(set(canonical())) == 4930
    assert np.bincount(fold, minlength=folds.FOLDS).tolist() == [3125] * 5


def test_folds_are_the_same_everywhere() -> None:
    own = {card["folds"] for card in cards()["columns"].values() if card["space"] == "nasbench201"}
    assert own == {folds.fold_hash(folds.assign(canonical()))}


def test_folds_do_not_depend_on_the_order_of_rows() -> None:
    names = list(canonical())
    there = dict(zip(names, folds.assign(names).tolist(), strict=True))
    back = dict(zip(names[::-1], folds.assign(names[::-1]).tolist(), strict=True))
    assert there == back


def test_seed_changes_the_folds() -> None:
    names = [str(i) for i in range(1000)]
    assert folds.fold_hash(folds.assign(names)) != folds.fold_hash(folds.assign(names, seed=folds.SEED + 1))


# -- what ships ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_shipped_tables_are_valid(path: Path) -> None:
    table = read_table(path)
    kinds = set(pc.unique(table["kind"].cast("string")).to_pylist())
    own = is_own(path)
    if own:
        assert kinds <= {"measured", "estimated"}
    else:
        assert kinds <= {"predicted", "simulated"}
        assert "copied" not in "".join(filter(None, pc.unique(table["flags"].cast("string")).to_pylist()))
    if path.stem.startswith("fbnet") or path.stem.endswith("_lookups"):
        assert table.schema.equals(LOOKUPS, check_metadata=True)
        # A block that an own campaign did not time has no value, and its networks the status not_measured.
        assert np.isfinite(table["value"].to_numpy()).all() or own
    else:
        assert table.schema.metadata == OBSERVATIONS.metadata
        validate(table, str(path))


def test_something_ships() -> None:
    assert len(TABLES) >= 9
    assert sum(name.startswith("fbnet/latency/") for name in shipped()) == 25


def test_every_predicted_column_has_a_whole_scorecard() -> None:
    predicted = {name for name, table in shipped().items() if table["kind"][0].as_py() == "predicted"}
    assert set(cards()["columns"]) == predicted | set(models())
    for name, card in cards()["columns"].items():
        assert set(card) >= CARD, name
        assert set(card["family"].split(" + ")) <= FAMILIES, name
        assert (card["coverage"] == "exact") == (card["family"] in EXACT), name
        assert card["selection"] if " + " in card["family"] else True, name
        assert card["rows"] >= 1000, name
        assert columns.column_name(card["space"], card["metric"], card["source"], card["keys"]) == name


def test_skipped_columns_name_one_that_ships() -> None:
    assert cards()["skipped"]
    for name, kept in cards()["skipped"].items():
        assert name not in shipped()
        assert kept in {*shipped(), *models()}


def test_every_cell_has_a_row() -> None:
    connected = np.array([SPACE.is_connected(arch) for arch in SPACE])
    for name, table in shipped().items():
        if name.startswith("fbnet"):
            assert table.num_rows == 1 + 22 * 9, name
            continue
        index, status = table["arch_index"].to_numpy(), np.array(table["status"].to_pylist())
        if name.startswith("nasbench_macro"):
            assert np.array_equal(np.sort(index), np.arange(6561)), name
            assert set(status) == {"ok"}, name
            continue
        assert np.array_equal(np.sort(index), np.arange(15625)), name
        metric = name.split("/")[1]
        if metric in {"latency", "energy"}:
            assert np.array_equal(status == "disconnected", ~connected[index]), name
            assert (table["value"].drop_null().to_numpy() > 0).all(), name
        elif metric == "accuracy":
            assert (status == "ok").all(), name
            assert (table["value"].to_numpy() < 100).all(), name
        assert set(status) <= {"ok", "disconnected"}, name


def test_spread_has_a_value_a_group_and_one_for_the_disconnected() -> None:
    for name, card in cards()["columns"].items():
        if card["family"] in EXACT:
            assert set(shipped()[name]["std"].drop_null().to_pylist()) == {0.0}, name
        elif card["space"] in ENUMERABLE:
            distinct = pc.unique(shipped()[name]["std"].drop_null()).to_numpy()
            assert 2 <= len(distinct) <= 21, name


def test_values_of_trees_are_exact_in_float32() -> None:
    for name, card in cards()["columns"].items():
        if card["space"] in ENUMERABLE and card["family"] not in EXACT:
            values = shipped()[name]["value"].drop_null().to_numpy()
            assert np.array_equal(values, values.astype(np.float32).astype(np.float64)), name


def test_page_is_written_from_the_scorecards() -> None:
    page = Path(__file__).parents[1] / "docs" / "surrogates.md"
    assert page.read_text("utf-8") == report.page()


def test_manifest_names_every_input() -> None:
    manifest = json.loads((PACKAGE_DATA / "manifest.json").read_text("utf-8"))
    read = {name.split("/")[0] for name in manifest["inputs"]}
    assert {card["source"] for card in cards()["columns"].values()} <= read
    assert all(len(digest) == 64 for digest in manifest["inputs"].values())
    assert set(manifest["libraries"]) == {"numpy", "scipy", "pyarrow", "torch", "xgboost"}


# -- parts, on made-up numbers ------------------------------------------------------------------


def made_up(values: np.ndarray[Any, Any], own: np.ndarray[Any, Any]) -> Column:
    index = np.arange(len(values))
    status = np.zeros(len(values), np.int8)
    keys: dict[str, str | int] = {"dataset": "cifar10", "device": "pixel3"}
    archs = [SPACE.format(arch) for arch in SPACE]
    return Column("nasbench201", "latency", "x", keys, archs, index, values, status, own, "measured", None)


@pytest.mark.slow
def test_rows_that_are_not_own_change_nothing(problem: nasbench201.Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copied rows are not own: whatever they say, predictions and ceilings stay the same."""
    pytest.importorskip("xgboost")
    few = Trees("cost", 10, {"max_depth": 5})
    monkeypatch.setattr(catalog, "RULES", (catalog.Rule("nasbench201", "*", (few,), few),))
    rng = np.random.default_rng(0)
    own = rng.random(15625) < 0.4
    values = rng.random(15625) + 1 + (problem.vectors == 3).sum(axis=1)
    other = np.where(own, values, 1e6)
    first, rows, *_ = nasbench201.out_of_fold(made_up(values, own), problem)
    second, *_ = nasbench201.out_of_fold(made_up(other, own), problem)
    assert np.array_equal(first, second)
    assert np.array_equal(rows, own & problem.connected)
    ceiling = scorecard.noise_ceiling(values, rows, problem.pairs)
    assert ceiling == scorecard.noise_ceiling(other, rows, problem.pairs)


def test_quality_against_numbers_by_hand() -> None:
    card = scorecard.quality(np.array([1.0, 2.0, 4.0]), np.array([1.04, 2.0, 3.0]))
    assert card["rows"] == 3
    assert card["spearman"] == card["kendall"] == 1
    assert card["mae"] == pytest.approx(1.04 / 3, rel=1e-5)
    assert card["mape"] == pytest.approx(0.29 / 3, rel=1e-5)
    assert card["r2"] == pytest.approx(1 - (0.04**2 + 1) / (14 / 3), rel=1e-5)
    assert card["within_5"] == card["within_10"] == pytest.approx(2 / 3, rel=1e-5)


def test_noise_ceiling_takes_pairs_that_were_both_measured() -> None:
    rng = np.random.default_rng(0)
    values = np.arange(100.0)
    own = np.ones(100, bool)
    pairs = rng.permutation(100).reshape(50, 2)
    assert scorecard.noise_ceiling(np.repeat(np.arange(50.0), 2), own, np.arange(100).reshape(50, 2)) == {
        "pairs": 50, "spearman": 1.0, "kendall": 1.0, "spearman_ceiling": 1.0, "kendall_ceiling": 1.0,
    }  # fmt: skip
    own[pairs[:40, 0]] = False
    assert scorecard.noise_ceiling(values, own, pairs) is None


def test_exact_table_is_recovered_and_noise_is_not_called_exact() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.integers(0, 4, (500, 5)).astype(np.int8)
    costs = rng.random((5, 4))
    values = 3 + costs[np.arange(5), vectors].sum(axis=1)
    model = additive.fit_exact(vectors, values, 4)
    assert model is not None
    every = np.stack(np.meshgrid(*[np.arange(4)] * 5), axis=-1).reshape(-1, 5).astype(np.int8)
    assert np.allclose(model(every), 3 + costs[np.arange(5), every].sum(axis=1), rtol=1e-12)
    assert additive.fit_exact(vectors, values * (1 + 1e-6 * rng.random(500)), 4) is None


def test_exponential_link_is_learned_on_the_logarithm() -> None:
    rng = np.random.default_rng(2)
    vectors = rng.integers(0, 4, (2000, 5)).astype(np.int8)
    costs = rng.random((5, 4))
    values = np.exp(costs[np.arange(5), vectors].sum(axis=1))
    model = additive.fit_ridge(vectors, values, 4, "exp")
    assert np.max(np.abs(model(vectors) / values - 1)) < 0.01
    assert additive.spread(model(vectors), values, "exp") < 0.01


# -- against the published files ----------------------------------------------------------------


@pytest.mark.sources
@pytest.mark.parametrize("device", ["pixel3", "raspi4", "eyeriss", "fpga"])
def test_fbnet_tables_are_exact(published: Path, device: str) -> None:
    found = columns.read_columns(published / "help" / "fbnet.parquet")
    column = next(c for c in found if c.keys["device"] == device)
    table = shipped()[column.name]
    assert cards()["columns"][column.name]["family"] == "exact look-up table"
    vectors = spaces.get("fbnet").vectors(column.archs)
    position, choice = table["position"].to_numpy(), table["choice"].to_numpy()
    costs = np.zeros((22, 9))
    inside = position >= 0
    costs[position[inside], choice[inside]] = table["value"].to_numpy()[inside]
    total = table["value"].to_numpy()[~inside][0] + costs[np.arange(22), vectors].sum(axis=1)
    assert len(column.values) == 5000
    assert np.max(np.abs(total / column.values - 1)) < 1e-9


@pytest.mark.sources
@pytest.mark.parametrize("device", ["eyeriss", "fpga"])
def test_closed_forms_are_exact(published: Path, device: str) -> None:
    found = columns.read_columns(published / "help" / "nasbench201.parquet")
    column = next(c for c in found if c.keys["device"] == device)
    form = json.loads((PACKAGE_DATA / "closed_forms.json").read_text("utf-8"))[column.name]
    assert form["evidence"] == "fitted"
    values, own, _ = column.dense(15625)
    assert own.sum() == 15284
    vectors = spaces.get("nasbench201").vectors(np.array([arch.vector for arch in SPACE]))
    formed = closed_forms.evaluate(form, vectors)
    table = shipped()[column.name]
    stored = np.full(15625, np.nan)
    stored[table["arch_index"].to_numpy()] = table["value"].to_numpy()
    for predicted in (formed, stored):
        assert np.max(np.abs(predicted[own] / values[own] - 1)) < 1e-9


@pytest.mark.sources
@pytest.mark.parametrize("name", [PIXEL3, ROBOT, RASPI5], ids=["latency", "accuracy", "copied"])
def test_scorecards_are_of_the_shipped_predictions(published: Path, name: str) -> None:
    column = find(published, name)
    values, own, _ = column.dense(15625)
    rows = own & np.array([SPACE.is_connected(arch) for arch in SPACE])
    predicted = np.full(15625, np.nan)
    predicted[shipped()[name]["arch_index"].to_numpy()] = shipped()[name]["value"].to_numpy()
    card = cards()["columns"][name]
    again = scorecard.quality(values[rows], predicted[rows], column.metric)
    assert {key: card[key] for key in again} == again
    assert card["noise_ceiling"] == scorecard.noise_ceiling(values, rows, scorecard.swap_pairs(SPACE))


@pytest.mark.sources
def test_copied_rows_are_not_own(published: Path) -> None:
    column = find(published, RASPI5)
    path = published / "hwnasbench360" / "nasbench201.parquet"
    piece = next(p for p in split_columns(read_table(path)) if columns.table_name(p) == RASPI5)
    copied = np.array(["copied" in (flags or "") for flags in piece["flags"].to_pylist()])
    assert copied.sum() == 9159
    assert not column.own[copied].any()
    assert cards()["columns"][RASPI5]["rows"] == column.own.sum()


@pytest.mark.slow
@pytest.mark.sources
def test_one_fold_trained_again(published: Path, problem: nasbench201.Problem) -> None:
    pytest.importorskip("xgboost")
    column = find(published, TITAN_X)
    rule = catalog.rule_of(column)
    values, own, _ = column.dense(15625)
    rows = nasbench201.learnable(column, problem, own)
    scale, target = nasbench201.target_of(column, values, rows)
    held, train = np.flatnonzero(problem.folds == 2), np.flatnonzero(rows & (problem.folds != 2))
    (family,) = rule.candidates
    again = scale.backward(nested.fit_predict(family, problem.features, target, train, held, folds.SEED))
    stored = np.full(15625, np.nan)
    stored[shipped()[TITAN_X]["arch_index"].to_numpy()] = shipped()[TITAN_X]["value"].to_numpy()
    ok = np.isfinite(stored[held])
    assert ok.sum() == problem.connected[held].sum()
    assert np.max(np.abs(again[ok] / stored[held][ok] - 1)) < 1e-4


# -- intervals, models, goals -------------------------------------------------------------------


def test_every_column_that_is_not_exact_has_intervals() -> None:
    table = read_table(INTERVALS)
    known = {columns.table_name(piece): piece for piece in split_columns(table)}
    uncertain = {name for name, card in cards()["columns"].items() if card["coverage"] != "exact"}
    assert set(known) == uncertain - set(models())
    for name, piece in known.items():
        quantiles = piece["quantile"].to_numpy().reshape(-1, len(LEVELS))
        assert (np.diff(quantiles, axis=1) >= 0).all(), name


@pytest.mark.sources
@pytest.mark.parametrize("name", [PIXEL3, ROBOT, RASPI5], ids=["latency", "accuracy", "copied"])
def test_shipped_intervals_hold_what_the_scorecard_says(published: Path, name: str) -> None:
    """Asked of the store as a user asks, against the published values."""
    import hwnasbench

    column = find(published, name)
    values, own, _ = column.dense(15625)
    rows = np.flatnonzero(own & np.array([SPACE.is_connected(arch) for arch in SPACE]))[::13]
    bench = hwnasbench.load("nasbench201", data="shipped")
    request = {**{k: v for k, v in column.keys.items() if k != "device"}, "source": column.source}
    inside = 0
    for row in rows.tolist():
        found = bench.query(row, column.keys.get("device"), metrics=column.metric, **request)[column.metric]
        low, high = found.interval(0.8)
        inside += low <= values[row] <= high
    said = cards()["columns"][name]["coverage"]["80"]["shipped"]["overall"]
    assert inside / len(rows) == pytest.approx(said, abs=4 * np.sqrt(0.16 / len(rows)))


def test_large_columns_hold_their_intervals() -> None:
    """Over all rows and in each tenth of the predictions, of the intervals as they ship."""
    for name, card in cards()["columns"].items():
        if card["coverage"] == "exact" or card["rows"] < 2000:
            continue
        for level, found in card["coverage"].items():
            nominal = int(level) / 100
            assert abs(found["shipped"]["overall"] - nominal) < 0.02, name


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_models_answer(path: Path) -> None:
    model = arrays.load(path)
    space = spaces.get(model.meta["space"])
    vectors = space.canonical_vectors(space.sample_many(np.random.default_rng(0), 200))
    found = model.predict(vectors)
    assert np.isfinite(found.values).all()
    assert (found.values > 0).all()
    assert (found.std > 0).all()
    one = model.predict(vectors[7:8])
    assert one.values[0] == pytest.approx(found.values[7], rel=1e-6)


def test_goals_name_columns_that_ship() -> None:
    for goal in goals.GOALS:
        assert any(goal.speaks_of(card) for card in cards()["columns"].values()), goal
