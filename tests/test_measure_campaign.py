"""Campaigns in real processes: they resume, refuse what cannot be compared, and lose nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from data_builders.measure import jobs, payload, raw, summary, workloads
from data_builders.measure.campaign import Campaign
from data_builders.measure.machine import this_machine
from data_builders.measure.protocol import Protocol, Samples
from data_builders.measure.worker import Setting
from hwnasbench import spaces
from hwnasbench.errors import BuildLocked, CoresTaken, CorruptFile, InvalidRequest, MeasurementDisturbed, StorageError

pytest.importorskip("h5py")
NB201 = spaces.get("nasbench201")
#: Tests run beside others: no round counts as disturbed.
LOOSE = Protocol(rounds=3, inner=1, limit=1e9)
HERE = str(Path(__file__).parent)


@pytest.fixture(autouse=True)
def _own_engines(monkeypatch, tmp_path_factory):
    """Measuring processes find the back-ends of the tests, and share cores with no other test's."""
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("temporary")))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([HERE, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setattr("data_builders.measure.campaign.DRIFT", 1e9)


def campaign(folder, n=6, backend="own_engines:Plain", **more):
    archs = workloads.sample(NB201, "cifar10", n, seed=1)
    networks = workloads.networks(NB201, archs, "cifar10")
    return Campaign(folder, networks, Setting(backend), LOOSE, **{"passes": 2, "size": 3, **more})


def test_networks_survive_the_journey():
    archs = workloads.sample(NB201, "ImageNet16-120", 4)
    networks = workloads.networks(NB201, archs, "ImageNet16-120")
    back = payload.unpack(payload.pack(networks))
    assert payload.digest(back) == payload.digest(networks)
    assert [n.input_shape for n in back] == [(3, 16, 16)] * 4
    assert payload.pack(networks) == payload.pack(back)
    assert payload.unpack(payload.pack([])) == []


@pytest.mark.slow
def test_every_graph_of_nasbench201_is_there_once():
    archs = workloads.graphs(NB201)
    assert len(archs) == 8764  # 8,765 with the one that has no layers left
    assert len({NB201.graph_key(arch) for arch in archs}) == 8764


def test_a_sample_is_of_distinct_graphs():
    archs = workloads.sample(NB201, "cifar10", 300, seed=4)
    assert len({NB201.graph_key(arch) for arch in archs}) == 300
    assert archs == workloads.sample(NB201, "cifar10", 300, seed=4)
    with pytest.raises(InvalidRequest, match="-3"):
        workloads.sample(NB201, "cifar10", -3)


def test_a_campaign_times_every_network_in_every_pass(tmp_path):
    made = campaign(tmp_path)
    said: list[str] = []
    made.run(say=said.append)
    assert said[-1].startswith("4/4 chunks")
    found = summary.frame(summary.of_campaign(made))
    assert found["name"].tolist() == [network.name for network in made.networks]
    assert (found["status"] == "ok").all()
    assert (found["value"] > 0).all()
    assert (found["rounds"] == 6).all()
    assert (found["lower"] <= found["upper"]).all()
    params = [network.params for network in made.networks]
    assert np.corrcoef(found["value"], params)[0, 1] > 0.5  # the engine adds up as many numbers
    about = [raw.read(made.path(chunk, number)).about for chunk in range(2) for number in range(2)]
    assert {tuple(sorted(a["versions"])) for a in about} == {("hwnasbench", "numpy", "plain")}
    assert all(a["machine"]["cores"] >= 1 for a in about)
    assert len({a["started"] for a in about}) == 4
    agreement = summary.spread(summary.of_campaign(made))
    assert 0 <= agreement.between < 10
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.h5")}
    made.run()  # nothing is left to do
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.h5")}


def test_later_passes_load_what_the_engine_kept(tmp_path):
    pytest.importorskip("openvino")
    kept = tmp_path / "kept"
    made = campaign(tmp_path / "campaign", n=3, backend="openvino", cache=kept)
    made.run()
    blobs = {path: path.stat().st_mtime_ns for path in kept.rglob("*.blob")}
    assert len(blobs) == 4  # one a network, and one of the reference: the second pass wrote nothing
    assert all(written < made.path(0, 0).stat().st_mtime_ns for written in blobs.values())
    assert (summary.frame(summary.of_campaign(made))["status"] == "ok").all()
    assert raw.read(made.path(0, 1)).about["cached"]


CELLS = [
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|none~1|nor_conv_1x1~2|",
    "|avg_pool_3x3~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_1x1~2|",
    "|nor_conv_1x1~0|+|none~0|none~1|+|skip_connect~0|nor_conv_1x1~1|none~2|",
]


def test_what_crashes_or_is_refused_has_a_status(tmp_path):
    networks = workloads.networks(NB201, [NB201.parse(cell) for cell in CELLS], "cifar10")
    made = Campaign(tmp_path, networks, Setting("own_engines:Fragile"), LOOSE, passes=1)
    made.run()
    found = summary.frame(summary.of_campaign(made))
    assert found["status"][0] == "ok"
    assert found["status"][1].startswith("compile_failed: the engine crashed")
    assert found["status"][2].startswith("compile_failed: no kernel for '|nor_conv_1x1~0|")
    assert np.isnan(found["value"][1:]).all()
    held = made.memory()
    assert [np.isnan(one) for one in held["peak_bytes"]] == [False, True, True]
    assert np.isnan(held["arena_bytes"]).all()  # this engine does not tell


def test_a_crash_holds_nothing_up(tmp_path):
    """What is finished is written while the networks of the chunk that crashed are tried one by one."""
    archs = [NB201.parse(CELLS[1]), *workloads.sample(NB201, "cifar10", 60, seed=1)]
    archs = [archs[0], *(arch for arch in archs[1:] if NB201.format(arch).startswith("|nor_conv_3x3"))][:5]
    networks = workloads.networks(NB201, archs, "cifar10")
    made = Campaign(tmp_path, networks, Setting("own_engines:Fragile"), LOOSE, passes=1, size=1)
    said: list[tuple[str, int]] = []
    made.run(say=lambda text: said.append((text, len(list((tmp_path / "chunks").glob("*.h5"))))))
    assert said[0][0].startswith("the engine crashed on chunk 0")
    assert [(text[:3], files) for text, files in said[1:]] == [(f"{n}/5", n) for n in range(1, 6)]


def test_memory_is_read_once(tmp_path):
    made = campaign(tmp_path, n=3)
    said: list[str] = []
    held = made.memory(2, said.append)
    assert said == ["memory of 3/4 networks, 0:00:0" + said[0][-6:], said[1]]
    assert said[1].startswith("memory of 4/4 networks, 0:00:00 left")
    assert made.memory(say=said.append) == held
    assert len(said) == 2
    (tmp_path / "memory.json").write_text("{")
    with pytest.raises(CorruptFile, match=r"memory\.json is damaged"):
        made.memory()


def test_a_full_temporary_disk_is_told(tmp_path, monkeypatch):
    with pytest.raises(StorageError, match="No space left"):
        campaign(tmp_path / "inner", backend="own_engines:Full").run()

    def full(self, *_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match=r"temporary files.*No space left"):
        jobs.perform({"setting": {"threads": 1}}, b"")


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_chunk_on_another_clock_is_measured_again(tmp_path, monkeypatch, factor):
    """Whether it was too slow, or too fast as in a turbo's first seconds; the others are not."""
    monkeypatch.setattr("data_builders.measure.campaign.DRIFT", 0.15)
    about = {"machine": this_machine().record(), "versions": {}, "started": 0.0}
    measured = []

    def perform(job, networks):
        if job["what"] == "identity":
            return json.dumps(about).encode()
        listed = payload.unpack(networks)
        measured.append(payload.digest(listed))
        seconds = 1e-3 * (factor if len(measured) == 4 else 1)
        samples = Samples(np.full((3, len(listed)), seconds), np.full((3, 2), seconds), np.ones(3, bool))
        names, joules = [network.name for network in listed], np.full(len(listed), np.nan)
        told = {**about, "networks": measured[-1]}
        return raw.to_bytes(raw.Chunk(names, ["ok"] * len(listed), samples, joules, told))

    monkeypatch.setattr("data_builders.measure.campaign.perform", perform)
    made = campaign(tmp_path, n=15)
    said: list[str] = []
    made.run(say=said.append)
    assert [line for line in said if "drifted" in line] == ["the clock drifted in 1 chunks; they are measured again"]
    assert len(measured) == 11
    assert measured[10] == measured[3]
    assert said[-1] == "1/1 chunks, 0:00:00 left"
    np.testing.assert_allclose(summary.frame(summary.of_campaign(made))["value"], 1.0)


@pytest.mark.parametrize("begun", [True, False])
def test_cores_that_others_have_are_waited_for_once_it_has_begun(tmp_path, monkeypatch, begun):
    asked = []

    def perform(job, networks):
        asked.append(job["what"])
        if job["what"] == "measure" and asked.count("measure") == (2 if begun else 1):
            time.sleep(0.5)  # a process tries for a while
            raise CoresTaken("none is free")
        return jobs.perform(job, networks)

    monkeypatch.setattr("data_builders.measure.campaign.perform", perform)
    made = campaign(tmp_path, passes=1)
    said: list[str] = []
    if not begun:
        with pytest.raises(CoresTaken):
            made.run()
        assert not list(tmp_path.rglob("*.h5"))
        return
    made.run(say=said.append)
    waits = "other measuring processes have the cores; this one waits"
    assert [line.partition(",")[0] for line in said] == ["1/2 chunks", waits, "2/2 chunks"]
    made.path(0, 0).unlink()
    asked[:] = ["measure"]
    said.clear()
    made.run(say=said.append)
    assert [line.partition(",")[0] for line in said] == [waits, "1/1 chunks"]


@pytest.mark.parametrize(("workers", "told"), [(10000, "10000 workers of 1 threads"), (0, "0 workers; expected 1")])
def test_workers_that_cannot_be_are_refused(tmp_path, workers, told):
    with pytest.raises(InvalidRequest, match=told):
        campaign(tmp_path).run(workers=workers)
    assert not list(tmp_path.iterdir())


def test_a_killed_campaign_resumes(tmp_path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from test_measure_campaign import campaign\n"
        "campaign(Path(sys.argv[2]), n=12, size=2, passes=3).run(say=lambda t: print(t, flush=True))\n"
    )
    run = subprocess.Popen([sys.executable, "-c", script, HERE, tmp_path], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    for _ in range(2):
        run.stdout.readline()
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    kept = {path: path.read_bytes() for path in (tmp_path / "chunks").glob("*.h5")}
    made = campaign(tmp_path, n=12, size=2, passes=3)
    assert 2 <= len(kept) < 18
    made.run()
    assert len(list((tmp_path / "chunks").glob("*.h5"))) == 18
    assert {path: path.read_bytes() for path in kept} == kept
    assert not list(tmp_path.rglob("*.partial"))


def test_two_runs_refuse_each_other(tmp_path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from data_builders.lock import lock\n"
        "with lock(Path(sys.argv[2]), 'measuring'):\n    print('held', flush=True); sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, HERE, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        with pytest.raises(BuildLocked, match=f"{holder.pid} is measuring"):
            campaign(tmp_path).run()
    finally:
        holder.communicate("")


@pytest.mark.parametrize("change", ["machine", "versions", "protocol", "networks"])
def test_another_machine_or_version_is_refused(tmp_path, change, monkeypatch):
    campaign(tmp_path).run()
    (tmp_path / "chunks" / "00001-p1.h5").unlink()
    other = campaign(tmp_path)
    if change == "machine":
        path = tmp_path / "campaign.json"
        known = json.loads(path.read_text())
        known["machine"]["title"] = "Another Processor"
        path.write_text(json.dumps(known))
    elif change == "versions":
        monkeypatch.setenv("PLAIN_VERSION", "2")
    elif change == "protocol":
        other = Campaign(tmp_path, other.networks, other.setting, Protocol(rounds=9), passes=2, size=3)
    else:
        other = Campaign(tmp_path, other.networks[:-1], other.setting, LOOSE, passes=2, size=3)
    with pytest.raises(InvalidRequest, match=f"begun with {change}"):
        other.run()
    assert len(list((tmp_path / "chunks").glob("*.h5"))) == 3


def flipped(path):
    """Return a file's bytes with one bit of what it says of itself turned over."""
    import h5py

    with h5py.File(path, "r") as file:
        place = file["about"].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[place.byte_offset + place.size // 2] ^= 1
    return bytes(data)


@pytest.mark.parametrize("damage", ["truncated", "foreign", "empty", "flipped"])
def test_a_damaged_file_of_samples_is_named(tmp_path, damage):
    made = campaign(tmp_path)
    made.run()
    path = made.path(1, 0)
    data = path.read_bytes()
    bad = {"truncated": data[: len(data) // 2], "foreign": b"PAR1" * 99, "empty": b"", "flipped": None}[damage]
    if bad is None:
        path.write_bytes(flipped(path))
    else:
        path.write_bytes(bad)
    with pytest.raises(CorruptFile, match=r"00001-p0\.h5.*remove it"):
        made.run()
    path.unlink()
    made.run()
    assert len(summary.frame(summary.of_campaign(made))) == 6


def test_a_full_disk_keeps_what_is_finished(tmp_path, monkeypatch):
    made = campaign(tmp_path)
    calls = []
    write = Path.write_bytes

    def full(self, data):
        if self.suffix == ".partial":
            calls.append(self)
            if len(calls) == 3:
                write(self, data[:100])
                raise OSError(28, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match="No space left"):
        made.run()
    monkeypatch.undo()
    assert len(list((tmp_path / "chunks").iterdir())) == 2
    assert all(raw.read(path) for path in (tmp_path / "chunks").iterdir())


def test_a_drifting_clock_is_measured_again_and_then_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("data_builders.measure.campaign.DRIFT", -1.0)  # no chunk is fast enough
    made = campaign(tmp_path, n=3)
    said: list[str] = []
    with pytest.raises(MeasurementDisturbed, match="clock drifted in 2 of 2"):
        made.run(say=said.append)
    assert sum("drifted" in line for line in said) == 3
    assert len(list((tmp_path / "chunks").glob("*.h5"))) == 2


def test_disturbed_chunks_are_given_up_and_the_others_kept(tmp_path):
    archs = workloads.sample(NB201, "cifar10", 2, seed=1)
    networks = workloads.networks(NB201, archs, "cifar10")
    never = Protocol(rounds=3, inner=1, limit=-1.0, extra=1)
    made = Campaign(tmp_path, networks, Setting("own_engines:Plain"), never, passes=1)
    with pytest.raises(MeasurementDisturbed, match="1 of 1 chunks were disturbed 3 times"):
        made.run()


def test_raw_samples_join_into_one_file(tmp_path):
    made = campaign(tmp_path)
    made.run()
    paths = [made.path(chunk, number) for chunk in range(2) for number in range(2)]
    raw.join(paths, tmp_path / "samples.h5")
    found = raw.read_all(tmp_path / "samples.h5")
    assert sorted(found) == ["00000-p0", "00000-p1", "00001-p0", "00001-p1"]
    for path in paths:
        np.testing.assert_array_equal(found[path.stem].samples.seconds, raw.read(path).samples.seconds)
    joined = summary.of_file(tmp_path / "samples.h5")
    assert summary.frame(joined).equals(summary.frame(summary.of_campaign(made)))
    (tmp_path / "samples.h5").write_bytes(b"nothing")
    with pytest.raises(CorruptFile):
        raw.read_all(tmp_path / "samples.h5")


def test_a_worker_ends_with_its_campaign(tmp_path):
    """A killed campaign leaves no process that goes on measuring."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from test_measure_campaign import campaign, Campaign, Protocol\n"
        "c = campaign(Path(sys.argv[2]))\n"
        "c = Campaign(c.folder, c.networks, c.setting, Protocol(rounds=10**9, inner=1, limit=1e9))\n"
        "c.run()\n"
    )
    run = subprocess.Popen([sys.executable, "-c", script, HERE, tmp_path])

    def workers():
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_text().split("\0")
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            if "data_builders.measure.worker" in words:
                found.append((int(entry.name), parent))
        return found

    try:
        deadline = time.monotonic() + 60
        mine: list[int] = []
        while (
            not (mine := [pid for pid, parent in workers() if parent == run.pid])
            or not (tmp_path / "campaign.json").exists()
        ):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        run.kill()
        run.wait()
    deadline = time.monotonic() + 20
    while any(pid in mine for pid, _ in workers()):
        assert time.monotonic() < deadline, "the worker lives on"
        time.sleep(0.1)


def test_slots_do_not_share_cores(tmp_path):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core")
    made = campaign(tmp_path, backend="own_engines:Sociable")
    made.run(workers=2)
    cores = {tuple(raw.read(made.path(c, p)).about["cores"]) for c in range(2) for p in range(2)}
    assert len(cores) == 2
    assert threading.active_count() < 20
