"""MicroNAS: single int8 layers on microcontrollers; cycles, milliseconds, arena and size of the model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwnasbench.errors import CorruptFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data_builders.catalog import Folder

#: Folder of the repository: device of the catalogue; empty where the board is not known.
DEVICES = {"NUCLEOF446RE": "nucleo_f446re", "NiclaSense": "nicla_sense", "NUCLEO": ""}
#: First part of a layer's name: what it is, and the event of the profiler that times it.
_KINDS = {"conv2d": ("conv", 3), "add": ("add", 0), "global": ("global_pool", 40), "softmax": ("softmax", 25)}
_CALL = 1  # the event that times the whole inference call
#: What a failed record is called.
_FAILURES = {"FLASHERROR": "compile_failed", "RUNTIMEERROR": "does_not_fit"}


@dataclass(frozen=True)
class Row:
    """One record.

    Attributes
    ----------
    board, device : str
        Folder of the repository; name in the catalogue, or empty.
    kind : str
        conv, add, global_pool or softmax.
    input, output : tuple of int
        (height, width, channels) of one input and of the output.
    inputs : int
    kernel, stride : tuple of int
        (height, width); 1 where they mean nothing.
    status : str
        ``ok``; ``compile_failed`` (FLASHERROR: the board could not be programmed);
        ``does_not_fit`` (RUNTIMEERROR: allocation failed); ``not_measured`` where the profiler's
        event is not the layer's.
    cycles, call_cycles : int or None
        Of the layer; of the whole inference call.
    millis : float or None
        Of the layer.
    arena : int or None
        Bytes of working memory.
    flash : int
        Bytes of the model.
    """

    board: str
    device: str
    kind: str
    input: tuple[int, int, int]
    output: tuple[int, int, int]
    inputs: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    status: str
    cycles: int | None
    call_cycles: int | None
    millis: float | None
    arena: int | None
    flash: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a convolution, else 0."""
        weights = self.kernel[0] * self.kernel[1] * self.input[2] * self.output[2]
        return weights * self.output[0] * self.output[1] if self.kind == "conv" else 0


def rows(files: Folder) -> Iterator[Row]:
    """Yield every record once; runs of one board republish some, number for number.

    Raises
    ------
    CorruptFile
        When a file does not hold a list of such records.
    """
    seen = set()
    for name in files.names("lookUp/"):
        path = files.path(name)
        try:
            for record in json.loads(path.read_text("utf-8")):
                row = _row(name.split("/")[1], record)
                if row not in seen:
                    seen.add(row)
                    yield row
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptFile(f"{path} is no list of MicroNAS records: {error!r}") from error


def _row(board: str, record: dict[str, Any]) -> Row:
    config = record["modelConfig"]
    kind, event = _KINDS[config["name"].split("_")[0]]
    several = isinstance(config["input_shape"][0], list)
    timing = {entry["type"]: entry for entry in record.get("timing", ())}
    status = _FAILURES[record["error"]] if "error" in record else "ok" if event in timing else "not_measured"
    own = timing[event] if status == "ok" else None
    return Row(
        board=board,
        device=DEVICES[board],
        kind=kind,
        input=_shape(config["input_shape"][0] if several else config["input_shape"]),
        output=_shape(config["output_shape"]),
        inputs=len(config["input_shape"]) if several else 1,
        kernel=_pair(config.get("kernel_size", (1, 1))),
        stride=_pair(config.get("strides", (1, 1))),
        status=status,
        cycles=own["cpuCycles"] if own else None,
        call_cycles=timing[_CALL]["cpuCycles"] if own else None,
        millis=own["millis"] if own else None,
        arena=int(record["memory"]["kTensorAreaUsed"]) if own else None,
        flash=record["flashSize"],
    )


def _shape(shape: list[int]) -> tuple[int, int, int]:
    """Return (height, width, channels) of (1, height, width, channels) or (1, channels)."""
    height, width = shape[1:-1] or (1, 1)
    return height, width, shape[-1]


def _pair(values: Any) -> tuple[int, int]:
    return int(values[0]), int(values[1])
