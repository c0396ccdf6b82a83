"""New devices from a few measurements: what is learned, what is refused, what is kept."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwnasbench
from hwnasbench import spaces
from hwnasbench.devices import catalog
from hwnasbench.errors import (
    CorruptFile,
    HwnasbenchError,
    InvalidArchitecture,
    InvalidRequest,
    NoColumn,
    NoValue,
    StorageError,
    UnknownName,
)
from hwnasbench.onboarding import registry
from hwnasbench.onboarding.known import Features, known
from hwnasbench.onboarding.learner import Posterior
from hwnasbench.paths import PACKAGE_DATA, home
from surrogates.fits import spearman
from surrogates.shipping import read_json
from surrogates.transfer import CARD, report
from surrogates.transfer.chips import CHIPS, chip_of
from surrogates.transfer.lodo import evaluate


@pytest.fixture(autouse=True)
def _none_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_OWN", {})
    monkeypatch.setattr(registry, "_READ", {})


def bench(space: str = "nasbench201") -> hwnasbench.Benchmark:
    return hwnasbench.load(space, data="shipped")


def measured(space: str = "nasbench201", n: int = 10, device: str = "pixel3") -> dict[str, Any]:
    """Pseudo measurements: what the shipped data says of a known device."""
    archs = hwnasbench.propose(space, n=n)
    values = bench(space).query_many(archs, device=device, metrics=("latency",))["latency"]
    return {"space": space, "archs": archs, "latency": values.to_list()}


# -- what is learned --------------------------------------------------------------------------


@pytest.mark.parametrize(("space", "dataset"), [("nasbench201", "cifar10"), ("fbnet", "cifar100")])
def test_a_known_device_is_found_again(space: str, dataset: str) -> None:
    """Its own column is among the known ones here: a check of the way, not of how well devices are learned."""
    given = bench(space)
    device = hwnasbench.onboard("my_board", **measured(space), dataset=dataset)
    archs = given.space.sample_many(np.random.default_rng(1), 500)
    frame = given.query_many(archs, device=device, metrics=("latency",))
    true = given.query_many(archs, device="pixel3", metrics=("latency",))["latency"]
    ok = frame["latency_status"] == "ok"
    assert ok.sum() > 450
    assert spearman(true[ok], frame["latency"][ok]) > 0.99
    assert np.abs(np.log(frame["latency"][ok] / true[ok])).median() < 0.05
    assert device.resembles == {"latency": "pixel3"}
    assert device.device_class == "mobile_cpu"


def test_every_query_takes_it() -> None:
    given = bench()
    device = hwnasbench.onboard("my_board", **measured(), dataset="cifar10")
    result = given.query(6111, device=device)
    value = result["latency"]
    assert (value.kind, value.of, value.unit, value.source) == ("predicted", "measured", "ms", "onboarded:my_board")
    assert value.keys["device"] == "my_board"
    assert value.keys["dataset"] == "cifar10"
    assert value.std is not None
    assert value.std > 0
    low, high = value.interval(0.9)
    assert low < result.latency < high
    assert result.accuracy > 0
    column = given.column("latency", device=device, dataset="cifar10")
    assert column[6111] == result.latency == given.query(6111, device="my_board").latency
    frame = given.query_many([6111, 0], device="my_board", metrics=("latency", "accuracy"))
    assert frame["latency"].tolist() == [column[6111], column[0]]
    front = given.pareto(("accuracy", "latency"), device=device)
    assert len(front) > 3
    assert (np.diff(front["latency"]) < 0).all()
    assert given.query(6111, device=device, kinds="predicted").latency == result.latency
    with pytest.raises(NoColumn):
        given.query(6111, device=device, metrics="latency", kinds="measured")
    with pytest.raises(NoValue, match="no_source"):
        _ = given.query(6111, device=device, metrics="latency", dataset="cifar100").latency


def test_it_cites_who_measured_the_known_devices() -> None:
    given = bench()
    device = hwnasbench.onboard("my_board", **measured())
    told = given.cite(given.query(6111, device=device, metrics="latency"))
    assert given.sources["help"]["citation"].split("\n")[0] in told


def test_disconnected_cells_have_no_latency() -> None:
    given = bench()
    device = hwnasbench.onboard("my_board", **measured())
    dead = given.space.parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    result = given.query(dead, device=device)
    assert result["latency"].status == "disconnected"
    with pytest.raises(NoValue, match="disconnected"):
        _ = result.latency
    assert int(np.isnan(given.column("latency", device=device)).sum()) == 341


def test_energy_beside_latency_and_alone() -> None:
    given = bench()
    data = measured()
    energy = [3.5 * value for value in data["latency"]]
    both = hwnasbench.onboard("both", **data, energy=energy)
    assert set(both.measurements) == {"latency", "energy"}
    assert given.query(6111, device=both)["energy"].unit == "mJ"
    del data["latency"]
    alone = hwnasbench.onboard("alone", **data, energy=energy)
    assert given.query(6111, device=alone).energy == given.query(6111, device=both).energy
    with pytest.raises(NoValue):
        _ = given.query(6111, device=alone).latency


def test_a_sum_over_operators_is_found_exactly() -> None:
    space = spaces.get("nasbench201")
    archs = hwnasbench.propose("nasbench201", n=12)
    costs = np.array([0.0, 0.01, 0.4, 1.1, 0.2])
    values = 2.0 + costs[space.vectors(archs)].sum(axis=1)
    device = hwnasbench.onboard("adder", space="nasbench201", archs=archs, latency=values, of="estimated")
    column = bench().column("latency", device=device)
    alive = np.isfinite(column)
    true = 2.0 + costs[space.all_vectors()].sum(axis=1)
    assert np.abs(column[alive] / true[alive] - 1).max() < 1e-8
    assert bench().query(6111, device=device)["latency"].of == "estimated"


def test_the_same_measurements_give_the_same_bits() -> None:
    data = measured()
    first = hwnasbench.onboard("one", **data)
    second = hwnasbench.onboard("two", **data)
    given = bench()
    a, b = (given.column("latency", device=device) for device in (first, second))
    assert a.tobytes() == b.tobytes()


def test_shifting_units_changes_nothing_but_the_unit() -> None:
    data = measured()
    given = bench()
    ms = given.column("latency", device=hwnasbench.onboard("ms", **data))
    data["latency"] = [1000 * v for v in data["latency"]]
    us = given.column("latency", device=hwnasbench.onboard("us", **data))
    np.testing.assert_allclose(us, 1000 * ms, rtol=1e-9)


def test_a_name_means_the_device_that_took_it_last() -> None:
    given = bench()
    data = measured()
    first = hwnasbench.onboard("my_board", **data)
    before = given.query(6111, device="my_board").latency
    data["latency"] = [2 * v for v in data["latency"]]
    second = hwnasbench.onboard("my_board", **data)
    assert given.query(6111, device="my_board").latency == pytest.approx(2 * before)
    assert given.query(6111, device=first).latency == before
    assert first != second


def test_many_measurements_are_learned_from() -> None:
    """More than weigh the priors: the prediction goes on to improve, and stays finite."""
    given = bench()
    true = given.column("latency", device="raspi4")
    alive = np.flatnonzero(np.isfinite(true))
    rows = np.random.default_rng(0).choice(alive, 256, replace=False)
    found = known(given.space, ("latency",))
    judged = np.setdiff1d(alive, rows)
    away = np.array([c.keys["device"] != "raspi4" for c in found.columns])
    reached = []
    for n in (10, 256):
        features = _without(found.features, away)
        posterior = Posterior(features.at(found.rows[rows[:n]]), np.asarray(true[rows[:n]], float))
        values, std = posterior.predict(features)
        assert np.isfinite(values).all()
        assert (std > 0).all()
        reached.append(spearman(true[judged], values[found.rows[judged]]))
    # A third of what ten leave to be learned, at least; the more devices are known, the less that is.
    assert 1 - reached[1] < (1 - reached[0]) * 2 / 3


def _without(features: Features, kept: np.ndarray) -> Features:
    return features._replace(known=features.known[:, kept])


# -- which to measure -------------------------------------------------------------------------


@pytest.mark.parametrize("space", ["nasbench201", "fbnet"])
def test_proposals_are_connected_distinct_and_nested(space: str) -> None:
    ten, twenty = hwnasbench.propose(space, n=10), hwnasbench.propose(space, n=20)
    assert twenty[:10] == ten
    given = spaces.get(space)
    assert len(set(twenty)) == 20
    assert all(given.is_connected(arch) for arch in twenty)


@pytest.mark.parametrize("n", [0, -1, 257, 2.5, True, "10"])
def test_proposals_refuse_other_numbers(n: object) -> None:
    with pytest.raises(InvalidRequest, match="n="):
        hwnasbench.propose("nasbench201", n=n)  # type: ignore[arg-type]


def test_proposals_need_a_space_with_known_devices() -> None:
    with pytest.raises(UnknownName, match="nasbench201"):
        hwnasbench.propose("nasbench202")
    with pytest.raises(NoColumn, match="known columns"):
        hwnasbench.propose("mobilenetv2")


# -- what is refused --------------------------------------------------------------------------

_DEAD = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
_BAD: dict[str, tuple[dict[str, Any], type[HwnasbenchError], str]] = {
    "too few": ({"archs": [0, 1], "latency": [1.0, 2.0]}, InvalidRequest, "expected 3 to 256"),
    "too many": ({"archs": list(range(2000)), "latency": [1.0] * 2000}, InvalidRequest, "expected 3 to 256"),
    "constant": ({"latency": [2.0, 2.0, 2.0]}, InvalidRequest, "constant"),
    "nan": ({"latency": [1.0, float("nan"), 2.0]}, InvalidRequest, r"latency\[1\] is nan"),
    "infinite": ({"latency": [1.0, 2.0, float("inf")]}, InvalidRequest, r"latency\[2\] is inf"),
    "negative": ({"latency": [-1.0, 2.0, 3.0]}, InvalidRequest, r"latency\[0\] is -1"),
    "zero": ({"latency": [0, 2, 3]}, InvalidRequest, r"latency\[0\] is 0"),
    "text": ({"latency": ["1", "2", "3"]}, InvalidRequest, "expected numbers in ms"),
    "none among them": ({"latency": [1.0, None, 3.0]}, InvalidRequest, "expected numbers in ms"),
    "one number": ({"latency": 4.0}, InvalidRequest, "one number"),
    "table": ({"latency": [[1.0, 2.0, 3.0]]}, InvalidRequest, "shape"),
    "ragged": ({"latency": [[1.0], [2.0, 3.0], 4.0]}, InvalidRequest, "expected numbers in ms"),
    "another length": ({"latency": [1.0, 2.0]}, InvalidRequest, "each of 3"),
    "bad energy": ({"energy": [1.0, 2.0, -3.0]}, InvalidRequest, r"energy\[2\]"),
    "nothing": ({"latency": None}, InvalidRequest, "nothing measured"),
    "another space": ({"archs": [[0] * 22] * 3}, InvalidArchitecture, "6"),
    "foreign architecture": ({"archs": [spaces.get("fbnet").parse([0] * 22)] * 3}, InvalidArchitecture, "fbnet"),
    "out of range": ({"archs": [0, 1, 15625]}, InvalidArchitecture, "15625"),
    "disconnected": ({"archs": [0, 1, _DEAD]}, InvalidArchitecture, r"archs\[2\].*disconnected"),
    "repeated": ({"archs": [0, 1, 0]}, InvalidRequest, r"archs\[0\] and archs\[2\]"),
    "one architecture": ({"archs": "0"}, InvalidRequest, "sequence of architectures"),
    "unknown space": ({"space": "nasbench2001"}, UnknownName, "nasbench201"),
    "no known device": ({"space": "mobilenetv2", "archs": None}, InvalidRequest, "sequence of architectures"),
    "unknown data set": ({"dataset": "cifar11"}, UnknownName, "cifar10"),
    "unknown engine": ({"engine": "tflight"}, UnknownName, "tflite"),
    "unknown precision": ({"precision": "fp33"}, UnknownName, "fp32"),
    "unknown class": ({"device_class": "phone"}, UnknownName, "device class"),
    "unknown kind": ({"of": "simulated"}, UnknownName, "measured"),
    "batch": ({"batch": 0}, InvalidRequest, "batch=0"),
    "no batch": ({"batch": None}, InvalidRequest, "batch=None"),
    "threads": ({"threads": True}, InvalidRequest, "threads"),
    "catalogue": ({"name": "pixel3"}, InvalidRequest, "device of the catalogue"),
    "alias": ({"name": "rpi4"}, InvalidRequest, "Raspberry Pi 4"),
    "path": ({"name": "../evil"}, InvalidRequest, "name="),
    "hidden": ({"name": ".hidden"}, InvalidRequest, "name="),
    "empty": ({"name": ""}, InvalidRequest, "name="),
    "no name": ({"name": 7}, InvalidRequest, "name="),
}


@pytest.mark.parametrize("case", _BAD)
def test_bad_input_is_refused_and_nothing_registered(case: str) -> None:
    change, error, text = _BAD[case]
    good: dict[str, Any] = {"name": "my_board", "space": "nasbench201", "archs": [0, 1, 2], "latency": [1.0, 2.0, 3.0]}
    with pytest.raises(error, match=text):
        hwnasbench.onboard(**{**good, **change})
    assert registry.own_names() == []
    assert not home().exists()
    hwnasbench.onboard(**good)
    assert registry.own_names() == ["my_board"]


def test_an_unknown_device_names_the_users_own() -> None:
    hwnasbench.onboard("my_board", **measured())
    with pytest.raises(UnknownName, match="my_board"):
        bench().query(0, device="my_bord")


# -- what is kept -----------------------------------------------------------------------------

_LATER = """
import hwnasbench
bench = hwnasbench.load("nasbench201", data="shipped")
print(repr(float(bench.query(6111, device="my_board").latency)))
"""


def test_a_saved_device_answers_in_a_later_process() -> None:
    device = hwnasbench.onboard("my_board", **measured(), engine="tflite", title="My board")
    path = device.save()
    assert path == home() / "devices" / "my_board.json"
    assert [p.name for p in path.parent.iterdir()] == ["my_board.json"]
    out = subprocess.run([sys.executable, "-c", _LATER], check=True, capture_output=True, text=True).stdout
    # Another process may sum in another order on another machine; here it is the same to the last bit.
    assert float(out) == bench().query(6111, device=device).latency


def test_before_it_is_saved_no_later_process_knows_it() -> None:
    hwnasbench.onboard("my_board", **measured())
    out = subprocess.run([sys.executable, "-c", _LATER], check=False, capture_output=True, text=True)
    assert out.returncode != 0
    assert "UnknownName" in out.stderr


def test_a_file_elsewhere_is_read_by_name(tmp_path: Path) -> None:
    device = hwnasbench.onboard("my_board", **measured(), batch=4, precision="int8", threads=2)
    path = device.save(tmp_path / "some" / "file.json")
    registry._OWN.clear()
    again = hwnasbench.load_device(path)
    assert again.record() == device.record()
    assert again.to_dict() == device.to_dict()
    assert again.defaults == {"batch": 4, "precision": "int8", "threads": 2}
    a, b = (bench().column("latency", device=d) for d in (device, "my_board"))
    assert a.tobytes() == b.tobytes()


def test_saving_again_replaces_the_file() -> None:
    data = measured()
    hwnasbench.onboard("my_board", **data).save()
    data["latency"] = [2 * v for v in data["latency"]]
    device = hwnasbench.onboard("my_board", **data)
    device.save()
    registry._OWN.clear()
    assert bench().query(6111, device="my_board").latency == bench().query(6111, device=device).latency


def test_it_survives_pickling_and_copying() -> None:
    device = hwnasbench.onboard("my_board", **measured())
    result = bench().query(6111, device=device)
    for other in (pickle.loads(pickle.dumps(device)), copy.deepcopy(device)):
        assert bench().query(6111, device=other).latency == result.latency
    assert pickle.loads(pickle.dumps(result)).latency == result.latency


def _saved(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    path = hwnasbench.onboard("my_board", **measured()).save(tmp_path / "my_board.json")
    registry._OWN.clear()
    return path, json.loads(path.read_text("utf-8"))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    path, _ = _saved(tmp_path)
    text = path.read_bytes()
    path.write_bytes(text[: int(share * len(text))])
    with pytest.raises(CorruptFile, match=r"my_board\.json"):
        hwnasbench.load_device(path)
    assert registry.own_names() == []


@pytest.mark.parametrize("content", [b"\x93NUMPY\x01\x00v\x00", b"PK\x03\x04", b"[]", b"{}", b"null", b'{"format": 1}'])
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "foreign.json"
    path.write_bytes(content)
    with pytest.raises(CorruptFile, match=r"foreign\.json"):
        hwnasbench.load_device(path)


_DAMAGE: dict[str, dict[str, Any]] = {
    "no archs": {"archs": None},
    "field": {"surprise": 1},
    "metric": {"measurements": {"accuracy": [1, 2, 3]}},
    "values": {"measurements": {"latency": [1.0, 2.0]}},
    "not a number": {"measurements": {"latency": ["a"] * 10}},
    "catalogue": {"name": "pixel3"},
    "space": {"space": "nowhere"},
    "batch": {"batch": "one"},
}


@pytest.mark.parametrize("case", _DAMAGE)
def test_a_damaged_file_is_refused(tmp_path: Path, case: str) -> None:
    path, record = _saved(tmp_path)
    path.write_text(json.dumps({**record, **_DAMAGE[case]}), "utf-8")
    with pytest.raises(CorruptFile, match=r"my_board\.json"):
        hwnasbench.load_device(path)
    assert registry.own_names() == []


def test_a_damaged_file_in_the_data_folder_is_named() -> None:
    path = hwnasbench.onboard("my_board", **measured()).save()
    registry._OWN.clear()
    path.write_text("{", "utf-8")
    with pytest.raises(CorruptFile, match=r"my_board\.json"):
        bench().query(0, device="my_board")
    path.rename(path.with_name("other.json"))
    hwnasbench.onboard("my_board", **measured()).save(path.with_name("other.json"))
    registry._OWN.clear()
    with pytest.raises(CorruptFile, match="'my_board'"):
        bench().query(0, device="other")
    with pytest.raises(CorruptFile, match="cannot be read"):
        hwnasbench.load_device(path)


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    device = hwnasbench.onboard("my_board", **measured())
    blocked = tmp_path / "file"
    blocked.write_text("here", "utf-8")
    with pytest.raises(StorageError):
        device.save(blocked / "my_board.json")
    assert list(tmp_path.glob("*")) == [blocked]


# -- how alike devices are --------------------------------------------------------------------


def test_the_table_of_rank_correlations() -> None:
    table = hwnasbench.device_similarity("nasbench201")
    values = table.to_numpy()
    assert list(table.index) == list(table.columns) == sorted(set(table.index))
    np.testing.assert_allclose(values, values.T)
    np.testing.assert_allclose(np.diag(values), 1)
    given = bench()
    a, b = (given.column("latency", device=name) for name in ("raspi4", "gold_6226"))
    alive = np.isfinite(a)
    assert table.loc["raspi4", "gold_6226"] == pytest.approx(spearman(a[alive], b[alive]), abs=1e-9)
    assert hwnasbench.device_similarity("nasbench201", metric="energy").shape[0] >= 3
    with pytest.raises(InvalidRequest, match="metric"):
        hwnasbench.device_similarity("nasbench201", metric="accuracy")


def test_the_picture_of_rank_correlations(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from hwnasbench.onboarding.similarity import plot_similarity

    table = hwnasbench.device_similarity("fbnet")
    figure = plot_similarity(table)
    shown = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert sorted(shown) == list(table.index)
    assert shown != list(table.index)


# -- what the scorecard says ------------------------------------------------------------------


def test_chips_name_devices_of_the_catalogue() -> None:
    listed = [device for devices in CHIPS.values() for device in devices]
    assert len(listed) == len(set(listed))
    assert set(listed) <= set(catalog())
    for device in set(catalog()) - set(listed):
        assert chip_of(device) == device


def test_goals_are_reached_by_the_scorecard() -> None:
    card = read_json(PACKAGE_DATA / CARD)
    for (space, size), goal in report.GOALS.items():
        found = report.means(card, space, size)
        assert found["spearman"] >= goal
        assert found["spearman"] > found["proxy"]
        assert found["spearman"] > found["ridge"]


def test_the_page_is_what_the_scorecard_says() -> None:
    committed = Path(__file__).parents[1] / "docs" / "onboarding.md"
    assert committed.read_text("utf-8") == report.page(read_json(PACKAGE_DATA / CARD))


@pytest.mark.sources
@pytest.mark.slow
def test_the_scorecard_can_be_remade(sources: Path, tmp_path: Path) -> None:
    """Two chips of it, from the published files: the numbers are the committed ones."""
    from data_builders.build import build
    from surrogates.columns import read_columns

    build(("help",), home=tmp_path, sources=sources, store=False)
    card = read_json(PACKAGE_DATA / CARD)
    for space, device in (("nasbench201", "raspi4"), ("fbnet", "fpga")):
        columns = read_columns(tmp_path / "tables" / "help" / f"{space}.parquet")
        mine = [column for column in columns if column.keys["device"] == device]
        found = evaluate(spaces.get(space), mine)
        assert found
        for name, outcome in found.items():
            committed = card["columns"][name]
            for size in ("10", "20"):
                for judge in ("spearman", "ridge", "proxy", "lowest"):
                    assert outcome.card[size][judge] == pytest.approx(committed[size][judge], abs=1e-5)
