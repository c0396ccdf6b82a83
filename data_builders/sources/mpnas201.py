"""MP-NAS-Bench201: CIFAR-10 accuracies of NAS-Bench-201 cells whose convolutions have 2, 4 or 8 bits each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from data_builders.pickles import load
from data_builders.rows import cell_column, nasbench201
from hwnasbench.errors import CorruptFile
from hwnasbench.spaces.nasbench201 import CONV1, CONV3

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from data_builders.catalog import Folder
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
_EDGES, _STAGES, _CELLS = 6, 3, 5
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
    """Yield the cells whose convolutions all have the same bits, by bits and epochs.

    Of one cell with several bits, `trainings` gives the accuracies; they are used as differences.
    """
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
