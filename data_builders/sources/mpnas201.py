"""MP-NAS-Bench201: CIFAR-10 accuracies of NAS-Bench-201 cells whose convolutions have 2, 4 or 8 bits each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from data_builders.pickles import load
from data_builders.rows import cell_column, listed_column, nasbench201
from hwnasbench.errors import CorruptFile
from hwnasbench.spaces.mixed import mixed_precision
from hwnasbench.spaces.nasbench201 import CONV1, CONV3
from hwnasbench.vocabulary import PER_LAYER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from data_builders.catalog import Folder
    from hwnasbench.spaces.mixed import MixedPrecision
    from hwnasbench.tables.write import ColumnData

_RESULTS = "results/eagle_mp_encode_test_accuracy_"
#: Epochs of fine-tuning: file. The two equal files hold an older part of the first; see the TOML file.
FILES = {
    150: f"{_RESULTS}0.01_150_full_graph_cell_group_cell_uniform_op_random_quant_8bit.pkl",
    50: f"{_RESULTS}50_full_graph_cell_uniform_op_random.pkl",
}
#: The source divides by the images of 40 full batches of 256; CIFAR-10 has 10,000.
COUNTED, IMAGES = 10_240, 10_000
BITS = (2, 4, 8)
_EDGES, _STAGES, _CELLS, _REDUCTION = 6, 3, 5, 3
#: Bits of all convolutions of the cells: precision. Activations, stem, reductions and classifier have 8 bits.
_PRECISIONS = {8: "int8", 4: "w4a8", 2: "w2a8"}


class Trainings(NamedTuple):
    """What one file holds, in its order.

    Attributes
    ----------
    vectors : (n, 6) ndarray of int8
        Cells.
    bits : (n, 3, 6) ndarray of int8
        Bits of the weights on each edge in each stage; 0 where the edge has no convolution.
    accuracy : (n,) ndarray of float64
        Percent.
    """

    vectors: NDArray[np.int8]
    bits: NDArray[np.int8]
    accuracy: NDArray[np.float64]


def columns(files: Folder) -> Iterator[ColumnData]:
    """Yield the cells whose convolutions all have the same bits, by bits and epochs."""
    for epochs in FILES:
        found = trainings(files, epochs)
        index = nasbench201().indices(found.vectors)
        lowest, highest = np.where(found.bits, found.bits, BITS[-1]).min((1, 2)), found.bits.max((1, 2))
        for bits, precision in _PRECISIONS.items():
            # A cell without convolutions has the 8 bits of what surrounds it.
            uniform = np.flatnonzero((lowest == bits) & ((highest == bits) | (highest == 0)))
            order = uniform[np.argsort(index[uniform], kind="stable")]
            yield cell_column(
                "mpnas201",
                "accuracy",
                found.accuracy[order],
                rows=index[order],
                kind="measured",
                keys={
                    "dataset": "cifar10",
                    "precision": precision,
                    "split": "test",
                    "recipe": "mpnas201",
                    "epochs": epochs,
                },
                # Stem, reductions and classifier keep 8 bits.
                flags=[] if bits == BITS[-1] else ["precision_mismatch"],
            )


def mixed_space() -> MixedPrecision:
    """Return the space that every training is an architecture of: bits of the weights layer by layer."""
    return mixed_precision(nasbench201(), BITS, (BITS[-1],))


def mixed_columns(files: Folder) -> Iterator[ColumnData]:
    """Yield every training as an architecture of `mixed_space`, by epochs.

    A store holds columns of registered spaces alone, so that `columns` does not yield these.
    """
    space = mixed_space()
    for epochs in FILES:
        found = trainings(files, epochs)
        yield listed_column(
            space.name,
            "mpnas201",
            "accuracy",
            [_spell(*row) for row in zip(found.vectors, found.bits, strict=True)],
            found.accuracy,
            kind="measured",
            keys={
                "dataset": "cifar10",
                "precision": PER_LAYER,
                "split": "test",
                "recipe": "mpnas201",
                "epochs": epochs,
            },
        )


def _spell(vector: NDArray[np.int8], bits: NDArray[np.int8]) -> str:
    """Return the string of a cell with its bits: stem, five equal cells a stage, reductions between, classifier."""
    full = [BITS[-1]]
    first, *others = ([int(b) for b in stage if b] * _CELLS for stage in bits)
    layers = [*full, *first, *(b for stage in others for b in (*full * _REDUCTION, *stage)), *full]
    return f"{nasbench201().format(vector.tolist())}@{','.join(f'w{b}a{BITS[-1]}' for b in layers)}"


def trainings(files: Folder, epochs: int) -> Trainings:
    """Read every training of `epochs` epochs.

    Raises
    ------
    CorruptFile
        When a key is no cell with one number of bits an edge and stage, or an accuracy no share of images.
    """
    path = files.path(FILES[epochs])
    table = load(path)
    length = _EDGES * (1 + _STAGES * _CELLS)
    if not isinstance(table, dict) or not all(isinstance(key, tuple) and len(key) == length for key in table):
        raise CorruptFile(f"{path} is no table by tuples of {length} numbers")
    try:
        keys, shares = np.array(list(table), np.int64), np.array(list(table.values()), np.float64)
    except (TypeError, ValueError) as error:
        raise CorruptFile(f"{path} holds something else than numbers: {error}") from error
    vectors, cells = keys[:, :_EDGES], keys[:, _EDGES:].reshape(-1, _STAGES, _CELLS, _EDGES)
    heavy = (vectors == CONV1) | (vectors == CONV3)
    if (cells != cells[:, :, :1]).any() or not np.isin(cells, (0, *BITS)).all():
        raise CorruptFile(f"{path}: the cells of a stage differ in bits, or have others than {BITS}")
    if ((cells[:, :, 0] > 0) != heavy[:, None]).any():
        raise CorruptFile(f"{path}: an edge without convolution has bits, or a convolution has none")
    images = shares * COUNTED
    if shares.shape != (len(keys),) or (images != np.round(images)).any() or not ((shares > 0) & (shares <= 1)).all():
        raise CorruptFile(f"{path}: an accuracy is no share of {COUNTED} images")
    percent = images * (100 / IMAGES)
    return Trainings(vectors.astype(np.int8), cells[:, :, 0].astype(np.int8), percent)
