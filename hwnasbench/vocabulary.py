"""The closed vocabularies of the data model: metrics, kinds, statuses, flags, keys.

Nothing here imports NumPy: the single-query path uses these names.
"""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    class Metric(NamedTuple):
        """One metric: its only unit, which way is better, and which keys tell its columns apart."""

        name: str
        unit: str
        direction: str
        scope: str
        description: str
else:
    Metric = namedtuple("Metric", "name unit direction scope description")

_ROWS = (
    # name, unit, direction (max / min / none), scope, description
    ("accuracy", "%", "max", "training", "top-1 accuracy"),
    ("train_time", "s", "min", "training_cost", "wall time of training"),
    ("latency", "ms", "min", "device", "time of one inference call of one batch"),
    ("energy", "mJ", "min", "device", "energy of one inference call of one batch"),
    ("throughput", "images/s", "max", "device", "images per second"),
    ("peak_memory", "KiB", "min", "device", "largest working memory during inference"),
    ("arena_memory", "KiB", "min", "device", "what inference uses of the engine's memory arena, at most"),
    ("utilisation", "1", "max", "device", "share of peak arithmetic in use"),
    ("area", "mm2", "min", "device", "silicon area"),
    ("dsp", "1", "min", "device", "FPGA DSP slices"),
    ("lut", "1", "min", "device", "FPGA look-up tables"),
    ("bram", "1", "min", "device", "FPGA block RAMs"),
    ("model_size", "KiB", "min", "storage", "size of the weights"),
    ("params", "1", "min", "network", "number of trainable parameters"),
    ("macs", "1", "min", "network", "multiply-accumulate operations of one image"),
    ("flops", "1", "min", "network", "operations of one image by the source's own count"),
    ("synflow", "1", "max", "proxy", "SynFlow score"),
    ("snip", "1", "max", "proxy", "SNIP score"),
    ("grasp", "1", "max", "proxy", "GraSP score"),
    ("fisher", "1", "max", "proxy", "Fisher score"),
    ("grad_norm", "1", "max", "proxy", "norm of the gradients"),
    ("jacob_cov", "1", "max", "proxy", "Jacobian covariance score"),
    ("naswot", "1", "max", "proxy", "NASWOT score"),
    ("zen", "1", "max", "proxy", "Zen score"),
    ("l2_norm", "1", "max", "proxy", "L2 norm of the weights"),
    ("plain", "1", "max", "proxy", "plain score"),
    ("epe_nas", "1", "max", "proxy", "EPE-NAS score"),
    ("proxy_time", "s", "min", "proxy", "processor time of scoring a network by all proxies, one thread"),
)
#: Every metric by name.
METRICS: dict[str, Metric] = {row[0]: Metric(*row) for row in _ROWS}

#: From the most to the least trusted; a query prefers the earlier ones.
KINDS = ("measured", "estimated", "predicted", "simulated")

#: Why there is no value; "ok" is a value.
STATUSES = (
    "ok",
    "disconnected",
    "does_not_fit",
    "compile_failed",
    "unsupported_layer",
    "not_measured",
    "no_source",
)

#: Caveats on a number. ``assumed:KEY``: the source does not state KEY, or another value of KEY answered.
FLAGS = (
    "extrapolated",
    "assumed:dataset",
    "assumed:engine",
    "assumed:precision",
    "assumed:threads",
    "assumed:batch",
    "assumed:split",
    "assumed:recipe",
    "assumed:epochs",
    "assumed:input",
    "copied",
    "precision_mismatch",
    "inferred_unit",
    "drawn",
)

#: Every key that tells two published numbers apart, in the order of the table's columns.
KEYS = ("dataset", "input", "device", "engine", "threads", "batch", "precision", "split", "recipe", "epochs")

#: Which of the keys belong to a metric, by the metric's scope, in the order they are resolved.
SCOPE_KEYS = {
    "device": ("dataset", "device", "engine", "threads", "batch", "precision"),
    "training": ("dataset", "precision", "split", "recipe", "epochs"),
    "training_cost": ("dataset", "recipe", "epochs"),
    "network": ("dataset",),
    "storage": ("dataset", "precision"),
    "proxy": ("dataset", "input", "batch"),
}

#: Device classes, from the smallest device to parametric silicon.
DEVICE_CLASSES = (
    "mcu",
    "mobile_cpu",
    "desktop_cpu",
    "server_cpu",
    "mobile_gpu",
    "edge_gpu",
    "server_gpu",
    "multi_gpu",
    "tpu",
    "edge_tpu",
    "asic",
    "fpga",
    "vpu",
    "dsp",
    "reram",
    "npu",
)

#: Bits of weights and of activations at each named precision; ``wXaY`` names any other pair.
PRECISIONS = {
    "fp32": (32, 32),
    "fp16": (16, 16),
    "bf16": (16, 16),
    "int16": (16, 16),
    "int8": (8, 8),
    "int4": (4, 4),
    "int2": (2, 2),
    "analog": (8, 8),
}
#: Precision of a network whose layers bring their own bits (the mixed-precision spaces).
PER_LAYER = "per_layer"
DATASETS = ("cifar10", "cifar100", "ImageNet16-120", "imagenet", "ninapro", "darcy")
ENGINES = (
    "tflite",
    "litert",
    "onnxruntime",
    "torchmobile",
    "openvino",
    "tensorrt",
    "torch",
    "torch_compiled",
    "tensorflow",
    "snpe",
)
SPLITS = ("train", "valid", "test")


def precision_bits(precision: str) -> tuple[int, int]:
    """Return the bits of weights and of activations at a precision.

    Parameters
    ----------
    precision : str
        A name of `PRECISIONS`, or ``wXaY`` with X and Y from 1 to 32, such as ``w4a8``.

    Raises
    ------
    UnknownName
        When it is neither.
    """
    known = PRECISIONS.get(precision) if isinstance(precision, str) else None
    if known is not None:
        return known
    word = precision if isinstance(precision, str) and precision.startswith("w") else ""
    head, _, tail = word[1:].partition("a")
    if head.isdecimal() and tail.isdecimal() and 1 <= int(head) <= 32 and 1 <= int(tail) <= 32:
        return int(head), int(tail)
    from hwnasbench.errors import UnknownName

    raise UnknownName("precision", precision, [*PRECISIONS, "w4a8", "w2a8"])


#: What cost models give for devices of every class, and besides for those of some.
_SIMULATED = ("latency", "energy", "peak_memory", "utilisation")
_SIMULATED_BESIDES = {
    **dict.fromkeys(("mobile_gpu", "edge_gpu", "server_gpu", "multi_gpu", "tpu", "edge_tpu"), ("throughput",)),
    **dict.fromkeys(("asic", "reram", "npu"), ("area",)),
    "fpga": ("throughput", "dsp", "lut", "bram"),
}


def simulated_metrics(device_class: str) -> tuple[str, ...]:
    """Return the metrics that the cost models give for devices of a class."""
    return (*_SIMULATED, *_SIMULATED_BESIDES.get(device_class, ()), "model_size")
