"""Accuracy lost to low precision: what ships is what the fits give, and behaves as precision must."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_builders import catalog
from data_builders.fetch import fetch_package
from hwnasbench import spaces
from hwnasbench.errors import CorruptFile, DownloadFailed, InvalidRequest, UnknownName
from hwnasbench.networks.layers import Op
from hwnasbench.paths import PACKAGE_DATA
from hwnasbench.predictors import precision
from hwnasbench.predictors.precision_cells import MONOTONE, features, is_conv, live_bits, split_layers
from hwnasbench.predictors.precision_layers import Sensitivity
from hwnasbench.spaces.mixed import mixed_precision
from surrogates.precision import cells, imagenet, intervals, page, published, trees
from surrogates.precision.__main__ import CARD, MODEL, layer_model, write_model
from surrogates.precision.networks import known

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwnasbench.spaces.nasbench201 import NasBench201

SPACE = cast("NasBench201", spaces.get("nasbench201"))
SHIPPED = PACKAGE_DATA / MODEL
SEEDS = st.integers(0, 2**32 - 1)


@cache
def model() -> precision.PrecisionModel:
    return precision.open_model()


@cache
def shipped() -> dict[str, NDArray[Any]]:
    with np.load(SHIPPED, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


@cache
def card() -> dict[str, Any]:
    return dict(json.loads((PACKAGE_DATA / CARD).read_text("utf-8")))


def held_rows(start: str) -> list[dict[str, Any]]:
    return [row for row in card()["intervals"] if row["of"].startswith(start)]


def mpnas201(sources: Path) -> catalog.Folder:
    return catalog.Folder(catalog.get("mpnas201"), sources / "mpnas201")


@pytest.fixture(scope="session")
def analog(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> catalog.Folder:
    """Return where the wheel of AnalogNAS-Bench is: beside the files, where the variable says, or from pip."""
    source = catalog.get("analog-nasbench")
    given = os.environ.get("HWNASBENCH_ANALOG_WHEEL")
    folder = Path(given).parent if given else sources / "analog-nasbench"
    if not (folder / source.files[0].path).is_file():
        folder = tmp_path_factory.mktemp("analog-nasbench")
        try:
            fetch_package(source, folder)
        except DownloadFailed as error:
            pytest.skip(f"wheel of analog-nasbench not found, set HWNASBENCH_ANALOG_WHEEL to its path: {error}")
    return catalog.Folder(source, folder)


# -- what ships is what the fits give -------------------------------------------------------------


def assert_same(found: object, expected: object, where: str = "") -> None:
    """Hold two scorecards to be the same but for a last digit that another processor rounds the other way."""
    if isinstance(expected, dict):
        assert isinstance(found, dict)
        assert found.keys() == expected.keys(), where
        for key, value in expected.items():
            assert_same(found[key], value, f"{where}/{key}")
    elif isinstance(expected, list):
        assert isinstance(found, list)
        assert len(found) == len(expected), where
        for number, value in enumerate(expected):
            assert_same(found[number], value, f"{where}/{number}")
    elif isinstance(expected, float):
        digits = max(2, len(str(expected).partition(".")[2]))
        assert found == pytest.approx(expected, rel=0, abs=1.01 * 10.0**-digits), where
    else:
        assert found == expected, where


def test_the_page_is_printed_from_the_scorecard() -> None:
    text = (Path(__file__).parents[1] / "docs" / "precision.md").read_text("utf-8")
    assert text == page.page(card())


@pytest.mark.sources
def test_layers_are_fitted_to_the_published_tables(sources: Path) -> None:
    arrays, found, held = layer_model(sources)
    for name, values in arrays.items():
        np.testing.assert_allclose(values, shipped()[name], rtol=1e-4 if name == "errors_layers" else 1e-5)
    assert_same(found, card()["imagenet"])
    assert_same(held, held_rows("ImageNet"))


@pytest.mark.sources
def test_lower_bits_are_fitted_to_the_published_trainings(sources: Path) -> None:
    arrays, found, held = cells.fit_lowered(mpnas201(sources))
    for name, values in arrays.items():
        np.testing.assert_allclose(values, shipped()[name], rtol=1e-5, err_msg=name)
    assert_same(found, card()["lowered"])
    assert_same(held, held_rows("NAS-Bench-201, loss below 8 bits"))


@pytest.mark.sources
def test_cells_are_predicted_out_of_fold(analog: catalog.Folder) -> None:
    every, true = cells.all_cells(), cells.published_losses(analog)
    row = cells.TARGETS.index("ptq")
    found = np.round(cells.out_of_fold(every, true["ptq"]) * 100).astype(np.int16)
    assert (found == shipped()["cells"][row]).all()
    scored = {"target": "ptq", **cells.score(found[every.alive] / 100, true["ptq"][every.alive])}
    assert scored.items() <= card()["cells"][row].items()


@pytest.mark.sources
@pytest.mark.parametrize("method", precision.METHODS)
def test_errors_at_8_bits_are_those_left_out(analog: catalog.Folder, method: str) -> None:
    """The tables are the residuals' of what ships, and the scorecard says how often those of other folds hold."""
    every, row = cells.all_cells(), cells.TARGETS.index(method)
    alive, true = every.alive, cells.published_losses(analog)[method]
    judged = shipped()["cells"][row][alive] / 100, true[alive]
    for name, values in intervals.Grouped(*judged).arrays(method).items():
        np.testing.assert_allclose(values, shipped()[name], rtol=1e-5)
    held = intervals.unseen(*judged, every.fold[alive])
    found = intervals.row(f"NAS-Bench-201, loss at int8, {method}", "other folds", held)
    assert_same([found], held_rows(found["of"]))


@pytest.mark.sources
def test_errors_may_be_added(analog: catalog.Folder) -> None:
    """Intervals of the accuracy in float32 less the loss hold what was published at int8 as often as they say.

    Or more often: where errors are not independent but cancel, the page says so.
    """
    found = cells.fit_combined(analog, model())
    assert_same(found, held_rows("NAS-Bench-201, accuracy"))
    for row in found:
        for level in ("80%", "95%"):
            assert row[f"held_{level}"] >= row[f"band_{level}"][0]


@pytest.mark.sources
def test_numpy_answers_as_xgboost(sources: Path) -> None:
    rows = cells.lowered(mpnas201(sources))
    some = rows.epochs == 150
    x = features(SPACE, rows.cells[some], rows.bits[some])
    y = np.arcsinh(rows.lost[some])
    booster = trees.train(x, y, monotone=MONOTONE)
    arrays = {**shipped(), **trees.arrays(booster), "tree_base": np.array(y.mean())}
    mine = precision.PrecisionModel(arrays).added_nasbench201(rows.cells[some], rows.bits[some])
    theirs = np.clip(np.sinh(trees.predict(booster, x) + y.mean()), 0, precision.CEILING)
    np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def test_the_same_arrays_give_the_same_bytes(tmp_path: Path) -> None:
    write_model(shipped(), tmp_path / "a.npz")
    write_model(precision.open_model(tmp_path / "a.npz")._arrays, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes() == SHIPPED.read_bytes()


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        ("resnet18", 11_689_512, 1.81e9),
        ("resnet50", 25_557_032, 4.09e9),
        ("mobilenetv2_1.0", 3_504_872, 0.30e9),
        ("regnetx600m", 6.2e6, 0.6e9),
        ("regnetx800m", 7.3e6, 0.8e9),
        ("regnetx3200m", 15.3e6, 3.2e9),
    ],
)
def test_networks_have_their_published_size(name: str, params: float, macs: float) -> None:
    assert known(name).params == pytest.approx(params, rel=0.01)
    assert known(name).macs == pytest.approx(macs, rel=0.01)


# -- goals on what was left out -------------------------------------------------------------------


def test_networks_left_out_are_within_what_was_asked() -> None:
    goals = card()["imagenet"]["goals"]
    judged = {(goal["method"], goal["precision"]): goal["worst"] for goal in goals if goal["asked"] is not None}
    assert set(judged) == {("ptq", "W8A8"), ("ptq", "W4A8"), ("ptq", "W4A4"), ("qat", "W8A8"), ("qat", "W4A4")}
    assert max(worst for (_, label), worst in judged.items() if label == "W8A8") <= 1.5
    assert max(worst for (_, label), worst in judged.items() if label != "W8A8") <= 3.0


def test_every_network_left_out_is_in_order() -> None:
    right = [row["in_order"] for row in card()["imagenet"]["left_out"] if row["method"] == "ptq"]
    assert right == [True] * 5


def test_no_published_loss_is_shipped() -> None:
    """Errors are, and no prediction beside them from which the published value would follow."""
    rows = card()["imagenet"]["left_out"]
    keys = {"network", "method", "errors", "mixed", "w6a6_predicted", "in_order"}
    assert all(set(row) == keys and "W6A6" not in row["errors"] for row in rows)


def test_a_leaked_network_would_show() -> None:
    """Leaving out matters: a fit to two rows predicts a third network by its size alone."""
    small, large = (
        published.Row("mobilenetv2_1.0", "ptq", "", 5.0, (4, 4)),
        published.Row("resnet50", "ptq", "", 1.0, (4, 4)),
    )
    fitted = imagenet.fit([small, large, small._replace(bits=(2, 4), loss=20.0)])
    between = imagenet.predict(fitted, published.Row("resnet18", "ptq", "", 0.0, (4, 4)))
    assert imagenet.predict(fitted, large) == pytest.approx(1, rel=0.1)
    assert imagenet.predict(fitted, small) == pytest.approx(5, rel=0.1)
    assert 1 < between < 5


def test_intervals_of_others_tell_a_fold_that_differs() -> None:
    """What would be hidden if a fold's own residuals were among those that its intervals are read from."""
    rng = np.random.default_rng(11)
    predicted = rng.uniform(0, 10, 4000)
    fold = np.repeat(np.arange(5), 800).astype(np.int8)
    true = predicted + rng.normal(0, 1, 4000)
    alike = intervals.unseen(predicted, true, fold)
    assert [np.mean(alike[level]) for level in (0.8, 0.95)] == pytest.approx([0.8, 0.95], abs=0.02)
    other = intervals.unseen(predicted, np.where(fold == 0, true + 4, true), fold)
    assert np.mean(other[0.95][fold == 0]) < 0.1
    assert np.mean(other[0.95][fold != 0]) > 0.95


def test_a_row_of_coverage_says_what_chance_would() -> None:
    found = intervals.row("a", "b", {0.8: [True] * 8 + [False] * 2, 0.95: [True] * 10})
    assert (found["rows"], found["held_80%"], found["held_95%"]) == (10, 80.0, 100.0)
    # Of ten rows held with 0.8 each, 4 or fewer are with a probability of 0.0064 and 3 or fewer with 0.0009.
    assert found["band_80%"] == [40.0, 100.0]


@pytest.mark.sources
def test_networks_judged_know_nothing_of_themselves(sources: Path) -> None:
    """Losses of a network that are unlike all others do not widen its own intervals."""
    rows = published.read(sources)
    worse = [row._replace(loss=row.loss + 30) if row.network == "regnetx600m" else row for row in rows]
    for some, held in ((rows, 100.0), (worse, 0.0)):
        judged = [network for network in imagenet.held_out(some) if network.network == "regnetx600m"]
        (found,) = imagenet.coverage(some, judged)
        assert (found["of"], found["rows"], found["held_95%"]) == ("ImageNet, loss, ptq", 5, held)


def test_a_method_that_nobody_used_keeps_its_parameter() -> None:
    rows = [published.Row("resnet50", "ptq", "", 1.0, (4, 4)), published.Row("resnet18", "ptq", "", 2.0, (4, 4))]
    assert imagenet.fit(rows).qat == pytest.approx(4)


# -- behaviour ------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_fewer_bits_never_help_a_cell(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = SPACE.sample_many(rng, 50)
    bits = rng.choice([2, 3, 4, 6, 8, 16], size=(50, 3, 6))
    fewer = np.maximum(bits - rng.integers(0, 3, size=bits.shape), 1)
    for method in precision.METHODS:
        more, less = (model().loss_nasbench201(vectors, bits=b, method=method).values for b in (bits, fewer))
        assert (less >= more - 1e-9).all()
    uniform = [model().loss_nasbench201(vectors, word).values for word in ("int8", "w4a8", "w2a8")]
    assert (np.diff(uniform, axis=0) >= -1e-9).all()
    assert (model().loss_nasbench201(vectors, "fp32").values == 0).all()


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.sampled_from(["mobilenetv2", "fbnet", "resnet"]))
def test_fewer_bits_never_help_a_layer(seed: int, name: str) -> None:
    rng = np.random.default_rng(seed)
    space = mixed_precision(spaces.get(name))
    vectors = space.sample_many(rng, 4)
    lower = vectors.copy()
    lower[:, len(space.base.choices) :] = np.maximum(lower[:, len(space.base.choices) :] - 1, 0)
    more, less = (model().loss(space, v).values for v in (vectors, lower))
    assert (less > more).all()
    words = ("fp16", "int8", "w6a6", "w4a4", "w2a4")
    uniform = np.array(
        [model().loss(space.base, vectors[:, : len(space.base.choices)], precision=w).values for w in words]
    )
    assert (uniform[0] == 0).all()
    assert (np.diff(uniform, axis=0) > 0).all()


def test_equal_live_graphs_lose_the_same() -> None:
    """Dead convolutions do not count, nor the order of the inner nodes; bits change places with the nodes."""
    cell, swapped = [3, 2, 0, 1, 2, 3], [2, 3, 0, 1, 3, 2]
    bits, other = np.array([[2, 4, 8, 8, 4, 2]]), np.array([[4, 2, 8, 8, 2, 4]])
    one, two = (
        model().added_nasbench201(np.array([c], np.int8), np.repeat(b[:, None], 3, 1))
        for c, b in ((cell, bits), (swapped, other))
    )
    assert one == two > 0
    dead = np.array([[3, 0, 0, 1, 0, 2]], np.int8)
    assert (live_bits(dead, np.full((1, 3, 6), 2)) == 8).all()
    assert model().loss_nasbench201(dead, "w2a8").values == model().loss_nasbench201(dead, "int8").values


def test_a_cell_without_a_path_loses_nothing() -> None:
    dead = [i for i in range(len(SPACE)) if not SPACE.is_connected(i)]
    vectors = SPACE.vectors(dead)
    for found in (model().loss_nasbench201(vectors, "w2a8"), model().analog(vectors, 3600, adc_bits=4)):
        assert (found.values == 0).all()
        assert (found.std == 0).all()


def test_layers_of_a_mixed_network_are_sorted_into_cells() -> None:
    """The layer table of the network itself says which bits are whose."""
    space = mixed_precision(SPACE, (2, 4, 8), (8,))
    vector = space.sample_many(np.random.default_rng(3), 1)[0]
    vector[:6] = [3, 1, 2, 0, 3, 2]
    arch = space.parse(vector)
    network = space.network(arch, "cifar10")
    heavy = network.layers[np.isin(network.layers["op"], (Op.CONV, Op.LINEAR))]
    convs = heavy[(heavy["in_channels"] == heavy["out_channels"]) & (heavy["stride"] == 1) & (heavy["op"] == Op.CONV)]
    # Of the convolutions that keep channels and size, one in each of the two reductions is not in a cell.
    expected = [
        row
        for row in range(len(heavy))
        if (heavy["kernel"][row], heavy["in_channels"][row]) in {(1, 16), (3, 16), (1, 32), (3, 32), (1, 64), (3, 64)}
    ]
    assert len(convs) == 15 * 4 + 2
    bits = np.full((1, space.layers, 2), 8)
    bits[0, : len(heavy), 0] = np.arange(100, 100 + len(heavy))
    bits[0, : len(heavy), 1] = 200
    by_cell, _ = split_layers(vector[None, :6].astype(np.int8), bits)
    edges = np.flatnonzero(is_conv(vector[:6]))
    for stage, channels in enumerate((16, 32, 64)):
        rows = by_cell[0, stage][:, edges].ravel() - 100
        assert (np.diff(rows) == 1).all()
        assert set(rows.tolist()) <= set(expected)
        assert (heavy["in_channels"][rows] == channels).all()
        assert (heavy["kernel"][rows] == np.tile([3, 1, 3, 1], 5)).all()
    assert (by_cell[0][:, :, [1, 3]] == 8).all()


def test_one_entry_for_spaces_in_mixed_precision() -> None:
    space = mixed_precision(SPACE, (2, 4, 8), (8,))
    cells_ = [[3, 1, 2, 0, 3, 2], [1, 1, 3, 1, 1, 3]]
    eight = np.stack([space.uniform(cell, "w8a8").vector for cell in cells_])
    found = model().loss(space, eight, "cifar10", method="qat")
    np.testing.assert_allclose(found.values, model().loss_nasbench201(cells_, "int8", method="qat").values)
    assert not found.extrapolated.any()
    two = np.stack([space.uniform(cell, "w2a8").vector for cell in cells_])
    low = model().loss(space, two, "cifar10", method="qat")
    np.testing.assert_allclose(low.values, model().loss_nasbench201(cells_, "w2a8", method="qat").values)
    assert low.extrapolated.all()  # stem, reductions and classifier have 2 bits too
    assert model().loss(space, eight, "cifar100").extrapolated.all()
    np.testing.assert_array_equal(
        model().loss(space, eight, precision="int8").values, model().loss(SPACE, cells_, precision="int8").values
    )


def test_a_named_precision_keeps_the_ends_at_8_bits() -> None:
    base = spaces.get("mobilenetv2")
    space = mixed_precision(base)
    vector = base.sample_many(np.random.default_rng(0), 1)
    named = model().loss(base, vector, precision="w4a4")
    literal = model().loss(space, [space.uniform(vector[0], "w4a4").vector])
    kept = np.array(space.bits(space.uniform(vector[0], "w4a4")))
    kept[[0, -1]] = 8
    assert model().loss_imagenet(base, vector, bits=kept[None]).values == pytest.approx(named.values)
    assert literal.values > named.values
    assert literal.extrapolated.all()


def test_what_is_far_from_the_fits_says_so() -> None:
    cell = [[3, 3, 3, 3, 3, 3]]
    assert not model().loss_nasbench201(cell, "int8").extrapolated.any()
    assert not model().loss_nasbench201(cell, "w4a8", method="qat").extrapolated.any()
    for request in (
        {"precision": "w4a8"},
        {"precision": "w4a4", "method": "qat"},
        {"precision": "w3a8", "method": "qat"},
    ):
        assert model().loss_nasbench201(cell, **request).extrapolated.all(), request
    base = spaces.get("mobilenetv2")
    small = base.vectors(["_".join(["k3e1"] * 17 + ["w0.2", "r96"])])
    full = base.vectors(["_".join(["k3e6"] * 17)])
    assert model().loss(base, small, precision="int8").extrapolated.all()
    assert not model().loss(base, full, precision="int8").extrapolated.any()
    assert model().loss(spaces.get("fbnet"), [[0] * 22], "cifar100", "int8").extrapolated.all()
    swish = spaces.get("efficientnet").sample_many(np.random.default_rng(0), 5)
    assert model().loss(spaces.get("efficientnet"), swish, precision="int8").extrapolated.all()


def test_analog_over_time() -> None:
    vectors = SPACE.sample_many(np.random.default_rng(5), 200)
    for method in precision.ANALOG:
        times = [0, 1, 60, 600, 3600, 40_000, 86_400, 10**6, 2_592_000, 10**7]
        found = [model().analog(vectors, time, method=method) for time in times]
        values = np.stack([f.values for f in found])
        assert (np.diff(values, axis=0) >= -1e-9).all()
        assert [bool(f.extrapolated.any()) for f in found] == [False] * 9 + [True]
        row = precision.ANALOG.index(method) * 5 + 2 + 2
        known_hour = shipped()["cells"][row, SPACE.indices(vectors)] / 100
        np.testing.assert_allclose(found[4].values, known_hour)
    halfway = np.expm1((np.log1p(60) + np.log1p(3600)) / 2)
    middle = (model().analog(vectors, 60).values + model().analog(vectors, 3600).values) / 2
    np.testing.assert_allclose(model().analog(vectors, halfway).values, middle)


def test_analog_by_crossbar_and_converter() -> None:
    vectors = SPACE.vectors([15624, 6111, 1462])
    by_bits = np.stack([model().analog(vectors, adc_bits=bits).values for bits in (12, 8, 6, 4)])
    assert (np.diff(by_bits, axis=0) >= 0).all()
    by_rows = np.stack([model().analog(vectors, crossbar=rows).values for rows in (1024, 512, 256, 64)])
    assert (np.diff(by_rows, axis=0) >= 0).all()
    assert model().analog(vectors, crossbar=64).extrapolated.all()
    assert model().analog(vectors, adc_bits=6).extrapolated.all()
    assert not model().analog(vectors).extrapolated.any()


# -- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "complaint"),
    [
        (lambda m: m.loss_nasbench201([[1] * 6], "int8", method="float"), UnknownName, "float"),
        (lambda m: m.loss_nasbench201([[1] * 6], "int9"), UnknownName, "int9"),
        (lambda m: m.loss_nasbench201([[1] * 6], bits=[[8] * 5]), InvalidRequest, "expected integers"),
        (lambda m: m.loss_nasbench201([[1] * 6], bits=[[8.0] * 6]), InvalidRequest, "expected integers"),
        (lambda m: m.loss(SPACE, [[1] * 6]), InvalidRequest, "no bits by layer"),
        (lambda m: m.loss_imagenet(spaces.get("fbnet"), [[0] * 22]), InvalidRequest, "one of the two"),
        (lambda m: m.loss_imagenet(spaces.get("fbnet"), [[0] * 22], bits=[[[8, 8]]]), InvalidRequest, "or more, 2"),
        (
            lambda m: m.loss_imagenet(spaces.get("fbnet"), [[0] * 22], bits=np.full((1, 99, 2), 0)),
            InvalidRequest,
            "1 to 32",
        ),
        (lambda m: m.analog([[1] * 6], -1), InvalidRequest, "no negative time"),
        (lambda m: m.analog([[1] * 6], float("nan")), InvalidRequest, "no negative time"),
        (lambda m: m.analog([[1] * 6], crossbar=0), InvalidRequest, "above 0"),
        (lambda m: m.analog([[1] * 6], method="digital"), UnknownName, "digital"),
    ],
)
def test_malformed_requests(call: Any, error: type[Exception], complaint: str) -> None:
    with pytest.raises(error, match=complaint):
        call(model())


def test_a_damaged_model_is_refused(tmp_path: Path) -> None:
    content = SHIPPED.read_bytes()
    (tmp_path / "short.npz").write_bytes(content[: len(content) // 2])
    middle = len(content) // 2
    (tmp_path / "flipped.npz").write_bytes(content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :])
    np.savez(tmp_path / "foreign.npz", a=np.zeros(3))
    np.savez(tmp_path / "pickled.npz", a=np.array([{}], object), allow_pickle=True)
    (tmp_path / "text.npz").write_text("no archive", "utf-8")
    write_model({**shipped(), "format": np.array("hwnasbench-precision/9")}, tmp_path / "newer.npz")
    for name in ("short", "flipped", "foreign", "pickled", "text", "newer", "absent"):
        with pytest.raises(CorruptFile, match=name):
            precision.open_model(tmp_path / f"{name}.npz")


def test_tables_of_another_form_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptFile, match="cannot be read"):
        published.read(tmp_path)
    for name in (published.MQBENCH, published.HAWQ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("nothing\n", "utf-8")
    with pytest.raises(CorruptFile, match="no table of accuracies"):
        published.read(tmp_path)


@pytest.mark.sources
def test_published_tables_are_read_whole(sources: Path) -> None:
    rows = published.read(sources)
    assert len(rows) == 25 + 22
    assert {row.network for row in rows if row.method == "ptq"} == {
        "resnet18",
        "resnet50",
        "mobilenetv2_1.0",
        "regnetx600m",
        "regnetx800m",
    }
    mixed = [row for row in rows if row.low is not None]
    assert len(mixed) == 18
    assert all(0 < share < 1 for row in mixed for share in row.low or ())


def test_the_formula_is_the_page_s() -> None:
    """One network, by hand."""
    fitted = Sensitivity(*shipped()["layers"])
    layers, offsets = imagenet.weighted("resnet18")
    inner = layers[1:-1]
    size = inner["params"].sum() / 1e7
    ends = layers[[0, -1]]
    at_8 = fitted.ratio**-4
    weights = fitted.ratio**2 + at_8 * ends["params"].sum() / inner["params"].sum()
    activations = 1 + at_8 * ends["macs"].sum() / inner["macs"].sum()
    x = fitted.ptq * size**-fitted.exponent * (fitted.weights * weights + (1 - fitted.weights) * activations)
    bits = np.tile(np.array([2.0, 4.0]), (len(layers), 1))
    bits[[0, -1]] = 8
    found = model().loss_layers(layers, offsets, bits)
    assert found.values[0] == pytest.approx(70 * (1 - np.exp(-x / 70)))
