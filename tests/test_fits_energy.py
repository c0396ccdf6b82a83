"""A roofline fitted to random networks on a Jetson Nano, latency and energy, and the page that tells of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hwnasbench.costs.layers import Layers
from surrogates.fidelity import energy as page
from surrogates.fits import energy


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
    few = energy.samples_of(drawn[::20])
    _, before = energy.alone(few)
    mine = few["latency"].fold == 3
    for sample in few.values():
        sample.values[mine] *= 3
    _, after = energy.alone(few)
    for metric in ("latency", "energy"):
        assert before[metric][mine] == pytest.approx(after[metric][mine], rel=1e-9)
        assert before[metric][~mine] != pytest.approx(after[metric][~mine], rel=1e-3)


def test_parameters_are_found_again(drawn):
    """Values that the roofline itself made are fitted to a few percent, and powers among them."""
    few = energy.samples_of(drawn[::20])
    made = {
        "conv_gmacs": 60.0,
        "pointwise_gmacs": 40.0,
        "depthwise_gmacs": 7.0,
        "linear_gmacs": 0.5,
        "bandwidth_gbps": 12.0,
        "launch_us": 200.0,
        "call_us": 2000.0,
        "idle_w": 1.5,
        "mac_pj": 30.0,
        "dram_pj_per_byte": 120.0,
        "buffer_pj_per_byte": 0.0,
    }
    few["latency"].values, few["energy"].values = energy.simulated(few["latency"], made)
    fit, held = energy.alone(few)
    for metric, sample in few.items():
        assert np.abs(held[metric] / sample.values - 1).mean() < 0.01
    for name in ("conv_gmacs", "depthwise_gmacs", "linear_gmacs", "mac_pj", "idle_w"):
        assert fit.parameters[name] == pytest.approx(made[name], rel=0.05), name


def test_held_out_scores(drawn):
    fit, _ = energy.alone(energy.samples_of(drawn))
    cards = {card["metric"]: card for card in fit.scorecards}
    assert {card["n"] for card in cards.values()} == {energy.NETWORKS}
    assert cards["latency"]["mape"] == pytest.approx(11.21, abs=0.1)
    assert cards["energy"]["mape"] == pytest.approx(12.83, abs=0.1)
    assert cards["latency"]["spearman"] > 0.98
    assert cards["energy"]["spearman"] > 0.98
    peak = 250.0
    assert all(value <= peak * 1.000001 for name, value in fit.parameters.items() if name.endswith("_gmacs"))


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
