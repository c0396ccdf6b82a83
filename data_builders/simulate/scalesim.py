"""SCALE-Sim as an oracle: compute cycles of one layer on a systolic array, without memory stalls.

SCALE-Sim 3.0.0 fails with numpy 2.4, so that it lives in an environment of its own, made by ``scripts/_scalesim``;
`HWNASBENCH_SCALESIM_PYTHON` names the interpreter of another one. Cycles are the report's total cycles less its stall
cycles: the number of the last cycle, counted from 0. SCALE-Sim pads nothing and rounds output sizes up, so that it is
given the extent that the outputs read: (output - 1) x stride + kernel. Dilation moves no cycle of it.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from hwnasbench.errors import HwnasbenchError, MissingExtra, UnknownName
from hwnasbench.networks.layers import Op

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

#: SCALE-Sim's names of the dataflows, and what stays in the array.
_DATAFLOWS = {"ws": "weights", "os": "outputs", "is": "inputs"}
_SIDE = 32
#: InterfaceBandwidth CALC: SCALE-Sim finds out the bandwidth that reads need, so that they never stall. Buffers,
#: offsets and banks move no compute cycle; these keys are all that `scale_config.read_conf_file` insists on.
_CONFIG = """\
[general]
run_name = run
[run_presets]
InterfaceBandwidth: CALC
UseRamulatorTrace: False
[architecture_presets]
ArrayHeight: {side}
ArrayWidth: {side}
IfmapSramSzkB: 1024
FilterSramSzkB: 1024
OfmapSramSzkB: 1024
IfmapOffset: 0
FilterOffset: 10000000
OfmapOffset: 20000000
Dataflow: {dataflow}
Bandwidth: 32
ReadRequestBuffer: 512
WriteRequestBuffer: 512
[layout]
IfmapCustomLayout: False
IfmapSRAMBankBandwidth: 32
IfmapSRAMBankNum: 1
IfmapSRAMBankPort: 1
FilterCustomLayout: False
FilterSRAMBankBandwidth: 32
FilterSRAMBankNum: 1
FilterSRAMBankPort: 1
[sparsity]
SparsitySupport: false
"""
_ROOT = Path(__file__).parents[2]
_BRIDGE = Path(__file__).with_name("scalesim_bridge.py")


class ScaleSim:
    """Runs SCALE-Sim in its own environment.

    Attributes
    ----------
    name : str
        ``scalesim``.
    targets : tuple of str
        Dataflow and array: ``ws-32x32`` (weight stationary), ``os-32x32`` (output), ``is-32x32`` (input).
    """

    name = "scalesim"
    targets = tuple(f"{dataflow}-{_SIDE}x{_SIDE}" for dataflow in _DATAFLOWS)

    def version(self) -> str:
        """Return the version of SCALE-Sim in its environment.

        Raises
        ------
        MissingExtra
            When there is no such environment.
        """
        return _run(["-c", "from importlib import metadata; print(metadata.version('scalesim'))"]).strip()

    def settings(self) -> dict[str, str]:
        """Return what the numbers depend on beside the layer, one text for each target."""
        return {
            target: f"array={_SIDE}x{_SIDE} dataflow={dataflow} InterfaceBandwidth=CALC cycles=total-stall batch=1"
            for target, dataflow in zip(self.targets, _DATAFLOWS, strict=True)
        }

    def evaluate(self, layer: np.void, target: str) -> dict[str, object]:
        """Return the compute cycles of one layer; see `evaluate_many`."""
        return self.evaluate_many([layer], target)[0]

    def evaluate_many(self, layers: Sequence[np.void] | np.ndarray, target: str) -> list[dict[str, object]]:
        """Return the compute cycles of layers on one array, all in one process.

        A grouped convolution is `groups` convolutions one after the other, a depthwise one therefore a convolution of
        one channel for each channel: one of them is simulated and counted `groups` times.

        Parameters
        ----------
        layers : sequence of np.void
            Rows of `hwnasbench.networks.LAYER`.
        target : str
            One of `targets`.

        Returns
        -------
        list of dict
            ``status``; where it is ``ok`` also ``cycles`` (without stalls) and ``stall_cycles``.
            ``unsupported_layer``: neither a convolution nor a linear layer, or refused by SCALE-Sim.

        Raises
        ------
        MissingExtra
            When there is no environment with SCALE-Sim.
        UnknownName
            When the target is none of `targets`.
        """
        if target not in self.targets:
            raise UnknownName("target of scalesim", target, self.targets)
        config = _CONFIG.format(side=_SIDE, dataflow=target.partition("-")[0])
        known = [layer for layer in layers if int(layer["op"]) in (Op.CONV, Op.LINEAR)]
        request = {"config": config, "layers": [_topology(layer) for layer in known]}
        reports = iter(json.loads(_run([str(_BRIDGE)], json.dumps(request))) if known else [])
        answers: list[dict[str, object]] = []
        for layer in layers:
            report = next(reports) if int(layer["op"]) in (Op.CONV, Op.LINEAR) else None
            if report is None:
                answers.append({"status": "unsupported_layer"})
                continue
            total, stall = report
            groups = int(layer["groups"])
            cycles, stalls = float(groups * (total - stall)), float(groups * stall)
            answers.append({"status": "ok", "cycles": cycles, "stall_cycles": stalls})
        return answers


def _topology(layer: np.void) -> list[int]:
    """Return SCALE-Sim's line of one group of a layer: height, width, kernel (twice), channels, filters, stride."""
    kernel, stride, groups = int(layer["kernel"]), int(layer["stride"]), int(layer["groups"])
    height, width = ((int(layer[side]) - 1) * stride + kernel for side in ("out_height", "out_width"))
    channels, filters = int(layer["in_channels"]) // groups, int(layer["out_channels"]) // groups
    return [height, width, kernel, kernel, channels, filters, stride]


def _python() -> str:
    """Return the interpreter of SCALE-Sim's environment."""
    named = os.environ.get("HWNASBENCH_SCALESIM_PYTHON")
    path = Path(named) if named else _ROOT / ".venv-scalesim" / "bin" / "python"
    if not path.exists():
        raise MissingExtra(
            f"the oracle scalesim needs SCALE-Sim in an environment of its own, none is at {path}: make one with "
            "scripts/_scalesim, or name its interpreter in HWNASBENCH_SCALESIM_PYTHON (the extra hwnasbench[oracles] "
            "cannot bring it, since SCALE-Sim needs numpy below 2.4)"
        )
    return str(path)


def _run(arguments: list[str], text: str = "") -> str:
    """Return what SCALE-Sim's interpreter prints."""
    # -I: else the folder of the bridge would come first, and this module for SCALE-Sim.
    done = subprocess.run([_python(), "-I", *arguments], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HwnasbenchError(f"SCALE-Sim failed: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout
