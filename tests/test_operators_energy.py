"""Networks and kernels with a measured energy: what the files hold, and that each network is the one they tell of."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from data_builders.operators import icas_jetson, platformx
from data_builders.operators.imagenet_networks import known
from data_builders.operators.torch_layouts import torchinfo_macs
from hwnasbench.errors import CorruptFile
from hwnasbench.networks.layers import Op


@pytest.fixture(scope="module")
def measured(sources: Path) -> list[icas_jetson.Row]:
    return list(icas_jetson.rows(sources / "icas_jetson"))


def test_every_measured_network_is_read_once(measured, sources):
    assert Counter(row.family for row in measured) == {
        "conv_layers_1_5": 123,
        "conv_layers_6_10": 202,
        "dws": 1572,
        "dws_2": 2261,
        "expanded_high_mac": 3070,
        "expanded_high_mac_2": 560,
        "misc_conv_models": 414,
        "mixed_kernel_models_L2": 1981,
        "mixed_kernel_models_L5": 2351,
        "real_data": 8,
    }
    assert len({row.name for row in measured}) == len(measured)
    listed = Counter(family for family, _ in icas_jetson.records(sources / "icas_jetson"))
    assert listed["expanded_high_mac"] == 4730
    assert sum(listed.values()) == 14_195 + 9


def test_every_listed_network_has_the_stated_counts(sources):
    for family, record in icas_jetson.records(sources / "icas_jetson"):
        name = record["Model Name"]
        if name in icas_jetson.SKIPPED:
            continue
        network = known(icas_jetson.REAL[name]) if family == "real_data" else icas_jetson.network_of(name)
        assert network.params == int(record["Total Parameters"]), name
        assert torchinfo_macs(network) == int(record["Total MACs"]), name


def test_a_row_to_the_digit(measured):
    rows = {row.name: row for row in measured}
    row = rows["convnet_L2_F512_K3x3_W70"]
    assert (row.family, row.architecture) == ("conv_layers_1_5", "convnet_L2_F512_K3x3")
    assert row.latency == 106.4221382141113
    assert (row.gpu_energy, row.cpu_energy) == (441.1918294849023, 14.410301953818827)
    assert row.board_energy == 405864.0 / 563
    assert rows["convnet_L2_F128_K1x1_1_K3x3_1_W100"].loop_latency == 32.703879406131994
    assert rows["MobileNetV2"].energy == 50.75198518 + 12.71439915
    assert rows["MobileNetV2"].loop_latency is None


def test_energy_is_power_times_time(measured):
    """The sum of samples in mW, one a second, is mJ: no network draws more than the board's 10 W, or less than idle."""
    watts = np.array([row.board_energy / row.loop_latency for row in measured if row.loop_latency])
    assert 3 < watts.min() < watts.max() < 10
    assert all(row.gpu_energy + row.cpu_energy < row.board_energy for row in measured)


def test_layers_of_each_kind(measured):
    rows = {row.name: row.network.layers for row in measured}
    separable = rows["convnet_L5_F128_K2x2_W30_DWS"]
    assert separable["op"].tolist() == [Op.CONV] * 10 + [Op.LINEAR]
    assert separable["out_width"].tolist() == [33, 33, 36, 36, 39, 39, 42, 42, 45, 45, 1]
    mixed = rows["convnet_L5_F128_K1x1_3_K2x2_2_W80"]
    assert mixed["kernel"].tolist() == [1, 2, 1, 2, 1, 1]
    assert mixed["padding"].tolist() == [1] * 5 + [0]
    assert mixed[-1]["in_channels"] == 128 * mixed[-2]["out_width"] ** 2


@pytest.fixture
def copy(sources: Path, tmp_path: Path) -> Path:
    shutil.copytree(sources / "icas_jetson", tmp_path / "icas_jetson")
    for path in (tmp_path / "icas_jetson").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return tmp_path / "icas_jetson"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("K3x3_W70,2,27462154,", "K3x3_W70,2,27462155,", "27462155 parameters"),
        (",11658393610,", ",11658393611,", "11658393611 MACs"),
        ("convnet_L2_F512_K3x3_W70", "convnet_L2_F512_K3x2_W70", "no network of random layers"),
        (",106.4221382141113,", ",fast,", "malformed record"),
        ("average_latency(ms)", "latency", "malformed record"),
        (",563,106.4221382141113,441.1918294849023,14.410301953818827", "", "malformed record"),
    ],
)
def test_a_damaged_table_is_refused(copy, old, new, complaint):
    path = copy / "data/conv_layers_1_5/high_mac_model_info5.csv"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(CorruptFile, match=complaint):
        list(icas_jetson.rows(copy))


def test_counts_that_contradict_a_name_are_refused():
    # Of five layers the first kernel has three.
    with pytest.raises(CorruptFile, match="no network"):
        icas_jetson.network_of("convnet_L5_F128_K1x1_2_K3x3_3_W80")


def test_kernels_of_two_phones(sources):
    rows = list(platformx.rows(sources / "platformx"))
    assert Counter((row.device, row.processor) for row in rows) == {
        ("Pixel 7", "gpu"): 500,
        ("Pixel 8 Pro", "gpu"): 500,
        ("Pixel 7", "cpu"): 2776,
        ("Pixel 8 Pro", "cpu"): 2776,
    }
    first = rows[0]
    assert (first.op, first.config, first.energy) == ("conv-bn-relu6", (224, 7, 2, 3, 96), 2905.575741900741)
    assert first.network().macs == 7 * 7 * 3 * 96 * 112 * 112
    cpu = next(row for row in rows if row.processor == "cpu")
    assert (cpu.op, cpu.config, cpu.energy) == ("conv", (34, 3, 1, 48, 128), 3217.5821256106083)


def test_energies_without_kernels_name_no_row_of_the_tables(sources):
    energies = platformx.without_kernels(sources / "platformx")
    assert len(energies) == 592
    assert energies["IJAG59"] == 0.91
    names = {row.id.removesuffix(".tflite").rpartition("_")[2] for row in platformx.rows(sources / "platformx")}
    assert not names & set(energies)


@pytest.mark.parametrize(
    "line",
    [
        "conv_34_48_128_3_1.tflite,conv,3217.5,34,3,1,48,129",
        "conv_34_48_128_3_1.tflite,conv,-1,34,3,1,48,128",
        "conv_34_48_128_3_1.tflite,conv,nan,34,3,1,48,128",
        "conv_34_48_128_3_1.tflite,dwconv,3217.5,34,3,1,48,128",
        "conv_34_48_128_3_1.tflite,conv,3217.5,34",
    ],
)
def test_a_damaged_kernel_is_refused(tmp_path, line):
    folder = tmp_path / "prediction/energy_data"
    folder.mkdir(parents=True)
    text = f"id,OP,energy_mJ,HW,KERNEL_SIZE,STRIDES,CIN,COUT\n{line}\n"
    for file in platformx.FILES:
        (folder / file).write_text(text, "utf-8")
    with pytest.raises(CorruptFile, match="malformed record"):
        list(platformx.rows(tmp_path))


@pytest.mark.parametrize("text", ["", "[1]", '{"conv": {"A": {"energy": "much"}}}', '{"conv": {"A": 3}}'])
def test_a_damaged_json_is_refused(tmp_path, text):
    folder = tmp_path / "prediction/energy_data"
    folder.mkdir(parents=True)
    (folder / platformx.WITHOUT_KERNELS).write_text(text, "utf-8")
    with pytest.raises(CorruptFile, match="no energies"):
        platformx.without_kernels(tmp_path)
