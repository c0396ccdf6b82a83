"""Building on a Dask cluster with real workers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from data_builders.build import build

distributed = pytest.importorskip("distributed", reason="needs dask.distributed")

CLUSTER = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


@pytest.mark.slow
@pytest.mark.sources
def test_a_cluster_builds_the_same_bytes(sources: Path, tmp_path: Path) -> None:
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    here, there = tmp_path / "here", tmp_path / "there"
    build(["robot", "naswot"], home=here, sources=sources)
    cluster = subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert cluster.stdout is not None
        address = cluster.stdout.readline().strip()
        command = [Path(sys.executable).with_name("hwnasbench"), "build", "robot", "naswot", "--from", sources]
        done = subprocess.run(
            [*command, "--scheduler", address],
            env={"HWNASBENCH_HOME": str(there), "PATH": str(Path(sys.executable).parent)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
    finally:
        cluster.communicate("", timeout=60)
    for source in ("robot", "naswot"):
        name = f"tables/{source}/nasbench201.parquet"
        assert (there / name).read_bytes() == (here / name).read_bytes()


def test_an_address_without_a_scheduler() -> None:
    command = [Path(sys.executable).with_name("hwnasbench"), "build", "robot", "--scheduler", "tcp://127.0.0.1:9"]
    done = subprocess.run(
        command, env={"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "2s"}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in done.stderr
