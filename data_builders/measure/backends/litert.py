"""LiteRT (TensorFlow Lite) on the CPU, float32 and int8."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from data_builders.measure.backends.base import Backend, Runner
from data_builders.measure.graphs.tflite import tflite_model
from data_builders.measure.graphs.weights import images
from hwnasbench.errors import MissingExtra, Unmeasurable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwnasbench.networks.layers import Network


class LiteRT(Backend):
    """The interpreter as it comes: XNNPACK runs what it can, the built-in kernels the rest."""

    name = "litert"
    engine = "litert"
    precisions = ("fp32", "int8")

    def __init__(self) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise MissingExtra("the back-end litert needs ai-edge-litert: pip install 'hwnasbench[measure]'") from error
        self._interpreter: Any = Interpreter

    def versions(self) -> dict[str, str]:
        """Return the version of ai-edge-litert."""
        return {"ai-edge-litert": metadata.version("ai-edge-litert")}

    def prepare(self, network: Network, precision: str, batch: int, threads: int) -> Runner:
        """Load a network without its dead layers."""
        self.check(precision)
        live = network.live()
        model = tflite_model(live, batch, quantised=precision == "int8")
        return self.load(model, images(live, batch), threads, network.name)

    def load(self, model: bytes, inputs: NDArray[np.float32], threads: int, name: str) -> Runner:
        """Load a TFLite model with one input and one output, float32 or int8.

        Parameters
        ----------
        model : bytes
        inputs : (batch, channels, height, width) ndarray of float32
        threads : int
        name : str
            What an error calls the network.
        """
        try:
            return _Interpreter(self._interpreter(model_content=model, num_threads=threads), inputs)
        except (RuntimeError, ValueError) as error:
            raise Unmeasurable(f"LiteRT refuses {name!r}: {error}") from error


class _Interpreter(Runner):
    def __init__(self, interpreter: Any, inputs: NDArray[np.float32]) -> None:
        self._interpreter = interpreter
        interpreter.allocate_tensors()
        (read,), (self._given,) = interpreter.get_input_details(), interpreter.get_output_details()
        values = inputs.transpose(0, 2, 3, 1)
        if read["dtype"] == np.int8:
            scale, zero = read["quantization"]
            values = np.clip(np.rint(values / scale) + zero, -128, 127).astype(np.int8)
        interpreter.set_tensor(read["index"], np.ascontiguousarray(values))
        self.run()

    def run(self) -> None:
        """Run one inference."""
        self._interpreter.invoke()

    def output(self) -> NDArray[np.float32]:
        """Return the logits of the last run, of int8 what they stand for."""
        values: NDArray[Any] = self._interpreter.get_tensor(self._given["index"])
        if values.dtype == np.int8:
            scale, zero = self._given["quantization"]
            values = (values.astype(np.float32) - zero) * np.float32(scale)
        return values
