"""Layer tables and their counts."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import hwnasbench.networks
from hwnasbench import spaces
from hwnasbench.errors import InvalidArchitecture, UnknownName
from hwnasbench.networks import LAYER, Builder, count_many
from hwnasbench.networks.layers import INPUT, Activation, Op
from hwnasbench.spaces.fbnet import MACROS, SKIP
from hwnasbench.spaces.fbnet_network import published_flops
from hwnasbench.spaces.nasbench201_features import live_representative

CASES = [(name, dataset) for name in spaces.names() for dataset in spaces.get(name).datasets]
nb201 = spaces.get("nasbench201")
fbnet = spaces.get("fbnet")


def samples(space, n, seed=0):
    return space.sample_many(np.random.default_rng(seed), n)


def rows(network, op):
    return network.layers[network.layers["op"] == op]


def consistent(network):
    """Whether edges join equal shapes, in order, and every count follows from the shapes."""
    layers = network.layers
    sources, targets = network.edges.T
    assert (sources < targets).all()
    assert (np.diff(targets) >= 0).all()
    assert (np.bincount(targets, minlength=len(layers)) == layers["inputs"]).all()
    assert ((layers["inputs"] > 1) <= np.isin(layers["op"], (Op.ADD, Op.MUL, Op.CONCAT))).all()
    inner = sources != INPUT
    scales = np.append(False, targets[1:] == targets[:-1]) & (layers["op"][targets] == Op.MUL)
    assert (layers["out_height"][sources[scales]] == 1).all()
    assert (layers["out_width"][sources[scales]] == 1).all()
    assert (layers["out_channels"][sources[scales]] == layers["in_channels"][targets[scales]]).all()
    inner &= ~scales
    for out, into in (("out_height", "in_height"), ("out_width", "in_width")):
        assert (layers[out][sources[inner]] == layers[into][targets[inner]]).all()
    joined = layers["op"][targets] == Op.CONCAT
    whole = inner & ~joined
    assert (layers["out_channels"][sources[whole]] == layers["in_channels"][targets[whole]]).all()
    channels = np.append(network.input_shape[0], layers["out_channels"])[sources + 1]
    joins = layers["op"] == Op.CONCAT
    sums = np.bincount(targets[joined], channels[joined], len(layers))
    assert (sums[joins] == layers["out_channels"][joins]).all()
    first = layers[targets[sources == INPUT]]
    assert {tuple(row) for row in first[["in_channels", "in_height", "in_width"]].tolist()} == {network.input_shape}
    for side in ("height", "width"):
        windows = np.isin(layers["op"], (Op.CONV, Op.AVG_POOL, Op.MAX_POOL))
        w = layers[windows]
        span = w["dilation"] * (w["kernel"] - 1) + 1
        assert (w[f"out_{side}"] == (w[f"in_{side}"] + 2 * w["padding"] - span) // w["stride"] + 1).all()
    wide = layers["out_channels"].astype(np.int64)
    weights = wide * (layers["in_channels"] // layers["groups"]) * layers["kernel"] ** 2
    weights *= np.isin(layers["op"], (Op.CONV, Op.LINEAR))
    assert (layers["params"] == weights + 2 * wide * layers["batch_norm"] + wide * layers["bias"]).all()
    assert (layers["macs"] == weights * layers["out_height"] * layers["out_width"]).all()
    slices = layers["op"] == Op.SLICE
    assert (layers["in_channels"] % layers["groups"] == 0)[~slices].all()
    assert (layers["groups"] - 1 + layers["out_channels"] <= layers["in_channels"])[slices].all()
    assert layers[-1]["out_channels"] == network.classes
    return True


@pytest.mark.parametrize(("name", "dataset"), CASES)
def test_networks_are_consistent(name, dataset):
    space = spaces.get(name)
    for vector in samples(space, 30):
        network = space.network(vector, dataset)
        assert consistent(network)
        assert network.name == space.format(vector)
        assert network.dataset == dataset
        live = network.live()
        if space.is_connected(vector):
            assert consistent(live)
            assert not len(rows(live, Op.ZERO))
            assert (rows(live, Op.ADD)["inputs"] > 1).all()
            assert set(live.edges[:, 0].tolist()) == {INPUT, *range(len(live) - 1)}, "every layer is used"
            assert live.live().layers.tobytes() == live.layers.tobytes()
        assert pickle.loads(pickle.dumps(network)).layers.tobytes() == network.layers.tobytes()


@pytest.mark.parametrize(("name", "dataset"), CASES)
def test_count_many_equals_the_networks(name, dataset):
    space = spaces.get(name)
    vectors = samples(space, 200, seed=1)
    counts = count_many(space, vectors, dataset)
    assert set(counts) == {"params", "macs", "layers"}
    assert {array.dtype for array in counts.values()} == {np.dtype(np.int64)}
    for row, vector in enumerate(vectors):
        assert {key: array[row] for key, array in counts.items()} == space.network(vector, dataset).counts()
    assert count_many(space, vectors[:0], dataset)["macs"].shape == (0,)


def test_count_many_refuses():
    with pytest.raises(UnknownName, match="cifar100"):
        count_many(fbnet, samples(fbnet, 1), "cifar-100")
    with pytest.raises(InvalidArchitecture):
        count_many(fbnet, np.full((1, 22), 9), "cifar100")
    with pytest.raises(InvalidArchitecture):
        count_many(fbnet, np.zeros((1, 6), int), "cifar100")


@pytest.mark.slow
def test_count_many_is_fast():
    vectors = samples(fbnet, 1_000_000)
    start = time.perf_counter()
    count_many(fbnet, vectors, "imagenet")
    count_many(nb201, nb201.all_vectors(), "cifar10")
    assert time.perf_counter() - start < 10


def test_a_network_is_read_only_data():
    network = nb201.network(0)
    assert network.layers.dtype == LAYER
    assert LAYER.itemsize == 68
    with pytest.raises(ValueError, match="read-only"):
        network.layers["params"][0] = 1
    with pytest.raises(ValueError, match="read-only"):
        network.edges[0] = 1
    assert len(network) == len(network.layers)
    assert "cifar10" in repr(network)
    assert network.memory == network.params * 4 / 1024
    assert network.input_shape == (3, 32, 32)
    assert {len(nb201.network(0, dataset).layers) for dataset in nb201.datasets} == {len(network)}


def test_unknown_dataset_names_the_nearest():
    with pytest.raises(UnknownName, match="ImageNet16-120"):
        nb201.network(0, "imagenet16")
    with pytest.raises(UnknownName, match="imagenet"):
        fbnet.network([0] * 22, "cifar10")


def test_lazy_names_of_the_package():
    assert hwnasbench.networks.Network is type(nb201.network(0))
    assert hwnasbench.networks.Builder is Builder
    with pytest.raises(AttributeError, match="Netwrok"):
        hwnasbench.networks.Netwrok  # noqa: B018


# -- NAS-Bench-201 --------------------------------------------------------------------------------


@pytest.mark.sources
def test_params_equal_the_published_ones(sources):
    """On 204 rows the published number is a mean over seeds that include an equal cell's networks."""
    import pandas as pd

    published = pd.read_pickle(Path(sources) / "naswot/results/arch_score_acc.pd")
    ours = count_many(nb201, nb201.all_vectors(), "cifar10")["params"]
    assert list(published["cellstr"]) == [str(arch) for arch in nb201]
    millions = published["params"].to_numpy() * 1e6
    exact = np.abs(millions - ours) < 1e-6
    assert exact.sum() == 15_421
    by_key: dict[str, set[int]] = {}
    keys = [nb201.published_key(arch) for arch in nb201]
    for key, params in zip(keys, ours.tolist(), strict=True):
        by_key.setdefault(key, set()).add(params)
    for row in np.flatnonzero(~exact):
        assert any(
            abs(ours[row] + share * (other - ours[row]) - millions[row]) < 1e-6
            for other in by_key[keys[row]]
            for share in (1 / 3, 1 / 2, 2 / 3)
        )


def test_known_networks():
    network = nb201.network(0)
    assert (network.params, network.macs) == (129_306, 15_647_360)
    largest = nb201.network([3] * 6)
    assert largest.params == 1_531_546
    assert nb201.network([3] * 6, "cifar100").params - largest.params == 90 * 65
    assert nb201.network([3] * 6, "ImageNet16-120").macs == (largest.macs - 640) // 4 + 64 * 120


def test_live_networks_are_equal_for_equal_graph_keys():
    for vector in samples(nb201, 150, seed=2):
        live = nb201.network(vector).live()
        key = nb201.network(nb201.parse(nb201.graph_key(vector))).live()
        assert sorted(live.layers.tolist()) == sorted(key.layers.tolist())
        assert len(live.edges) == len(key.edges)
    vectors = samples(nb201, 150, seed=2)
    counts = count_many(nb201, live_representative(vectors), "cifar10")
    for row, vector in enumerate(vectors):
        live = nb201.network(vector).live()
        if nb201.is_connected(vector):
            assert (live.params, live.macs) == (counts["params"][row], counts["macs"][row])


def test_a_disconnected_cell_leaves_nothing():
    network = nb201.network([3, 3, 3, 0, 0, 0])
    assert network.params > 700_000
    assert len(network.live()) == network.live().params == network.live().macs == len(network.live().edges) == 0


def test_live_keeps_what_is_on_a_path():
    cell = nb201.network("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_1x1~2|")
    live = cell.live()
    assert not len(rows(live, Op.ZERO))
    assert len(rows(live, Op.CONV)) == 7, "the stem and two blocks of three"
    assert len(rows(live, Op.ADD)) == 2, "the blocks'"


# -- FBNet ----------------------------------------------------------------------------------------


@pytest.mark.sources
def test_fbnet_equals_the_published_counts(sources):
    published = json.loads((Path(sources) / "fbnet_proxies/fbnet_zcp/zc_fbnet.json").read_text())
    vectors = fbnet.vectors(list(published))
    assert len(vectors) == 5_000
    counts = count_many(fbnet, vectors, "cifar100")
    assert (counts["params"] == [row["params"] for row in published.values()]).all()
    flops = [published_flops(fbnet.network(arch, "cifar100")) for arch in published]
    assert flops == [row["flops"] for row in published.values()]
    assert all(counts["macs"] < flops)


def test_fbnet_without_blocks():
    network = fbnet.network([SKIP] * 22, "cifar100")
    assert (network.params, published_flops(network)) == (780_660, 11_912_192)
    assert len(rows(network, Op.CONV)) == 8, "stem, header, and a skip at the head of six stages"


def test_fbnet_block():
    network = fbnet.network([1, *[SKIP] * 21], "cifar100")
    first, shuffle, depthwise, last, add = network.layers[1:6]
    assert [row["op"] for row in (first, shuffle, depthwise, last, add)] == [
        Op.CONV,
        Op.SHUFFLE,
        Op.CONV,
        Op.CONV,
        Op.ADD,
    ]
    assert (first["groups"], shuffle["groups"], depthwise["groups"], last["groups"]) == (2, 2, 16, 2)
    assert first["activation"] == depthwise["activation"] == Activation.RELU
    assert last["activation"] == add["activation"] == Activation.NONE
    assert network.params - fbnet.network([SKIP] * 22).params == 496


@pytest.mark.parametrize("dataset", MACROS)
def test_fbnet_strides(dataset):
    macro = MACROS[dataset]
    network = fbnet.network([0] * 22, dataset)
    total = macro.stem_stride * np.prod(macro.stage_strides)
    pool = rows(network, Op.GLOBAL_POOL)[0]
    assert pool["in_height"] == pool["in_width"] == macro.resolution // total
    assert pool["in_channels"] == macro.header
    assert network.classes == macro.classes


# -- without torch --------------------------------------------------------------------------------


def test_layer_tables_need_no_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from hwnasbench import spaces, errors\n"
        "network = spaces.get('nasbench201').network(0)\n"
        "try: network.to_torch()\n"
        "except errors.MissingExtra as error: assert 'hwnasbench[torch]' in str(error)\n"
        "else: raise AssertionError"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
