"""Inference engines, by name."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from hwnasbench.errors import InvalidRequest, UnknownName

if TYPE_CHECKING:
    from data_builders.measure.backends.base import Backend

#: Back-end -> module:class. Its engine must be importable only where it measures.
_BACKENDS = {
    "litert": "data_builders.measure.backends.litert:LiteRT",
    "onnxruntime": "data_builders.measure.backends.onnxruntime:OnnxRuntime",
    "openvino": "data_builders.measure.backends.openvino:OpenVino",
    "torch": "data_builders.measure.backends.torch_cpu:TorchEager",
    "torch_compiled": "data_builders.measure.backends.torch_cpu:TorchCompiled",
    "torch_cuda": "data_builders.measure.backends.torch_cuda:TorchCuda",
}


def names() -> list[str]:
    """Return the names of the back-ends."""
    return sorted(_BACKENDS)


def get(name: str) -> Backend:
    """Return a back-end.

    Parameters
    ----------
    name : str
        One of `names`, or ``MODULE:CLASS`` of one's own.

    Raises
    ------
    UnknownName, InvalidRequest
    MissingExtra
        When its engine is not installed.
    Unmeasurable
        When this machine lacks the processor that it is for.
    """
    return _class(name)()


def engine(name: str) -> str:
    """Return what tables and queries call a back-end's engine; nothing is loaded.

    Raises
    ------
    UnknownName
    """
    return _class(name).engine


def _class(name: str) -> type[Backend]:
    if name not in _BACKENDS and ":" not in name:
        raise UnknownName("back-end", name, names())
    module, _, attribute = _BACKENDS.get(name, name).partition(":")
    try:
        found: type[Backend] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidRequest(f"no back-end {name!r}: {error}; expected MODULE:CLASS, or one of {names()}") from error
    return found
