"""SCALE-Sim as an oracle: the shipped table is what the tool says, and what it refuses is a status."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from data_builders.simulate.layers import shipped_layers
from data_builders.simulate.scalesim import ScaleSim
from hwnasbench.errors import MissingExtra, UnknownName
from hwnasbench.networks import LAYER
from hwnasbench.networks.layers import INPUT, Builder, Op

TABLE = Path(__file__).parents[1] / "hwnasbench" / "data" / "oracles" / "scalesim.parquet"
SIDE = 32


def rows() -> list[dict]:
    return pq.read_table(TABLE).to_pylist()


def layer_of(row: dict) -> np.void:
    return np.array([tuple(row[name] for name in LAYER.names)], LAYER)[0]


def conv(size: int = 8, channels: int = 16, filters: int = 32, **options: int) -> np.void:
    """A 3 x 3 convolution."""
    builder = Builder((channels, size, size))
    builder.conv(INPUT, filters, options.pop("kernel", 3), **options)
    return builder.build("one convolution", "cifar10").at("int8").layers[0]


def closed_form(row: dict, target: str) -> int:
    """Cycles as read in SCALE-Sim's systolic_compute_*.py: every fold fills and drains the whole array."""
    groups = row["groups"]
    pixels = row["out_height"] * row["out_width"]
    window = row["kernel"] ** 2 * (row["in_channels"] // groups)
    filters = row["out_channels"] // groups
    rows_, columns, time = {
        "ws": (window, filters, pixels),
        "os": (pixels, filters, window),
        "is": (window, pixels, filters),
    }[target[:2]]
    fill = SIDE if target.startswith("os") else 2 * SIDE
    folds = -(-rows_ // SIDE) * -(-columns // SIDE)
    return groups * (folds * (fill + SIDE + time - 2) - 1)


def test_table_covers_every_target() -> None:
    found = rows()
    for target in ScaleSim.targets:
        mine = [row for row in found if row["target"] == target and row["status"] == "ok"]
        assert len({layer_of(row).tobytes() for row in mine}) >= 200
        assert any(row["groups"] == row["in_channels"] > 1 for row in mine)
        assert {row["stride"] for row in mine} >= {1, 2}
    for row in found:
        assert (row["status"] == "ok") == (row["op"] in (Op.CONV, Op.LINEAR)) == (row["cycles"] is not None)


def test_table_states_tool_and_settings() -> None:
    metadata = pq.read_schema(TABLE).metadata
    assert metadata[b"tool"] == b"scalesim"
    assert metadata[b"version"].decode() == ScaleSim().version()
    assert json.loads(metadata[b"settings"]) == ScaleSim().settings()


def test_table_is_of_the_layers_that_the_command_asks_about() -> None:
    layers, part = shipped_layers("scalesim")
    asked = list(zip((layer.tobytes() for layer in layers), part.tolist(), strict=True))
    for target in ScaleSim.targets:
        assert [(layer_of(row).tobytes(), row["part"]) for row in rows() if row["target"] == target] == asked


@pytest.mark.parametrize("target", ScaleSim.targets)
def test_sample_of_the_table_is_recomputed(target: str) -> None:
    """The largest layers take a minute each: the sample is of those of at most 20,000 cycles a group."""
    mine = [
        row
        for row in rows()
        if row["target"] == target and (row["cycles"] is None or row["cycles"] / row["groups"] < 2e4)
    ]
    sample = [mine[index] for index in np.random.default_rng(1).choice(len(mine), 12, replace=False)]
    answers = ScaleSim().evaluate_many([layer_of(row) for row in sample], target)
    for row, answer in zip(sample, answers, strict=True):
        numbers = {name: row[name] for name in ("cycles", "stall_cycles") if row[name] is not None}
        assert answer == {"status": row["status"]} | numbers


def test_table_is_the_closed_form() -> None:
    """SCALE-Sim's compute cycles have a closed form, exact on every layer of the table."""
    for row in rows():
        if row["status"] == "ok":
            assert row["cycles"] == closed_form(row, row["target"])
            assert row["stall_cycles"] == 0


def test_depthwise_is_one_convolution_a_channel() -> None:
    depthwise, single = conv(channels=24, filters=24, groups=24), conv(channels=1, filters=1)
    for target in ScaleSim.targets:
        many, one = ScaleSim().evaluate_many([depthwise, single], target)
        assert many["cycles"] == 24 * one["cycles"]


def test_output_size_is_the_layers() -> None:
    """SCALE-Sim rounds output sizes up; a stride of 2 on 8 x 8 has 4 x 4 outputs all the same."""
    answer = ScaleSim().evaluate(conv(stride=2), "ws-32x32")
    assert answer["cycles"] == 5 * (16 + 3 * SIDE - 2) - 1


def test_a_refused_layer_is_a_status() -> None:
    builder = Builder((16, 8, 8))
    builder.avg_pool(INPUT, 3, 1, 1)
    pool = builder.build("one pooling", "cifar10").layers[0]
    first, second = ScaleSim().evaluate_many([pool, conv()], "os-32x32")
    assert first == {"status": "unsupported_layer"}
    assert second["status"] == "ok"


def test_unknown_target_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="ws-32x32"):
        ScaleSim().evaluate(conv(), "ws-32")


def test_a_missing_tool_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HWNASBENCH_SCALESIM_PYTHON", str(tmp_path / "python"))
    for call in (ScaleSim().version, lambda: ScaleSim().evaluate(conv(), "ws-32x32")):
        with pytest.raises(MissingExtra, match=r"scripts/_scalesim.*hwnasbench\[oracles\]"):
            call()
