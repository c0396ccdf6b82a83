"""Parametric accelerators: devices whose parameters the user chooses.

>>> from hwnasbench.devices.parametric import Systolic
>>> Systolic(rows=16, columns=16).name
'systolic(columns=16,rows=16)'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnasbench.devices import Device

if TYPE_CHECKING:
    from typing import Any, ClassVar


class Accelerator(Device):
    """A device of a cost model's own parameters. Subclasses say which model.

    Parameters
    ----------
    precisions : sequence of str, optional
        What it runs, the default first.
    **parameters
        Values of the model's parameters; what is not named keeps the model's default.

    Raises
    ------
    UnknownName, InvalidRequest
        When a parameter is unknown, out of bounds, or of the wrong type.
    """

    __slots__ = ()
    model: ClassVar[str] = ""
    sort: ClassVar[str] = "asic"
    runs: ClassVar[tuple[str, ...]] = ("int8",)

    def __init__(self, precisions: tuple[str, ...] | list[str] = (), **parameters: Any) -> None:
        told = ",".join(f"{key}={parameters[key]}" for key in sorted(parameters))
        runs = tuple(precisions) or self.runs
        own = {key: {"value": value, "evidence": "chosen", "source": ""} for key, value in parameters.items()}
        super().__init__(
            {
                "name": f"{self.model}({told})",
                "title": f"parametric {self.model}",
                "device_class": self.sort,
                "chip": self.model,
                "chip_evidence": "stated",
                "defaults": {"precision": runs[0], "batch": 1},
                "cost": {"model": self.model, "precisions": list(runs), "parameters": own},
            }
        )
        self.parameters()


class Systolic(Accelerator):
    """A systolic array."""

    __slots__ = ()
    model = "systolic"
    runs = ("int8", "int16", "fp32", "w{2,4,8}a{2,4,8}")


class Eyeriss(Accelerator):
    """A row-stationary array."""

    __slots__ = ()
    model = "eyeriss"
    runs = ("int16", "int8")


class Fpga(Accelerator):
    """A loop-tiled convolution engine on an FPGA."""

    __slots__ = ()
    model = "fpga"
    sort = "fpga"
    runs = ("int16", "int8")


class Crossbar(Accelerator):
    """A chip of memory crossbars."""

    __slots__ = ()
    model = "crossbar"
    sort = "reram"
    runs = ("int8", "w{2,4,8}a{2,4,8}")


class InMemory(Accelerator):
    """A chip of in-memory computing macros."""

    __slots__ = ()
    model = "imc"


class Npu(Accelerator):
    """A microcontroller's neural processing unit."""

    __slots__ = ()
    model = "npu"
    sort = "npu"
