"""No cell of spaces x devices x metrics is empty: the contract that every registered one must keep."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

import hwnasbench
from hwnasbench import costs, spaces
from hwnasbench.costs import values_of
from hwnasbench.costs.base import Values, chunked
from hwnasbench.costs.layers import LayerCosts, Layers
from hwnasbench.costs.simulate import Simulator, simulate
from hwnasbench.devices import load_catalog
from hwnasbench.devices.accelerator_spaces import get
from hwnasbench.devices.accelerator_spaces import names as accelerator_names
from hwnasbench.devices.parameters import fit_of, parameters
from hwnasbench.devices.parametric import Crossbar, Systolic
from hwnasbench.errors import InvalidArchitecture, InvalidRequest, NoValue, UnknownName
from hwnasbench.networks.layers import INPUT, Builder
from hwnasbench.spaces.mixed import mixed_precision
from hwnasbench.vocabulary import DEVICE_CLASSES, METRICS, precision_bits, simulated_metrics

CATALOG = load_catalog()
#: Constants of the models that nobody could check. A new one must be counted here on purpose.
RECALLED = 92


def test_every_class_has_two_devices() -> None:
    for name in DEVICE_CLASSES:
        assert sum(device.device_class == name for device in CATALOG.values()) >= 2, name


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_every_device_has_a_cost_model(name: str) -> None:
    device = CATALOG[name]
    assert device.cost["model"] in costs.names()
    assert device.defaults.get("precision", "fp32") in device.precisions
    for key, record in device.parameters().items():
        assert record["evidence"] in ("read", "fitted", "recalled", "chosen"), key


@pytest.mark.parametrize("space", spaces.names())
def test_no_cell_is_empty(space: str) -> None:
    """Every metric of every device at every precision is a number in its unit, or a status that says why not."""
    found = spaces.get(space)
    arch = found.parse(6111 % found.size) if found.enumerable else found.sample(np.random.default_rng(0))
    vectors = found.vectors([arch])
    for device in CATALOG.values():
        for precision in device.precisions:
            answer = Simulator(device, precision).many(found, vectors, found.datasets[0])
            assert set(answer) == set(simulated_metrics(device.device_class)), (device.name, precision)
            for metric, (values, status) in answer.items():
                where = (device.name, precision, metric)
                assert np.isfinite(values[0]) == (status[0] == 0), where
                assert status[0] or values[0] > 0, where
                assert METRICS[metric].unit, where
            if answer["utilisation"].status[0] == 0:
                assert answer["utilisation"].values[0] <= 1 + 1e-9, (device.name, precision)


@pytest.mark.parametrize("space", spaces.names())
def test_coverage_lists_what_is_simulated(space: str) -> None:
    bench = hwnasbench.load(space, data="shipped")
    frame = bench.coverage()
    cells = set(zip(frame.device, frame.metric, frame.precision, strict=True))
    for device in CATALOG.values():
        for precision in device.precisions:
            for metric in simulated_metrics(device.device_class):
                assert (device.name, metric, precision) in cells or metric == "model_size"


#: The units of everything that is simulated.
UNITS = {
    "latency": "ms",
    "energy": "mJ",
    "area": "mm2",
    "peak_memory": "KiB",
    "model_size": "KiB",
    "throughput": "images/s",
    "utilisation": "1",
    "dsp": "1",
    "lut": "1",
    "bram": "1",
}


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_answers_have_their_units(name: str) -> None:
    device = CATALOG[name]
    result = hwnasbench.load("nasbench201", data="shipped").query(6111, device=name, kinds="simulated")
    for metric in simulated_metrics(device.device_class):
        assert result[metric].unit == UNITS[metric], metric
    if "throughput" in simulated_metrics(device.device_class):
        latency, throughput = result["latency"].value, result["throughput"]
        assert throughput.value == pytest.approx(1000 * throughput.keys["batch"] / latency)


def _layers() -> np.ndarray:
    return spaces.get("mobilenetv2").network([1] * 17, "imagenet").at("int8").layers.copy()


@pytest.mark.parametrize("name", costs.names())
def test_energy_and_sequential_latency_add_up(name: str) -> None:
    model = costs.model(name)
    values = model.values({})
    whole = chunked(model, _layers(), values)
    parts = [chunked(model, _layers()[i : i + 1], values) for i in range(len(_layers()))]
    assert whole.energy.sum() == pytest.approx(sum(part.energy.sum() for part in parts), rel=1e-12)
    assert whole.latency.sum() == pytest.approx(sum(part.latency.sum() for part in parts), rel=1e-12)
    split = [getattr(whole, part) for part in ("mac", "register", "buffer", "dram", "static")]
    assert all((part >= 0).all() for part in split)
    np.testing.assert_allclose(whole.energy, sum(split))


@pytest.mark.parametrize("name", costs.names())
def test_chunks_change_nothing(name: str) -> None:
    model = costs.model(name)
    values = model.values({})
    many: LayerCosts = chunked(model, np.tile(_layers(), 300), values)
    one = chunked(model, _layers(), values)
    np.testing.assert_array_equal(many.latency.reshape(300, -1)[7], one.latency)
    np.testing.assert_array_equal(many.energy.reshape(300, -1)[299], one.energy)


#: What switches alignment off: channels that come in multiples, and buffers whose parts are read again whole.
#: Eyeriss and in-memory chips take the loop order that moves fewer bytes, which is not always that of the least energy:
#: a channel more may turn the order and save some.
_SMOOTH = {
    "roofline": {"channel_multiple": 1},
    "multi_gpu": {"channel_multiple": 1},
    "eyeriss": {"buffer_kib": 1e6},
    "imc": {"buffer_kib": 1e6},
    "npu": {"tile_depth": 1e6, "burst_bytes": 1},
}
#: Channels of which a model makes blocks that no parameter switches off.
_MULTIPLES = {"npu": 8}
_SORTS = ("convolution", "pointwise", "depthwise", "linear")


def _layer(sort: str, inputs: int, outputs: int, size: int, kernel: int, stride: int) -> np.ndarray:
    builder = Builder((inputs, size, size))
    if sort == "linear":
        builder.linear(builder.global_pool(INPUT), outputs)
    else:
        depthwise = sort == "depthwise"
        builder.conv(
            INPUT,
            inputs if depthwise else outputs,
            1 if sort == "pointwise" else kernel,
            stride,
            inputs if depthwise else 1,
        )
    return builder.build(sort, "").layers[-1:]


@functools.cache
def _grown(multiple: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return layers, the same with more input or output channels, and which have twice as many."""
    rng = np.random.default_rng(multiple)
    few, many, doubled = [], [], []
    for sort in _SORTS:
        for number in range(120):
            # Every other draw lies at a power of two, where thresholds are.
            drawn = rng.integers(2, 512, 2) if number % 2 else 2 ** rng.integers(1, 10, 2) + rng.integers(0, 2, 2)
            inputs, outputs = (int(-(-c // multiple) * multiple) for c in drawn)
            shape = (int(rng.integers(1, 57)), int(rng.choice([3, 5, 7])), int(rng.choice([1, 2])))
            for twice, more in ((False, lambda c: c + multiple), (True, lambda c: 2 * c)):
                wider = [(more(inputs), outputs), (inputs, more(outputs))]
                for channels in wider[:1] if sort == "depthwise" else wider:
                    few.append(_layer(sort, inputs, outputs, *shape))
                    many.append(_layer(sort, *channels, *shape))
                    doubled.append(twice)
    return np.concatenate(few), np.concatenate(many), np.array(doubled)


def _never_less(few: LayerCosts, many: LayerCosts, tables: tuple[np.ndarray, np.ndarray], what: object) -> None:
    for metric in ("latency", "energy"):
        ratio = getattr(many, metric) / getattr(few, metric)
        worst = int(np.argmin(ratio))
        names = ["in_channels", "out_channels", "in_height", "kernel", "stride", "groups"]
        shapes = [table[names][worst] for table in tables]
        assert ratio[worst] >= 1 - 1e-9, f"{what}: {metric} falls to {ratio[worst]:.4f} from {shapes[0]} to {shapes[1]}"


def _designs() -> dict[str, tuple[str, Values, list[tuple[int, int]]]]:
    """Return model, values and bits of every device of the catalogue, and of every model as it is by default."""
    out = {}
    for name, device in sorted(CATALOG.items()):
        bits = sorted({precision_bits(precision) for precision in device.precisions})
        out[name] = (device.cost["model"], values_of(device, _SMOOTH.get(device.cost["model"])), bits)
    for name in costs.names():
        out[f"model {name}"] = (name, costs.model(name).values(_SMOOTH.get(name, {})), [(8, 8), (16, 16)])
    return out


@pytest.mark.parametrize("name", sorted(_designs()))
def test_more_channels_or_bits_never_cost_less(name: str) -> None:
    model_name, values, precisions = _designs()[name]
    model = costs.model(model_name)
    few, many, doubled = _grown(_MULTIPLES.get(model_name, 1))
    by_bits = []
    for bits in precisions:
        found = []
        for table in (few.copy(), many.copy()):
            table["weight_bits"], table["activation_bits"] = bits
            found.append(model.cost(Layers(table), values))
        _never_less(*found, (few, many), (name, bits))
        assert (found[1].energy > found[0].energy)[doubled].all(), (name, bits)
        by_bits.append((bits, found[0]))
    for (low, narrow), (high, wide) in itertools.combinations(by_bits, 2):
        if low[0] <= high[0] and low[1] <= high[1]:
            _never_less(narrow, wide, (few, few), (name, low, high))
            assert (wide.energy > narrow.energy).all(), (name, low, high)


def test_peak_memory_does_not_add_up() -> None:
    device = CATALOG["nucleo_f446re"]
    small = simulate(spaces.get("nasbench201").network(6111, "cifar10"), device)
    assert isinstance(small["peak_memory"], float)
    layers = spaces.get("nasbench201").network(6111, "cifar10").at("int8").live().layers
    sizes = layers["out_channels"] * layers["out_height"] * layers["out_width"]
    assert small["peak_memory"] < sizes.sum() / 1024


def test_recalled_constants_are_counted() -> None:
    recalled = [
        f"{name}.{key}"
        for name in costs.names()
        for key, parameter in parameters(name).items()
        if parameter.evidence == "recalled"
    ]
    assert len(recalled) == RECALLED, recalled


def test_a_single_query_and_a_batch_agree() -> None:
    bench = hwnasbench.load("nasbench201", data="shipped")
    column = bench.column("energy", device="eyeriss")
    for index in (0, 6111, 15624):
        assert bench.query(index, device="eyeriss", metrics="energy")["energy"].value == column[index]
    disconnected = next(i for i in range(len(bench.space)) if not bench.space.is_connected(i))
    assert bench.query(disconnected, device="eyeriss")["energy"].status == "disconnected"


def test_parametric_devices_are_devices() -> None:
    bench = hwnasbench.load("nasbench201", data="shipped")
    small, large = (bench.query(6111, device=Systolic(rows=n, columns=n)) for n in (8, 64))
    assert small["latency"].kind == "simulated"
    assert small.latency > large.latency
    assert small.area < large.area
    assert "hwnasbench_costs" in bench.cite(small)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: Systolic(rows=0), InvalidRequest, "rows=0"),
        (lambda: Systolic(row=8), UnknownName, "'rows'"),
        (lambda: Systolic(dataflow="ws"), UnknownName, "weight_stationary"),
        (lambda: Crossbar(cell_type="rram"), UnknownName, "'reram'"),
        (lambda: simulate(spaces.get("nasbench201").network(0), CATALOG["nucleo_f446re"], "int3"), UnknownName, "int"),
        (lambda: simulate(spaces.get("nasbench201").network(0), CATALOG["edgetpu"], "fp32"), UnknownName, "int8"),
        (lambda: Simulator(CATALOG["edgetpu"], None, 0), InvalidRequest, "batch=0"),
        (lambda: get("systolic").parse("rows=9"), InvalidArchitecture, "unknown rows '9'; known: 12"),
        (lambda: get("sistolic"), UnknownName, "'systolic'"),
    ],
)
def test_bad_designs_are_refused(make: object, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        make()  # type: ignore[operator]


def test_a_network_that_does_not_fit_has_no_latency() -> None:
    result = hwnasbench.load("mobilenetv2", data="shipped").query([1] * 17, device="nucleo_f446re")
    assert result["latency"].status == "does_not_fit"
    assert result.peak_memory > 128
    with pytest.raises(NoValue, match=r"does_not_fit .*: sram is [\d,.]+ KiB short, flash is [\d,.]+ KiB short"):
        _ = result.latency


@pytest.mark.parametrize("name", accelerator_names())
def test_accelerator_spaces_round_trip(name: str) -> None:
    space = get(name)
    rng = np.random.default_rng(3)
    for _ in range(20):
        arch = space.sample(rng)
        assert space.parse(space.format(arch)) == arch
        assert space.parse(space.design(arch)) == arch
    network = spaces.get("nasbench201").network(6111, "cifar10")
    assert simulate(network, space.device([0] * len(space.choices)))["latency"]


def test_keys_that_a_metric_does_not_have_do_not_hide_it() -> None:
    bench = hwnasbench.load("mobilenetv2", data="shipped")
    plain = bench.query([1] * 17, device="edgegpu")
    named = bench.query([1] * 17, device="edgegpu", batch=2, split="valid", epochs=3)
    # No accuracy is known of other splits and epochs.
    assert set(plain.keys()) - {"accuracy"} == set(named.keys())
    assert named["latency"].keys["batch"] == 2
    assert named.params == plain.params
    assert "latency" not in bench.query([1] * 17, device="edgegpu", threads=3)


def test_uniform_bits_by_layer_equal_the_precision() -> None:
    base = spaces.get("mobilenetv2")
    mixed = mixed_precision(base)
    device = Systolic(flexible="both")
    arch = mixed.uniform([1] * 17, "w4a4")
    a = hwnasbench.load(mixed, data="shipped").query(arch, device=device)
    b = hwnasbench.load("mobilenetv2", data="shipped").query([1] * 17, device=device, precision="w4a4")
    assert a.latency == pytest.approx(b.latency, rel=1e-12)
    assert a.peak_memory == pytest.approx(b.peak_memory, rel=1e-12)


def test_the_spread_is_that_of_networks_like_these() -> None:
    bench = hwnasbench.load("nasbench201", data="shipped")
    cards = {card["batch"]: card for card in fit_of("titan_rtx")["scorecards"] if card["space"] == "nasbench201"}
    assert {1, 32, 256} == set(cards)
    for batch, card in cards.items():
        value = bench.query(6111, device="titan_rtx", batch=batch, kinds="simulated")["latency"]
        assert value.std == pytest.approx(card["rmspe"] / 100 * value.value)
    throughput = bench.query(6111, device="titan_rtx", batch=256, kinds="simulated")["throughput"]
    assert throughput.std == pytest.approx(cards[256]["rmspe"] / 100 * throughput.value)
    for request in ({"precision": "fp16"}, {"batch": 7}, {"dataset": "ImageNet16-120"}):
        assert bench.query(6111, device="titan_rtx", kinds="simulated", **request)["latency"].std is None
    for device in ("note10", "v100_tensorrt", "nucleo_f446re", "ethos_u55_128", "a100"):
        assert bench.query(6111, device=device, kinds="simulated")["latency"].std is None, device


@pytest.mark.parametrize("name", spaces.names())
def test_an_unknown_word_for_what_runs_is_refused(name: str) -> None:
    space = spaces.get(name)
    with pytest.raises(UnknownName, match="'read'"):
        space.compose([space.sample(np.random.default_rng(0)).vector], None, "reed")
