"""The accuracy of networks of inverted residual blocks: the shipped model, its scorecard, and how it is fitted."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwnasbench import spaces
from hwnasbench.errors import CorruptFile, InvalidArchitecture, InvalidRequest, UnknownName
from hwnasbench.paths import PACKAGE_DATA
from hwnasbench.predictors import imagenet
from hwnasbench.predictors.imagenet import SPACES, ImageNetAccuracy, NetworkSums, layer_terms
from surrogates.imagenet import anchors, evaluation, page, rows, shipping
from surrogates.imagenet.layouts import Layout
from surrogates.imagenet.model import Published

MODEL = PACKAGE_DATA / shipping.MODEL


@pytest.fixture(scope="module")
def model() -> ImageNetAccuracy:
    return imagenet.open_model()


@pytest.fixture(scope="module")
def card() -> dict[str, Any]:
    return dict(json.loads((PACKAGE_DATA / shipping.SCORECARD).read_text("utf-8")))


def vectors(space: str, n: int = 50) -> np.ndarray[Any, Any]:
    return spaces.get(space).sample_many(np.random.default_rng(1), n)


# -- the shipped model ------------------------------------------------------------------------------


def test_goals_are_reached_as_the_scorecard_says(card: dict[str, Any]) -> None:
    quality = card["quality"]
    assert quality["mae"] <= 0.8
    assert quality["kendall"] >= 0.7


def test_scorecard_follows_from_its_own_rows(card: dict[str, Any]) -> None:
    judged = [one for one in card["anchors"] if one["judged"]]
    true = np.array([one["published"] for one in judged])
    held = np.array([one["held_out"] for one in judged])
    assert {one["family"] for one in judged} == set(evaluation.JUDGED)
    assert all(one["resolution"] <= 224 and 70 <= one["published"] <= 78 for one in judged)
    assert len(judged) == card["quality"]["anchors"]
    assert abs(np.abs(held - true).mean() - card["quality"]["mae"]) < 0.005
    assert abs(evaluation.kendall(held, true) - card["quality"]["kendall"]) < 0.01


def test_fbnets_are_in_order_by_a_model_that_saw_none(card: dict[str, Any]) -> None:
    held = {one["name"]: one["held_out"] for one in card["anchors"]}
    assert held["FBNet-A"] < held["FBNet-B"] < held["FBNet-C"]
    unseen = card["fbnets_unseen"]
    assert unseen["FBNet-A"] < unseen["FBNet-B"] < unseen["FBNet-C"]


def test_fbnets_of_the_space_are_in_order(model: ImageNetAccuracy) -> None:
    values = model.predict("fbnet", np.array(list(anchors.in_space().values()), np.int8)).values
    assert (np.diff(values) > 0).all()


def test_widening_a_block_seldom_makes_a_network_worse(model: ImageNetAccuracy) -> None:
    """Of other networks than training looked at."""
    vectors = spaces.get("fbnet").sample_many(np.random.default_rng(7), 500)
    rows_, blocks = np.nonzero((vectors == 2) | (vectors == 6))  # k3_e3, k5_e3
    before = vectors[rows_]
    after = before.copy()
    after[np.arange(len(after)), blocks] += 1
    worse = model.predict("fbnet", after).values < model.predict("fbnet", before).values
    assert worse.mean() <= 0.05


def test_page_is_printed_from_the_scorecard() -> None:
    assert page.DEFAULT.read_text("utf-8") == page.text(PACKAGE_DATA)


@pytest.mark.parametrize("space", sorted(SPACES))
def test_recipes_are_in_order(model: ImageNetAccuracy, space: str) -> None:
    values = {recipe: model.predict(space, vectors(space), recipe=recipe).values for recipe in model.recipes}
    assert (values["advanced"] > values["standard"]).all()
    assert (values["standard"] > values["accelnasbench_proxy"]).mean() > 0.9


@pytest.mark.parametrize("space", sorted(SPACES))
def test_one_network_is_answered_as_in_a_batch(space: str) -> None:
    many = imagenet.open_model().predict(space, vectors(space))
    again = imagenet.open_model()
    for row, vector in reversed(list(enumerate(vectors(space)))):
        one = again.predict(space, vector[None])
        assert one.values[0] == many.values[row]
        assert one.std[0] == many.std[row]


@pytest.mark.parametrize(
    ("space", "dataset"), [(space, dataset) for space, known in SPACES.items() for dataset in known]
)
def test_sums_are_those_of_the_layer_tables(space: str, dataset: str) -> None:
    known: Any = spaces.get(space)
    some = vectors(space, 20)
    sums = NetworkSums(known, dataset)(some)
    for row, vector in zip(sums, some, strict=True):
        network = known.network(vector, dataset)
        size = imagenet.SMALL.get(network.input_shape[1], network.input_shape[1])
        np.testing.assert_allclose(row, layer_terms(network.layers, size).sum(axis=0), rtol=1e-12)


def test_intervals_widen_away_from_the_data(model: ImageNetAccuracy) -> None:
    """Narrow and small MobileNetV2s, and blocks without expansion, are unlike all that was published."""
    space = spaces.get("mobilenetv2")
    blocks = "_".join(["k3e1", *["k3e6"] * 16])
    archs = [f"{blocks}_w{width}_r{size}" for width, size in ((1.0, 224), (0.8, 160), (0.5, 96), (0.2, 48))]
    found = model.predict("mobilenetv2", space.vectors(archs))
    assert (np.diff(found.std) > 0).all()
    assert found.extrapolated.tolist() == [False, False, True, True]
    pairs = zip(found.values, found.std, strict=True)
    intervals = np.array([model.quantiles().interval(value, std, 0.9) for value, std in pairs])
    assert (np.diff(intervals[:, 1] - intervals[:, 0]) > 0).all()


def test_quantiles_hold_what_they_say(model: ImageNetAccuracy, card: dict[str, Any]) -> None:
    inside = []
    for one in card["anchors"]:
        low, high = model.quantiles().interval(one["held_out"], one["std"], 0.9)
        inside.append(low <= one["published"] <= high)
    assert 0.85 <= np.mean(inside) <= 0.95
    with pytest.raises(InvalidRequest, match="level"):
        model.quantiles().interval(75.0, 1.0, 0.99)


def test_cifar100_is_a_guess_and_says_so(model: ImageNetAccuracy) -> None:
    found = model.predict("fbnet", vectors("fbnet"), "cifar100")
    assert found.extrapolated.all()
    assert found.std.min() > 3
    assert ((found.values > 40) & (found.values < 90)).all()


def test_what_is_not_known_is_refused(model: ImageNetAccuracy) -> None:
    assert model.answers("fbnet", "imagenet")
    assert not model.answers("mobilenetv2", "cifar100")
    assert not model.answers("nasbench201", "imagenet")
    with pytest.raises(InvalidRequest, match="nasbench201"):
        model.predict("nasbench201", vectors("nasbench201"))
    with pytest.raises(UnknownName, match="recipe"):
        model.predict("fbnet", vectors("fbnet"), recipe="magic")
    with pytest.raises(InvalidRequest, match="advanced"):
        model.predict("fbnet", vectors("fbnet"), "cifar100", "advanced")
    with pytest.raises(InvalidArchitecture):
        model.predict("fbnet", vectors("proxylessnas"))


def _damaged(**changed: Any) -> bytes:
    with np.load(MODEL, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files} | changed
    buffer = io.BytesIO()
    np.savez(buffer, **{name: array for name, array in arrays.items() if array is not None})
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not an archive",
        MODEL.read_bytes()[:2000],
        _damaged(slopes=None, coefficients=None),
        _damaged(format=np.array("another model")),
        _damaged(covariances=np.zeros((2, 2, 2))),
        _damaged(small=np.array([np.nan, 1.0, 1.0])),
        _damaged(scale=np.array(["a"] * 8)),
        _damaged(features=np.array(["log_luck"] * 8)),
    ],
)
def test_damaged_and_foreign_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.npz"
    path.write_bytes(content)
    with pytest.raises(CorruptFile, match=r"model\.npz"):
        imagenet.open_model(path)
    with pytest.raises(CorruptFile):
        imagenet.open_model(tmp_path / "absent.npz")


def test_a_pickle_in_the_file_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    path.write_bytes(_damaged(small=np.array([object()], dtype=object)))
    with pytest.raises(CorruptFile, match="pickle"):
        imagenet.open_model(path)


# -- how it is fitted -------------------------------------------------------------------------------


def test_layouts_refuse_what_is_no_block() -> None:
    with pytest.raises(ValueError, match="no block"):
        Layout("1:k3e1c16s1 k5").build("broken")


def test_layouts_equal_the_spaces() -> None:
    """What both can say is the same to the layer: MobileNetV2 and EfficientNet-B0."""
    _, layouts, entries = anchors.entries()
    for name, layout in (
        ("MobileNetV2", Layout(layouts["mobilenetv2"], smooth="relu6")),
        ("EfficientNet-B0", Layout(layouts["efficientnet"], smooth="swish")),
    ):
        entry = next(one for one in entries if one["name"] == name)
        ours, theirs = layout.build(name), anchors.network(entry, layouts)
        assert (ours.params, ours.macs, len(ours)) == (theirs.params, theirs.macs, len(theirs))


@pytest.mark.sources
def test_anchors_have_the_published_counts(sources: Path) -> None:
    """FBNet's own count differs by its biases, MobileNetV2's and MnasNet's by what they leave out, all by little."""
    found = anchors.read(sources)
    checked = [one for one in found if one.params is not None]
    assert len(checked) == len(found)
    for one in checked:
        millions = one.network.params / 1e6
        assert one.params is not None
        loose = one.family == "FBNet" or "slim" in one.citation or "mnasnet/" in one.citation
        assert abs(millions - one.params) < (0.02 * one.params if loose else 0.0051), one.name
        if one.macs is not None:
            assert abs(one.network.macs / 1e6 - one.macs) < 0.025 * one.macs, one.name


@pytest.mark.sources
def test_exact_published_parameters(sources: Path) -> None:
    counts = {one.name: one.network.params for one in anchors.read(sources)}
    assert counts["ProxylessNAS mobile"] == 4_080_512
    assert counts["ProxylessNAS CPU"] == 4_361_648
    assert counts["ProxylessNAS GPU"] == 7_119_848
    assert counts["ProxylessNAS mobile 1.4"] == 6_857_568


@pytest.mark.sources
def test_a_family_left_out_is_not_seen(sources: Path) -> None:
    """Whatever the published values of a family are, its predictions stay."""
    seen = evaluation.published(anchors.read(sources))
    own = seen.family == "MobileNetV3"
    other = Published(seen.features, np.where(own, 71.0, seen.top1), seen.family, seen.advanced)
    rest = np.flatnonzero(~own)
    first, second = (evaluation.train(one.only(rest), {}) for one in (seen, other))
    assert first.ceiling == second.ceiling
    assert (first.coefficients == second.coefficients).all()


@pytest.mark.sources
def test_the_supernets_own_predictor_agrees_with_what_was_measured(sources: Path, card: dict[str, Any]) -> None:
    _, calibration = rows.supernet(sources)
    assert calibration["kendall"] > 0.87
    assert {name: round(value, 4) for name, value in calibration.items()} == card["ofa_predictor"]


@pytest.mark.slow
@pytest.mark.sources
def test_model_and_scorecard_are_what_the_sources_give(sources: Path, tmp_path: Path) -> None:
    """The same files; to rounding where another processor adds in another order."""
    shipping.write(sources, tmp_path)
    made = (tmp_path / shipping.SCORECARD).read_text("utf-8")
    assert json.loads(made) == json.loads((PACKAGE_DATA / shipping.SCORECARD).read_text("utf-8"))
    with np.load(tmp_path / shipping.MODEL) as new, np.load(MODEL) as old:
        assert new.files == old.files
        for name in new.files:
            if new[name].dtype.kind == "f":
                np.testing.assert_allclose(new[name], old[name], rtol=1e-6, atol=1e-9)
            else:
                assert (new[name] == old[name]).all()


def test_model_file_tells_no_time() -> None:
    with zipfile.ZipFile(MODEL) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
