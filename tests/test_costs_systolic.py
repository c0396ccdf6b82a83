"""Systolic arrays: cycles by hand and from SCALE-Sim, designs side by side, bounds."""

import numpy as np
import pytest

from hwnasbench.costs import model
from hwnasbench.costs.base import Values
from hwnasbench.costs.layers import Layers
from hwnasbench.errors import InvalidRequest
from hwnasbench.networks.layers import INPUT, Builder
from surrogates.fits.npu import oracle


def layers(channels=3, size=32, out=16, kernel=3, groups=1, batch=1):
    builder = Builder((channels, size, size))
    builder.conv(INPUT, out, kernel, groups=groups)
    return Layers(builder.build("one", "cifar10").at("int8").layers, batch)


def cycles(table, **given):
    systolic = model("systolic")
    return float(systolic.folds(table, systolic.values(given)).cycles[0])


def test_weight_stationary_cycles_by_hand():
    # 27 window elements and 16 filters make one fold: 2 * 32 + 32 + 1024 - 2, less one. SCALE-Sim reports 1117 too.
    assert cycles(layers()) == 2 * 32 + 32 + 1024 - 2 - 1 == 1117


def test_output_stationary_cycles_by_hand():
    # 1024 pixels make 32 folds of 32 + 32 + 27 - 2 cycles.
    assert cycles(layers(), dataflow="output_stationary") == 32 * (32 + 32 + 27 - 2) - 1


def test_a_depthwise_layer_runs_channel_by_channel():
    assert cycles(layers(32, 8, 32, groups=32)) == 32 * (2 * 32 + 32 + 64 - 2 - 1)


@pytest.mark.parametrize("flow", ["weight", "output", "input"])
def test_cycles_are_scale_sims(flow):
    table, true = oracle("scalesim", f"{flow[0]}s-32x32")
    systolic = model("systolic")
    found = systolic.folds(Layers(table), systolic.values({"dataflow": f"{flow}_stationary"})).cycles
    assert len(table) > 200
    np.testing.assert_array_equal(found, true["cycles"])


def test_many_designs_at_once_equal_one_by_one():
    systolic = model("systolic")
    table, _ = oracle("scalesim", "ws-32x32")
    rng = np.random.default_rng(0)
    design = {
        "rows": rng.integers(4, 64, len(table)).astype(float),
        "columns": rng.integers(4, 64, len(table)).astype(float),
        "dataflow": rng.integers(0, 3, len(table)).astype(float),
        "flexible": rng.integers(0, 3, len(table)).astype(float),
        "weight_kib": rng.uniform(8, 64, len(table)),
    }
    together = systolic.cost(Layers(table), systolic.values(design, arrays=True))
    base = vars(systolic.values({}))
    for row in range(0, len(table), 17):
        values = Values(**{**base, **{name: float(column[row]) for name, column in design.items()}})
        alone = systolic.cost(Layers(table[row : row + 1]), values)
        assert alone.latency[0] == pytest.approx(together.latency[row], rel=1e-12)
        assert alone.energy[0] == pytest.approx(together.energy[row], rel=1e-12)


def test_narrow_operands_speed_up_a_flexible_array_alone():
    table = layers(64, 32, 64)
    narrow = table.table.copy()
    narrow["weight_bits"] = 4
    narrow = Layers(narrow)
    assert cycles(narrow) == cycles(table)
    assert cycles(narrow, flexible="weights") < cycles(table, flexible="weights")


def test_weights_enter_the_rows_that_they_fill_alone():
    # 9 positions of 8 channels, one after the other: 16 pixels stream while 1 row (depthwise) or 32 rows are filled.
    given = {"window_on_rows": 0, "overlap": 1}
    fill = 2 * 32 + 32 - 2
    assert cycles(layers(8, 4, 8, groups=8), **given) == 8 * 9 * 16 + fill - 8
    assert cycles(layers(64, 4, 8), **given) == 2 * 9 * 32 + fill - 1
    # Groups side by side fill their own rows each; a dense layer has one group however many columns are free.
    assert cycles(layers(8, 2, 8, groups=8), **given, groups_at_once=8) == 9 * 8 + fill - 1
    assert cycles(layers(8, 2, 8), **given, groups_at_once=8) == 9 * 8 + fill - 1


def test_a_stride_reads_no_pixel_between_windows():
    builder = Builder((16, 8, 8))
    builder.conv(builder.conv(INPUT, 16, 1, 2), 16, 3, 2)
    systolic = model("systolic")
    inputs, _, _ = systolic.traffic(Layers(builder.build("two", "cifar10").at("int8").layers), systolic.values({}))
    assert inputs.tolist() == [16 * 4 * 4, 16 * 4 * 4]


def test_a_staged_layer_waits_for_its_inputs_and_for_weights_without_room():
    # 256 to 256 channels, 3 x 3 on 14 x 14; at 8 bytes a cycle inputs take 6,272 cycles, weights 73,728, outputs 6,272.
    table, systolic = layers(256, 14, 256), model("systolic")
    given = {"window_on_rows": 0, "overlap": 1, "dram_gbps": 8.0, "input_kib": 1024.0}
    computing = 8 * 8 * 9 * 196 + 2 * 32 + 32 - 2 - 1

    def time(weight_kib, staged=1):
        values = systolic.values({**given, "weight_kib": weight_kib, "staged": staged})
        return float(systolic.cost(table, values).latency[0] * 1e6)

    # A set is 72 tiles of 1 KiB: no second one has room in 128 KiB, one has in 144, and all eight in 576.
    assert time(576.0) == time(144.0) == pytest.approx(6272 + computing)
    assert time(128.0) == pytest.approx(6272 + computing + 73728)
    assert time(576.0, staged=0) == pytest.approx(max(computing, 6272 + 73728 + 6272))


def test_smaller_buffers_never_move_less():
    systolic = model("systolic")
    table, _ = oracle("scalesim", "ws-32x32")
    moved = [
        sum(systolic.traffic(Layers(table), systolic.values({"input_kib": kib, "weight_kib": kib})))
        for kib in (4.0, 64.0, 4096.0)
    ]
    assert (moved[0] >= moved[1]).all()
    assert (moved[1] >= moved[2]).all()
    assert (moved[0] > moved[2]).any()


def test_energy_is_the_sum_of_its_parts_and_falls_with_the_node():
    systolic = model("systolic")
    new = systolic.cost(layers(), systolic.values({"technology_nm": 14.0}))
    old = systolic.cost(layers(), systolic.values({"technology_nm": 28.0}))
    assert old.energy == pytest.approx(old.mac + old.register + old.buffer + old.dram + old.static)
    assert new.mac < old.mac
    assert new.dram == old.dram


@pytest.mark.parametrize("given", [{"rows": 0}, {"columns": 0}, {"weight_kib": 0.5}, {"output_kib": 0.01}])
def test_impossible_arrays_are_refused(given):
    with pytest.raises(InvalidRequest, match=next(iter(given))):
        model("systolic").values(given)


def test_layers_without_multiplications_run_on_the_vector_unit():
    builder = Builder((16, 8, 8))
    pooled = builder.avg_pool(INPUT, 3, 1, 1)
    builder.add([INPUT, pooled, pooled])
    table = Layers(builder.build("cell", "cifar10").at("int8").layers)
    systolic = model("systolic")
    given = {"clock_mhz": 1.0, "dram_gbps": 1e6, "layer_us": 1.0, "vector_us": 10.0}
    # 9 x 1024 elements read by the pooling, 3 x 1024 by the addition, whose three inputs are two additions.
    for lanes, width in ((0, 32), (16, 16)):
        found = systolic.cost(table, systolic.values({**given, "vector_lanes": lanes})).latency * 1e3
        assert found.tolist() == pytest.approx([9 * 1024 / width + 11.0, 3 * 1024 / width + 21.0])
