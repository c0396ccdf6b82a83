"""OpenVINO on the CPU, float32, bfloat16 and int8."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from data_builders.measure.backends.base import Backend, Runner
from data_builders.measure.graphs.onnx_model import onnx_model
from data_builders.measure.graphs.weights import images
from hwnasbench.errors import MissingExtra, Unmeasurable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwnasbench.networks.layers import Network


class OpenVino(Backend):
    """The CPU plug-in, one stream; what int8 leaves in floating point runs in float32."""

    name = "openvino"
    engine = "openvino"
    precisions = ("fp32", "bf16", "int8")

    def __init__(self) -> None:
        try:
            import openvino
        except ImportError as error:
            raise MissingExtra("the back-end openvino needs it: pip install 'hwnasbench[measure]'") from error
        self._core = openvino.Core()
        self._engine: Any = openvino

    def versions(self) -> dict[str, str]:
        """Return the version of OpenVINO."""
        return {"openvino": str(self._engine.get_version())}

    def prepare(self, network: Network, precision: str, batch: int, threads: int) -> Runner:
        """Load a network without its dead layers.

        Raises
        ------
        Unmeasurable
            Also where the processor has no instructions for bfloat16, which OpenVINO would emulate.
        """
        self.check(precision)
        live = network.live()
        if precision == "bf16" and "BF16" not in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise Unmeasurable("OpenVINO runs bf16 in float32 on this processor: it has no instructions for it")
        model = onnx_model(live, batch, quantised=precision == "int8")
        return self.load(model, images(live, batch), threads, bf16=precision == "bf16")

    def load(self, model: bytes, inputs: NDArray[np.float32], threads: int, *, bf16: bool = False) -> Runner:
        """Load an ONNX model with one input and one output."""
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
            # Whoever measures pins the process; OpenVINO would pin it to a core of its own choice.
            "ENABLE_CPU_PINNING": False,
            **({} if self.cache is None else {"CACHE_DIR": str(self.cache)}),
        }
        try:
            compiled = self._core.compile_model(self._core.read_model(model, None), "CPU", settings)
            return _Request(self._engine, compiled, inputs)
        except RuntimeError as error:
            raise Unmeasurable(f"OpenVINO refuses the network: {error}") from error


class _Request(Runner):
    def __init__(self, engine: Any, compiled: Any, inputs: NDArray[np.float32]) -> None:
        self._compiled, self._request = compiled, compiled.create_infer_request()
        self._request.set_input_tensor(engine.Tensor(inputs, shared_memory=False))
        self.run()

    def run(self) -> None:
        """Run one inference."""
        self._request.infer()

    def output(self) -> NDArray[np.float32]:
        """Return the logits of the last run."""
        return np.array(self._request.get_output_tensor().data, dtype=np.float32)
