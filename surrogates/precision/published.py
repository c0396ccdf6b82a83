"""Published ImageNet accuracies at low precision, as losses against the same table's float32 network."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hwnasbench.errors import CorruptFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MQBENCH = "mqbench/docs/source/benchmark/ImageClassification/Benchmark.rst"
HAWQ = "hawq/model_zoo.md"


class Row(NamedTuple):
    """One published network at one precision.

    Attributes
    ----------
    network, method, label : str
        `label` is how tables and messages name the precision.
    loss : float
        Points of top-1.
    bits : (int, int) or None
        Of weights and of activations in all layers but the first and the last, which have 8.
    low : (float, float) or None
        Instead: the shares of parameters and of multiply-accumulates that have w4a4; the others have w8a8.
    """

    network: str
    method: str
    label: str
    loss: float
    bits: tuple[int, int] | None = None
    low: tuple[float, float] | None = None


def read(sources: Path) -> list[Row]:
    """Return every row of MQBench's and HAWQ's tables.

    Raises
    ------
    CorruptFile
        When a file is absent or is no such table.
    """
    return [*_mqbench(sources / MQBENCH), *_hawq(sources / HAWQ)]


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CorruptFile(f"{path} cannot be read: {error}") from error


def _mqbench(path: Path) -> Iterator[Row]:
    """Yield, by network and precision, the best of the table's methods: what quantising after training can reach."""
    names: list[str] = []
    best: dict[tuple[str, tuple[int, int]], float] = {}
    for line in _text(path).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            continue
        if cells[0] == "W_calibration":
            names = cells[5:]
            continue
        bits = int(cells[3]), int(cells[4])
        for name, accuracy in zip(names, cells[5:], strict=True):
            best[name, bits] = max(best.get((name, bits), 0.0), float(accuracy))
    if not names or (names[0], (32, 32)) not in best:
        raise CorruptFile(f"{path} has no table of accuracies by wbit and abit")
    for (name, bits), reached in best.items():
        if bits != (32, 32):
            yield Row(name, "ptq", f"W{bits[0]}A{bits[1]}", round(best[name, (32, 32)] - reached, 2), bits)


_LINE = re.compile(r"^`(ResNet18|ResNet50)` \| ([^|]+?) *\| *\**([\d.]+)\** *\| *\**(\d+)\** *\|[^|]+\| ([\d.]+) ")


def _hawq(path: Path) -> Iterator[Row]:
    """Yield trained networks; from size and bit operations follow the shares that have 4 bits."""
    found: dict[str, list[tuple[str, float, float, float]]] = {}
    for line in _text(path).splitlines():
        match = _LINE.match(line)
        if match:
            model, label, *numbers = match.groups()
            size, operations, accuracy = map(float, numbers)
            found.setdefault(model.lower(), []).append((label, size, operations, accuracy))
    for name, rows in found.items():
        known = {label: (size, operations, accuracy) for label, size, operations, accuracy in rows}
        if not {"Floating Points", "W8A8", "W4A4"} <= set(known):
            raise CorruptFile(f"{path}: {name} lacks W8A8, W4A4 or float32")
        (big, many, _), (small, few, _), full = known["W8A8"], known["W4A4"], known["Floating Points"][2]
        for scheme, (size, operations, accuracy) in known.items():
            lost = round(full - accuracy, 2)
            if scheme in ("W8A8", "W4A4"):
                yield Row(name, "qat", scheme, lost, (int(scheme[1]), int(scheme[3])))
            elif scheme != "Floating Points":
                low = (big - size) / (big - small), (many - operations) / (many - few)
                yield Row(name, "qat", scheme, lost, low=low)
    if not found:
        raise CorruptFile(f"{path} has no table of ResNet18 and ResNet50")


#: Seen by no fit. Two READMEs of quantisation after training (read): "PTMQ: Post-training Multi-Bit Quantization of
#: Neural Networks", the paper's row as its PyTorch implementation quotes it, and hustvl/pd-quant.
ELSEWHERE = (
    Row("resnet18", "ptq", "W6A6", round(71.08 - 70.23, 2), (6, 6)),
    Row("resnet18", "ptq", "W5A5", round(71.08 - 69.00, 2), (5, 5)),
    Row("regnetx3200m", "ptq", "W4A4", round(78.46 - 76.57, 2), (4, 4)),
    Row("regnetx3200m", "ptq", "W2A4", round(78.46 - 72.43, 2), (2, 4)),
    Row("mnasnet_2.0", "ptq", "W4A4", round(76.52 - 73.30, 2), (4, 4)),
    Row("mnasnet_2.0", "ptq", "W2A4", round(76.52 - 63.33, 2), (2, 4)),
)
