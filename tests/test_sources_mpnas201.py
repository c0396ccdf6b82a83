"""MP-NAS-Bench201: its notation, its count of images, its equal files, and what is refused."""

from __future__ import annotations

import hashlib
import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import spearmanr

from data_builders import catalog
from data_builders.pickles import load
from data_builders.rows import scatter
from data_builders.sources import mpnas201
from hwnasbench import spaces
from hwnasbench.errors import CorruptFile, UnsafePickle
from hwnasbench.predictors.precision import open_model
from hwnasbench.tables.schema import validate

if TYPE_CHECKING:
    from pathlib import Path

SPACE = spaces.get("nasbench201")


def folder(path: Path) -> catalog.Folder:
    return catalog.Folder(catalog.get("mpnas201"), path)


def write(path: Path, content: object) -> catalog.Folder:
    """Write one file of the source, as pickle."""
    file = path / mpnas201.FILES[150]
    file.parent.mkdir(parents=True)
    file.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content))
    return folder(path)


def key(vector: tuple[int, ...], *stages: tuple[int, ...]) -> tuple[int, ...]:
    return vector + tuple(bits for stage in stages for _ in range(5) for bits in stage)


CELL, STAGE = (3, 1, 2, 1, 0, 0), (8, 0, 4, 0, 0, 0)
WHOLE = {key(CELL, STAGE, STAGE, STAGE): 0.7587890625}


@pytest.mark.sources
def test_columns(sources: Path) -> None:
    found = {(c.keys["epochs"], c.keys["precision"]): c for c in mpnas201.columns(folder(sources / "mpnas201"))}
    assert set(found) == {(epochs, precision) for epochs in (150, 50) for precision in ("int8", "w4a8", "w2a8")}
    for name, column in found.items():
        assert column.arch_index is not None
        assert (np.diff(column.arch_index) > 0).all()
        assert column.flags == (None if name[1] == "int8" else "precision_mismatch")


@pytest.mark.sources
@pytest.mark.parametrize("epochs", mpnas201.FILES)
def test_an_accuracy_is_a_share_of_ten_thousand_images(sources: Path, epochs: int) -> None:
    """Times 1.024, every accuracy is a whole number of 10,000 images, and a dead cell guesses one class of ten."""
    found = mpnas201.trainings(folder(sources / "mpnas201"), epochs)
    raw = np.array(list(load(sources / "mpnas201" / mpnas201.FILES[epochs]).values()))
    np.testing.assert_allclose(found.accuracy, raw * 100 * 1.024, rtol=1e-14)
    assert np.abs(found.accuracy * 100 - np.round(found.accuracy * 100)).max() < 1e-9
    assert (np.abs(raw * 10_000 - np.round(raw * 10_000)) > 0.01).mean() > 0.9
    dead = [not SPACE.is_connected(vector.tolist()) for vector in found.vectors]
    assert sum(dead) > 100
    assert np.median(found.accuracy[dead]) == 10.0


@pytest.mark.sources
@pytest.mark.parametrize("epochs", mpnas201.FILES)
def test_notation(sources: Path, epochs: int) -> None:
    """Read as the arch string orders its tokens, accuracies go with the published ones; 1x1 for 3x3 they go less."""
    found = mpnas201.trainings(folder(sources / "mpnas201"), epochs)
    robot = catalog.get("robot")
    columns = catalog.importer(robot).columns(catalog.Folder(robot, sources / "robot"))
    (full,) = [c for c in columns if (c.metric, c.keys["dataset"], c.keys["epochs"]) == ("accuracy", "cifar10", 200)]
    published = scatter(np.asarray(full.arch_index), full.values)
    other = np.choose(found.vectors, np.array([0, 1, 3, 2, 4]))
    agreement = [spearmanr(found.accuracy, published[SPACE.indices(v)]).statistic for v in (found.vectors, other)]
    assert agreement[0] > agreement[1] + 0.1


@pytest.mark.sources
def test_two_of_the_files_are_equal_and_older(sources: Path) -> None:
    names = [file.path for file in catalog.get("mpnas201").files]
    digests = {name: hashlib.sha256((sources / "mpnas201" / name).read_bytes()).hexdigest() for name in names}
    assert len(set(digests.values())) == len(names) - 1
    dropped = sorted(set(names) - set(mpnas201.FILES.values()))
    assert digests[dropped[0]] == digests[dropped[1]]
    older = load(sources / "mpnas201" / dropped[0])
    newer = load(sources / "mpnas201" / mpnas201.FILES[150])
    assert set(older) <= set(newer)
    assert sum(older[k] != newer[k] for k in older) == 13


@pytest.mark.sources
def test_every_training_is_an_architecture_in_mixed_precision(sources: Path) -> None:
    space = mpnas201.mixed_space()
    for column, epochs in zip(mpnas201.mixed_columns(folder(sources / "mpnas201")), mpnas201.FILES, strict=True):
        validate(column.to_table())
        found = mpnas201.trainings(folder(sources / "mpnas201"), epochs)
        assert column.values.tolist() == found.accuracy.tolist()
        for row in range(0, len(found.accuracy), 500):
            arch = space.parse(column.archs[row])
            assert space.base_of(arch).vector == tuple(found.vectors[row])
            bits = space.bits(arch)
            assert set(bits[:1] + bits[-1:]) == {(8, 8)}
            assert {a for _, a in bits} == {8}
            each = np.count_nonzero(found.bits[row, 0])
            stages = [bits[1 + s * (5 * each + 3) :][: 5 * each] for s in range(3)]
            expected = [[(int(b), 8) for b in stage if b] * 5 for stage in found.bits[row]]
            assert stages == expected


@pytest.mark.sources
def test_the_shipped_model_knows_these_trainings(sources: Path) -> None:
    """Through the notation of the mixed space: what it adds below 8 bits goes with what was lost."""
    space, model = mpnas201.mixed_space(), open_model()
    column = next(mpnas201.mixed_columns(folder(sources / "mpnas201")))
    cell = SPACE.format([4, 3, 3, 2, 2, 2])
    rows = [row for row, arch in enumerate(column.archs) if arch.startswith(f"{cell}@")]
    assert len(rows) == 42
    found = model.loss(space, space.vectors([column.archs[row] for row in rows]), "cifar10", method="qat")
    assert not found.extrapolated.any()
    assert spearmanr(found.values, column.values[rows]).statistic < 0


def test_a_file_is_read_to_the_bit(tmp_path: Path) -> None:
    found = mpnas201.trainings(write(tmp_path, WHOLE), 150)
    assert found.vectors.tolist() == [list(CELL)]
    assert found.bits.tolist() == [[list(STAGE)] * 3]
    assert found.accuracy.tolist() == [77.7]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({CELL: 0.5}, "tuples of 96"),
        ({key(CELL, STAGE, STAGE, (3, 0, 4, 0, 0, 0)): 0.5}, "others than"),
        ({(*key(CELL, STAGE, STAGE, STAGE)[:-6], 2, 0, 4, 0, 0, 0): 0.5}, "differ in bits"),
        ({key(CELL, STAGE, STAGE, (8, 0, 0, 0, 0, 0)): 0.5}, "without convolution"),
        (dict.fromkeys(WHOLE, 77.7), "no share"),
        (dict.fromkeys(WHOLE, 0.75871), "no share"),
        (dict.fromkeys(WHOLE, float("nan")), "no share"),
        (dict.fromkeys(WHOLE, "0.5x"), "something else"),
        ([1, 2], "no table"),
        (pickle.dumps(WHOLE)[:-9], "no whole pickle"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, content: object, complaint: str) -> None:
    with pytest.raises(CorruptFile, match=complaint):
        list(mpnas201.columns(write(tmp_path, content)))


class _Hostile:
    def __init__(self, target: str) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return open, (self.target, "w")


def test_a_hostile_pickle_runs_nothing(tmp_path: Path) -> None:
    target = tmp_path / "written"
    files = write(tmp_path / "source", {key(CELL, STAGE, STAGE, STAGE): _Hostile(str(target))})
    with pytest.raises(UnsafePickle, match="nothing was run"):
        list(mpnas201.columns(files))
    assert not target.exists()
