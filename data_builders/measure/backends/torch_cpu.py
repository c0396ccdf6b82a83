"""PyTorch on the CPU, eager or compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from data_builders.measure.backends.base import Backend, Runner
from data_builders.measure.graphs.weights import draw, images, load_into
from hwnasbench.errors import InvalidRequest, MissingExtra, Unmeasurable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hwnasbench.networks.layers import Network
    from hwnasbench.networks.torch_module import TorchNetwork


class TorchEager(Backend):
    """PyTorch as most people run it: one operator after the other, in evaluation mode without gradients."""

    name = "torch"
    engine = "torch"
    precisions: tuple[str, ...] = ("fp32", "bf16")

    def __init__(self) -> None:
        try:
            import torch
        except ImportError as error:
            raise MissingExtra(f"the back-end {self.name} needs PyTorch: pip install 'hwnasbench[torch]'") from error
        self._torch = torch

    def versions(self) -> dict[str, str]:
        """Return the version of PyTorch."""
        return {"torch": self._torch.__version__}

    def prepare(self, network: Network, precision: str, batch: int, threads: int) -> Runner:
        """Load a network without its dead layers."""
        self.check(precision)
        torch = self._torch
        torch.set_num_threads(threads)
        live = network.live()
        try:
            module = cast("TorchNetwork", live.to_torch()).eval()
            load_into(module, draw(live))
            kind = torch.bfloat16 if precision == "bf16" else torch.float32
            return self.load(module.to(kind), torch.from_numpy(images(live, batch)).to(kind))
        except InvalidRequest:
            raise
        except RuntimeError as error:
            raise Unmeasurable(f"PyTorch refuses {network.name!r}: {error}") from error

    def load(self, module: Any, inputs: Any) -> Runner:
        """Return the runner of a module."""
        return _Module(self._torch, module, inputs)


class TorchCompiled(TorchEager):
    """PyTorch's compiler with its C++ back-end, which needs a compiler on the machine."""

    name = "torch_compiled"
    engine = "torch_compiled"
    precisions = ("fp32",)

    def load(self, module: Any, inputs: Any) -> Runner:
        """Compile a module; the first inference does it."""
        # Otherwise the compiler gives up after a few networks that differ.
        self._torch.compiler.reset()
        return _Module(self._torch, self._torch.compile(module, dynamic=False), inputs)


class _Module(Runner):
    def __init__(self, torch: Any, module: Any, inputs: Any) -> None:
        self._torch, self._module, self._inputs = torch, module, inputs
        self.run()

    def run(self) -> None:
        """Run one inference."""
        with self._torch.inference_mode():
            self._logits = self._module(self._inputs)

    def output(self) -> NDArray[np.float32]:
        """Return the logits of the last run."""
        found: NDArray[np.float32] = self._logits.float().numpy()
        return found
