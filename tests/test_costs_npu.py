"""Ethos-U: cycles by hand, Vela's additions, bounds."""

import numpy as np
import pytest

from hwnasbench import spaces
from hwnasbench.costs import model
from hwnasbench.costs.layers import Layers
from hwnasbench.costs.simulate import simulate
from hwnasbench.devices import catalog
from hwnasbench.errors import InvalidRequest
from hwnasbench.networks.layers import INPUT, Builder, Op
from hwnasbench.spaces.fbnet import OPERATORS
from surrogates.fits import npu as fits


def test_a_convolution_by_hand():
    builder = Builder((32, 16, 16))
    builder.conv(INPUT, 32, 3)
    npu = model("npu")
    values = npu.values({"tile": 1e9, "tile_depth": 1e9})
    # 8 x 16 blocks, 9 positions of 32 channels, 4 depths; writing 8192 outputs, 0.5 cycles each, follows the only tile.
    found = npu.cycles(Layers(builder.build("one", "cifar10").at("int8").layers), values)
    assert found[0] == 4 * 8 * 16 * 9 * 4 + 0.5 * 32 * 16 * 16


def test_bytes_outside_by_hand():
    builder = Builder((64, 16, 16))
    builder.conv(INPUT, 64, 1)
    layers, npu = Layers(builder.build("one", "cifar10").at("int8").layers), model("npu")
    given = {"tensors_outside": 1, "tile_depth": 1e9, "burst_bytes": 128, "scale_bytes": 10}

    def outside(**more):
        return float(npu.traffic(layers, npu.values({**given, **more}))[1][0])

    # Inputs and outputs are 16 KiB each; a burst of 128 bytes is read for runs of 32 and written for runs of 16.
    fixed, tensor = 64 * 64 + 10 * 64, 64 * 16 * 16
    assert outside() == fixed + (4 + 8) * tensor
    assert outside(duplex=1) == fixed + 8 * tensor
    assert outside(read_run=64, write_run=64, weight_factor=2) == 2 * fixed + (2 + 2) * tensor
    assert outside(whole_channels=64) == outside(whole_width=16) == fixed + (1 + 8) * tensor


def test_fits_see_half_of_the_first_layers_alone():
    first, later = (fits.oracle("vela", "ethos-u55-128", part) for part in (0, 1))
    both, _ = fits.oracle("vela", "ethos-u55-128")
    assert len(both) == len(first[0]) + len(later[0])
    assert (first[1]["part"] == 0).all()
    assert (later[1]["part"] == 1).all()
    for device in fits.TARGETS:
        shipped = catalog()[device].parameters()
        for name, value in fits.fit_device(device).items():
            assert shipped[name]["value"] == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("device", ["ethos_u55_128", "ethos_u65_256"])
def test_additions_of_two_are_velas(device):
    layers, true = fits.oracle("vela", fits.TARGETS[device])
    kept = (layers["op"] == Op.ADD) & (layers["inputs"] == 2)
    assert kept.sum() >= 3
    found, _ = fits.predictions(device, layers[kept], {})
    np.testing.assert_allclose(found, true["npu_cycles"][kept])


def test_wider_activations_and_slower_memory_cost_more():
    layers, _ = fits.oracle("vela", "ethos-u55-128")
    npu = model("npu")
    wide = layers.copy()
    wide["activation_bits"] = 16
    base = npu.cost(Layers(layers), npu.values({}))
    assert (npu.cost(Layers(wide), npu.values({})).latency >= base.latency).all()
    slow = npu.cost(Layers(layers), npu.values({"memory_bytes_per_cycle": 0.1}))
    assert (slow.latency >= base.latency).all()
    assert (slow.latency > base.latency).any()
    assert base.energy == pytest.approx(base.mac + base.buffer + base.dram)


def test_blocks_must_match_the_multipliers():
    with pytest.raises(InvalidRequest, match="macs_per_cycle"):
        model("npu").values({"macs_per_cycle": 256})


def test_layers_that_a_processor_would_have_to_run() -> None:
    space = spaces.get("fbnet")
    for operator, refused in (("k3_e1_g2", True), ("k3_e1", False)):
        network = space.network([OPERATORS.index(operator)] * 22, "cifar100")
        for device, expected in (("ethos_u55_128", refused), ("ethos_u65_256", refused), ("ethos_u85_256", False)):
            latency = simulate(network, catalog()[device])["latency"]
            assert (latency == "unsupported_layer") == expected, (operator, device)
            assert isinstance(simulate(network, catalog()[device])["model_size"], float)
    builder = Builder((8, 16, 16))
    builder.conv(INPUT, 8, 3, 4)
    assert simulate(builder.build("wide", "imagenet"), catalog()["ethos_u55_128"])["latency"] == "unsupported_layer"
