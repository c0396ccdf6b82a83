"""A roofline fitted to random networks on a Jetson Nano, latency and energy, and the page that tells of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwnasbench.costs import model
from hwnasbench.costs.layers import Layers
from hwnasbench.devices import catalog
from hwnasbench.devices.parameters import fit_of
from surrogates.fidelity import energy as page
from surrogates.fits import energy, roofline, samples


@pytest.fixture(scope="module")
def drawn(sources: Path) -> list[energy.Row]:
    return energy.rows(sources)[0]


def test_samples_of_the_same_networks(drawn):
    taken = energy.samples_of(drawn)
    assert len(drawn) == energy.NETWORKS
    assert taken["latency"].values[0] == drawn[0].loop_latency
    assert taken["energy"].values[0] == drawn[0].gpu_energy + drawn[0].cpu_energy
    sample = taken["latency"]
    assert isinstance(sample.layers, Layers)
    assert sample.sums(sample.layers.macs).tolist() == [row.network.macs for row in drawn]
    assert sample.at("all").sums(sample.layers.params).tolist() == [row.network.params for row in drawn]


def test_widths_of_one_architecture_share_a_fold(drawn):
    folds: dict[str, set[int]] = {}
    for row, fold in zip(drawn, energy.samples_of(drawn)["energy"].fold.tolist(), strict=True):
        folds.setdefault(row.architecture, set()).add(fold)
    assert len(folds) < len(drawn)
    assert all(len(found) == 1 for found in folds.values())


def test_a_fold_is_not_seen(drawn):
    """What is said of a fold does not change when the values of that fold do."""
    device = catalog()[energy.DEVICE]
    begin = samples.start(device, ("conv_gmacs", "pointwise_gmacs", "call_us"))
    sample = energy.samples_of(drawn[::20])["latency"]
    before = samples.held_out(device, {"random": sample}, begin).values["random"]
    mine = sample.fold == 3
    sample.values[mine] *= 3
    after = samples.held_out(device, {"random": sample}, begin).values["random"]
    assert before[mine] == pytest.approx(after[mine], rel=1e-9)
    assert before[~mine] != pytest.approx(after[~mine], rel=1e-3)


def test_parameters_are_found_again(drawn):
    """Values that the roofline itself made are fitted to a few percent, and powers among them."""
    made = {
        "conv_gmacs": 60.0,
        "pointwise_gmacs": 40.0,
        "depthwise_gmacs": 7.0,
        "linear_gmacs": 0.5,
        "winograd": 1.5,
        "bandwidth_gbps": 12.0,
        "launch_us": 200.0,
        "call_us": 2000.0,
        "idle_w": 1.5,
        "mac_pj": 30.0,
        "dram_pj_per_byte": 120.0,
        "buffer_pj_per_byte": 0.0,
    }
    device = catalog()[energy.DEVICE]
    few = energy.samples_of(drawn[::20])
    values = samples.unfitted(device, made)
    costs = model("roofline").cost(few["latency"].layers, values)
    few["latency"].values = few["latency"].sums(costs.latency) + model("roofline").overhead(values)
    few["energy"].values = few["energy"].sums(costs.energy)
    fit = roofline.fit(device, {roofline.RANDOM: few["latency"]}, "made", [("made", few["energy"])])
    cards = {card["metric"]: card for card in fit.scorecards}
    assert cards["latency"]["mape"] < 2
    assert cards["energy"]["mape"] < 2
    for name in ("conv_gmacs", "depthwise_gmacs", "linear_gmacs", "winograd", "mac_pj", "idle_w"):
        assert fit.parameters[name] == pytest.approx(made[name], rel=0.1), name


def test_the_shipped_scores():
    cards = {(card["metric"], card["n"]): card for card in fit_of(energy.DEVICE)["scorecards"]}
    assert cards["energy", energy.NETWORKS]["mape"] < 10
    assert cards["energy", energy.NETWORKS]["spearman"] > 0.98
    assert cards["latency", energy.NETWORKS]["spearman"] > 0.98


def test_a_microcontroller_record_has_no_energy(sources):
    def keys(value: object) -> set[str]:
        if isinstance(value, dict):
            return set(value) | {key for inner in value.values() for key in keys(inner)}
        return {key for inner in value for key in keys(inner)} if isinstance(value, list) else set()

    files = list((sources / "micronas").rglob("records.json"))
    found = {key for path in files for key in keys(json.loads(path.read_text("utf-8")))}
    assert {"cpuCycles", "millis"} < found
    assert not [key for key in found if any(word in key.lower() for word in ("energy", "power", "joule", "watt"))]


def test_the_section_without_published_files():
    text = page.section(None)
    assert "absent" in text
    assert "| raspi5 | energy |" in text
