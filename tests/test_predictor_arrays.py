"""Model files: equal to the trainer's answers, fast to read, and refused when damaged."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from hwnasbench import spaces
from hwnasbench.errors import CorruptFile
from hwnasbench.predictors import arrays as files
from hwnasbench.predictors.groups import Groups, gather
from surrogates import layerwise
from surrogates.columns import Column
from surrogates.families.mlp import MLP
from surrogates.intervals import Residuals
from surrogates.layouts import RECIPES, layout

if TYPE_CHECKING:
    from pathlib import Path

_SHORT = MLP(steps=40, epochs=1, hidden=(8, 4), members=2)


def _column(space: str, metric: str, count: int = 240) -> Column:
    """Make up a column: a sum over decisions, bent."""
    found = spaces.get(space)
    rng = np.random.default_rng(5)
    vectors = found.canonical_vectors(found.sample_many(rng, count))
    values = 20 + 60 * np.tanh(0.02 * (vectors * rng.random(vectors.shape[1])).sum(axis=1))
    archs = [found.format(tuple(vector)) for vector in vectors.tolist()]
    keys: dict[str, str | int] = {"dataset": found.datasets[0]}
    own, status = np.ones(count, bool), np.zeros(count, np.int8)
    return Column(space, metric, "made_up", keys, archs, None, values, status, own, "measured", None)


def _model(column: Column, candidate: layerwise.Candidate, path: Path) -> layerwise.Fitted:
    asked = layerwise.problem(column)
    model = asked.learn(candidate, np.arange(len(asked.values)), 3)
    predicted = model.predict(asked.vectors)
    layerwise.write(path, *layerwise.pack(column, model, Residuals(predicted, asked.values)))
    return model


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.npz"
    _model(_column("nasbench_macro", "accuracy"), layerwise.Candidate("short", _SHORT, True), path)
    return path


@pytest.mark.parametrize("space", sorted(RECIPES))
@pytest.mark.parametrize("metric", ["latency", "throughput", "accuracy"])
@pytest.mark.parametrize("skip", [False, True])
def test_numpy_answers_what_torch_answers(space: str, metric: str, skip: bool, tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    model = _model(_column(space, metric), layerwise.Candidate("short", _SHORT, skip), path)
    vectors = model.given.space.canonical_vectors(model.given.space.sample_many(np.random.default_rng(1), 3000))
    read = files.load(path)
    np.testing.assert_allclose(read.predict(vectors).values, model.predict(vectors), rtol=1e-6)
    one = [float(read.predict(vectors[[row]]).values[0]) for row in range(20)]
    np.testing.assert_allclose(one, model.predict(vectors[:20]), rtol=1e-6)


def test_additive_model_has_no_layers(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    model = _model(_column("mnasnet", "latency"), layerwise.CANDIDATES[0], path)
    vectors = model.given.space.sample_many(np.random.default_rng(1), 50)
    assert files.load(path).meta["layers"] == 0
    np.testing.assert_allclose(files.load(path).predict(vectors).values, model.predict(vectors), rtol=1e-6)


def test_std_and_quantiles_come_from_the_file(file: Path) -> None:
    read = files.load(file)
    found = read.predict(spaces.get("nasbench_macro").all_vectors())
    assert set(found.std) <= set(np.load(file)["std"].astype(float))
    low, high = read.quantiles().interval(float(found.values[0]), float(found.std[0]), 0.9)
    assert low < high


@pytest.mark.parametrize("space", sorted(RECIPES))
def test_sums_over_groups_are_the_counts_of_the_network(space: str) -> None:
    from hwnasbench.networks.counts import count_many

    given = layout(space, spaces.get(space).datasets[0])
    vectors = given.space.canonical_vectors(given.space.sample_many(np.random.default_rng(2), 200))
    counted = count_many(given.space, vectors, given.dataset)
    sums = gather(given.counts.astype(np.float64), given.sum_groups.codes(vectors))
    np.testing.assert_allclose(sums, np.stack([counted["params"], counted["macs"]], axis=1), rtol=1e-7)
    hot = gather(given.one_hot, given.groups.codes(vectors))
    expected = given.space.encode(vectors, "one_hot")
    expected *= np.repeat(given.space.active(vectors), given.space.choices, axis=1)
    np.testing.assert_array_equal(hot, expected)


def test_codes_are_numbered_through() -> None:
    groups = Groups((2, 3, 4), ((0, 1), (2,), (1, 2)))
    assert (groups.size, groups.starts) == (22, [0, 6, 10, 22])
    assert groups.codes(np.array([[1, 2, 3]], np.int8)).tolist() == [[5, 9, 21]]
    for number in range(3):
        found = groups.codes(groups.vectors(number))[:, number]
        assert found.tolist() == list(range(groups.starts[number], groups.starts[number + 1]))


def test_networks_far_from_the_data_are_flagged(tmp_path: Path) -> None:
    column = _column("mnasnet", "latency", 400)
    asked = layerwise.problem(column)
    never = asked.vectors[:, 0] != 2
    column.own = column.own & never
    path = tmp_path / "model.npz"
    _model(column, layerwise.CANDIDATES[0], path)
    read, largest = files.load(path), np.array(spaces.get("mnasnet").choices, np.int8) - 1
    assert not read.predict(asked.vectors[never]).extrapolated.any()
    assert read.predict(asked.vectors[~never]).extrapolated.all()
    largest[0] = 1
    assert read.predict(largest[None]).extrapolated.all()


def test_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    column = _column("nasbench_macro", "accuracy")
    for name in ("a", "b"):
        _model(column, layerwise.Candidate("short", _SHORT, False), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def _changed(file: Path, **changes: Any) -> bytes:
    with np.load(file) as found:
        arrays = dict(found)
    meta = json.loads(arrays.pop("meta").tobytes())
    for name, value in changes.items():
        (arrays if name in arrays else meta)[name] = value
    return files.dump(arrays, meta)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "hwnasbench-model/0"},
        {"space": "nasbench202"},
        {"space": "fbnet"},
        {"link": "sum"},
        {"layers": 7},
        {"groups": [[0, 99]]},
        {"sum_groups": [[0]]},
        {"mean": "much"},
        {"std": np.zeros(3)},
        {"sums": np.full((36, 3), np.nan)},
        {"weights": np.zeros((24, 5))},
        {"rarity": np.zeros(24, int)},
        {"another": 1, "weights1": np.zeros((2, 8))},
    ],
)
def test_arrays_that_do_not_fit_are_refused(file: Path, changes: dict[str, Any]) -> None:
    file.write_bytes(_changed(file, **changes))
    with pytest.raises(CorruptFile, match=r"model\.npz"):
        files.load(file)


def test_damaged_and_foreign_files_are_refused(file: Path) -> None:
    whole = file.read_bytes()
    array, promise = io.BytesIO(), io.BytesIO()
    np.save(array, np.zeros(3))
    np.lib.format.write_array_header_1_0(promise, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40,)})
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w") as archive:
        archive.writestr("meta.npy", promise.getvalue())
    others = [b"", b"PK", pickle.dumps({"a": 1}), array.getvalue(), bomb.getvalue(), _changed(file, std=np.array([{}]))]
    others += [whole[:end] for end in range(0, len(whole), len(whole) // 40)]
    for damaged in others:
        file.write_bytes(damaged)
        with pytest.raises(CorruptFile, match=r"model\.npz"):
            files.load(file)
    file.unlink()
    with pytest.raises(CorruptFile, match=r"model\.npz"):
        files.load(file)


def test_a_flipped_byte_is_refused_or_changes_nothing(file: Path) -> None:
    """Some bytes of a zip archive are read by nobody: dates, for one."""
    whole, refused = file.read_bytes(), 0
    vectors = spaces.get("nasbench_macro").all_vectors()
    expected = files.load(file).predict(vectors).values
    for place in range(0, len(whole), 97):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        try:
            np.testing.assert_array_equal(files.load(file).predict(vectors).values, expected)
        except CorruptFile:
            refused += 1
    assert refused > len(whole) // 97 // 2
