"""HW-NAS-Bench's own pickle, on files written here in its layout."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import hwnasbench
from data_builders import catalog
from data_builders.build import build
from data_builders.sources import hwnasbench as hwnb
from hwnasbench.errors import CorruptFile
from hwnasbench.tables.write import read_table


def write_hwnasbench(folder: Path, **changes: float) -> Path:
    """Write a file in HW-NAS-Bench's layout; its numbers are made up but for the published sample."""
    metrics = [*hwnb.METRICS, "eyeriss_arithmetic_intensity"]
    table = {}
    for number, dataset in enumerate(("cifar10", "cifar100", "ImageNet16-120")):
        part = {name: (np.arange(15625) * 1e-3 + number + 1).tolist() for name in metrics}
        part["edgetpu_latency"][5] = -1
        part["config"] = [{"name": "infer.tiny", "C": 16, "N": 5}] * 15625
        table[dataset] = part
    for name, value in {**hwnb.SAMPLE, **changes}.items():
        table["cifar10"][name][0] = value
    names = {n for d in ("cifar100", "imagenet") for _, _, n in hwnb.blocks(d)}
    names |= {n for d in ("cifar100", "imagenet") for n in hwnb.fixed_blocks(d)}
    costs = {name: float(len(name)) for name in sorted(names)}
    blocks = {name: costs for name in hwnb.METRICS if not name.startswith("edgetpu")}
    folder.mkdir(parents=True)
    (folder / "HW-NAS-Bench-v1_0.pickle").write_bytes(pickle.dumps({"nasbench201": table, "fbnet": blocks}))
    return folder


def test_hwnasbench_layout(tmp_path):
    write_hwnasbench(tmp_path / "files/hwnasbench")
    report = build(["hwnasbench"], home=tmp_path / "home", sources=tmp_path / "files")
    assert report.built == {"hwnasbench": "nasbench201: 27 columns, 421875 rows, fbnet: a look-up table"}
    table = read_table(tmp_path / "home/tables/hwnasbench/nasbench201.parquet").to_pandas()
    first = table[(table["dataset"] == "cifar10") & (table["arch_index"] == 0)].set_index(["device", "metric"])["value"]
    assert first["jetson_tx2", "latency"] == 5.807418537139893
    assert first["jetson_tx2", "energy"] == 24.226614330768584
    assert first["edgetpu", "latency"] == 0.9571811309997429
    assert first["fpga", "energy"] == 7 * 2.57296
    refused = table[table["status"] == "compile_failed"]
    assert refused.groupby("dataset", observed=True)["arch_index"].unique().map(list).to_dict() == {
        "cifar10": [5],
        "cifar100": [5],
        "ImageNet16-120": [5],
    }


def test_hwnasbench_block_tables(tmp_path):
    folder = catalog.Folder(catalog.get("hwnasbench"), write_hwnasbench(tmp_path / "hwnasbench"))
    table = hwnb.lookups(folder)["fbnet"].to_pandas()
    assert len(table) == 8 * 2 * (22 * 9 + 1)
    one = table[(table["device"] == "pixel3") & (table["dataset"] == "cifar100")].set_index(["position", "choice"])
    # The first block of stage 3 halves 32 px; the network ends at 4 px with the header.
    assert one["value"][5, 8] == len("Skip_H32_W32_Cin24_Cout32_stride2")
    assert one["value"][0, 1] == len("ConvBlock_H32_W32_Cin16_Cout16_exp1_kernel3_stride1_group2")
    assert one["value"][-1, -1] == sum(
        len(name)
        for name in (
            "ConvNorm_H32_W32_Cin3_Cout16_kernel3_stride1_group1",
            "ConvNorm_H4_W4_Cin352_Cout1504_kernel1_stride1_group1",
            "AvgP_H4_W4_Cin1504_Cout1504_kernel4_stride1",
            "FC_Cin1504_Cout100",
        )
    )


@pytest.mark.parametrize("name", hwnb.SAMPLE)
def test_a_file_that_disagrees_with_the_published_sample_is_refused(tmp_path, name):
    write_hwnasbench(tmp_path / "files/hwnasbench", **{name: hwnb.SAMPLE[name] + 1e-9})
    with pytest.raises(CorruptFile, match=f"{name} of index 0 at cifar10"):
        build(["hwnasbench"], home=tmp_path / "home", sources=tmp_path / "files")
    assert not list((tmp_path / "home").rglob("*.*"))


def test_a_file_of_another_layout_is_refused(tmp_path):
    folder = tmp_path / "files/hwnasbench"
    folder.mkdir(parents=True)
    (folder / "HW-NAS-Bench-v1_0.pickle").write_bytes(pickle.dumps({"nasbench201": {"cifar10": {}}}))
    with pytest.raises(CorruptFile, match="layout"):
        build(["hwnasbench"], home=tmp_path / "home", sources=tmp_path / "files")


def test_lost_or_damaged_block_tables_are_built_again(tmp_path, monkeypatch):
    write_hwnasbench(tmp_path / "files/hwnasbench")
    home = tmp_path / "home"
    monkeypatch.setenv("HWNASBENCH_HOME", str(home))
    build(["hwnasbench"], home=home, sources=tmp_path / "files")
    path = home / "lookups/hwnasbench/fbnet.parquet"
    content = path.read_bytes()
    latency = hwnasbench.load("fbnet", data="built").query([3] * 22, device="pixel3").latency
    assert latency > 0
    for damage in (None, content[:100]):
        path.unlink()
        if damage is not None:
            path.write_bytes(damage)
        report = build(["hwnasbench"], home=home, sources=tmp_path / "files")
        assert list(report.built) == ["hwnasbench"]
        assert path.read_bytes() == content
        assert hwnasbench.load("fbnet", data="built").query([3] * 22, device="pixel3").latency == latency
