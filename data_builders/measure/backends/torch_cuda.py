"""PyTorch on a CUDA device: eager kernels in evaluation mode, recorded once as a CUDA graph and replayed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from data_builders.measure import meters
from data_builders.measure.backends.base import Backend, Runner
from hwnasbench.errors import MissingExtra, Unmeasurable

if TYPE_CHECKING:
    from hwnasbench.networks.layers import Network

#: A timed sample replays the graph for at least so long, in seconds; events tick every half microsecond.
_LEAST = 1e-3


class TorchCuda(Backend):
    """One CUDA device; float32 without TF32."""

    name = "torch_cuda"
    engine = "torch"
    precisions = ("fp32", "fp16", "bf16")
    where = "cuda"

    def __init__(self) -> None:
        try:
            import torch
        except ImportError as error:
            raise MissingExtra("the back-end torch_cuda needs PyTorch: pip install 'hwnasbench[torch]'") from error
        if not torch.cuda.is_available():
            raise Unmeasurable("the back-end torch_cuda needs a CUDA device; PyTorch sees none")
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        self._torch = torch

    def versions(self) -> dict[str, str]:
        """Return the versions of PyTorch, CUDA, cuDNN and the driver."""
        torch = self._torch
        return {
            "torch": torch.__version__,
            "cuda": str(torch.version.cuda),
            "cudnn": str(torch.backends.cudnn.version()),
            "driver": meters.nvidia_driver() or "not told",
        }

    def accelerator(self) -> str:
        """Return the name of the device."""
        return str(self._torch.cuda.get_device_name())

    def meter(self) -> meters.Meter | None:
        """Return NVML's counter of the device."""
        return meters.nvml(f"GPU-{self._torch.cuda.get_device_properties().uuid}")

    def prepare(self, network: Network, precision: str, batch: int, threads: int) -> Runner:
        """Record a network; `threads` means nothing here."""
        self.check(precision)
        torch = self._torch
        kind = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[precision]
        try:
            module = network.live().to_torch().eval().to(self.where, kind)
            images = torch.randn(batch, *network.input_shape, device=self.where, dtype=kind)
            return _Graph(torch, module, images)
        except torch.cuda.OutOfMemoryError as error:
            raise Unmeasurable(f"{network.name!r} at batch {batch} does not fit the device: {error}") from error


class _Graph(Runner):
    def __init__(self, torch: Any, module: Any, images: Any) -> None:
        # The graph reads their memory: they must live as long as it does.
        self._torch, self._module, self._images = torch, module, images
        self._graph = torch.cuda.CUDAGraph()
        with torch.inference_mode():
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(2):
                    module(images)
            torch.cuda.current_stream().wait_stream(stream)
            with torch.cuda.graph(self._graph):
                self._output = module(images)
        self.run()
        started = time.perf_counter()
        self.run()
        self._replays = max(1, int(_LEAST / (time.perf_counter() - started)) + 1)
        self._events = tuple(torch.cuda.Event(enable_timing=True) for _ in range(2))

    def run(self) -> None:
        """Replay once and wait."""
        self._graph.replay()
        self._torch.cuda.synchronize()

    def seconds(self) -> float:
        """Return the mean time of a few replays, one right after the other, on the device's clock."""
        first, last = self._events
        first.record()
        for _ in range(self._replays):
            self._graph.replay()
        last.record()
        last.synchronize()
        return float(first.elapsed_time(last)) / 1e3 / self._replays

    def repeat(self, seconds: float) -> int:
        """Replay for a while, a few times between two waits; return how often."""
        count, end = 0, time.perf_counter() + seconds
        while time.perf_counter() < end:
            for _ in range(self._replays):
                self._graph.replay()
            count += self._replays
            self._torch.cuda.synchronize()
        return count

    def output(self) -> Any:
        """Return the logits, float32, as an array."""
        return self._output.float().cpu().numpy()
