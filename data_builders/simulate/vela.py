"""Arm's Vela as an oracle: cycles and SRAM of one int8 layer on an Ethos-U NPU.

Vela estimates rather than simulates cycles: for each operator the largest of the cycles that computing and each memory
need. It compiles with the system configuration and memory mode that it takes by default for each NPU (`settings`).
A layer is compiled alone, so its input and output lie where Vela keeps feature maps: in SRAM on Ethos-U55
(Shared_Sram), in DRAM on Ethos-U65 and U85 (Dedicated_Sram), where ``dram_cycles`` may then decide and ``npu_cycles``
is the computing alone.
"""

from __future__ import annotations

import contextlib
import csv
import io
import re
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from hwnasbench.errors import MissingExtra, UnknownName

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

#: The system configuration and memory mode that Vela 5.2.0 takes where none is named (`_set_default_sys_config` and
#: `_set_default_mem_mode` of architecture_features.py), named here so that a change of default is not silent.
_CONFIGURATIONS = {
    "ethos-u55-128": ("Ethos_U55_High_End_Embedded", "Shared_Sram"),
    "ethos-u65-256": ("Ethos_U65_Client_Server", "Dedicated_Sram_384KB"),
    "ethos-u85-256": ("Ethos_U85_SYS_DRAM_Mid", "Dedicated_Sram_384KB"),
}
#: A column of the table: the column of Vela's summary that it holds. Cycles are of the NPU's clock; SRAM is in KiB.
_COLUMNS = {
    "cycles": "cycles_total",
    "npu_cycles": "cycles_npu",
    "sram_cycles": "cycles_sram_access",
    "dram_cycles": "cycles_dram_access",
    "flash_cycles": "cycles_off_chip_flash_access",
    "sram_kib": "sram_memory_used",
}
_CPU_OPERATORS = re.compile(r"CPU operators = (\d+)")


class Vela:
    """Compiles layers with Vela and reads its summary.

    Attributes
    ----------
    name : str
        ``vela``.
    targets : tuple of str
        Vela's names of the NPUs: the family and its MACs per cycle.
    """

    name = "vela"
    targets = tuple(_CONFIGURATIONS)

    def version(self) -> str:
        """Return the version of the installed Vela.

        Raises
        ------
        MissingExtra
            When Vela is not installed.
        """
        try:
            return metadata.version("ethos-u-vela")
        except metadata.PackageNotFoundError as error:
            raise _missing("Vela") from error

    def settings(self) -> dict[str, str]:
        """Return what the numbers depend on beside the layer, one text for each target."""
        return {
            target: f"config=Arm/vela.ini system_config={system} memory_mode={memory} optimise=Performance"
            for target, (system, memory) in _CONFIGURATIONS.items()
        }

    def evaluate(self, layer: np.void, target: str) -> dict[str, object]:
        """Return the cycles and the SRAM of one layer on one NPU.

        Parameters
        ----------
        layer : np.void
            A row of `hwnasbench.networks.LAYER`; its bit widths are not read, since the model is int8.
        target : str
            One of `targets`.

        Returns
        -------
        dict
            ``status``; where it is ``ok`` also ``cycles`` (the largest of the next four, summed over the operators that
            Vela makes of the layer), ``npu_cycles``, ``sram_cycles``, ``dram_cycles``, ``flash_cycles`` (of the NPU's
            clock) and ``sram_kib``. ``unsupported_layer``: there is no such TFLite operator, or Vela leaves it to the
            CPU. ``compile_failed``: Vela gave up.

        Raises
        ------
        MissingExtra
            When Vela or ai-edge-litert is not installed.
        UnknownName
            When the target is none of `targets`.
        """
        from data_builders.simulate.tflite_layers import Unsupported, tflite_model

        if target not in _CONFIGURATIONS:
            raise UnknownName("target of vela", target, self.targets)
        try:
            model = tflite_model(layer)
        except Unsupported:
            return {"status": "unsupported_layer"}
        return _compile(model, target)

    def evaluate_many(self, layers: Sequence[np.void] | np.ndarray, target: str) -> list[dict[str, object]]:
        """Return what `evaluate` says of each layer: Vela takes 10 ms for one."""
        return [self.evaluate(layer, target) for layer in layers]


def _compile(model: bytes, target: str) -> dict[str, object]:
    """Return what Vela's summary says of one model."""
    try:
        from ethosu.vela import vela
        from ethosu.vela.architecture_features import CONFIG_FILES_PATH
    except ImportError as error:
        raise _missing("Vela") from error

    system, memory = _CONFIGURATIONS[target]
    said = io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "layer.tflite")
        file.write_bytes(model)
        arguments = [str(file), "--accelerator-config", target, "--output-dir", folder, "--optimise", "Performance"]
        arguments += ["--config", str(Path(CONFIG_FILES_PATH, "Arm", "vela.ini"))]
        arguments += ["--system-config", system, "--memory-mode", memory]
        with contextlib.redirect_stdout(said):
            try:
                code = vela.main(arguments)
            except RuntimeError:
                code = 1
        summary = Path(folder, f"layer_summary_{system}.csv")
        if code or not summary.exists():
            return {"status": "compile_failed"}
        with summary.open(newline="") as lines:
            row = next(csv.DictReader(lines))
    cpu = _CPU_OPERATORS.search(said.getvalue())
    if cpu is None or int(cpu[1]):
        return {"status": "unsupported_layer"}
    return {"status": "ok", **{column: float(row[source]) for column, source in _COLUMNS.items()}}


def _missing(what: str) -> MissingExtra:
    return MissingExtra(f"the oracle vela needs {what}: pip install 'hwnasbench[oracles]'")
