"""The device catalogue: one TOML file a device, complete and without doubles."""

from __future__ import annotations

from pathlib import Path

import pytest

import hwnasbench
from hwnasbench.devices import by_name, catalog, load_catalog
from hwnasbench.devices.parameters import fit_of
from hwnasbench.errors import CorruptFile
from hwnasbench.paths import PACKAGE_DATA
from hwnasbench.spaces.defaults import load_defaults
from hwnasbench.tables.store import Store

CATALOG = load_catalog()
GOOD = """name = "x"
title = "X"
device_class = "mcu"
chip = "X1"
chip_evidence = "stated"
aliases = ["y"]
[defaults]
batch = 1
"""


@pytest.mark.parametrize("name", CATALOG)
def test_a_device_is_complete(name: str) -> None:
    device = CATALOG[name]
    assert device.title
    assert device.note
    assert device.chip_evidence in ("stated", "recalled")
    assert device.defaults["batch"] == 1
    assert device.defaults["precision"]


@pytest.mark.parametrize("name", CATALOG)
def test_a_device_answers_by_every_name(name: str) -> None:
    device = CATALOG[name]
    for space in ("nasbench201", "fbnet"):
        bench = hwnasbench.load(space, data="shipped")
        columns = [c for c in bench.all_columns() if c.keys["device"] == name and c.metric == "latency"]
        keys = {k: v for k, v in columns[0].keys.items() if v is not None and k != "device"} if columns else {}
        arch = 0 if bench.space.enumerable else [0] * len(bench.space.choices)
        values = [bench.query(arch, device=n, metrics="latency", **keys)["latency"] for n in (name, *device.aliases)]
        assert len({(value.value, value.status) for value in values}) == 1
        assert values[0].status in ("ok", "does_not_fit")


def test_names_and_aliases_are_unique() -> None:
    assert set(by_name(CATALOG.values())) >= set(CATALOG)
    twin = CATALOG["pixel3"]
    with pytest.raises(CorruptFile, match="both called"):
        by_name([twin, twin])


def test_the_compiled_catalogue_is_the_toml_files() -> None:
    store = Store(PACKAGE_DATA / "store")
    assert store.devices == {name: device.to_dict() for name, device in CATALOG.items()}
    assert store.defaults == load_defaults()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = ", "is not TOML"),
        (GOOD.replace('title = "X"\n', ""), "lacks 'title'"),
        (GOOD.replace("mcu", "mcuu"), "'mcu'"),
        (GOOD.replace("batch", "bacth"), "'batch'"),
        (GOOD.replace("aliases", "alias"), "'aliases'"),
        (GOOD.replace('name = "x"', 'name = "z"'), "expected the file's name"),
    ],
)
def test_a_bad_device_file_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(CorruptFile, match=says):
        load_catalog(tmp_path)


def test_a_good_device_file_is_all_it_takes(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(GOOD)
    assert load_catalog(tmp_path)["x"].device_class == "mcu"


def test_a_bad_defaults_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("[defaults]\nbacth = 1\n")
    with pytest.raises(CorruptFile, match="'batch'"):
        load_defaults(tmp_path)


def test_no_file_overrides_what_was_fitted() -> None:
    """A device simulates with what its scorecards judge."""
    for name, device in load_catalog().items():
        own = set(device.cost.get("parameters", {}))
        assert not own & set(fit_of(name).get("parameters", {})), name


def test_the_pixel_4s_edge_tpu_has_what_was_fitted_to_the_corals() -> None:
    own, fitted = catalog()["edgetpu_pixel4"].parameters(), fit_of("edgetpu")["parameters"]
    for name in ("window_on_rows", "vector_lanes", "layer_us", "vector_us"):
        assert own[name]["value"] == pytest.approx(fitted[name]["value"], rel=1e-3), name
