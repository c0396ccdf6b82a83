"""Single convolutions on a Pixel 7 and a Pixel 8 Pro: energies of whole runs of a benchmark, not of an inference.

``monsoon/energy_profiling.py`` of the repository adds the samples of every inference of a run and divides by nothing,
so that a value is power times however long the run was: about 3 J on the CPUs for 5 million multiply-accumulates as for
2,839 million, and two phones do not rank the same 2,776 convolutions alike (`surrogates.fidelity.energy` counts it).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_builders.operators.text import read_csv
from hwnasbench.errors import CorruptFile
from hwnasbench.networks.layers import INPUT, Activation, Builder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from hwnasbench.networks import Network

_FOLDER = "prediction/energy_data"
#: File: phone and processor. That the first one is of a Pixel 7's GPU is inferred: it has the kernels of the second.
FILES = {
    "conv_source.csv": ("Pixel 7", "gpu"),
    "Pixel8pro_full.csv": ("Pixel 8 Pro", "gpu"),
    "conv_source_Pixel7_cpu.csv": ("Pixel 7", "cpu"),
    "Pixel8pro_full_cpu.csv": ("Pixel 8 Pro", "cpu"),
}
#: Energies by an identifier whose kernel is in ``conv_GPU.json``, which is not among the files of this source.
WITHOUT_KERNELS = "conv_energy_GPU.json"
_ACTIVATIONS = {
    "conv": Activation.NONE,
    "conv-bn": Activation.NONE,
    "conv-relu": Activation.RELU,
    "conv-relu6": Activation.RELU6,
    "conv-hswish": Activation.HSWISH,
    "conv-bn-relu": Activation.RELU,
    "conv-bn-relu6": Activation.RELU6,
    "conv-bn-hswish": Activation.HSWISH,
    "conv-block": Activation.NONE,
}
_CPU_NAME = re.compile(r"conv_(\d+)_(\d+)_(\d+)_(\d+)_(\d+)\.tflite")


@dataclass(frozen=True)
class Row:
    """One kernel on one processor of one phone; `energy` is in mJ, of all inferences of a run together."""

    id: str
    device: str
    processor: str
    op: str
    hw: int
    kernel: int
    stride: int
    cin: int
    cout: int
    energy: float

    @property
    def config(self) -> tuple[int, int, int, int, int]:
        """What tells two convolutions apart: image, kernel, stride, input and output channels."""
        return self.hw, self.kernel, self.stride, self.cin, self.cout

    def network(self) -> Network:
        """Return the convolution; what ``conv-block`` has besides one is not known."""
        builder = Builder((self.cin, self.hw, self.hw))
        normed = "-bn" in self.op
        builder.conv(
            INPUT,
            self.cout,
            self.kernel,
            self.stride,
            bias=not normed,
            batch_norm=normed,
            activation=_ACTIVATIONS[self.op],
        )
        return builder.build(self.id, "imagenet")


def rows(root: Path) -> Iterator[Row]:
    """Yield every kernel of the four tables in the folder of the source.

    Raises
    ------
    CorruptFile
        When a record is malformed, an energy not positive, or a name tells of another kernel than its columns.
    """
    for file, (device, processor) in FILES.items():
        for record in read_csv(root / _FOLDER / file):
            try:
                yield _row(record, device, processor)
            except (KeyError, ValueError, TypeError) as error:
                raise CorruptFile(f"{file} has a malformed record: {error!r}") from error


def _row(record: Mapping[str, str], device: str, processor: str) -> Row:
    hw, kernel, stride, cin, cout = (int(record[key]) for key in ("HW", "KERNEL_SIZE", "STRIDES", "CIN", "COUT"))
    name, energy = record["id"], float(record["energy_mJ"])
    match = _CPU_NAME.fullmatch(name)
    if match and tuple(map(int, match.groups())) != (hw, cin, cout, kernel, stride):
        raise ValueError(f"{name} with the columns of another kernel")
    if record["OP"] not in _ACTIVATIONS or not energy > 0:
        raise ValueError(f"{name}: {record['OP']}, {energy} mJ")
    return Row(name, device, processor, record["OP"], hw, kernel, stride, cin, cout, energy)


def without_kernels(root: Path) -> dict[str, float]:
    """Return the energies of the JSON by identifier, in a unit that is not stated.

    Raises
    ------
    CorruptFile
        When the file holds anything else.
    """
    path = root / _FOLDER / WITHOUT_KERNELS
    try:
        found = json.loads(path.read_text("utf-8"))
        return {name: float(entry["energy"]) for group in found.values() for name, entry in group.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptFile(f"{path} holds no energies by identifier: {error!r}") from error
