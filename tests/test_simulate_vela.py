"""Vela as an oracle: the shipped table is what the tool says, and what it refuses is a status."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from data_builders.simulate.layers import shipped_layers
from data_builders.simulate.run import run
from data_builders.simulate.tflite_layers import Unsupported, tflite_model
from data_builders.simulate.vela import Vela
from hwnasbench import spaces
from hwnasbench.errors import MissingExtra, UnknownName
from hwnasbench.networks import LAYER
from hwnasbench.networks.layers import INPUT, Activation, Builder, Op

TABLE = Path(__file__).parents[1] / "hwnasbench" / "data" / "oracles" / "vela.parquet"
NUMBERS = ("cycles", "npu_cycles", "sram_cycles", "dram_cycles", "flash_cycles", "sram_kib")


def rows() -> list[dict]:
    return pq.read_table(TABLE).to_pylist()


def layer_of(row: dict) -> np.void:
    return np.array([tuple(row[name] for name in LAYER.names)], LAYER)[0]


def conv(**changes: int) -> np.void:
    """A 3 x 3 convolution of 16 to 32 channels on 8 x 8, with some fields changed."""
    builder = Builder((16, 8, 8))
    builder.conv(INPUT, 32, 3)
    changed = builder.build("one convolution", "cifar10").at("int8").layers.copy()[0]
    for name, value in changes.items():
        changed[name] = value
    return changed


def test_table_covers_every_target() -> None:
    found = rows()
    for target in Vela.targets:
        mine = [row for row in found if row["target"] == target and row["status"] == "ok"]
        assert len({layer_of(row).tobytes() for row in mine}) >= 200
        assert {row["op"] for row in mine} >= {Op.CONV, Op.LINEAR, Op.AVG_POOL, Op.GLOBAL_POOL, Op.ADD}
    for row in found:
        assert all((row[name] is None) == (row["status"] != "ok") for name in NUMBERS)


def test_table_states_tool_and_settings() -> None:
    metadata = pq.read_schema(TABLE).metadata
    assert metadata[b"tool"] == b"vela"
    assert metadata[b"version"].decode() == Vela().version()
    assert json.loads(metadata[b"settings"]) == Vela().settings()


def test_table_is_what_the_command_makes(tmp_path: Path) -> None:
    """The whole table anew, every number of it."""
    layers, part = shipped_layers("vela")
    with ThreadPoolExecutor(1) as executor:
        path = run("vela", layers, tmp_path, part=part, executor=executor)
    assert pq.read_table(path).equals(pq.read_table(TABLE))


@pytest.mark.parametrize("target", Vela.targets)
def test_sample_of_the_table_is_recomputed(target: str) -> None:
    mine = [row for row in rows() if row["target"] == target]
    for index in np.random.default_rng(1).choice(len(mine), 40, replace=False):
        row = mine[index]
        answer = Vela().evaluate(layer_of(row), target)
        assert answer == {"status": row["status"]} | {n: row[n] for n in NUMBERS if row[n] is not None}


def test_total_is_the_slowest_part() -> None:
    """Vela may cut a layer into several operators: the total is then the sum of each one's slowest part."""
    for row in rows():
        if row["status"] == "ok":
            parts = [row[name] for name in NUMBERS[1:5]]
            assert max(parts) <= row["cycles"] <= sum(parts)
            if row["target"] == "ethos-u55-128" and row["groups"] in (1, row["in_channels"]) and row["inputs"] < 3:
                assert row["cycles"] == max(parts)


def test_computing_cannot_beat_the_array() -> None:
    """No layer's computing takes fewer cycles than its MACs over the array's MACs a cycle."""
    for row in rows():
        if row["status"] == "ok":
            assert row["npu_cycles"] * int(row["target"].rpartition("-")[2]) >= row["macs"]


def test_models_run() -> None:
    """A real interpreter takes every kind of model, and its output has the layer's shape."""
    from ai_edge_litert.interpreter import Interpreter

    seen: dict[tuple[int, ...], dict] = {}
    for row in rows():
        if row["status"] == "ok":
            depthwise = row["groups"] == row["in_channels"] > 1
            seen.setdefault((row["op"], row["kernel"], row["stride"], depthwise, row["groups"] > 1), row)
    assert len(seen) >= 10
    for row in seen.values():
        interpreter = Interpreter(model_content=tflite_model(layer_of(row)))
        interpreter.allocate_tensors()
        random = np.random.default_rng(0)
        for tensor in interpreter.get_input_details():
            interpreter.set_tensor(tensor["index"], random.integers(-128, 128, tensor["shape"], dtype=np.int8))
        interpreter.invoke()
        output = interpreter.get_output_details()[0]
        values = interpreter.get_tensor(output["index"])
        assert values.size == row["out_height"] * row["out_width"] * row["out_channels"]
        assert len(np.unique(values)) > 1


def test_models_are_the_same_bytes() -> None:
    assert tflite_model(conv()) == tflite_model(conv())
    assert tflite_model(conv()) != tflite_model(conv(activation=Activation.RELU))


@pytest.mark.parametrize(
    "changes",
    [
        {"op": Op.ZERO, "out_channels": 16},
        {"op": Op.NORM, "out_channels": 16},
        {"op": Op.SHUFFLE, "out_channels": 16, "groups": 2},
        {"activation": Activation.HSWISH},
        {"padding": 2, "out_height": 10, "out_width": 10},
    ],
)
def test_a_refused_layer_is_a_status(changes: dict[str, int]) -> None:
    with pytest.raises(Unsupported):
        tflite_model(conv(**changes))
    for target in Vela.targets:
        assert Vela().evaluate(conv(**changes), target) == {"status": "unsupported_layer"}


def test_what_vela_leaves_to_the_cpu_is_a_status() -> None:
    """TFLite runs a pooling over 257 rows, Ethos-U one over 256 at most."""
    wide = conv(op=Op.MAX_POOL, kernel=257, padding=0, in_height=260, in_width=260, out_height=4, out_width=4)
    wide["out_channels"] = wide["in_channels"]
    assert tflite_model(wide)
    assert Vela().evaluate(wide, "ethos-u55-128") == {"status": "unsupported_layer"}


def test_more_work_takes_more_cycles() -> None:
    small, large = (Vela().evaluate(conv(out_channels=n), "ethos-u55-128")["npu_cycles"] for n in (32, 64))
    assert 1.5 * small < large < 2.5 * small


def test_unknown_target_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="ethos-u65-256"):
        Vela().evaluate(conv(), "ethos-u65-265")


@pytest.mark.parametrize("module", ["ai_edge_litert", "ethosu.vela"])
def test_a_missing_tool_names_the_extra(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=r"hwnasbench\[oracles\]"):
        Vela().evaluate(conv(), "ethos-u55-128")


def test_layers_of_a_network() -> None:
    """Each kind of a NAS-Bench-201 network's layers at int8 answers or is refused."""
    network = spaces.get("nasbench201").network(1462, "cifar10").at("int8")
    statuses = {Op(int(layer["op"])): Vela().evaluate(layer, "ethos-u55-128")["status"] for layer in network.layers}
    assert statuses[Op.CONV] == "ok"
    assert statuses[Op.NORM] == "unsupported_layer"
