"""ONNX Runtime on the CPU, float32 and int8."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data_builders.measure.backends.base import Backend, Runner
from data_builders.measure.graphs.onnx_model import onnx_model
from data_builders.measure.graphs.weights import images
from hwnasbench.errors import MissingExtra, Unmeasurable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hwnasbench.networks.layers import Network


class OnnxRuntime(Backend):
    """The default CPU provider with all graph optimisations; int8 as uint8 activations and int8 weights."""

    name = "onnxruntime"
    engine = "onnxruntime"
    precisions = ("fp32", "int8")

    def __init__(self) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtra("the back-end onnxruntime needs it: pip install 'hwnasbench[measure]'") from error
        self._engine: Any = onnxruntime

    def versions(self) -> dict[str, str]:
        """Return the version of ONNX Runtime."""
        return {"onnxruntime": self._engine.__version__}

    def prepare(self, network: Network, precision: str, batch: int, threads: int) -> Runner:
        """Load a network without its dead layers."""
        self.check(precision)
        live = network.live()
        model = onnx_model(live, batch, quantised=precision == "int8")
        return self.load(model, images(live, batch), threads)

    def load(self, model: bytes, inputs: NDArray[np.float32], threads: int) -> Runner:
        """Load an ONNX model with the input ``images`` and the output ``logits``."""
        options = self._engine.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.graph_optimization_level = self._engine.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        # Threads that spin between inferences would disturb what else runs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0" if threads == 1 else "1")
        try:
            session = self._engine.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            return _Session(self._engine, session, inputs)
        except Exception as error:  # its exceptions have no common base of their own
            raise Unmeasurable(f"ONNX Runtime refuses the network: {error}") from error


class _Session(Runner):
    def __init__(self, engine: Any, session: Any, inputs: NDArray[np.float32]) -> None:
        self._session, self._bound = session, session.io_binding()
        self._bound.bind_ortvalue_input("images", engine.OrtValue.ortvalue_from_numpy(inputs))
        self._bound.bind_output("logits", "cpu")
        self.run()

    def run(self) -> None:
        """Run one inference."""
        self._session.run_with_iobinding(self._bound)

    def output(self) -> NDArray[np.float32]:
        """Return the logits of the last run."""
        found: NDArray[np.float32] = self._bound.copy_outputs_to_cpu()[0]
        return found
