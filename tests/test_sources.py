"""The importers on the published files."""

from __future__ import annotations

import csv
import os
import pickle
import warnings
import zipfile
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from data_builders import catalog
from data_builders.fetch import fetch_package
from data_builders.pickles import load, load_pt
from data_builders.rows import cells
from data_builders.sources import hwnasbench360, oneproxy
from hwnasbench import spaces
from hwnasbench.devices import load_catalog
from hwnasbench.errors import DownloadFailed
from hwnasbench.tables.schema import validate
from hwnasbench.vocabulary import DATASETS, ENGINES, FLAGS, METRICS, SPLITS, STATUSES, precision_bits

pytestmark = pytest.mark.sources

IDS = (
    "accelnasbench",
    "dynast",
    "fbnet_proxies",
    "help",
    "hwnasbench360",
    "latbench",
    "mini_nasbench201",
    "mpnas201",
    "nasbench_macro",
    "naswot",
    "oneproxy",
    "robot",
)
KEYS = ("space", "metric", "dataset", "device", "engine", "batch", "precision", "split", "recipe", "epochs")
GOLDEN = Path(__file__).parent / "golden" / "columns.tsv"
SPACE = spaces.get("nasbench201")
#: HW-NAS-Bench's published sample of index 0 at CIFAR-10, as far as HELP holds it.
SAMPLE = {"raspi4": 10.481976820010459, "pixel3": 3.6058499999999998, "eyeriss": 3.645620000000001, "fpga": 2.57296}


@cache
def imported(sources: Path, name: str):
    """Return every column of a source by its keys."""
    source = catalog.get(name)
    out = {}
    for column in catalog.importer(source).columns(catalog.Folder(source, sources / name)):
        key = tuple(column.keys.get(k) if k not in ("space", "metric") else getattr(column, k) for k in KEYS)
        assert key not in out, f"two columns have the keys {key}"
        out[key] = column
    return out


def one(sources: Path, name: str, **keys: object):
    """Return the only column of a source with these keys."""
    found = [c for k, c in imported(sources, name).items() if all(k[KEYS.index(n)] == v for n, v in keys.items())]
    assert len(found) == 1, keys
    return found[0]


def golden():
    with GOLDEN.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def ok(column):
    return np.isfinite(column.values)


@pytest.mark.parametrize("name", IDS)
def test_counts_and_first_tenth_last_values(sources, name):
    expected = {}
    for row in golden():
        if row["source"] == name:
            key = tuple((int(row[k]) if k in ("batch", "epochs") else row[k]) if row[k] else None for k in KEYS)
            numbers = [float(row[at]) if row[at] else None for at in ("first", "tenth", "last")]
            expected[key] = (int(row["rows"]), int(row["values"]), *numbers)
    found = {}
    for key, column in imported(sources, name).items():
        values = [None if np.isnan(column.values[i]) else float(column.values[i]) for i in (0, 9, -1)]
        found[key] = (len(column.values), int(ok(column).sum()), *values)
    assert found == expected


@pytest.mark.parametrize("name", IDS)
def test_every_column_is_in_the_vocabulary(sources, name):
    for column in imported(sources, name).values():
        table = column.to_table()
        validate(table)
        keys = column.keys
        assert column.metric in METRICS
        assert keys["dataset"] in DATASETS
        assert keys.get("engine") in (None, *ENGINES)
        assert keys.get("precision") is None or min(precision_bits(keys["precision"])) >= 2
        assert keys.get("split") in (None, *SPLITS)
        assert (keys.get("split") is not None) == (column.metric == "accuracy")
        if METRICS[column.metric].scope == "device":
            assert keys["device"] in load_catalog()
            assert keys["batch"] >= 1
        flags = [column.flags] if isinstance(column.flags, str) or column.flags is None else set(column.flags)
        assert {f for text in flags if text for f in text.split(";")} <= set(FLAGS)


@pytest.mark.parametrize("name", IDS)
def test_no_sentinel_survives(sources, name):
    for key, column in imported(sources, name).items():
        values = column.values[ok(column)]
        status = np.zeros(len(column.values)) if column.status is None else column.status
        assert ((status == STATUSES.index("ok")) == ok(column)).all(), key
        metric = METRICS[column.metric]
        if metric.scope == "device":
            assert (values > 0).all(), key
            if column.space == "nasbench201":
                dead = ~cells().connected[column.arch_index]
                assert (status[dead] == STATUSES.index("disconnected")).all(), key
        elif column.metric == "accuracy":
            assert values.min() >= 0.5, key
            assert values.max() <= 100, key


def test_a_device_s_default_keys_name_a_column(sources):
    """Each device that any source measured answers a request which names nothing but the device."""
    have = {}
    for name in ("help", "oneproxy", "latbench", "hwnasbench360"):
        for column in imported(sources, name).values():
            if METRICS[column.metric].scope == "device":
                have.setdefault(column.keys["device"], []).append(column.keys)
    assert set(have) <= set(load_catalog())
    for device, columns in have.items():
        defaults = load_catalog()[device].defaults
        assert any(all(keys.get(k) == v for k, v in defaults.items()) for keys in columns), (device, defaults)


# -- help ---------------------------------------------------------------------------------------


def test_help_row_order_is_the_published_one(sources):
    order = load_pt(sources / "help/data/nasbench201/str_arch2idx.pt")
    assert [SPACE.format(SPACE.from_index(i)) for i in range(len(SPACE))] == sorted(order, key=order.get)


@pytest.mark.parametrize("device", SAMPLE)
def test_hw_nas_bench_sample(sources, device):
    column = one(sources, "help", space="nasbench201", device=device, batch=1)
    raw = load_pt(sources / f"help/data/nasbench201/latency/{device}.pt")
    assert column.values[0] == SAMPLE[device]
    assert list(column.values[:3]) == raw[:3]
    assert column.kind == ("estimated" if device in ("eyeriss", "fpga") else "measured")
    assert "assumed:dataset" not in (column.flags or "")


def test_hw_nas_bench_sample_indices_1_and_2(sources):
    """Index 1 and 2 as HW-NAS-Bench publishes them for its estimated devices."""
    values = {d: one(sources, "help", space="nasbench201", device=d).values[1:3].tolist() for d in ("eyeriss", "fpga")}
    assert values == {"eyeriss": [7.577780000000003, 10.526900000000001], "fpga": [5.31536, 5.28656]}


def test_help_batches(sources):
    batches = Counter((k[0], k[KEYS.index("batch")]) for k in imported(sources, "help"))
    assert batches == {
        ("nasbench201", 1): 15,
        ("nasbench201", 32): 5,
        ("nasbench201", 256): 5,
        ("fbnet", 1): 15,
        ("fbnet", 32): 5,
        ("fbnet", 64): 5,
        ("ofa_mobilenetv3", 1): 4,
        ("ofa_mobilenetv3", 32): 4,
        ("ofa_mobilenetv3", 64): 4,
    }


def test_help_phones_are_whole_milliseconds(sources):
    """The unit is plausible: a phone's timer counts whole ms, and a GPU's batch takes longer than an image."""
    for device in ("pixel2", "samsung_a50", "essential_ph_1"):
        values = one(sources, "help", space="nasbench201", device=device).values
        assert (values[np.isfinite(values)] % 1 == 0).all()
    slow = one(sources, "help", space="nasbench201", device="titan_x", batch=256).values
    fast = one(sources, "help", space="nasbench201", device="titan_x", batch=32).values
    assert np.nanmedian(slow) > np.nanmedian(fast)


# -- oneproxy and latbench ----------------------------------------------------------------------

SHARED = {
    "eagle_cpu_855": "mobile-cpu-snapdragon-855-kryo-485-int8",
    "eagle_dsp_855": "mobile-dsp-snapdragon-855-hexagon-690-int8",
    "eagle_gpu_855": "mobile-gpu-snapdragon-855-adreno-640-int8",
    "eagle_gtx": "desktop-gpu-gtx-1080ti-fp32",
    "eagle_i7": "desktop-cpu-core-i7-7820x-fp32",
    "eagle_jetson": "embedded-gpu-jetson-nano-fp32",
    "eagle_jetson_16": "embedded-gpu-jetson-nano-fp16",
    "eagle_tpu": "embedded-tpu-edge-tpu-int8",
}


@pytest.mark.parametrize("name", SHARED)
def test_shared_files_agree(sources, name):
    """OneProxy's 8 eagle_ files are LatBench's, in ms: this fixes row order, notation and both units."""
    source = catalog.get("oneproxy")
    rows = oneproxy.rows(catalog.Folder(source, sources / "oneproxy"))
    seconds = load(sources / "latbench" / f"{SHARED[name]}.pickle")
    expected = [float(seconds[SPACE.from_index(int(i)).vector]) * 1000 for i in rows]
    assert np.abs(np.array(load(sources / f"oneproxy/latency_data/{name}.pickle"), float) - expected).max() == 0.0


def test_shared_columns_agree(sources):
    shared = 0
    for key, column in imported(sources, "oneproxy").items():
        other = imported(sources, "latbench").get(key)
        if other is not None and key[KEYS.index("device")] != "edgetpu":
            assert (column.values == other.values[column.arch_index]).all()
            shared += 1
    assert shared == 6


def test_oneproxy_agrees_with_help(sources):
    for device in SAMPLE:
        a = one(sources, "oneproxy", device=device)
        b = one(sources, "help", space="nasbench201", device=device)
        assert (a.values == b.values[a.arch_index]).all()


def test_refused_networks(sources):
    column = one(sources, "oneproxy", device="edgetpu")
    assert (column.status == STATUSES.index("compile_failed")).sum() == 259
    assert ok(column).sum() == 1999 - 259


def test_oneproxy_has_only_its_own_rows(sources):
    for column in imported(sources, "oneproxy").values():
        assert len(column.archs) == len(set(column.arch_index.tolist())) == 1999
        assert column.archs[0] == SPACE.format(SPACE.from_index(int(column.arch_index[0])))


def test_the_mislabelled_pair_is_as_the_source_s_note_says(sources):
    from scipy.stats import spearmanr

    cpu = load(sources / "latbench/desktop-cpu-core-i7-7820x-fp32.pickle")
    gpu = load(sources / "latbench/desktop-gpu-gtx-1080ti-fp32.pickle")
    a = np.array([float(cpu[k]) for k in cpu]) * 1000
    b = np.array([float(gpu[k]) for k in cpu]) * 1000
    assert round(spearmanr(a, b).statistic, 3) == 0.997
    assert round(np.abs(a - b).max(), 2) == 2.03
    devices = {k[KEYS.index("device")] for k in imported(sources, "latbench")}
    assert "gtx_1080ti" not in devices
    assert "i7_7820x" in devices


def test_latbench_counts(sources):
    counts = {k[KEYS.index("device")]: int(ok(c).sum()) for k, c in imported(sources, "latbench").items()}
    assert counts.pop("kryo_460") == counts.pop("adreno_612") == 15261
    assert counts.pop("cortex_a53_sd450") == 15252
    assert set(counts.values()) == {15284}
    a53 = one(sources, "latbench", device="cortex_a53_sd450")
    assert (a53.status == STATUSES.index("not_measured")).sum() == 15284 - 15252


# -- hwnasbench360 ------------------------------------------------------------------------------


def test_copies_are_estimates(sources):
    column = one(sources, "hwnasbench360", metric="latency", device="raspi5", engine="litert", dataset="cifar100")
    assert Counter(column.kinds) == {"estimated": 9159, "measured": 6466}
    assert Counter(column.flags) == {"copied": 9159, None: 6466}
    assert [k == "estimated" for k in column.kinds] == [f == "copied" for f in column.flags]
    keys = {SPACE.published_key(i) for i, kind in enumerate(column.kinds) if kind == "measured"}
    assert len(keys) == 6466


def test_spread_is_in_the_unit_of_the_value(sources):
    import pyarrow.parquet as pq

    column = one(sources, "hwnasbench360", metric="latency", device="raspi5", engine="torchmobile", dataset="ninapro")
    table = pq.read_table(sources / "hwnasbench360/results/dataset.parquet").to_pandas()
    raw = table.query("arch_idx == 7 and device == 'pi5' and framework == 'torchmobile' and task == 'ninapro'")
    assert column.noise[7] ** 2 == pytest.approx(raw["lat_ms_var"].item(), rel=1e-12)
    assert column.values[7] == raw["lat_ms_median"].item()
    assert column.n == hwnasbench360.TIMED == 40


def test_energy_over_latency_is_a_plausible_power(sources):
    """mJ / ms = W: a Raspberry Pi 5 on one core draws watts, not milliwatts or kilowatts."""
    for engine in ("litert", "onnxruntime", "torchmobile"):
        keys = {"device": "raspi5", "engine": engine, "dataset": "cifar100"}
        energy = one(sources, "hwnasbench360", metric="energy", **keys)
        latency = one(sources, "hwnasbench360", metric="latency", **keys)
        assert 0.5 < np.nanmedian(energy.values / latency.values) < 15


def test_only_the_pi_has_energy_and_darcy_no_accuracy(sources):
    keys = imported(sources, "hwnasbench360")
    assert {k[KEYS.index("device")] for k in keys if k[1] == "energy"} == {"raspi5"}
    assert {k[KEYS.index("dataset")] for k in keys if k[1] == "accuracy"} == {"cifar100", "ninapro"}


# -- accuracies ---------------------------------------------------------------------------------


def test_maxima(sources):
    keys = {"metric": "accuracy", "split": "test", "epochs": 200}
    maxima = [one(sources, "robot", dataset=d, **keys).values.max() for d in ("cifar10", "cifar100", "ImageNet16-120")]
    assert [round(m, 4) for m in maxima] == [94.3733, 73.5133, 47.3111]
    assert round(one(sources, "naswot", metric="accuracy", split="valid").values.max(), 4) == 91.6067


def test_percent_not_fractions(sources):
    """Chance is 100 / classes %: the worst networks sit there, so that the inferred unit is percent."""
    for dataset, classes in (("cifar10", 10), ("cifar100", 100), ("ImageNet16-120", 120)):
        values = one(sources, "robot", dataset=dataset, split="test").values
        assert values.min() == pytest.approx(100 / classes, abs=0.4)


def test_valid_and_test_are_apart(sources):
    by_keys = {}
    for name in ("robot", "mini_nasbench201", "naswot", "hwnasbench360"):
        for key, column in imported(sources, name).items():
            if column.metric == "accuracy":
                assert column.keys["split"] in ("valid", "test")
                rest = (key[2], *key[8:])
                by_keys.setdefault(rest, {}).setdefault(key[7], []).append(column)
    pairs = 0
    for splits in by_keys.values():
        for a in splits.get("valid", []):
            for b in splits.get("test", []):
                assert (a.values != b.values).mean() > 0.9
                pairs += 1
    assert pairs >= 5


def test_two_sources_of_the_12_epoch_validation_are_equal(sources):
    keys = {"metric": "accuracy", "dataset": "cifar10", "split": "valid", "epochs": 12}
    a, b = (one(sources, name, **keys).values for name in ("robot", "mini_nasbench201"))
    np.testing.assert_array_equal(a, b)
    assert (one(sources, "robot", metric="train_time").values > 0).all()


def test_disconnected_cells_keep_their_accuracy(sources):
    dead = [i for i in range(len(SPACE)) if not SPACE.is_connected(i)]
    assert len(dead) == 341
    assert (one(sources, "naswot", metric="accuracy", split="test").values[dead] == 10).all()
    score = one(sources, "naswot", metric="naswot")
    assert np.flatnonzero(~ok(score)).tolist() == dead
    assert (score.status[dead] == STATUSES.index("disconnected")).all()


def test_params_are_counted_parameters(sources):
    from hwnasbench.networks.counts import count_many

    params = one(sources, "naswot", metric="params").values
    counted = count_many(SPACE, SPACE.all_vectors(), "cifar10")["params"]
    # The source averages over runs, a few of which were of another network.
    wrong = np.flatnonzero(params != counted)
    assert len(wrong) == 204
    assert abs(params[wrong] / counted[wrong] - 1).min() > 0.01
    assert (params[wrong] % 1 != 0).sum() == 199


def test_fbnet_proxies_against_the_raw_file(sources):
    import json

    raw = json.loads((sources / "fbnet_proxies/fbnet_zcp/zc_fbnet.json").read_text("utf-8"))
    arch = "2_8_6_3_8_4_8_4_1_8_7_8_0_6_2_5_2_6_0_2_7_7"
    for theirs, ours in (("jacov", "jacob_cov"), ("nwot", "naswot"), ("flops", "flops")):
        column = one(sources, "fbnet_proxies", metric=ours)
        assert column.archs[0] == arch
        assert column.values[0] == raw[arch][theirs]


# -- zen ----------------------------------------------------------------------------------------


def _zen(folder: Path):
    source = catalog.get("naslib_zen")
    return list(catalog.importer(source).columns(catalog.Folder(source, folder)))


def test_the_published_zen_file_has_no_row_of_a_registered_space(sources):
    assert _zen(sources / "naslib_zen") == []
    path = sources / "naslib_zen/run/results/benchmarks/nb201_zen.zip"
    with zipfile.ZipFile(path) as archive:
        files = [n for n in archive.namelist() if n.endswith(".json")]
    assert len(files) == 35
    assert all(n.startswith("zen/benchmark--transbench101_micro--") for n in files)


# -- analog -------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def analog(sources, tmp_path_factory):
    """Columns of AnalogNAS-Bench: its wheel beside the other files, where the variable says, or from pip."""
    source = catalog.get("analog-nasbench")
    given = os.environ.get("HWNASBENCH_ANALOG_WHEEL")
    folder = Path(given).parent if given else sources / "analog-nasbench"
    if not (folder / source.files[0].path).is_file():
        folder = tmp_path_factory.mktemp("analog-nasbench")
        try:
            fetch_package(source, folder)
        except DownloadFailed as error:
            pytest.skip(f"wheel of analog-nasbench not found, set HWNASBENCH_ANALOG_WHEEL to its path: {error}")
    return list(catalog.importer(source).columns(catalog.Folder(source, folder)))


def test_analog(analog):
    found = {(c.keys["precision"], c.keys["recipe"]): c for c in analog}
    drifts = {f"{r}_drift_{t}" for r in ("noisy", "hwat") for t in ("60s", "1h", "1d", "30d")}
    assert {r for p, r in found if p == "analog"} == {"noisy", "hwat"} | drifts
    assert {r for p, r in found if p == "int8"} == {"ptq", "qat"}
    expected = {(r["precision"], r["recipe"]): r for r in golden() if r["source"] == "analog-nasbench"}
    assert set(found) == set(expected)
    for key, column in found.items():
        assert ok(column).all()
        row = expected[key]
        assert [column.values[i] for i in (0, 9, -1)] == [float(row[at]) for at in ("first", "tenth", "last")]
        assert (column.noise is not None) == ("drift" in key[1])
    hwat, month = found["analog", "hwat"].values, found["analog", "hwat_drift_30d"].values
    assert hwat.mean() > month.mean()


def test_analog_notation_matches_the_accuracies_of_others(sources, analog):
    """The NASLib notation is read aright: fp32 differs from robot's test accuracy by 0.39 points on average."""
    (fp32,) = [c for c in analog if c.keys["precision"] == "fp32"]
    other = one(sources, "robot", dataset="cifar10", split="test")
    assert abs(np.mean(fp32.values - other.values)) < 0.5
    assert np.corrcoef(fp32.values, other.values)[0, 1] > 0.95


def test_published_pickles_are_read_as_plain_pickle_reads_them(sources):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = pickle.loads((sources / "robot/data/nb2_cf10_test_accuracy.p").read_bytes())
    assert one(sources, "robot", dataset="cifar10", split="test").values.tolist() == [float(v) for v in expected]
