"""A measuring process: takes networks, gives raw samples. Each chunk of each pass runs in a process of its own.

``python -m data_builders.measure.worker JOB.json NETWORKS.npz OUT`` is how the campaign starts it: an engine that
crashes takes this process with it and nothing else.
"""

from __future__ import annotations

import gc
import hashlib
import json
import sys
import time
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_builders.measure import backends, machine, meters, payload, raw
from data_builders.measure.jobs import DISK
from data_builders.measure.protocol import Protocol, time_chunk
from hwnasbench import spaces
from hwnasbench.errors import HwnasbenchError, InvalidRequest, Unmeasurable
from hwnasbench.executors import follow_parent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from data_builders.measure.backends.base import Backend, Runner
    from hwnasbench.networks.layers import Network

#: The network that every round of every campaign times: a cell of NAS-Bench-201 with every kind of operator.
REFERENCE = "|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
#: A cell of one convolution: what an engine needs for next to nothing.
SMALL = "|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|"
#: How long an inference is repeated where its energy is read, in seconds: counters tick every millisecond.
_METERED = 0.5


@dataclass(frozen=True)
class Setting:
    """How networks are run.

    Attributes
    ----------
    backend, precision : str
    batch, threads : int
    energy : bool
        Whether to read the energy meter, where there is one.
    """

    backend: str = "onnxruntime"
    precision: str = "fp32"
    batch: int = 1
    threads: int = 1
    energy: bool = False


def identity(backend: Backend) -> dict[str, Any]:
    """Return what two measurements must share to be compared: the machine, the libraries' versions and our own code."""
    runs_on = replace(machine.this_machine(), accelerator=backend.accelerator())
    versions = {"numpy": np.__version__, **backend.versions(), "hwnasbench": _code()}
    return {"machine": runs_on.record(), "versions": versions}


@cache
def _code() -> str:
    """Return a digest of the code that writes networks for engines and runs them."""
    found = hashlib.sha256()
    for path in sorted(path for part in ("graphs", "backends") for path in (Path(__file__).parent / part).glob("*.py")):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()[:12]


def measure(
    networks: Sequence[Network],
    setting: Setting,
    protocol: Protocol,
    number: int = 0,
    refused: Mapping[str, str] | None = None,
    cache: str | None = None,
) -> raw.Chunk:
    """Time networks in this process.

    Parameters
    ----------
    networks : sequence of Network
    setting : Setting
    protocol : Protocol
    number : int
        Of the pass: each has rounds in an order of its own.
    refused : mapping of str to str, optional
        Status of networks, by their position, that the engine is known to crash on.
    cache : str, optional
        See `Backend`.
    """
    cores = machine.hold(setting.threads)
    backend = backends.get(setting.backend)
    # OpenVINO does not tell by its files' names what precision and how many threads they were compiled for.
    backend.cache = None if cache is None else Path(cache) / f"{setting.precision}-t{setting.threads}"
    backend.check(setting.precision)
    space = spaces.get("nasbench201")
    reference = _prepared(backend, space.network(REFERENCE, "cifar10"), setting)
    status: list[str] = []
    runners: list[Runner] = []
    for position, network in enumerate(networks):
        if str(position) in (refused or {}):
            status.append((refused or {})[str(position)])
            continue
        try:
            runners.append(_prepared(backend, network, setting))
            status.append("ok")
        except (Unmeasurable, InvalidRequest) as error:
            status.append(f"compile_failed: {error}")
    gc.collect()
    known = payload.digest(networks)
    started, clock = time.time(), machine.clock_mhz()
    samples = time_chunk(runners, reference, protocol, np.random.default_rng([int(known[:8], 16), number]))
    about = {
        **identity(backend),
        "setting": asdict(setting),
        "protocol": asdict(protocol),
        "networks": known,
        "pass": number,
        "cached": cache is not None,
        "cores": cores,
        "clock_mhz": clock,
        "started": started,
    }
    names = [network.name for network in networks]
    joules = _energy(runners, backend.meter()) if setting.energy else np.full(len(runners), np.nan)
    return raw.Chunk(names, status, samples, joules, about)


def _prepared(backend: Backend, network: Network, setting: Setting) -> Runner:
    return backend.prepare(network, setting.precision, setting.batch, setting.threads)


def _energy(runners: Sequence[Runner], meter: meters.Meter | None) -> NDArray[np.float64]:
    """Return joules of an inference, of all that the meter counts; NaN without a meter."""
    out = np.full(len(runners), np.nan)
    if meter is None:
        return out
    for number, runner in enumerate(runners):
        before = meter.read()
        count = runner.repeat(_METERED)
        out[number] = meter.joules(before, meter.read()) / count
    return out


def memory(network: Network, setting: Setting) -> tuple[float, float]:
    """Return the peak resident set of this process, which loads and runs one network, and the engine's arena, in bytes.

    NaN stands for what the system or the engine does not tell.
    """
    backend = backends.get(setting.backend)
    _prepared(backend, network, setting).run()
    peak = meters.peak()
    arena = backend.arena(network, setting.precision, setting.batch, setting.threads)
    resident, held = (float("nan") if one is None else float(one) for one in (peak, arena))
    return resident, held


def main(job: str, networks: str, out: str) -> None:
    """Do what the file of a job says; write raw samples, what memory was used, or the reason why there are none."""
    try:
        given = json.loads(Path(job).read_text("utf-8"))
        follow_parent(given["parent"])
        listed = payload.unpack(Path(networks).read_bytes())
        try:
            answer = _answer(given, listed)
        except HwnasbenchError as error:
            Path(out).with_suffix(".error").write_text(json.dumps([type(error).__name__, str(error)]), "utf-8")
            raise SystemExit(1) from error
        Path(out).write_bytes(answer)
    except OSError as error:
        sys.stderr.write(str(error))
        raise SystemExit(DISK) from error


def _answer(given: dict[str, Any], listed: Sequence[Network]) -> bytes:
    setting, protocol = Setting(**given["setting"]), Protocol(**given["protocol"])
    match given["what"]:
        case "identity":
            return json.dumps(identity(backends.get(setting.backend))).encode()
        case "memory":
            return json.dumps(memory(listed[0], setting)).encode()
        case "load":
            _prepared(backends.get(setting.backend), listed[0], setting).run()
            return b"true"
        case _:
            gc.disable()
            samples = measure(listed, setting, protocol, given["number"], given["refused"], given["cache"])
            return raw.to_bytes(samples)


if __name__ == "__main__":
    main(*sys.argv[1:])
