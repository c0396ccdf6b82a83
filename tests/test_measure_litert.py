"""LiteRT as a back-end: its float32 answers are PyTorch's, its int8 answers are as near as eight bits allow."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("ai_edge_litert")

from ai_edge_litert import schema_py_generated as schema  # noqa: E402

from data_builders.measure.backends.litert import LiteRT  # noqa: E402
from data_builders.measure.graphs.common import RANGE  # noqa: E402
from data_builders.measure.graphs.tflite import tflite_model  # noqa: E402
from data_builders.measure.graphs.weights import Weights, draw, images, load_into  # noqa: E402
from hwnasbench import spaces  # noqa: E402
from hwnasbench.errors import InvalidRequest, MissingExtra, UnknownName, Unmeasurable  # noqa: E402
from hwnasbench.networks.layers import INPUT, Activation, Builder, Network, Op  # noqa: E402

BATCH = 4
CELLS = (
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_3x3~0|none~1|avg_pool_3x3~2|",
    "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|",
    "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|avg_pool_3x3~2|",
    "|none~0|+|avg_pool_3x3~0|none~1|+|none~0|none~1|nor_conv_3x3~2|",
)
#: TFLite gives them the scale of what they read.
SAME_SCALE = (Op.AVG_POOL, Op.MAX_POOL, Op.SLICE, Op.SHUFFLE)
#: Layers whose output before these is a tensor of its own.
CURVES = (torch.nn.Hardswish, torch.nn.SiLU, torch.nn.Sigmoid, torch.nn.Hardsigmoid)


def space_network(name: str) -> Network:
    """A network of a space; the one of EfficientNet has 174 layers: in the 400 of others eight bits get lost."""
    space = spaces.get(name)
    random = np.random.default_rng(1)
    return space.network(space.sample(random), space.datasets[0]).live()


def operator_networks() -> Iterator[tuple[str, Network]]:
    """Each operator at each geometry that is written in a way of its own."""

    def ended(name: str, builder: Builder, last: int) -> tuple[str, Network]:
        builder.linear(builder.global_pool(last), 10)
        return name, builder.build(name, "cifar10")

    for size in (8, 9):
        for kernel, stride, padding in ((3, 1, 1), (3, 2, 1), (2, 2, 0), (5, 2, 2), (2, 2, 1), (3, 3, 0)):
            for pool in ("avg_pool", "max_pool"):
                b = Builder((8, size, size))
                yield ended(
                    f"{pool} {kernel}/{stride}/{padding} on {size}", b, getattr(b, pool)(INPUT, kernel, stride, padding)
                )
        for kernel, stride, groups, dilation in (
            (1, 1, 1, 1), (1, 2, 1, 1), (3, 1, 1, 1), (3, 2, 1, 1), (7, 4, 1, 1), (4, 1, 1, 1), (4, 2, 1, 1),
            (3, 1, 8, 1), (5, 2, 8, 1), (3, 1, 2, 1), (1, 1, 4, 1), (3, 1, 1, 2), (3, 2, 8, 2),
        ):  # fmt: skip
            b = Builder((8, size, size))
            last = b.conv(INPUT, 16, kernel, stride, groups, dilation=dilation, bias=groups == 1)
            yield ended(f"conv {kernel}/{stride} groups {groups} dilation {dilation} on {size}", b, last)
    for activation in list(Activation)[1:]:
        b = Builder((8, 8, 8))
        first = b.conv(INPUT, 8, 1, activation=activation)
        twice = b.conv(first, 8, 3, pre_activation=activation)
        other = b.conv(first, 8, 1, pre_activation=activation, batch_norm=False)
        total = b.add([first, twice, other], activation=activation)
        yield ended(
            f"{activation.name} around convolutions and a sum",
            b,
            b.mul(total, b.global_pool(twice), activation=activation),
        )
        b = Builder((8, 8, 8))
        scaled = b.norm(b.conv(INPUT, 8, 1, batch_norm=False), activation)
        yield ended(f"{activation.name} behind a normalisation", b, scaled)
        b = Builder((8, 8, 8))
        joined = b.concat([b.avg_pool(INPUT, 3, 1, 1), b.conv(INPUT, 8, 1)])
        read = b.conv(joined, 8, 1, pre_activation=activation)
        yield ended(f"{activation.name} behind a concatenation", b, read)
    b = Builder((8, 8, 8))
    left, right = b.channels_of(INPUT, 0, 4), b.channels_of(INPUT, 4, 4)
    gate = b.conv(b.global_pool(right), 4, 1, bias=True, batch_norm=False, activation=Activation.SIGMOID)
    yield ended("slice, gate, concatenation, shuffle", b, b.shuffle(b.concat([b.mul(left, gate), right, right]), 3))
    b = Builder((8, 8, 8))
    hidden = b.linear(b.global_pool(INPUT), 12, activation=Activation.RELU)
    yield ended("an image made of a linear layer", b, b.conv(hidden, 8, 1))


OPERATORS = dict(operator_networks())
NETWORKS = [*OPERATORS, *CELLS, *spaces.names()]


def network_of(name: str) -> Network:
    if name in OPERATORS:
        return OPERATORS[name].live()
    return spaces.get("nasbench201").network(name, "cifar10").live() if name in CELLS else space_network(name)


def module_of(network: Network, weights: list[Weights]) -> torch.nn.Module:
    module = network.to_torch().eval()
    load_into(module, weights)
    return module


def answer(module: torch.nn.Module, inputs: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return module(torch.from_numpy(inputs)).numpy()


def relative(found: np.ndarray, wanted: np.ndarray) -> float:
    """The root mean square of the difference, over that of what is wanted."""
    return float(np.sqrt(np.square(found - wanted).mean() / np.square(wanted).mean()))


def load(network: Network, weights: list[Weights], inputs: np.ndarray, **settings: object) -> np.ndarray:
    model = tflite_model(network, len(inputs), weights, **settings)
    return LiteRT().load(model, inputs, 1, network.name).output()


@pytest.mark.parametrize("name", NETWORKS)
def test_float_answers_are_pytorchs(name: str) -> None:
    """Both add in another order.

    A sum of n products ends about sqrt(n) half units in the last place from the true one, and the layers' errors add
    up in the same way: the bound is 2**-24 times the root of all layers' summands.
    """
    network = network_of(name)
    weights, inputs = draw(network), images(network, BATCH)
    summands = sum(int(np.prod(each.weight.shape[1:])) for each in weights if each.weight is not None)
    pooled = network.layers["op"] == Op.GLOBAL_POOL
    summands += int((network.layers["in_height"] * network.layers["in_width"])[pooled].sum())
    wanted = answer(module_of(network, weights), inputs)
    assert relative(load(network, weights, inputs), wanted) < 2**-24 * np.sqrt(summands)


def tamed(network: Network, weights: list[Weights], inputs: np.ndarray) -> list[Weights]:
    """Scale weights down where a layer gives more than 1 (root mean square): He's explode in deep residual networks."""
    weights, module = list(weights), module_of(network, weights)

    def scale(number: int, core: torch.nn.Module, given: torch.Tensor) -> torch.Tensor:
        size = max(1.0, float(given.square().mean().sqrt()))
        own = weights[number]
        bias = own.bias if core.bias is None or own.bias is None else own.bias / np.float32(size)
        weights[number] = Weights(own.weight / np.float32(size), bias)
        return given / size

    for number, layer in enumerate(module.layers):
        for part in layer.modules():
            if isinstance(part, torch.nn.Conv2d | torch.nn.Linear):
                part.register_forward_hook(lambda core, _, given, number=number: scale(number, core, given))
    answer(module, inputs)
    return weights


def calibrated(network: Network, module: torch.nn.Module, inputs: np.ndarray) -> list[float]:
    """The largest magnitude of the input and of what each layer gives; of one that gives zeros alone, 1/8."""
    ranges = [float(np.abs(inputs).max())] + [0.0] * len(network)
    source = dict(network.edges[::-1, ::-1].tolist())
    for number, layer in enumerate(module.layers):
        layer.register_forward_hook(
            lambda _, __, given, number=number: ranges.__setitem__(number + 1, float(given.abs().max()) or 1 / 8)
        )
    answer(module, inputs)
    for number, op in enumerate(network.layers["op"]):
        if op in SAME_SCALE:
            ranges[number + 1] = ranges[source[number] + 1]
    return ranges


def rounded(values: torch.Tensor, limit: float) -> torch.Tensor:
    step = limit / 127
    return (values / step).round().clamp(-127, 127) * step


def rounding(network: Network, weights: list[Weights], inputs: np.ndarray, ranges: list[float]) -> np.ndarray:
    """PyTorch's answer with weights, inputs and each layer's output rounded to eight bits, the rest in float32."""
    coarse = []
    for each in weights:
        if each.weight is not None and each.weight.ndim > 1:
            limits = np.abs(each.weight).reshape(len(each.weight), -1).max(axis=1)
            rows = [rounded(torch.from_numpy(w), float(m)).numpy() for w, m in zip(each.weight, limits, strict=True)]
            each = Weights(np.stack(rows), each.bias)
        coarse.append(each)
    module = module_of(network, coarse)
    for number, layer in enumerate(module.layers):
        limit = ranges[number + 1]
        for part in layer.modules():
            if isinstance(part, CURVES):
                before = max(limit, RANGE)
                part.register_forward_pre_hook(lambda _, given, before=before: rounded(given[0], before))
        layer.register_forward_hook(lambda _, __, given, limit=limit: rounded(given, limit))
    return answer(module, rounded(torch.from_numpy(inputs), ranges[0]).numpy())


@pytest.mark.parametrize("name", NETWORKS)
def test_int8_answers_are_as_near_as_eight_bits_allow(name: str) -> None:
    """The error is held against the one that rounding to eight bits makes in PyTorch, layer by layer.

    TFLite rounds a little more (partial sums, averages before the correction of their border, gates) and ties upwards
    where PyTorch rounds them to even, so that errors are of one size but not equal: from 0.7 to 2.4 times as large.
    """
    network = network_of(name)
    inputs = images(network, BATCH)
    weights = tamed(network, draw(network), inputs)
    wanted = answer(module_of(network, weights), inputs)
    ranges = calibrated(network, module_of(network, weights), inputs)
    bound = relative(rounding(network, weights, inputs, ranges), wanted)
    found = load(network, weights, inputs, quantised=True, ranges=ranges)
    assert 0.002 < bound < 0.1  # in between eight bits say something, and are seen
    assert relative(found, wanted) < 3 * bound
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 1 - 0.1**2 / 2


@pytest.mark.parametrize("precision", LiteRT.precisions)
@pytest.mark.parametrize("name", spaces.names())
def test_every_space_runs(name: str, precision: str) -> None:
    """As it is measured: drawn weights, fixed scales, dead layers removed."""
    space = spaces.get(name)
    network = space.network(space.sample(np.random.default_rng(2)), space.datasets[-1])
    runner = LiteRT().prepare(network, precision, 1, 1)
    assert runner.output().shape == (1, network.classes)
    assert runner.output().dtype == np.float32
    assert np.isfinite(runner.output()).all()
    assert runner.output().any()
    assert runner.seconds() > 0


def test_batches_and_threads_change_no_answer() -> None:
    network = space_network("mobilenetv2")
    inputs, model = images(network, 3), tflite_model(network, 3)
    wanted = LiteRT().load(model, inputs, 1, network.name).output()
    assert np.array_equal(LiteRT().load(model, inputs, 2, network.name).output(), wanted)
    for number in range(3):
        alone = LiteRT().load(tflite_model(network), inputs[number : number + 1], 1, network.name)
        assert relative(alone.output(), wanted[number : number + 1]) < 1e-6


def operators(model: bytes) -> list[str]:
    """The names of a model's operators, in their order."""
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    read = schema.ModelT.InitFromPackedBuf(model, 0)
    return [names[read.operatorCodes[each.opcodeIndex].builtinCode] for each in read.subgraphs[0].operators]


@pytest.mark.parametrize("quantised", [False, True])
def test_operators_are_those_of_a_converter(quantised: bool) -> None:
    """Activations and batch normalisation are part of the convolutions; only stride 2 needs explicit padding."""
    network = space_network("mobilenetv2")
    found = operators(tflite_model(network, quantised=quantised))
    layers = network.layers
    depthwise = (layers["op"] == Op.CONV) & (layers["groups"] > 1)
    assert found.count("CONV_2D") == ((layers["op"] == Op.CONV) & ~depthwise).sum()
    assert found.count("DEPTHWISE_CONV_2D") == depthwise.sum()
    assert found.count("ADD") == (layers["op"] == Op.ADD).sum()
    assert found.count("PAD") == ((layers["stride"] == 2) & (layers["padding"] > 0)).sum() > 0
    assert set(found) == {"CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "PAD", "MEAN", "FULLY_CONNECTED"}


def test_fixed_scales_need_no_rescaling() -> None:
    """A concatenation of tensors of one scale is that alone, as converters see to."""
    assert "QUANTIZE" not in operators(tflite_model(space_network("shufflenetv2"), quantised=True))


def test_a_relu_that_all_read_is_part_of_what_they_read() -> None:
    builder = Builder((8, 8, 8))
    first = builder.conv(INPUT, 8, 1)
    ways = [builder.conv(first, 8, 3, pre_activation=Activation.RELU) for _ in range(2)]
    builder.linear(builder.global_pool(builder.add(ways)), 10)
    assert "RELU" not in operators(tflite_model(builder.build("both behind a ReLU", "cifar10")))
    builder = Builder((8, 8, 8))
    first = builder.conv(INPUT, 8, 1)
    ways = [builder.conv(first, 8, 3, pre_activation=Activation.RELU) for _ in range(2)]
    builder.linear(builder.global_pool(builder.add([*ways, first])), 10)
    assert operators(tflite_model(builder.build("one without", "cifar10"))).count("RELU") == 1


def test_models_are_the_same_bytes() -> None:
    network = space_network("nasbench201")
    for quantised in (False, True):
        assert tflite_model(network, quantised=quantised) == tflite_model(network, quantised=quantised)
    other = draw(network, seed=1)
    assert tflite_model(network) != tflite_model(network, weights=other)


def ending_in(add: object) -> Network:
    builder = Builder((8, 8, 8))
    add(builder)
    return builder.build("small", "cifar10")


def test_an_operator_that_is_not_written_is_refused() -> None:
    zero = ending_in(lambda builder: builder.linear(builder.global_pool(builder.zero(INPUT)), 10))
    with pytest.raises(Unmeasurable, match="'small' has a layer ZERO"):
        tflite_model(zero)


def test_what_the_interpreter_refuses_names_the_network() -> None:
    image = ending_in(lambda builder: builder.conv(INPUT, 8, 3))
    with pytest.raises(Unmeasurable, match="LiteRT refuses 'small': "):
        LiteRT().prepare(image, "fp32", 1, 1)


def test_a_scale_that_may_end_the_process_is_refused() -> None:
    network = ending_in(lambda builder: builder.linear(builder.global_pool(builder.conv(INPUT, 8, 3)), 10))
    with pytest.raises(Unmeasurable, match="'small' has a layer whose int8 output"):
        tflite_model(network, quantised=True, ranges=[8, 1e-5, 8, 8])


@pytest.mark.parametrize("ranges", [[8.0] * 3, [8.0, 8.0, 0.0, 8.0], [8.0, float("nan"), 8.0, 8.0]])
def test_bad_ranges_are_refused(ranges: list[float]) -> None:
    network = ending_in(lambda builder: builder.linear(builder.global_pool(builder.conv(INPUT, 8, 3)), 10))
    with pytest.raises(InvalidRequest, match="expected 4 positive finite"):
        tflite_model(network, quantised=True, ranges=ranges)


def test_a_disconnected_network_is_refused() -> None:
    network = spaces.get("nasbench201").network("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", "cifar10")
    with pytest.raises(InvalidRequest, match="no layers left"):
        LiteRT().prepare(network, "fp32", 1, 1)


def test_an_unknown_precision_names_those_that_run() -> None:
    with pytest.raises(UnknownName, match=r"precision of litert 'fp16'.*fp32, int8"):
        LiteRT().prepare(space_network("nasbench201"), "fp16", 1, 1)


def test_versions_are_told() -> None:
    assert set(LiteRT().versions()) == {"ai-edge-litert"}


def test_a_missing_engine_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(MissingExtra, match=r"hwnasbench\[measure\]"):
        LiteRT()
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(MissingExtra, match=r"hwnasbench\[measure\]"):
        tflite_model(space_network("nasbench201"))
