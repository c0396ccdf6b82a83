"""Row-stationary arrays, FPGA designs, crossbars and in-memory computing, against layers costed by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from hwnasbench.costs import model, values_of
from hwnasbench.costs.base import Values
from hwnasbench.costs.crossbar import Crossbar
from hwnasbench.costs.layers import Layers
from hwnasbench.devices import catalog
from hwnasbench.devices.parameters import parameters
from hwnasbench.errors import InvalidRequest, UnknownName
from hwnasbench.networks.layers import INPUT, Builder

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODELS = ("eyeriss", "fpga", "crossbar", "imc")
DEVICES = {
    "eyeriss": ("asic", "eyeriss"),
    "fpga": ("fpga", "fpga"),
    "ultra96": ("fpga", "fpga"),
    "zcu102": ("fpga", "fpga"),
    "vck190": ("fpga", "fpga"),
    "imc_analog": ("asic", "imc"),
    "imc_digital": ("asic", "imc"),
    "reram_128": ("reram", "crossbar"),
    "fefet_128": ("reram", "crossbar"),
    "sttmram_64": ("reram", "crossbar"),
}


def conv(channels: int, filters: int, size: int, kernel: int, groups: int = 1, bits: str = "int8") -> NDArray[np.void]:
    """Return the table of one convolution."""
    builder = Builder((channels, size, size))
    builder.conv(INPUT, filters, kernel, groups=groups)
    return builder.build("conv", "cifar10").at(bits).layers


def mixed() -> NDArray[np.void]:
    """Return a table with every sort of layer."""
    builder = Builder((16, 16, 16))
    x = builder.conv(INPUT, 48, 1)
    x = builder.conv(x, 48, 5, 2, groups=48)
    y = builder.conv(x, 48, 3, groups=4)
    x = builder.add([x, y])
    x = builder.avg_pool(x, 3, 1, 1)
    x = builder.mul(x, builder.conv(builder.global_pool(x), 48, 1))
    x = builder.global_pool(builder.concat([x, x]))
    builder.linear(x, 1000)
    return builder.build("mixed", "cifar10").at("int8").layers


def cost(name: str, table: NDArray[np.void], **given: Any) -> Any:
    """Return the cost of a table with some parameters given."""
    return model(name).cost(Layers(table), model(name).values(given))


def test_eyeriss_by_hand() -> None:
    # 3 x 3 on 14 x 14: 4 sets of 3 x 14 elements; 16 x 8 pairs are 32 passes of 14 x 3 cycles; 1344 cycles at 200 MHz.
    table = conv(8, 16, 14, 3)
    costs = cost("eyeriss", table, dram_gbps=1e9)
    assert costs.latency[0] == pytest.approx(1344 / 200e3)
    macs = 16 * 8 * 9 * 14 * 14
    assert costs.mac[0] == pytest.approx(macs * 0.5e-9)
    assert costs.register[0] == pytest.approx(macs * (2 * 1.0 + 3.5) * 1e-9)
    # Everything fits the buffer: inputs, weights and outputs cross the bus once, at 1000 pJ for 64 bit.
    moved = 8 * 14 * 14 + 16 * 8 * 9 + 16 * 14 * 14
    assert costs.dram[0] == pytest.approx(moved / 8 * 1000e-9)
    # The DRAM is what takes longest when it is slow.
    assert cost("eyeriss", table, dram_gbps=0.001).latency[0] == pytest.approx(moved / 0.001 * 1e-6)


def test_eyeriss_folds() -> None:
    # 15 rows of outputs on 14 columns need two folds, and two rows of elements for a 3 x 3 kernel need two more.
    fast = {"dram_gbps": 1e9}
    assert cost("eyeriss", conv(8, 16, 15, 3), **fast).latency[0] == pytest.approx(32 * 2 * 15 * 3 / 200e3)
    assert cost("eyeriss", conv(8, 16, 14, 3), rows=2, **fast).latency[0] == pytest.approx(128 * 2 * 14 * 3 / 200e3)


def test_eyeriss_pools_as_convolutions() -> None:
    builder = Builder((16, 14, 14))
    builder.avg_pool(INPUT, 3, 1, 1)
    table = builder.build("pool", "cifar10").at("int8").layers
    as_one = cost("eyeriss", table, pool_as_convolution=1, dram_gbps=1e9)
    conv_of_it = cost("eyeriss", conv(16, 16, 14, 3), dram_gbps=1e9)
    assert as_one.latency[0] == conv_of_it.latency[0]
    assert as_one.mac[0] == conv_of_it.mac[0]
    assert cost("eyeriss", table, dram_gbps=1e9).latency[0] == pytest.approx(as_one.latency[0] / 16)


def test_weights_and_inputs_that_do_not_fit_are_read_again() -> None:
    # Inputs 2 x 8 KiB over halves of 2 KiB: 8 parts; weights 256 bytes fit, so that inputs are read once.
    small, large = conv(16, 16, 32, 1), conv(64, 64, 16, 3)
    once = cost("eyeriss", small, buffer_kib=4).dram[0]
    assert once == cost("eyeriss", small, buffer_kib=1000).dram[0]
    # Inputs of 16 KiB and weights of 36 KiB against 8 KiB halves: 2 parts x 36 KiB beats 5 parts x 16 KiB.
    again = cost("eyeriss", large, buffer_kib=16).dram[0]
    kib = 1024 / 8 * 1000e-9
    assert again == pytest.approx((16 + 2 * 36 + 16) * kib)


def test_fpga_by_hand() -> None:
    # 16 x 16 tiles: 2 x 2 of them; 48 filters on 32 lanes 2 steps, 24 channels on 16 lanes 2 steps.
    table = conv(24, 48, 32, 3, bits="int16")
    compute = 4 * 9 * 32 * 32 / 100e3
    moved = 2 * (24 * 1024 * (1 + 2 / 16) ** 2 * 2 + 48 * 24 * 9 * 4 + 48 * 1024)
    moving = moved / 4.2e6
    assert cost("fpga", table, overlap=1).latency[0] == pytest.approx(max(compute, moving))
    assert cost("fpga", table, overlap=0).latency[0] == pytest.approx(compute + moving)
    assert cost("fpga", table, overlap=0, layer_us=7).latency[0] == pytest.approx(compute + moving + 0.007)


def test_fpga_resources_and_no_area() -> None:
    fpga = model("fpga")
    values = fpga.values({})
    used = fpga.resources(values)
    assert used["dsp"] == 16 * 32
    # (16 + 6)^2 inputs of 16 bit fill one block RAM a lane, 16^2 outputs too; weights 512 x 49 x 16 bit fill 22.
    assert used["bram"] == 2 * (16 + 32 + 22)
    assert used["lut"] == 20000 + 60 * 512
    assert fpga.resources(fpga.values({"macs_per_dsp": 2.0}))["dsp"] == 256
    assert fpga.area(values) is None


def test_fpga_that_does_not_fit_the_chip() -> None:
    with pytest.raises(InvalidRequest, match="dsp"):
        model("fpga").values({"input_lanes": 64, "output_lanes": 64})
    with pytest.raises(InvalidRequest, match="bram"):
        model("fpga").values({"tile_rows": 256, "tile_columns": 256})


def test_crossbar_by_hand() -> None:
    # 32 channels x 9 are 288 inputs: 3 crossbars high; 64 filters x 4 cells are 256 columns: 2 wide.
    table = conv(32, 64, 8, 3)
    crossbar = Crossbar()
    values = crossbar.values({"static_mw": 0.0})
    assert crossbar.crossbars(Layers(table), values)[0] == 6
    costs = crossbar.cost(Layers(table), values)
    # 64 positions x 8 bits, each the longer of one read and 128 conversions at 1.28 a nanosecond: 100 ns both.
    assert costs.latency[0] == pytest.approx(64 * 8 * 100e-6)
    conversions = 64 * 8 * 3 * 256
    adc = (100 * 8 + 0.001 * 4**8) * 0.9**2
    cells, driven = 64 * 8 * 288 * 256 * 1.0, 64 * 8 * 288 * 2 * 50.0
    assert costs.mac[0] == pytest.approx((conversions * adc + cells + driven) * 1e-12)
    assert costs.register[0] == pytest.approx(conversions * 50e-12)
    assert costs.dram[0] == 0


def test_crossbar_holds_all_weights_or_does_not_fit() -> None:
    crossbar = model("crossbar")
    values = crossbar.values({"crossbars": 4})
    kib = 4 * 128 * 128 * 2 / 8 / 1024
    assert crossbar.fits(values, 0.0, kib)
    assert not crossbar.fits(values, 0.0, kib + 0.01)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"rows": 0}, "rows=0"),
        ({"columns": 0}, "columns=0"),
        ({"adc_bits": 7}, "adc_bits=8"),
        ({"adc_bits": 9, "bits_per_cell": 5}, "bits_per_cell=5"),
        ({"cell_type": "sttmram"}, "bits_per_cell=2"),
        ({"rows": 256}, "adc_bits=9"),
        ({"columns": 64}, "columns_per_adc=128"),
    ],
)
def test_impossible_crossbars(given: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        model("crossbar").values(given)


def test_unknown_cells() -> None:
    with pytest.raises(UnknownName, match="reram"):
        model("crossbar").values({"cell_type": "rearm"})


def test_imc_by_hand() -> None:
    # 14 channels x 9 lie on 128 rows: 28 channels are 2 folds of 126 rows; 128 filters fill the columns.
    table = conv(28, 128, 4, 3)
    costs = cost("imc", table, vdd=1.0)
    steps = 2 * 16 * 4
    adc, dac = (100 * 8 + 0.001 * 4**8) * 8 * 128, 50 * 2 * 126
    multiplied, lines = 0.5 * 0.7 * 8 * 128 * 126, 0.5 * 0.7 * 8 * 128 * 128
    weighing = 6 * 0.7 * (8 * 7 + 8 * 2.5) * 128
    accumulating = (6 + 3) * 0.7 * (8 + 8 + 8) * 128
    assert costs.mac[0] == pytest.approx(steps * (adc + dac + multiplied + lines + weighing + accumulating) * 1e-12)


def test_imc_buffer_moves_whole_words() -> None:
    # 25 inputs of a window are 4 words of 8 bytes for each of 8 x 8 pixels and 2 channels, an output one word.
    words = {"buffer_read_pj_per_bit": 1.0, "buffer_write_pj_per_bit": 0.0}
    table = conv(2, 2, 8, 5, groups=2)
    assert cost("imc", table, **words).buffer[0] == pytest.approx(2 * 64 * (4 * 8 + 1) * 8e-9)
    words = {"buffer_read_pj_per_bit": 0.0, "buffer_write_pj_per_bit": 1.0}
    assert cost("imc", table, **words).buffer[0] == pytest.approx(2 * 64 * (1 + 8) * 8e-9)


def test_imc_reads_again_what_the_buffer_cannot_hold() -> None:
    dram = {"dram_read_pj_per_bit": 1.0, "dram_write_pj_per_bit": 0.0}
    kib = 8 * 1024e-9
    # 8 KiB of inputs, 32 KiB of weights in 2 folds of columns: a small buffer reads inputs twice; no sums are kept.
    table = conv(128, 256, 8, 1)
    assert cost("imc", table, buffer_kib=16, **dram).dram[0] == pytest.approx((8 + 32) * kib)
    assert cost("imc", table, buffer_kib=8, **dram).dram[0] == pytest.approx((2 * 8 + 32) * kib)
    # Two folds of rows: 64 pixels x 128 sums of 2 bytes are 16 KiB; half of 32 KiB holds them, of 16 KiB half of them.
    table = conv(256, 128, 8, 1)
    assert cost("imc", table, buffer_kib=32, **dram).dram[0] == pytest.approx((16 + 32) * kib)
    assert cost("imc", table, buffer_kib=16, **dram).dram[0] == pytest.approx((16 + 2 * 32) * kib)


def test_imc_digital_tree_by_hand() -> None:
    # 4 rows, all in use: trees of 4 x 9 - 11 full adders; a bit at a time, nothing weighs bits before the accumulator.
    table = conv(4, 8, 2, 1)
    costs = cost("imc", table, kind="digital", serial_bits=1, rows=4, columns=8, vdd=1.0)
    tree = 6 * 0.7 * (4 * 9 - 11) * 8
    multiplied = 0.5 * 0.7 * 8 * 8 * 4
    accumulating = 9 * 0.7 * (8 + 2 + 8) * 8
    assert costs.mac[0] == pytest.approx(4 * 8 * (tree + multiplied + accumulating) * 1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_parts_add_up_and_are_finite(name: str) -> None:
    costs = cost(name, mixed())
    parts = np.stack([costs.mac, costs.register, costs.buffer, costs.dram, costs.static])
    assert np.isfinite(parts).all()
    assert (parts >= 0).all()
    np.testing.assert_allclose(costs.energy, parts.sum(0))
    assert (costs.latency >= 0).all()
    assert costs.latency[0] > 0


@pytest.mark.parametrize("name", MODELS)
def test_arrays_of_parameters_equal_one_by_one(name: str) -> None:
    table = mixed()
    generator = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for key, parameter in parameters(name).items():
        codes = np.full(len(table), parameter.code(parameter.value))
        if parameter.choices:
            codes = generator.integers(0, len(parameter.choices), len(table)).astype(float)
        elif codes[0] >= 4:
            codes = codes * generator.choice([0.5, 1.0, 2.0], len(table))
        arrays[key] = codes
    together = model(name).cost(Layers(table), model(name).values(arrays, arrays=True))
    for at in range(len(table)):
        alone = Values(**{key: float(codes[at]) for key, codes in arrays.items()})
        costs = model(name).cost(Layers(table[at : at + 1]), alone)
        for part in ("latency", "mac", "register", "buffer", "dram", "static"):
            np.testing.assert_allclose(getattr(costs, part)[0], getattr(together, part)[at], rtol=1e-12, err_msg=part)


@pytest.mark.parametrize("name", sorted(DEVICES))
def test_catalogue(name: str) -> None:
    device = catalog()[name]
    device_class, cost_model = DEVICES[name]
    assert (device.device_class, device.cost["model"]) == (device_class, cost_model)
    found = model(cost_model)
    values = values_of(device)
    costs = found.cost(Layers(mixed()), values)
    assert costs.energy.sum() > 0
    assert costs.latency.sum() > 0
    area = found.area(values)
    assert (area is None) == (cost_model == "fpga")
    assert area is None or area > 0
    # No layer is faster than the arithmetic allows.
    table = conv(128, 128, 16, 3)
    peak = found.peak_macs(values, 8.0, 8.0)
    assert table["macs"][0] / found.cost(Layers(table), values).latency[0] <= peak * (1 + 1e-9)
