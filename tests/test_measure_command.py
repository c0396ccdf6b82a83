"""``hwnasbench measure`` from the command line: a new device in minutes; chunks on a Dask cluster."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest
from test_measure_campaign import HERE, LOOSE

import hwnasbench
from data_builders.measure import meters, raw, summary, worker, workloads
from data_builders.measure.backends import base
from data_builders.measure.campaign import Campaign
from data_builders.measure.machine import Machine, hold, preferred, this_machine
from data_builders.measure.worker import Setting
from hwnasbench import spaces
from hwnasbench.errors import InvalidRequest, MeasurementDisturbed

pytest.importorskip("h5py")
NB201 = spaces.get("nasbench201")


def command(*words, home, check=True, **more):
    env = {**os.environ, "HWNASBENCH_HOME": str(home), "PYTHONPATH": os.pathsep.join([HERE, *sys.path[1:]]), **more}
    done = subprocess.run(
        [Path(sys.executable).with_name("hwnasbench"), "measure", *map(str, words)],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_a_sample_makes_a_device_that_answers(tmp_path, monkeypatch):
    """On a busy machine rounds are disturbed: then the command says so and goes on where it stopped."""
    pytest.importorskip("onnxruntime")
    words = ("--sample", 12, "--precision", "int8", "--passes", 2, "--device", "my_laptop", "--memory")
    for _ in range(4):
        done = command(*words, home=tmp_path, check=False)
        if done.returncode == 0:
            break
        assert MeasurementDisturbed.__name__ in done.stderr or "disturbed" in done.stderr, done.stderr
    else:
        pytest.skip("the machine was too busy to measure on")
    assert "12 of 12 networks timed" in done.stdout
    monkeypatch.setenv("HWNASBENCH_HOME", str(tmp_path))
    bench = hwnasbench.load("nasbench201", data="shipped")
    value = bench.query(6111, device="my_laptop", dataset="cifar10")["latency"]
    assert value.kind == "predicted"
    assert value.value > 0
    table = next(tmp_path.rglob("table.parquet"))
    rows = duckdb.sql(f"select * from '{table}' where metric = 'latency'").df()
    assert len(rows) == 12
    assert set(rows["precision"]) == {"int8"}
    assert set(rows["engine"]) == {"onnxruntime"}
    assert set(rows["kind"]) == {"measured"}
    assert (rows["noise"] >= 0).all()
    memory = duckdb.sql(f"select value from '{table}' where metric = 'peak_memory'").df()["value"]
    assert len(memory) == 12
    arena = duckdb.sql(f"select value from '{table}' where metric = 'arena_memory'").df()["value"]
    assert len(arena) == 12
    assert (arena > 16).all()  # the stem's output, 16 KiB at int8, lies in it
    samples = raw.read_all(next(tmp_path.rglob("samples.h5")))
    assert len(samples) == 2
    again = command(*words[:-1], home=tmp_path)
    assert "chunks" not in again.stdout  # nothing was measured again


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--backend", "onnxruntme"), "onnxruntime"),
        (("--precision", "int3"), "int8"),
        (("--space", "nasbench210"), "nasbench201"),
        (("--dataset", "cifar11"), "cifar10"),
        (("--batch", "0"), "--batch is 0"),
        (("--sample", "0"), "sample of 0"),
        (("--space", "fbnet"), "--sample"),
        (("--threads", "4096", "--sample", "3"), "cores"),
        (("--energy", "--workers", "2"), "a meter counts all that runs"),
        (("--memory", "--scheduler", "tcp://127.0.0.1:1"), "leave out --memory"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path, words, expected):
    done = command(*words, home=tmp_path, check=False)
    assert done.returncode != 0
    assert expected in re.sub(r"\s+", " ", done.stderr + done.stdout)
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.h5"))


CLUSTER = """
import sys
from dataclasses import replace
from pathlib import Path
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        print(cluster.scheduler_address, *(w.pid for w in cluster.workers.values()), flush=True)
        sys.stdin.read()
"""


@pytest.mark.slow
def test_a_cluster_loses_nothing_when_a_worker_is_killed(tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([HERE, *sys.path[1:]])}
    monkeypatch.setattr("data_builders.measure.campaign.DRIFT", 1e9)
    monkeypatch.syspath_prepend(HERE)
    networks = workloads.networks(NB201, workloads.sample(NB201, "cifar10", 16, seed=2), "cifar10")
    made = Campaign(tmp_path / "campaign", networks, Setting("own_engines:Plain"), LOOSE, passes=2, size=2)
    cluster = subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    )
    try:
        assert cluster.stdout is not None
        address, victim, _ = cluster.stdout.readline().split()
        said: list[str] = []

        def say(text):
            said.append(text)
            if len(said) == 4:
                os.kill(int(victim), signal.SIGKILL)

        with distributed.Client(address) as client:
            made.run(executor=client.get_executor(), say=say)
    finally:
        cluster.communicate("", timeout=60)
    finished = [line for line in said if "chunks" in line]
    assert finished[-1].startswith("16/16 chunks")
    assert len(finished) == 16  # nothing twice
    assert len(list((made.folder / "chunks").iterdir())) == 16  # nothing lost
    assert (summary.frame(summary.of_campaign(made))["status"] == "ok").all()


# -- the machine ----------------------------------------------------------------------------------

CPUINFO = """processor : 0
vendor_id : {vendor}
cpu family : {family}
model : {model}
model name : {title}
stepping : {stepping}
cpu MHz : 2600.0
flags : fpu avx2 avx512f avx512_vnni

processor : 1
cpu MHz : 2800.0
"""


@pytest.mark.parametrize(
    ("vendor", "family", "model", "title", "device"),
    [
        ("AuthenticAMD", 25, 17, "AMD EPYC", "epyc_zen4"),
        ("AuthenticAMD", 25, 1, "AMD EPYC 7763 64-Core Processor", "epyc_zen3"),
        ("GenuineIntel", 6, 207, "INTEL(R) XEON(R) PLATINUM 8581C", "xeon_emerald_rapids"),
        ("AuthenticAMD", 26, 17, "AMD EPYC 9965 192-Core Processor", "epyc_zen5c"),
        ("GenuineIntel", 6, 85, "Intel(R) Xeon(R) Gold 6126", "xeon_skylake"),
        ("GenuineIntel", 6, 85, "Intel(R) Xeon(R) Gold 6226 stepping 7", "xeon_cascade_lake"),
        ("AuthenticAMD", 25, 33, "AMD Ryzen 9 5950X", "amd_ryzen_9_5950x"),
        ("GenuineIntel", 6, 85, "Intel(R) Core(TM) i9-7900X CPU @ 3.30GHz", "intel_core_i9_7900x_cpu_3_30ghz"),
    ],
)
def test_devices_are_named_after_processors(tmp_path, vendor, family, model, title, device):
    path = tmp_path / "cpuinfo"
    title, _, stepping = title.partition(" stepping ")
    told = CPUINFO.format(vendor=vendor, family=family, model=model, title=title, stepping=stepping or 1)
    path.write_text(told)
    found = this_machine(str(path))
    assert found.device == device
    assert found.features == "avx2 avx512f avx512_vnni"
    assert Machine(**found.record()) == found


def test_a_server_with_matrix_tiles_is_named_after_them_where_its_numbers_are_not_known(tmp_path):
    path = tmp_path / "cpuinfo"
    told = CPUINFO.format(vendor="GenuineIntel", family=6, model=167, title="Intel(R) Xeon(R) Processor", stepping=1)
    path.write_text(told)
    assert this_machine(str(path)).device == "intel_xeon_processor"
    path.write_text(told.replace("avx512_vnni", "avx512_vnni amx_int8"))
    assert this_machine(str(path)).device == "xeon_amx_s1"


ARM = """processor : 0
Features : fp asimd asimddp
CPU implementer : 0x41
CPU architecture: 8
CPU part : 0xd05
CPU revision : 1

processor : 4
CPU implementer : 0x41
CPU part : 0xd0b
"""


def test_arm_processors_are_told_apart_by_parts_and_board(tmp_path):
    path, board = tmp_path / "cpuinfo", tmp_path / "model"
    path.write_text(ARM)
    found = this_machine(str(path), str(board))
    assert (found.vendor, found.family, found.model, found.stepping) == ("0x41", 8, 0xD05, 1)
    assert found.device.endswith("_0x41_0xd05_0xd0b")
    assert found.features == "asimd asimddp"
    path.write_text(ARM.replace("0xd0b", "0xd41"))
    assert this_machine(str(path), str(board)).device != found.device
    board.write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    assert this_machine(str(path), str(board)).device.startswith("raspberry_pi_5_model_b_rev_1_0_")


def test_an_accelerator_names_the_device(tmp_path):
    assert replace(this_machine(), accelerator="NVIDIA H100 80GB HBM3").device == "nvidia_h100_80gb_hbm3"


def test_a_system_that_tells_nothing_has_a_name(tmp_path):
    assert this_machine(str(tmp_path / "missing")).device


HELD = """
import sys
from data_builders.measure.machine import preferred, hold
print(hold(1), flush=True)
sys.stdin.read()
"""


def test_processes_are_held_to_cores_of_their_own(monkeypatch):
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("no affinities here")
    monkeypatch.setattr("data_builders.measure.machine._PATIENCE", 0.0)
    before = os.sched_getaffinity(0)
    others = [
        subprocess.Popen([sys.executable, "-c", HELD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in before
    ]
    try:
        cores = [json.loads(other.stdout.readline()) for other in others]
        assert sorted(cores) == sorted([core] for core in before)
        with pytest.raises(InvalidRequest, match="of which 0 are free"):
            hold(1)
        others[0].communicate("")
        assert hold(1) == cores[0]
        assert os.sched_getaffinity(0) == set(cores[0])
        assert hold(1) == cores[0]  # it has it already
        with pytest.raises(InvalidRequest, match="needs as many cores"):
            hold(2)
    finally:
        os.sched_setaffinity(0, before)
        for other in others:
            other.stdin.close()
            other.wait()
            other.stdout.close()


def cores(root, *about):
    """A machine: of each logical processor its core and its clock in kHz."""
    for number, (core, clock) in enumerate(about):
        folder = root / f"cpu{number}"
        (folder / "topology").mkdir(parents=True)
        (folder / "cpufreq").mkdir()
        (folder / "topology" / "core_id").write_text(f"{core}\n")
        (folder / "topology" / "physical_package_id").write_text("0\n")
        (folder / "cpufreq" / "cpuinfo_max_freq").write_text(f"{clock}\n")
    return root


def test_fast_cores_come_first_and_second_threads_of_a_core_last(tmp_path):
    hybrid = cores(tmp_path, (0, 5_000_000), (0, 5_000_000), (1, 5_000_000), (1, 5_000_000), (8, 3_000_000))
    assert preferred(range(5), hybrid) == [3, 1, 4, 2, 0]
    assert preferred([0, 1, 4], hybrid) == [1, 4, 0]
    assert preferred(range(3), tmp_path / "silent") == [2, 1, 0]


# -- meters ---------------------------------------------------------------------------------------


def zone(root, name, word, energy, wrap=1_000_000):
    folder = root / name
    folder.mkdir()
    (folder / "name").write_text(word + "\n")
    (folder / "energy_uj").write_text(f"{energy}\n")
    (folder / "max_energy_range_uj").write_text(f"{wrap}\n")


def test_the_packages_are_metered_and_wrap(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0", 100)
    zone(tmp_path, "intel-rapl:0:0", "core", 7)
    zone(tmp_path, "intel-rapl:1", "package-1", 999_000)
    meter = meters.rapl(str(tmp_path))
    assert meter is not None
    assert meter.read() == [100, 999_000]
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("600\n")
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("499\n")
    assert meter.joules([100, 999_000], meter.read()) == pytest.approx((500 + 1500) / 1e6)


class Device:
    """What NVML says of one device that spends 250 W while it is read."""

    NVMLError = type("NVMLError", (Exception,), {})

    def __init__(self, uuid="GPU-1", counts=True):
        self.uuid, self.counts, self.millijoules = uuid, counts, 5_000

    def nvmlInit(self):
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid):
        if uuid != self.uuid:
            raise self.NVMLError("Not Found")
        return self

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        if not self.counts:
            raise self.NVMLError("Not Supported")
        handle.millijoules += 250
        return handle.millijoules


def test_a_device_is_metered(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", Device())
    meter = meters.nvml("GPU-1")
    assert meter is not None
    assert meter.joules(meter.read(), meter.read()) == 0.25


def test_a_meter_s_joules_are_those_of_an_inference(monkeypatch):
    class Twice(base.Runner):
        def run(self):
            pass

        def output(self):
            raise NotImplementedError

        def repeat(self, seconds):
            return 2

    monkeypatch.setitem(sys.modules, "pynvml", Device())
    assert worker._energy([Twice(), Twice()], meters.nvml("GPU-1")).tolist() == [0.125, 0.125]
    assert np.isnan(worker._energy([Twice()], None)).all()


def test_without_a_device_s_counter_nothing_is_guessed(monkeypatch):
    pynvml = pytest.importorskip("pynvml")
    if not Path("/dev/nvidiactl").exists():
        assert meters.nvml("GPU-1") is None  # the real library, without a driver
    assert issubclass(pynvml.NVMLError, Exception)
    for device in (Device("GPU-2"), Device(counts=False), None):
        monkeypatch.setitem(sys.modules, "pynvml", device)
        assert meters.nvml("GPU-1") is None


def test_without_a_meter_nothing_is_guessed(tmp_path):
    assert meters.rapl(str(tmp_path)) is None
    assert meters.rapl(str(tmp_path / "missing")) is None
    zone(tmp_path, "intel-rapl:0", "package-0", "secret")
    assert meters.rapl(str(tmp_path)) is None


def test_the_peak_of_this_process_is_known(tmp_path):
    found = meters.peak()
    assert found is None or found > 10_000_000
    assert meters.peak(str(tmp_path / "missing")) is None
    assert np.isfinite(found or 0)
