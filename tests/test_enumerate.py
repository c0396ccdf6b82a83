"""A space written to Parquet."""

from __future__ import annotations

import time

import numpy as np
import pyarrow.parquet as pq
import pytest

from data_builders.enumerate import enumerate_to
from hwnasbench import spaces
from hwnasbench.errors import InvalidRequest, NotEnumerable, StorageError, UnknownName

COLUMNS = ["arch", "index", "canonical", "params", "macs", "layers"]


def test_nasbench201_whole(tmp_path):
    start = time.perf_counter()
    assert enumerate_to(tmp_path / "n.parquet", "nasbench201") == 15625
    assert time.perf_counter() - start < 10
    table = pq.read_table(tmp_path / "n.parquet")
    assert table.column_names == COLUMNS
    assert table["index"].to_pylist() == list(range(15625))
    space = spaces.get("nasbench201")
    assert table["arch"][1462].as_py() == space.format(space.from_index(1462))
    assert len(set(table["canonical"].to_pylist())) == 4930
    for row in (0, 9, 15624):
        counts = space.network(row, "cifar10").counts()
        assert {name: table[name][row].as_py() for name in ("params", "macs", "layers")} == {
            name: counts[name] for name in ("params", "macs", "layers")
        }


def test_fbnet_sample(tmp_path):
    enumerate_to(tmp_path / "a.parquet", "fbnet", sample=70000, seed=5)
    enumerate_to(tmp_path / "b.parquet", "fbnet", sample=70000, seed=5)
    enumerate_to(tmp_path / "c.parquet", "fbnet", sample=70000, seed=6)
    a, b, c = ((tmp_path / f"{name}.parquet").read_bytes() for name in "abc")
    assert a == b
    assert a != c
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.num_rows == 70000
    assert table["index"].null_count == 70000
    space = spaces.get("fbnet")
    vectors = space.vectors(table["arch"].to_pylist()[:2000])
    # Uniform: each of 9 operators in about a ninth of 44,000 draws.
    counts = np.bincount(vectors.ravel(), minlength=9)
    assert abs(counts / vectors.size - 1 / 9).max() < 0.01
    assert table["params"].to_numpy().min() > 0


def test_a_data_set_can_be_chosen(tmp_path):
    enumerate_to(tmp_path / "a.parquet", "nasbench201", sample=10, seed=1, dataset="cifar10")
    enumerate_to(tmp_path / "b.parquet", "nasbench201", sample=10, seed=1, dataset="cifar100")
    a, b = (pq.read_table(tmp_path / f"{name}.parquet") for name in "ab")
    assert a["index"] == b["index"]
    # A classifier of 64 channels with 90 more classes.
    assert (b["params"].to_numpy() - a["params"].to_numpy() == 65 * 90).all()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"space": "nosuch"}, UnknownName),
        ({"space": "fbnet"}, NotEnumerable),
        ({"space": "fbnet", "sample": 0}, InvalidRequest),
        ({"space": "fbnet", "sample": 1, "seed": -1}, InvalidRequest),
        ({"space": "fbnet", "sample": 1, "dataset": "mnist"}, UnknownName),
    ],
)
def test_bad_requests_write_nothing(tmp_path, arguments, error):
    with pytest.raises(error):
        enumerate_to(tmp_path / "x.parquet", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_none(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        enumerate_to(tmp_path / "file" / "x.parquet", "fbnet", sample=1)
