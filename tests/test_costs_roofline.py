"""Rooflines against layers costed by hand, and their fits against the shipped files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hwnasbench.devices
from hwnasbench import spaces
from hwnasbench.costs import model, values_of
from hwnasbench.costs.layers import Layers
from hwnasbench.devices import catalog
from hwnasbench.networks.layers import INPUT, Builder, Network

GIVEN = {
    "peak_gmacs": 100.0, "conv_gmacs": 10.0, "pointwise_gmacs": 20.0, "depthwise_gmacs": 2.0, "grouped_gmacs": 5.0,
    "linear_gmacs": 1.0, "speedup_8": 4.0, "bandwidth_gbps": 10.0, "launch_us": 50.0, "light_us": 5.0,
    "call_us": 100.0, "idle_w": 2.0, "mac_pj": 8.0, "buffer_pj_per_byte": 0.0, "dram_pj_per_byte": 100.0,
    "pool_gops": 1.0,
}  # fmt: skip


def network(channels: int = 64) -> Network:
    builder = Builder((32, 28, 28))
    x = builder.conv(INPUT, channels, 3)
    x = builder.conv(x, channels, 3, groups=channels)
    x = builder.avg_pool(x, 3, 1, 1)
    builder.linear(builder.global_pool(x), 10)
    return builder.build("by hand", "imagenet")


def test_layers_by_hand() -> None:
    roofline = model("roofline")
    costs = roofline.cost(Layers(network().layers), roofline.values(GIVEN))
    macs = 32 * 64 * 9 * 28 * 28
    assert costs.latency[0] == pytest.approx(macs / 10e6 + 0.05)
    moved = 4 * (64 * 9 + 2 * 64 * 28 * 28)
    assert costs.latency[1] == pytest.approx(max(64 * 9 * 28 * 28 / 2e6, moved / 10e6) + 0.05)
    assert costs.latency[2] == pytest.approx(64 * 28 * 28 * 9 / 1e6 + 0.005)
    assert costs.mac[0] == pytest.approx(macs * 8e-9)
    assert costs.dram[0] == pytest.approx(4 * (32 * 784 + 64 * 784 + 64 * 32 * 9) * 100e-9)
    assert costs.static[0] == pytest.approx(costs.latency[0] * 2)
    assert roofline.overhead(roofline.values(GIVEN)) == pytest.approx(0.1)


def test_channels_come_in_multiples() -> None:
    roofline = model("roofline")
    values = roofline.values({**GIVEN, "channel_multiple": 32, "launch_us": 0.0})
    a, b, c = (roofline.cost(Layers(network(n).layers[:1]), values).latency[0] for n in (33, 64, 65))
    assert a == pytest.approx(b)
    assert c > b


def test_branches_run_in_parallel_where_that_is_faster() -> None:
    gpus = model("multi_gpu")
    builder = Builder((256, 56, 56))
    builder.add([builder.conv(INPUT, 256, 3), builder.conv(INPUT, 256, 3)])
    both = builder.build("branches", "imagenet")
    values = gpus.values({"devices": 2, "link_gbps": 1e5, "link_us": 0.0, "call_us": 0.0})
    costs = gpus.cost(Layers(both.layers), values)
    fast = gpus.network_latency(both, costs, values, 1)
    assert costs.latency[0] + costs.latency[2] <= fast < 0.6 * costs.latency.sum()
    slow = gpus.values({"devices": 2, "link_gbps": 1e-3, "call_us": 0.0})
    assert gpus.network_latency(both, costs, slow, 1) == pytest.approx(costs.latency.sum())


def test_a_network_that_is_a_chain_gains_nothing_from_a_second_gpu() -> None:
    gpus = model("multi_gpu")
    chain = spaces.get("mobilenetv2").network([1] * 17, "imagenet").live()
    values = gpus.values({})
    costs = gpus.cost(Layers(chain.layers), values)
    assert gpus.network_latency(chain, costs, values, 1) == pytest.approx(costs.latency.sum() + gpus.overhead(values))


def test_every_fitted_rate_is_below_the_peak() -> None:
    for device in set(catalog().values()):
        if device.cost.get("model") == "roofline":
            given = vars(values_of(device))
            rates = [value for name, value in given.items() if name.endswith("_gmacs") and name != "peak_gmacs"]
            assert max(rates) <= given["peak_gmacs"] * (1 + 1e-5), device


@pytest.mark.sources
@pytest.mark.slow
def test_the_shipped_fit_is_what_fitting_gives(sources: Path) -> None:
    """One device with cells alone, recomputed; the digits that ship are six."""
    from surrogates.fits import roofline, samples

    device = catalog()["cortex_a76"]
    found = samples.columns(sources)["cortex_a76", "nasbench201", "latency", 1]
    fit = roofline.fit(device, {"nasbench201": samples.take(device, found)}, "")
    shipped = Path(hwnasbench.devices.__file__).parent / "fits" / "cortex_a76.toml"
    text = hwnasbench.devices.parameters.read_toml(shipped)
    for name, value in fit.parameters.items():
        shipped_value = text["parameters"][name]["value"]
        assert shipped_value == (value if isinstance(value, str) else pytest.approx(value, rel=1e-3)), name
    assert text["scorecards"][0]["spearman"] == pytest.approx(fit.scorecards[0]["spearman"], abs=1e-3)


def test_values_are_finite_everywhere() -> None:
    roofline = model("roofline")
    table = spaces.get("ofa_mobilenetv3").network(spaces.get("ofa_mobilenetv3").sample(np.random.default_rng(0))).layers
    costs = roofline.cost(Layers(table), roofline.values({}))
    assert np.isfinite(costs.latency).all()
    assert np.isfinite(costs.energy).all()


@pytest.mark.slow
def test_the_fit_to_own_measurements_is_what_fitting_gives() -> None:
    from surrogates.fits import own

    (found,) = (fit for fit in own.fits(Path()) if fit.device == "epyc_zen4")
    shipped = Path(hwnasbench.devices.__file__).parent / "fits" / "epyc_zen4.toml"
    text = hwnasbench.devices.parameters.read_toml(shipped)
    assert {card["space"] for card in found.scorecards} == {"fbnet", "mobilenetv2", "nasbench201"}
    for name, value in found.parameters.items():
        shipped_value = text["parameters"][name]["value"]
        assert shipped_value == (value if isinstance(value, str) else pytest.approx(value, rel=1e-2)), name
    for card, kept in zip(found.scorecards, text["scorecards"], strict=True):
        assert card["mape"] == pytest.approx(kept["mape"], abs=0.05)
        assert card["spearman"] == pytest.approx(kept["spearman"], abs=1e-3)
