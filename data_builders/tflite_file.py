"""TFLite files, written with the schema classes of ai-edge-litert; no TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Versions of operators that take int8, so of the oldest runtime that reads the file; 2 of all others.
_VERSIONS = {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    "HARD_SWISH": 1,
    "RESHAPE": 1,
}


class TfliteFile:
    """Collects the tensors, buffers and operators of one model.

    Parameters
    ----------
    extra : str
        The extra of this package that a missing ai-edge-litert is blamed on.

    Attributes
    ----------
    schema : module
        The generated classes of the format.
    inputs : list of int
        Numbers of the tensors that the model reads.

    Raises
    ------
    MissingExtra
    """

    def __init__(self, extra: str) -> None:
        try:
            from ai_edge_litert import schema_py_generated as schema
        except ImportError as error:
            raise MissingExtra(f"a TFLite model needs ai-edge-litert: pip install 'hwnasbench[{extra}]'") from error
        self.schema: Any = schema
        self.inputs: list[int] = []
        self._tensors: list[Any] = []
        # The format wants the first buffer empty: it stands for "no data".
        self._buffers: list[Any] = [schema.BufferT()]
        self._operators: list[Any] = []
        self._codes: dict[str, Any] = {}

    def tensor(
        self,
        shape: Sequence[int],
        kind: str,
        scales: Sequence[float] = (),
        values: NDArray[Any] | None = None,
        axis: int = 0,
        zero: int = 0,
    ) -> int:
        """Add a tensor; return its number.

        Parameters
        ----------
        shape : sequence of int
        kind : str
            A name of the format's ``TensorType``.
        scales : sequence of float
            Of the quantisation: none, one, or one for each entry along `axis`.
        values : ndarray, optional
            Of a constant.
        axis : int
        zero : int
            The quantised zero.
        """
        schema = self.schema
        tensor = schema.TensorT()
        tensor.shape, tensor.type = list(shape), getattr(schema.TensorType, kind)
        tensor.name = f"tensor{len(self._tensors)}".encode()
        tensor.buffer = 0
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            tensor.buffer = len(self._buffers)
            self._buffers.append(buffer)
        if scales:
            quantisation = schema.QuantizationParametersT()
            quantisation.scale, quantisation.zeroPoint = list(scales), [zero] * len(scales)
            quantisation.quantizedDimension = axis
            tensor.quantization = quantisation
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def operator(self, name: str, inputs: Sequence[int], output: int, options: Any = None) -> None:
        """Add an operator that reads some tensors and writes one.

        Parameters
        ----------
        name : str
            A name of the format's ``BuiltinOperator``.
        inputs : sequence of int
        output : int
        options : object, optional
            One of the schema's ``...OptionsT``.
        """
        schema = self.schema
        if name not in self._codes:
            code = schema.OperatorCodeT()
            code.deprecatedBuiltinCode = code.builtinCode = getattr(schema.BuiltinOperator, name)
            code.version = _VERSIONS.get(name, 2)
            self._codes[name] = code
        operator = schema.OperatorT()
        operator.opcodeIndex = list(self._codes).index(name)
        if options is not None:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
            operator.builtinOptions = options
        operator.inputs, operator.outputs = list(inputs), [output]
        self._operators.append(operator)

    def pack(self, outputs: Sequence[int], name: str) -> bytes:
        """Return the file of a model that gives some tensors."""
        import flatbuffers

        schema = self.schema
        graph = schema.SubGraphT()
        graph.tensors, graph.operators, graph.inputs = self._tensors, self._operators, self.inputs
        graph.outputs, graph.name = list(outputs), name.encode()
        model = schema.ModelT()
        model.version = 3
        model.operatorCodes, model.subgraphs, model.buffers = list(self._codes.values()), [graph], self._buffers
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())
