"""ONNX Runtime on the CPU, float32 and int8."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
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
        return self.load(*self._model(network, precision, batch), threads)

    def arena(self, network: Network, precision: str, batch: int, threads: int) -> int | None:
        """Return the most that activations, scratch and the weights that the engine packed anew take of its arena.

        The engine's profile tells it after each operator. It runs twice: the second inference takes what the engine
        planned after the first.
        """
        model, inputs = self._model(network, precision, batch)
        with TemporaryDirectory(prefix="hwnasbench-") as folder:
            options = self._options(threads)
            options.enable_profiling, options.profile_file_prefix = True, str(Path(folder) / "profile")
            runner = self._session(model, options, inputs)
            runner.run()
            events = json.loads(Path(runner.end_profiling()).read_text("utf-8"))
        told = [event["args"].get("mem_in_use_peak") for event in events]
        return max((int(one) for one in told if one is not None), default=None)

    def _model(self, network: Network, precision: str, batch: int) -> tuple[bytes, NDArray[np.float32]]:
        self.check(precision)
        live = network.live()
        return onnx_model(live, batch, quantised=precision == "int8"), images(live, batch)

    def load(self, model: bytes, inputs: NDArray[np.float32], threads: int) -> Runner:
        """Load an ONNX model with the input ``images`` and the output ``logits``."""
        return self._session(model, self._options(threads), inputs)

    def _options(self, threads: int) -> Any:
        options = self._engine.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.graph_optimization_level = self._engine.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        # Threads that spin between inferences would disturb what else runs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0" if threads == 1 else "1")
        return options

    def _session(self, model: bytes, options: Any, inputs: NDArray[np.float32]) -> _Session:
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

    def end_profiling(self) -> str:
        """Return where the profile was written."""
        return str(self._session.end_profiling())

    def output(self) -> NDArray[np.float32]:
        """Return the logits of the last run."""
        found: NDArray[np.float32] = self._bound.copy_outputs_to_cpu()[0]
        return found
