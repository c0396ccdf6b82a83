"""Readers of published tables of blocks and layers, on the published files and on damaged ones."""

from __future__ import annotations

import itertools
import json
import os
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from data_builders.operators import ofa_luts, spnas_pixel1, tfnas, tinynas_v100
from hwnasbench import spaces
from hwnasbench.errors import CorruptFile, UnsafePickle
from hwnasbench.networks.layers import INPUT, Activation, Builder, Op

if TYPE_CHECKING:
    from pathlib import Path

    from hwnasbench.networks import Network

STEM = "Conv-input:224x224x3-output:112x112x32"
ENTRY = "{}:\n  count: 982\n  mean: 4.083755600814664\n  var: 0.2502372872758427\n"
BLOCK = "MBInvertedResBlock_112_16_16_24_k3_s2_relu"


# -- Once-for-all's and ProxylessNAS's phones ---------------------------------------------------


@pytest.mark.sources
def test_phones_as_published(sources: Path) -> None:
    pixel1 = list(ofa_luts.pixel1(sources / "ofa_luts"))
    assert len(pixel1) == 72
    assert (pixel1[0].name, pixel1[0].latency) == (STEM, 4.083755600814664)
    assert pixel1[0].network.macs == 112 * 112 * 32 * 27
    for size in ofa_luts.NOTE10:
        assert len(list(ofa_luts.note10(sources / "ofa_luts", size))) == 96
    first, block = list(ofa_luts.note10(sources / "ofa_luts", 224))[0:8:7]
    assert (first.name, first.latency) == ("AvgPool2D-input:7x7x1152-output:1x1x1152", 0.015270707070707077)
    assert first.network.layers["op"].tolist() == [Op.GLOBAL_POOL]
    assert block.name.endswith("expand:144-kernel:5-stride:2-idskip:0-se:0-hs:0")
    assert block.network.macs == 112 * 112 * 24 * 144 + 56 * 56 * 144 * (25 + 32)


@pytest.mark.sources
def test_a_block_of_the_note10_has_a_quarter_of_its_channels_in_its_gate(sources: Path) -> None:
    rows = {row.name: row.network for row in ofa_luts.note10(sources / "ofa_luts", 224)}
    layers = rows["expanded_conv-input:7x7x192-output:7x7x192-expand:768-kernel:3-stride:1-idskip:1-se:1-hs:1"].layers
    assert layers["op"].tolist() == [Op.CONV, Op.CONV, Op.GLOBAL_POOL, Op.CONV, Op.CONV, Op.MUL, Op.CONV, Op.ADD]
    assert layers["out_channels"].tolist() == [768, 768, 768, 192, 768, 768, 192, 192]
    assert layers["activation"][:2].tolist() == [Activation.HSWISH] * 2


@pytest.mark.sources
def test_pixel1_blocks_add_up_to_a_network_of_the_space(sources: Path) -> None:
    """The blocks of the table that one network has hold its layers, no more and no fewer."""
    from data_builders.sources.ofa_luts import blocks, fixed_blocks

    known = {row.name: row.network for row in ofa_luts.pixel1(sources / "ofa_luts")}
    space = spaces.get("proxylessnas")
    names = {(position, choice): name for position, choice, name in blocks()}
    assert len(names) == sum(space.choices)
    for seed in range(5):
        arch = space.sample(np.random.default_rng(seed))
        taken = [*fixed_blocks(), *(name for place in enumerate(arch.vector) if (name := names[place]))]
        network = space.network(arch, "imagenet")
        assert sum(known[name].macs for name in taken) == network.macs
        assert sum(known[name].params for name in taken) == network.params


@pytest.mark.parametrize(
    "text",
    [
        ENTRY.format(STEM)[:-30],
        ENTRY.format(STEM).replace("mean", "median"),
        ENTRY.format("Dense-input:7x7x32-output:10"),
        ENTRY.format("no shapes"),
        ENTRY.format("Conv-input:224x224x3-output:111x111x32"),
        ENTRY.format(f"{STEM}-kernel:3"),
        ENTRY.format("expanded_conv-input:7x7x192-output:7x7x192-expand:3-kernel:3-stride:1-idskip:0"),
        ENTRY.format("expanded_conv-input:7x7x192-output:7x7x320-expand:3-kernel:4-stride:1-idskip:0"),
    ],
)
def test_a_damaged_phone_table_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / ofa_luts.PIXEL1
    path.parent.mkdir()
    path.write_text(ENTRY.format(STEM), "utf-8")
    assert [row.latency for row in ofa_luts.pixel1(tmp_path)] == [4.083755600814664]
    path.write_text(ENTRY.format(STEM) + text, "utf-8")
    with pytest.raises(CorruptFile):
        list(ofa_luts.pixel1(tmp_path))


# -- TF-NAS -------------------------------------------------------------------------------------


@pytest.mark.sources
@pytest.mark.parametrize(
    ("device", "base", "first"),
    [("titan_rtx", 1.985807514190674, -0.23309380454676498), ("xeon_6130", 9.356469964981079, -0.5044301343815665)],
)
def test_tfnas_as_published(sources: Path, device: str, base: float, first: float) -> None:
    table = tfnas.table(sources / "tfnas", device)
    assert table.base == base
    assert len(table.blocks) == 66
    values = next(iter(table.blocks.values()))
    assert (len(values), values[0]) == (128, first)
    for block, values in table.blocks.items():
        # Lines between multiples of 8, from the input's channels on; sorted, whatever was measured.
        bends = 2 + np.flatnonzero(np.abs(np.diff(values, 2)) > 1e-9 * np.abs(values).max())
        assert (bends % tfnas.STEP == 0).all()
        assert (bends >= block.in_channels).all()
        assert (np.diff(values) >= 0).all()
    rows = list(table.rows())
    assert len(rows) == sum((len(v) - b.in_channels) // 8 for b, v in table.blocks.items()) == 3876
    assert all(wide % 8 == 0 and wide > block.in_channels and latency > 0 for block, wide, latency in rows)


def alone(block: tfnas.Block, wide: int) -> Network:
    builder = Builder((block.in_channels, block.size, block.size))
    block.lay(builder, INPUT, wide)
    return builder.build("block", "imagenet")


@pytest.mark.sources
def test_tfnas_networks_are_base_and_blocks(sources: Path) -> None:
    table = tfnas.table(sources / "tfnas", "titan_rtx")
    rng = np.random.default_rng(1)
    for _ in range(20):
        chosen = tfnas.draw(table, rng)
        network = tfnas.network(chosen)
        blocks = sum(alone(block, wide).macs for block, wide in chosen)
        stem = 112 * 112 * (32 * 27 + 32 * 9 + 32 * 16) + 2 * 32 * 8
        assert network.macs == stem + blocks + 49 * 320 * 1280 + 1280 * 1000
        assert table.latency(chosen) == pytest.approx(
            table.base + sum(table.blocks[block][wide - 1] for block, wide in chosen), rel=1e-12
        )
        assert all(wide > block.in_channels for block, wide in chosen)


def test_a_tfnas_block_by_hand() -> None:
    layers = alone(tfnas.Block(14, 80, 160, 112, 5, 1, "swish"), 400).layers
    assert layers["op"].tolist() == [Op.CONV, Op.CONV, Op.GLOBAL_POOL, Op.CONV, Op.CONV, Op.MUL, Op.CONV]
    assert layers["out_channels"].tolist() == [400, 400, 400, 160, 400, 400, 112]
    gates = [Activation.SWISH, Activation.SIGMOID]
    assert layers["activation"].tolist() == [Activation.SWISH] * 2 + [0, *gates, 0, 0]


@pytest.mark.parametrize(
    "content",
    [
        [1.0],
        {BLOCK: {1: 0.1}},
        {"base": -1.0},
        {"base": 1.0, "Bottleneck_112": {1: 0.1}},
        {"base": 1.0, BLOCK: [0.1]},
        {"base": 1.0, BLOCK: {1: 0.1, 3: 0.2}},
        {"base": 1.0, BLOCK: {1: 0.1, 2: float("nan")}},
    ],
)
def test_a_damaged_tfnas_table_is_refused(tmp_path: Path, content: Any) -> None:
    path = tmp_path / tfnas.FILES["titan_rtx"][0]
    path.parent.mkdir()
    path.write_bytes(pickle.dumps({"base": 1.0, BLOCK: {1: 0.1, 2: 0.2}}))
    assert tfnas.table(tmp_path, "titan_rtx").blocks[tfnas.Block(112, 16, 16, 24, 3, 2, "relu")].tolist() == [0.1, 0.2]
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(CorruptFile):
        tfnas.table(tmp_path, "titan_rtx")
    path.write_bytes(pickle.dumps(content)[:-3])
    with pytest.raises(CorruptFile):
        tfnas.table(tmp_path, "titan_rtx")


class _Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def test_a_hostile_tfnas_pickle_runs_nothing(tmp_path: Path) -> None:
    path = tmp_path / tfnas.FILES["xeon_6130"][0]
    path.parent.mkdir()
    path.write_bytes(pickle.dumps({"base": _Touch(tmp_path / "ran")}))
    with pytest.raises(UnsafePickle):
        tfnas.table(tmp_path, "xeon_6130")
    assert not (tmp_path / "ran").exists()


# -- TinyNAS's V100 -----------------------------------------------------------------------------


@pytest.mark.sources
@pytest.mark.parametrize(
    ("precision", "lines", "known", "first"),
    [("fp32", 101_240, 95_256, 30.9881), ("fp16", 90_850, 89_759, 14.6305), ("int8", 90_828, 89_955, 11.317)],
)
def test_tinynas_as_published(sources: Path, precision: str, lines: int, known: int, first: float) -> None:
    rows = list(tinynas_v100.rows(sources / "tinynas_v100", precision))
    assert len(rows) == lines
    assert sum(row.latency is not None for row in rows) == known
    assert len({row.key for row in rows}) == lines
    assert rows[0].latency == first
    # The unit is milliseconds: nothing is far beyond what the arithmetic can do (62.5e9 a ms on tensor cores).
    best = max(row.network(precision).macs * row.batch / row.latency for row in rows[::50] if row.latency)
    assert 1e9 < best < 62.5e9
    # A depthwise convolution keeps its channels.
    assert all(row.in_channels == row.out_channels for row in rows if row.depthwise)


def test_a_tinynas_line_by_hand(tmp_path: Path) -> None:
    path = tmp_path / tinynas_v100.FILES["int8"]
    path.parent.mkdir(parents=True)
    path.write_text("{Depthwise,32,64,28,28,64,5,2,0} 0.25\n{Regular,1,8,6,6,16,3,1,1} -1\n", "utf-8")
    depthwise, regular = tinynas_v100.rows(tmp_path, "int8")
    assert (depthwise.batch, depthwise.latency, regular.latency) == (32, 0.25, None)
    network = depthwise.network("int8")
    assert network.macs == 14 * 14 * 64 * 25
    assert network.layers["weight_bits"].tolist() == [8]
    assert regular.network("fp16").layers["op"].tolist() == [Op.CONV, Op.ADD]


@pytest.mark.parametrize(
    "line",
    [
        "{Regular,1,8,6,6,16,3,1} 0.1",
        "{Regular,1,8,6,7,16,3,1,0} 0.1",
        "{Regular,1,8,6,6,16,3,1,0} 0",
        "{Regular,1,8,6,6,16,3,1,0} fast",
        "{Grouped,1,8,6,6,16,3,1,0} 0.1",
        "",
    ],
)
def test_a_damaged_tinynas_file_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / tinynas_v100.FILES["fp16"]
    path.parent.mkdir(parents=True)
    path.write_text(f"{{Regular,1,8,6,6,16,3,1,1}} 0.1\n{line}\n", "utf-8")
    with pytest.raises(CorruptFile, match="line 2"):
        list(tinynas_v100.rows(tmp_path, "fp16"))


# -- Single-Path NAS's Pixel 1 ------------------------------------------------------------------


@pytest.mark.sources
def test_spnas_as_published(sources: Path) -> None:
    rows = list(spnas_pixel1.rows(sources / "spnas_pixel1"))
    assert len(rows) == 80
    assert [row.latency for row in rows[:4]] == [4.4905, 9.2015, 5.9248, 11.5892]
    # The order of the candidates: the wider and the larger one is dearer everywhere.
    for block in itertools.batched(rows, 4) if hasattr(itertools, "batched") else zip(*[iter(rows)] * 4, strict=True):
        small, wide, large, both = (row.latency for row in block)
        assert small < large < wide < both
        assert [(row.kernel, row.expansion) for row in block] == [(3, 3), (3, 6), (5, 3), (5, 6)]


@pytest.mark.sources
def test_spnas_blocks_are_proxylessnas_blocks(sources: Path) -> None:
    space = spaces.get("proxylessnas")
    rows = {(r.position, r.kernel, r.expansion): r.network for r in spnas_pixel1.rows(sources / "spnas_pixel1")}
    for kernel, expansion in spnas_pixel1.CANDIDATES:
        choice = space.parse("_".join([f"k{kernel}e{expansion}"] * 21)).vector[0]
        layers = space.network([choice] * 21, "imagenet").layers[3:]
        for position in range(20):
            own = rows[position, kernel, expansion].layers
            assert (own == layers[: len(own)]).all()
            layers = layers[len(own) :]


@pytest.mark.parametrize("damage", ["{", "[]", '{"0": {}}', "short", "zero", "word", "more"])
def test_a_damaged_spnas_file_is_refused(tmp_path: Path, damage: str) -> None:
    content: dict[str, Any] = {str(block): {str(c): 1.0 + c for c in range(4)} for block in range(22)}
    path = tmp_path / spnas_pixel1.FILE
    path.parent.mkdir()
    path.write_text(json.dumps(content), "utf-8")
    assert len(list(spnas_pixel1.rows(tmp_path))) == 80
    if damage == "short":
        del content["21"]
    elif damage == "more":
        content["22"] = content["21"]
    elif damage in ("zero", "word"):
        content["3"]["2"] = 0 if damage == "zero" else "fast"
    path.write_text(damage if damage[0] in "{[" else json.dumps(content), "utf-8")
    with pytest.raises(CorruptFile):
        list(spnas_pixel1.rows(tmp_path))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"\xff\xfe", "is not text"),
        (b"", "is empty"),
        (ENTRY.format(STEM).replace("4.083755600814664", "4.0.8").encode(), "'4.0.8'"),
        (ENTRY.format(STEM).replace("4.083755600814664", "0").encode(), "'0'"),
    ],
)
def test_a_damaged_table_of_blocks_is_refused(tmp_path: Path, text: bytes, says: str) -> None:
    path = tmp_path / ofa_luts.PIXEL1
    path.parent.mkdir(parents=True)
    path.write_bytes(text)
    with pytest.raises(CorruptFile, match=says):
        list(ofa_luts.pixel1(tmp_path))


def test_a_block_without_a_time_is_refused(tmp_path: Path) -> None:
    path = tmp_path / spnas_pixel1.FILE
    path.parent.mkdir(parents=True)
    blocks = {str(block): {str(choice): 1.0 for choice in range(4)} for block in range(22)}
    blocks["3"]["2"] = float("nan")
    path.write_text(json.dumps(blocks), "utf-8")
    with pytest.raises(CorruptFile, match="takes no time"):
        list(spnas_pixel1.rows(tmp_path))
