"""The importers of layer-wise spaces on the published files."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from data_builders import catalog
from data_builders.rows import listed_column
from hwnasbench import spaces
from hwnasbench.errors import CorruptFile
from hwnasbench.spaces.mnasnet import published_macs
from hwnasbench.tables.schema import validate


def columns(sources, name):
    source = catalog.get(name)
    return list(catalog.importer(source).columns(catalog.Folder(source, sources / name)))


@pytest.mark.sources
def test_nasbench_macro(sources):
    accuracy, params, flops = columns(sources, "nasbench_macro")
    best = [accuracy.archs[row] for row in np.flatnonzero(accuracy.values == accuracy.values.max())]
    assert best == ["22212202", "22212220"]  # one network, trained as the second
    assert round(float(accuracy.values.max()), 3) == 93.127
    assert accuracy.n == 3
    flags = dict(zip(accuracy.archs, accuracy.flags, strict=True))
    assert (flags["22212202"], flags["22212220"]) == ("copied", None)
    assert sum(flag is None for flag in accuracy.flags) == 9 * 21 * 21  # 3 x 7 distinct layers in a stage of three
    space = spaces.get("nasbench_macro")
    assert accuracy.arch_index.tolist() == [space.index(arch) for arch in accuracy.archs]
    for row in range(0, 6561, 500):
        network = space.network(accuracy.archs[row])
        assert (network.params, network.macs) == (params.values[row], flops.values[row])


@pytest.mark.sources
def test_dynast_means_over_searches(sources):
    accuracy, params, macs = columns(sources, "dynast")
    rows = 0
    for path in sorted((sources / "dynast" / "notebooks" / "data").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as handle:
            rows += sum(1 for _ in csv.DictReader(handle))
    assert int(accuracy.n.sum()) == rows == 2373
    assert (np.isfinite(accuracy.noise) == (accuracy.n > 1)).all()
    assert np.nanmax(accuracy.noise) < 0.1
    assert (round(float(accuracy.values.min()), 1), round(float(accuracy.values.max()), 1)) == (71.0, 77.5)
    space = spaces.get("ofa_mobilenetv3")
    for row in range(0, len(accuracy.archs), 150):
        network = space.network(accuracy.archs[row])
        assert (network.params, network.macs) == (params.values[row], macs.values[row])


@pytest.mark.sources
def test_accelnasbench(sources):
    found = {(c.metric, c.keys.get("device")): c for c in columns(sources, "accelnasbench")}
    accuracy = found["accuracy", None]
    assert int(accuracy.n.sum()) == 5138
    assert len(accuracy.archs) == 5125
    assert int((accuracy.n == 2).sum()) == 13
    assert (accuracy.keys["recipe"], accuracy.keys["epochs"]) == ("accelnasbench_proxy", 16)
    space = spaces.get("mnasnet")
    for row in range(0, 5125, 400):
        network = space.network(accuracy.archs[row])
        assert network.params == found["params", None].values[row]
        assert published_macs(network) == found["flops", None].values[row]
    for column in found.values():
        validate(column.to_table())


@pytest.mark.sources
def test_fpga_latencies_are_milliseconds(sources):
    """Five threads on a ZCU102 run more images a second than one and at most five times as many."""
    found = {(c.metric, c.keys.get("device")): c for c in columns(sources, "accelnasbench")}
    latency, throughput = (found[metric, "zcu102"].values for metric in ("latency", "throughput"))
    known = np.isfinite(latency) & np.isfinite(throughput)
    threads = (throughput * latency / 1000)[known]
    assert threads.min() > 1
    assert threads.max() < 5


def test_listed_columns_refuse_faults():
    keys = {"dataset": "imagenet"}
    with pytest.raises(CorruptFile, match="expected 2 finite ones"):
        listed_column("mnasnet", "x", "params", ["a", "b"], [1.0, np.nan], kind="measured", keys=keys)
    with pytest.raises(CorruptFile, match="occurs twice"):
        listed_column("mnasnet", "x", "params", ["a", "a"], [1.0, 2.0], kind="measured", keys=keys)
    column = listed_column(
        "mnasnet", "x", "params", ["a", "b"], [1.0, np.nan], kind="measured", keys=keys, missing=True
    )
    assert column.to_table()["status"].to_pylist() == ["ok", "not_measured"]
