"""Nothing of a pickle is run."""

from __future__ import annotations

import collections
import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from data_builders.pickles import PANDAS, PLAIN, load, load_frame, load_pt, loads
from hwnasbench.errors import CorruptFile, UnsafePickle


class _Touch:
    """Unpickling an instance calls a function with arguments."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


def _hostile(path: Path) -> list[bytes]:
    return [
        pickle.dumps(_Touch(os.system, f"touch {path}")),
        pickle.dumps([1, {"a": _Touch(eval, f"open({str(path)!r}, 'w')")}], protocol=2),
        pickle.dumps(_Touch(getattr, [1], "append"), protocol=4),
        # A dotted name reaches through an allowed module.
        b"\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93.",
        b"cos\nsystem\n(S'touch " + str(path).encode() + b"'\ntR.",
        b"\x80\x02cbuiltins\nexec\n(X\x01\x00\x00\x001tR.",
        # An object outside the pickle.
        b"\x80\x02X\x01\x00\x00\x00aQ.",
    ]


@pytest.mark.parametrize("which", range(7))
@pytest.mark.parametrize("allowed", [PLAIN, PANDAS], ids=["plain", "pandas"])
def test_hostile_pickle_runs_nothing(tmp_path, which, allowed):
    witness = tmp_path / "witness"
    with pytest.raises(UnsafePickle):
        loads(_hostile(witness)[which], allowed)
    assert not witness.exists()


def test_the_payload_would_work_in_a_plain_unpickler(tmp_path):
    """So that the test above can fail."""
    witness = tmp_path / "witness"
    pickle.loads(_hostile(witness)[0])
    assert witness.exists()


def test_hostile_pickle_inside_pt(tmp_path):
    witness = tmp_path / "witness"
    path = tmp_path / "evil.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", _hostile(witness)[0])
    with pytest.raises(UnsafePickle, match=r"evil\.pt.*allow-list"):
        load_pt(path)
    assert not witness.exists()


def test_state_of_a_stub_class_cannot_be_set():
    """BUILD on the class itself, instead of an instance, must not change what later files read."""
    code = b"\x80\x02cpandas.core.frame\nDataFrame\nN}X\x06\x00\x00\x00hackedK\x01s\x86b."
    with pytest.raises(CorruptFile):
        loads(code, PANDAS)
    assert not hasattr(PANDAS["pandas.core.frame", "DataFrame"], "hacked")


@pytest.mark.parametrize("protocol", range(2, 6))
def test_plain_data_round_trips(protocol):
    data = {
        "list": [1, 2.5, "x", None, True],
        "array": np.arange(6.0).reshape(2, 3),
        "scalar": np.float64(1.5),
        "ordered": collections.OrderedDict(a=1),
        (0, 1): "tuple key",
    }
    found = loads(pickle.dumps(data, protocol=protocol))
    assert np.array_equal(found.pop("array"), data.pop("array"))
    assert found == data


def test_both_names_of_numpy_are_read():
    old = pickle.dumps(np.float64(2.0), protocol=2)
    old = old.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert b"numpy.core.multiarray" in old
    assert loads(old) == 2.0


@pytest.mark.parametrize("cut", [0, 1, 10, -1])
def test_truncated_pickle(tmp_path, cut):
    path = tmp_path / "cut.pickle"
    path.write_bytes(pickle.dumps(list(range(1000)))[:cut])
    with pytest.raises(CorruptFile, match=r"cut\.pickle"):
        load(path)


def test_truncated_pt(tmp_path):
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps([1.0] * 1000))
    path = tmp_path / "cut.pt"
    path.write_bytes(whole.getvalue())
    assert load_pt(path) == [1.0] * 1000
    path.write_bytes(whole.getvalue()[:-40])
    with pytest.raises(CorruptFile, match=r"cut\.pt"):
        load_pt(path)


def test_a_frame_must_be_a_frame(tmp_path):
    path = tmp_path / "list.pd"
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(CorruptFile, match="expected a DataFrame"):
        load_frame(path)


@pytest.mark.sources
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["mini_nasbench201/mini-bench-arch-cell-accs.pd", "naswot/results/arch_score_acc.pd"])
def test_frames_equal_what_pandas_reads(sources, name):
    import pandas as pd

    expected = pd.read_pickle(sources / name)
    found = load_frame(sources / name)
    assert list(found) == list(expected.columns)
    for label, values in found.items():
        np.testing.assert_array_equal(values, expected[label].to_numpy())
