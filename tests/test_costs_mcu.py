"""Microcontrollers: cycles by hand, two memories, the published records and the fits to them."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hwnasbench.devices
from data_builders import catalog as published
from data_builders.operators import micronas
from hwnasbench import spaces
from hwnasbench.costs import model, values_of
from hwnasbench.costs.base import chunked
from hwnasbench.costs.layers import Layers
from hwnasbench.devices import catalog
from hwnasbench.errors import CorruptFile, InvalidRequest
from hwnasbench.networks import Builder
from hwnasbench.networks.layers import INPUT

MCU = model("mcu")
DEVICES = ("nucleo_f446re", "nicla_sense", "stm32f746")
#: Round numbers, so that the expected values below can be worked out by hand.
ROUND = {
    "clock": 100.0,
    "conv_cycles": 2.0,
    "pointwise_cycles": 1.0,
    "depthwise_cycles": 5.0,
    "linear_cycles": 3.0,
    "patch_cycles": 4.0,
    "tap_cycles": 10.0,
    "output_cycles": 20.0,
    "pool_cycles": 7.0,
    "elementwise_cycles": 6.0,
    "layer_cycles": 1000.0,
    "int16_factor": 2.0,
    "fp32_factor": 3.0,
    "runtime_kib": 10.0,
    "arena_bytes": 1024.0,
    "code_kib": 50.0,
    "layer_flash_bytes": 1024.0,
    "patch_bytes": 4.0,
    "channel_bytes": 8.0,
    "channel_flash_bytes": 28.0,
    "active_mw": 50.0,
    "flash_pj": 20.0,
    "sram_pj": 5.0,
}


def values(**changed: float):
    return MCU.values({**ROUND, **changed})


def network():
    """One layer of each class on a 3 x 8 x 8 image; cycles are worked out beside each."""
    build = Builder((3, 8, 8))
    first = build.conv(INPUT, 4, 3)
    point = build.conv(first, 4, 1)
    depth = build.conv(point, 4, 3, groups=4)
    both = build.add([point, depth])
    build.linear(build.global_pool(both), 10)
    return build.build("all classes", "cifar10").at("int8")


BY_HAND = [
    64 * 4 * 27 * 2 + 64 * 9 * (10 + 4 * 3) + 256 * 20 + 1000,  # im2col: 64 pixels of 9 taps of 3 channels
    64 * 4 * 4 * 1 + 256 * 20 + 1000,  # read in place
    64 * 4 * 9 * 5 + 256 * 20 + 1000,
    256 * 6 + 1000,
    256 * 7 + 1000,
    40 * 3 + 10 * 20 + 1000,
]


def test_cycles_of_every_operator_class_are_those_by_hand() -> None:
    layers = Layers(network().layers)
    assert MCU.cycles(layers, values()).tolist() == BY_HAND
    assert MCU.cost(layers, values()).latency.tolist() == pytest.approx([cycles / 1e5 for cycles in BY_HAND])
    assert MCU.overhead(values(call_cycles=5000.0)) == pytest.approx(0.05)


def test_a_stride_or_a_kernel_needs_im2col() -> None:
    build = Builder((16, 8, 8))
    build.conv(INPUT, 16, 1)
    build.conv(INPUT, 16, 1, stride=2)
    build.conv(INPUT, 16, 3)
    build.conv(INPUT, 16, 3, groups=16)
    layers = Layers(build.build("workspaces", "cifar10").layers)
    assert MCU.workspace(layers, values()).tolist() == [128, 16 * 4 + 128, 144 * 4 + 128, 128]


def test_flash_of_a_layer_counts_its_weights_at_their_bits() -> None:
    for precision, bits in (("int8", 8), ("w4a8", 4), ("fp32", 32)):
        flash = MCU.flash(Layers(network().at(precision).layers), values())
        assert flash[0] == 4 * 27 * bits / 8 + 4 * 28 + 1024
        assert flash[3] == 1024


def test_precision_changes_cycles_only_above_8_bits() -> None:
    def busy(precision: str, **changed: float):
        return MCU.cycles(Layers(network().at(precision).layers), values(**changed)) - 1000

    int8 = np.array(BY_HAND) - 1000
    assert busy("w4a8").tolist() == int8.tolist()
    assert busy("int16").tolist() == (2 * int8).tolist()
    assert busy("fp32").tolist() == (3 * int8).tolist()
    assert (busy("w4a8", unpack_cycles=1.0) - int8).tolist() == network().layers["macs"].tolist()


def test_energy_is_the_sum_of_power_and_memories() -> None:
    costs = MCU.cost(Layers(network().layers), values())
    assert costs.energy == pytest.approx(costs.mac + costs.dram + costs.buffer)
    assert costs.mac[0] == pytest.approx(50 * BY_HAND[0] / 1e5 / 1e3)  # mW * ms = uJ
    assert costs.dram[0] == pytest.approx(108 * 20e-9)
    assert costs.buffer[0] == pytest.approx((192 + 256) * 5e-9)
    assert costs.buffer[3] == pytest.approx(768 * 5e-9)
    assert not costs.register.any()
    assert not costs.static.any()


def test_a_network_fits_up_to_the_last_byte() -> None:
    small = values(sram_kib=64, flash_kib=512)
    assert MCU.fits(small, 53, 461)
    assert MCU.shortfall(small, 53, 461) == {}
    assert not MCU.fits(small, 53.5, 461)
    assert MCU.shortfall(small, 53.5, 461) == {"sram": 0.5}
    assert not MCU.fits(small, 53, 463)
    assert MCU.shortfall(small, 53, 463) == {"flash": 2}
    assert MCU.shortfall(small, 54, 462) == {"sram": 1, "flash": 1}


def test_larger_kernels_take_longer_and_a_faster_clock_shorter() -> None:
    def latency(kernel: int, **changed: float) -> float:
        build = Builder((8, 16, 16))
        build.conv(INPUT, 8, kernel)
        return float(MCU.cost(Layers(build.build("one", "cifar10").layers), values(**changed)).latency[0])

    assert latency(1) < latency(3) < latency(5)
    assert latency(3, clock=200.0) == pytest.approx(latency(3) / 2)


def test_peak_macs_are_never_exceeded() -> None:
    for precision in ("int8", "w4a8", "int16", "fp32"):
        table = network().at(precision).layers
        layers = Layers(table)
        peak = MCU.peak_macs(values(), table["weight_bits"], table["activation_bits"])
        assert (layers.work / MCU.cost(layers, values()).latency <= peak).all()
    assert MCU.peak_macs(values(), 8, 8) == 100e3


def test_arrays_of_values_cost_as_each_alone() -> None:
    table = np.tile(network().layers, 2)
    clocks = np.repeat([100.0, 200.0], len(table) // 2)
    both = MCU.cost(Layers(table), MCU.values({**ROUND, "clock": clocks}, arrays=True)).latency
    assert both.tolist() == pytest.approx([c / 1e5 for c in BY_HAND] + [c / 2e5 for c in BY_HAND])
    with pytest.raises(InvalidRequest, match="clock"):
        values(clock=0.0)


def test_a_large_table_costs_as_its_rows_do() -> None:
    table = np.tile(network().layers, 4000)
    start = time.perf_counter()
    costs = chunked(MCU, table, values())
    seconds = time.perf_counter() - start
    assert costs.latency.tolist() == pytest.approx([cycles / 1e5 for cycles in BY_HAND] * 4000)
    assert seconds < 1  # 24,000 rows: a loop over rows would take longer


@pytest.mark.parametrize("name", DEVICES)
def test_devices_run_a_network(name: str) -> None:
    device = catalog()[name]
    assert device.cost["model"] == "mcu"
    assert device.precisions[0] == "int8"
    space = spaces.get("nasbench201")
    layers = space.network(space.from_index(6111), "cifar10").live().at("int8").layers
    assert (MCU.cost(Layers(layers), values_of(device)).latency > 0).all()


def test_constants_without_a_measurement_claim_none() -> None:
    for name in DEVICES:
        parameters = catalog()[name].parameters()
        for key in ("depthwise_cycles", "int16_factor", "fp32_factor", "active_mw", "flash_pj", "sram_pj"):
            assert parameters[key]["evidence"] == "recalled", (name, key)
    assert catalog()["stm32f746"].parameters()["conv_cycles"]["evidence"] == "recalled"
    assert catalog()["nicla_sense"].parameters()["conv_cycles"]["evidence"] == "fitted"


# -- the published records -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows(sources: Path):
    return list(micronas.rows(published.Folder(published.get("micronas"), sources / "micronas")))


@pytest.mark.sources
def test_records_are_read(rows) -> None:
    assert Counter((row.board, row.status) for row in rows) == {
        ("NUCLEO", "ok"): 510,
        ("NUCLEOF446RE", "ok"): 1436,
        ("NUCLEOF446RE", "compile_failed"): 1,
        ("NiclaSense", "ok"): 1980,
        ("NiclaSense", "compile_failed"): 6,
        ("NiclaSense", "does_not_fit"): 2,
        ("NiclaSense", "not_measured"): 1,
    }
    first = next(row for row in rows if row.board == "NUCLEO")
    assert (first.kind, first.input, first.output, first.kernel) == ("conv", (128, 9, 1), (64, 9, 4), (3, 1))
    assert (first.cycles, first.call_cycles, first.arena, first.flash) == (350847, 363013, 4116, 1416)
    assert first.macs == 6912


@pytest.mark.sources
def test_failed_records_have_a_status_and_no_number(rows) -> None:
    failed = [row for row in rows if row.status != "ok"]
    assert len(failed) == 10
    assert all(r.cycles is r.call_cycles is r.millis is r.arena is None for r in failed)
    assert all(r.cycles and r.millis and r.arena for r in rows if r.status == "ok")


@pytest.mark.sources
def test_milliseconds_are_cycles_over_the_catalogue_s_clock(rows) -> None:
    for device in ("nucleo_f446re", "nicla_sense"):
        clock = catalog()[device].parameters()["clock"]["value"]
        for row in rows:
            if row.device == device and row.millis is not None:
                assert row.millis == pytest.approx(row.cycles / clock / 1e3)


def test_a_file_of_another_layout_is_refused(tmp_path: Path) -> None:
    source = published.get("micronas")
    for file in source.files:
        path = tmp_path / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("[]")
    assert list(micronas.rows(published.Folder(source, tmp_path))) == []
    path.write_text('[{"modelConfig": {}}]')
    with pytest.raises(CorruptFile, match="no list of MicroNAS records"):
        list(micronas.rows(published.Folder(source, tmp_path)))


# -- the fits ------------------------------------------------------------------------------------


@pytest.mark.sources
def test_a_refit_is_the_shipped_file(sources: Path) -> None:
    from surrogates.fits import mcu

    found = {fit.device: fit for fit in mcu.fits(sources)}
    assert sorted(found) == ["nicla_sense", "nucleo_f446re"]
    for device, fit in found.items():
        shipped = Path(hwnasbench.devices.__file__).parent / "fits" / f"{device}.toml"
        assert fit.to_toml() == shipped.read_text("utf-8")


@pytest.mark.sources
def test_the_cost_model_adds_up_cycles_as_the_fit_does(rows) -> None:
    """On square kernels and strides, which is what a layer table can hold."""
    from surrogates.fits import mcu

    values = values_of(catalog()["nucleo_f446re"])
    square = [
        replace(row, kernel=(3, 3), stride=(1, 1), output=(*row.input[:2], row.output[2]))
        if row.kernel != (1, 1)
        else row
        for row in rows
        if row.kind in ("conv", "add") and row.status == "ok" and (row.kernel != (1, 1) or row.stride == (1, 1))
    ]
    expected = mcu.cycle_design(square) @ [getattr(values, name) for name in mcu._CYCLES]
    for row, cycles in list(zip(square, expected, strict=True))[::25]:
        build = Builder((row.input[2], *row.input[:2]))
        if row.kind == "add":
            build.add([INPUT] * row.inputs)
        else:
            build.conv(INPUT, row.output[2], row.kernel[0])
        layers = Layers(build.build("one", "cifar10").at("int8").layers)
        assert MCU.cycles(layers, values)[0] == pytest.approx(cycles)


@pytest.mark.sources
def test_a_layer_that_ran_fits_and_one_that_was_refused_does_not(rows) -> None:
    device = catalog()["nicla_sense"]
    nicla = values_of(device)
    for row in rows:
        if row.device == "nicla_sense" and row.status in ("ok", "does_not_fit"):
            tensors = np.prod(row.input) * row.inputs + np.prod(row.output)
            need = row.arena - nicla.arena_bytes if row.arena else tensors
            assert MCU.fits(nicla, float(need) / 1024, row.flash / 1024) == (row.status == "ok")


@pytest.mark.sources
def test_the_section_on_fidelity_names_every_board(sources: Path) -> None:
    from surrogates.fidelity.mcu import section

    text = section(sources)
    assert text.startswith("## ")
    for word in (*micronas.DEVICES, "short of", "fits", "Spearman"):
        assert word in text
    assert "absent" in section(None)
