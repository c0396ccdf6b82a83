"""ZigZag as an oracle: the shipped table is what the tool says, and what it refuses is a status."""

from __future__ import annotations

import json
import math
import sys
from concurrent.futures import Executor, Future
from importlib import metadata
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from data_builders.simulate.layers import LATER_LAYERS, origins, shipped_layers, unique_layers
from data_builders.simulate.run import CHUNK, run
from data_builders.simulate.zigzag import ZigZag
from hwnasbench.errors import InvalidRequest, MissingExtra, UnknownName
from hwnasbench.networks import LAYER
from hwnasbench.networks.layers import INPUT, Builder, Op

TABLE = Path(__file__).parents[1] / "hwnasbench" / "data" / "oracles" / "zigzag.parquet"
OPERANDS, KINDS = ("input", "weight", "output"), ("register", "sram", "dram")
CYCLES = ("compute_cycles", "stall_cycles", "load_cycles", "unload_cycles", "drain_cycles")


def rows() -> list[dict]:
    return pq.read_table(TABLE).to_pylist()


def layer_of(row: dict) -> np.void:
    return np.array([tuple(row[name] for name in LAYER.names)], LAYER)[0]


def conv(channels: int = 32, **changes: int) -> np.void:
    """A pointwise convolution of 16 to `channels` channels on 8 x 8, with some fields changed."""
    builder = Builder((16, 8, 8))
    builder.conv(INPUT, channels, 1)
    changed = builder.build("one convolution", "cifar10").at("int8").layers.copy()[0]
    for name, value in changes.items():
        changed[name] = value
    return changed


def many(n: int) -> np.ndarray:
    return np.array([conv(8 + 8 * i) for i in range(n)], LAYER)


class Here(Executor):
    """Runs at once, and fails from call `dies` on, as a killed run does."""

    def __init__(self, dies: int = 1 << 30) -> None:
        self.calls, self.dies = 0, dies

    def submit(self, fn, /, *args, **kwargs):
        self.calls += 1
        future: Future = Future()
        if self.calls >= self.dies:
            future.set_exception(KeyboardInterrupt())
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def test_table_covers_every_target_and_kind_of_layer() -> None:
    found = rows()
    for target in ZigZag.targets:
        mine = [row for row in found if row["target"] == target]
        assert len({layer_of(row).tobytes() for row in mine}) == len(mine) >= 300
        ok = [row for row in mine if row["status"] == "ok"]
        grouping = {(row["groups"] > 1) + (row["groups"] == row["in_channels"] > 1) for row in ok}
        assert grouping == {0, 1, 2}
        assert {row["op"] for row in ok} == {Op.CONV, Op.LINEAR}
        assert {row["kernel"] for row in ok} >= {1, 3, 5}
        assert {row["stride"] for row in ok} == {1, 2}


def test_table_is_of_the_layers_that_the_command_asks_about() -> None:
    layers, part = shipped_layers("zigzag")
    asked = list(zip((layer.tobytes() for layer in layers), part.tolist(), strict=True))
    for target in ZigZag.targets:
        assert [(layer_of(row).tobytes(), row["part"]) for row in rows() if row["target"] == target] == asked


@pytest.mark.parametrize("oracle", ["zigzag", "vela", "scalesim"])
def test_later_layers_are_new_and_of_later_spaces(oracle: str) -> None:
    layers, part = shipped_layers(oracle)
    shape = ["op", "in_channels", "out_channels", "in_height", "in_width", "kernel", "stride", "groups"]
    first, later = ({layer[shape].tobytes() for layer in layers[part == number]} for number in (0, 1))
    assert len(later) == LATER_LAYERS
    assert not first & later
    found = origins(layers[part == 1])
    assert sum(found.values()) >= LATER_LAYERS
    assert found["mobilenetv2"] > 0


def test_table_states_tool_and_settings() -> None:
    kept = pq.read_schema(TABLE).metadata
    assert kept[b"tool"] == b"zigzag"
    assert kept[b"version"].decode() == ZigZag().version() == metadata.version("zigzag-dse")
    assert json.loads(kept[b"settings"]) == ZigZag().settings()
    assert kept[b"commit"]


@pytest.mark.parametrize("target", ["edge-tpu-like", "aimc"])
def test_sample_of_the_table_is_recomputed(target: str) -> None:
    mine = [row for row in rows() if row["target"] == target]
    # Of different kinds: the kinds take turns, in both parts.
    first = sum(row["part"] == 0 for row in mine)
    for index in (2, 5, 8, 10, first, first + 2):
        row = mine[index]
        answer = ZigZag().evaluate(layer_of(row), target)
        assert answer == {name: value for name, value in row.items() if name in answer}
        assert answer["status"] == row["status"]


def test_parts_add_up() -> None:
    for row in rows():
        if row["status"] == "ok":
            memories = sum(row[f"energy_{operand}_{kind}_pj"] for operand in OPERANDS for kind in KINDS)
            assert row["energy_mac_pj"] + memories == pytest.approx(row["energy_pj"], rel=1e-12)
            assert sum(row[name] for name in CYCLES) == pytest.approx(row["cycles"], rel=1e-12)
        else:
            assert row["energy_pj"] is None
            assert row["cycles"] is None


def unrolled(row: dict) -> dict[str, dict[str, float]]:
    """Read the spatial mapping: of each dimension of the array, the loops and their sizes."""
    parts = (part.partition(": ") for part in row["spatial_mapping"].split("; "))
    words = {dimension: loops.split() for dimension, _, loops in parts}
    return {dimension: dict(zip(w[::2], map(float, w[1::2]), strict=True)) for dimension, w in words.items()}


def divides(row: dict) -> bool:
    """Say whether the array is filled evenly: else ZigZag counts fractions of elements, and rounds them."""
    sizes = {"K": row["out_channels"] // row["groups"], "C": row["in_channels"] // row["groups"]}
    sizes |= {"OX": row["out_width"], "OY": row["out_height"], "FX": row["kernel"], "FY": row["kernel"]}
    return all(sizes[loop] % size == 0 for loops in unrolled(row).values() for loop, size in loops.items())


def test_no_layer_beats_reading_everything_once() -> None:
    """Weights come from DRAM and outputs go there, at the costs of the hardware files and 8 bytes an access."""
    checked = 0
    for row in rows():
        if row["status"] == "ok":
            assert 0 < row["utilisation"] <= row["spatial_utilisation"] <= 1
            if divides(row):
                read, write = (1000, 1000) if row["target"] == "eyeriss-like" else (700, 750)
                weights = row["out_channels"] * row["kernel"] ** 2 * row["in_channels"] // row["groups"]
                outputs = row["out_channels"] * row["out_height"] * row["out_width"]
                assert row["energy_weight_dram_pj"] >= read * math.ceil(weights / 8)
                assert row["energy_output_dram_pj"] >= write * math.ceil(outputs / 8)
                checked += 1
    assert checked >= 500


def test_multipliers_cost_what_the_files_say() -> None:
    unit = {"eyeriss-like": 0.5, "tpu-like": 0.04, "edge-tpu-like": 0.04}
    for row in rows():
        if row["target"] in unit and row["status"] == "ok":
            assert row["energy_mac_pj"] == pytest.approx(unit[row["target"]] * row["macs"], rel=1e-12)


def test_analogue_array_costs_what_the_documentation_says() -> None:
    """DACs, ADCs, multipliers, bitlines, place values, accumulators, as docs/oracles.md has them."""
    checked = 0
    for row in rows():
        if row["target"] == "aimc" and row["status"] == "ok":
            mapped = {dimension: math.prod(loops.values()) for dimension, loops in unrolled(row).items()}
            columns, used = mapped.get("D1", 1), mapped.get("D2", 1)
            square = 0.9**2
            adc = (100 * 8 + 0.001 * 4**8) / 1000 * square * 8 * columns
            dac, multipliers = 0.05 * 2 * square * used, 0.5 * 0.7e-3 * square * 8 * 128 * used
            bitlines = 0.35e-3 * square * 8 * 128 * columns
            adder, flop = (3 * 0.7 + 2 * 1.05) * 1e-3 * square, 2.1e-3 * square
            digital = (adder * (8 * 7 + 8 * 2.5) + (adder + flop) * 24) * columns
            once = dac + adc + multipliers + bitlines + digital
            expected = once * 4 * row["macs"] / (used * columns)
            assert row["energy_mac_pj"] == pytest.approx(expected, rel=1e-6)
            checked += 1
    assert checked >= 300


def test_only_in_memory_computing_has_a_clock() -> None:
    clock = {"aimc": 14.07244, "dimc": 3.75708}
    for row in rows():
        if row["status"] == "ok" and row["target"] in clock:
            assert row["latency_ms"] == pytest.approx(row["cycles"] * clock[row["target"]] * 1e-6, rel=1e-12)
        else:
            assert row["latency_ms"] is None


@pytest.mark.parametrize("op", [Op.ADD, Op.AVG_POOL, Op.NORM, Op.SHUFFLE])
def test_layer_without_multiplications_is_refused(op: Op) -> None:
    assert ZigZag().evaluate(conv(op=op), "tpu-like") == {"status": "unsupported_layer"}


def test_layer_that_no_memory_holds_is_refused() -> None:
    """The hardware's DRAM has 10^10 bits: ZigZag finds no mapping, and says no number."""
    huge = conv(in_channels=50_000, out_channels=50_000)
    assert ZigZag().evaluate(huge, "tpu-like") == {"status": "compile_failed"}


def test_stages_agree_with_the_tool_s_own_entry_point(tmp_path: Path) -> None:
    from zigzag import api

    from data_builders.simulate.zigzag import workload

    inputs = Path(api.__file__).parent / "inputs"
    energy, cycles, _ = api.get_hardware_performance_zigzag(
        workload(conv()),
        str(inputs / "hardware" / "edge_tpu_like.yaml"),
        str(inputs / "mapping" / "edge_tpu_like.yaml"),
        opt="energy",
        lpf_limit=4,
        dump_folder=str(tmp_path),
        loma_show_progress_bar=False,
    )
    answer = ZigZag().evaluate(conv(), "edge-tpu-like")
    assert (answer["energy_pj"], answer["cycles"]) == (energy, cycles)


def test_killed_run_resumes(tmp_path: Path) -> None:
    layers = many(2 * CHUNK + 1)
    with pytest.raises(KeyboardInterrupt):
        run("zigzag", layers, tmp_path, ["tpu-like"], executor=Here(dies=3))
    chunks = tmp_path / "zigzag.chunks"
    done = {path: path.stat().st_mtime_ns for path in chunks.iterdir()}
    assert len(done) == 2
    assert not (tmp_path / "zigzag.parquet").exists()
    second = Here()
    path = run("zigzag", layers, tmp_path, ["tpu-like"], executor=second)
    assert second.calls == 1
    assert {path: path.stat().st_mtime_ns for path in done} == done
    whole = run("zigzag", layers, tmp_path / "fresh", ["tpu-like"], executor=Here())
    assert path.read_bytes() == whole.read_bytes()
    assert [layer_of(row) for row in pq.read_table(path).to_pylist()] == list(layers)


def test_other_layers_or_settings_are_other_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("zigzag", many(1), tmp_path, ["tpu-like"], executor=Here())
    changed = Here()
    run("zigzag", many(2), tmp_path, ["tpu-like"], executor=changed)
    assert changed.calls == 1
    monkeypatch.setattr("data_builders.simulate.zigzag._LPF_LIMIT", 5)
    other = Here()
    path = run("zigzag", many(2), tmp_path, ["tpu-like"], executor=other)
    assert other.calls == 1
    assert "lpf_limit=5" in json.loads(pq.read_schema(path).metadata[b"settings"])["tpu-like"]


def test_rows_of_an_earlier_table_are_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = run("zigzag", many(2), tmp_path / "before", ["tpu-like"], executor=Here())
    table = pq.read_table(before)
    # A number that the tool would not say shows where a row is from.
    marked = table.set_column(table.column_names.index("cycles"), "cycles", [[-1.0, -2.0]])
    pq.write_table(marked, before)
    layers, part = many(4)[::-1], np.array([1, 1, 0, 0], np.int8)
    asked = Here()
    path = run("zigzag", layers, tmp_path, ["tpu-like"], part=part, known=before, executor=asked)
    assert asked.calls == 1
    found = pq.read_table(path).to_pylist()
    assert [layer_of(row) for row in found] == list(layers)
    assert [row["part"] for row in found] == [1, 1, 0, 0]
    assert [row["cycles"] for row in found[2:]] == [-2.0, -1.0]
    assert [row["cycles"] for row in found[:2]] == [
        ZigZag().evaluate(layer, "tpu-like")["cycles"] for layer in layers[:2]
    ]
    nothing = Here()
    run("zigzag", many(2), tmp_path / "same", ["tpu-like"], known=path, executor=nothing)
    assert nothing.calls == 0
    with pytest.raises(InvalidRequest, match="aimc"):
        run("zigzag", many(2), tmp_path, ["tpu-like", "aimc"], known=before, executor=Here())
    monkeypatch.setattr(ZigZag, "version", lambda self: "4.0.0")
    with pytest.raises(InvalidRequest, match="version"):
        run("zigzag", many(2), tmp_path, ["tpu-like"], known=before, executor=Here())


def test_refused_layers_are_rows_without_numbers(tmp_path: Path) -> None:
    layers = np.array([conv(op=Op.ADD), conv()], LAYER)
    refused, answered = pq.read_table(run("zigzag", layers, tmp_path, ["tpu-like"], executor=Here())).to_pylist()
    assert (refused["status"], refused["energy_pj"], refused["cycles"]) == ("unsupported_layer", None, None)
    assert answered["status"] == "ok"
    assert answered["energy_pj"] > 0


def test_command_writes_a_table_with_processes(tmp_path: Path) -> None:
    from hwnasbench.cli import app

    arguments = ["simulate", "--backend", "zigzag", "--layers", "1", "--target", "tpu-like", "--out"]
    answer = CliRunner().invoke(app(), [*arguments, str(tmp_path)])
    assert answer.exit_code == 0, answer.output
    path = tmp_path / "zigzag.parquet"
    assert pq.read_table(path).num_rows == 1
    answer = CliRunner().invoke(app(), [*arguments, str(tmp_path / "again"), "--known", str(path)])
    assert answer.exit_code == 0, answer.output
    assert pq.read_table(tmp_path / "again" / "zigzag.parquet").equals(pq.read_table(path))
    assert not (tmp_path / "again" / "zigzag.chunks").exists()


def test_unknown_names_and_nothing_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="zigzag"):
        run("zigzak", many(1), tmp_path)
    with pytest.raises(UnknownName, match="tpu-like"):
        run("zigzag", many(1), tmp_path, ["tpu"])
    with pytest.raises(InvalidRequest, match="no layers"):
        run("zigzag", many(0), tmp_path)
    with pytest.raises(UnknownName, match="edge-tpu-like"):
        ZigZag().evaluate(conv(), "edge-tpu")


def test_missing_tool_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("data_builders.simulate.zigzag.metadata.version", absent)
    with pytest.raises(MissingExtra, match=r"hwnasbench\[oracles\]"):
        run("zigzag", many(1), tmp_path, executor=Here())
    monkeypatch.setitem(sys.modules, "zigzag.opt.loma.engine", None)
    with pytest.raises(MissingExtra, match=r"hwnasbench\[oracles\]"):
        ZigZag().evaluate(conv(), "tpu-like")


def test_layers_are_the_same_every_time_and_unique() -> None:
    layers = unique_layers()
    assert layers.tobytes() == unique_layers().tobytes()
    shapes = layers[["op", "in_channels", "out_channels", "in_height", "kernel", "stride", "groups"]]
    assert len(np.unique(shapes)) == len(layers)
    with pytest.raises(UnknownName, match="imagenet"):
        unique_layers([("fbnet", "imagenett")])
