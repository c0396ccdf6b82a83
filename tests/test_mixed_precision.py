"""Bits of every layer as further decisions of a space."""

from __future__ import annotations

import pickle
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwnasbench
from hwnasbench import spaces
from hwnasbench.errors import InvalidArchitecture, InvalidRequest
from hwnasbench.networks.layers import Op
from hwnasbench.spaces import Space
from hwnasbench.spaces.mixed import mixed_precision

NAMES = ("nasbench201", "fbnet", "resnet", "nasbench101")


@cache
def mixed(name: str):
    return mixed_precision(spaces.get(name), (2, 4, 8), (4, 8))


@settings(max_examples=15, deadline=None)
@given(name=st.sampled_from(NAMES), seed=st.integers(0, 2**32 - 1))
def test_round_trips(name, seed):
    space = mixed(name)
    arch = space.sample(np.random.default_rng(seed))
    again = space.parse(str(arch))
    assert str(again) == str(arch)
    assert space.canonical(again) == space.canonical(arch)
    assert space.bits(again) == space.bits(arch)
    count = len(space.bits(arch))
    assert set(again.vector[len(space.base.choices) + 2 * count :]) <= {0}
    assert pickle.loads(pickle.dumps(again)) == again
    assert pickle.loads(pickle.dumps(again)).space.network(str(again)).memory == space.network(again).memory


@settings(max_examples=10, deadline=None)
@given(name=st.sampled_from(NAMES), seed=st.integers(0, 2**32 - 1))
def test_networks_carry_the_bits(name, seed):
    space = mixed(name)
    arch = space.sample(np.random.default_rng(seed))
    network = space.network(arch)
    layers = network.layers
    weighted = np.isin(layers["op"], (Op.CONV, Op.LINEAR))
    pairs = list(
        zip(layers["weight_bits"][weighted].tolist(), layers["activation_bits"][weighted].tolist(), strict=True)
    )
    assert pairs == space.bits(arch)
    first = {}
    for source, target in network.edges.tolist():
        first.setdefault(target, source)
    for row in np.flatnonzero(~weighted).tolist():
        assert layers["activation_bits"][row] == layers["activation_bits"][first[row]]
    assert network.at("per_layer") is network
    assert set(network.at("int8").layers["weight_bits"].tolist()) == {8}
    assert network.params == space.base.network(space.base_of(arch)).params


@pytest.mark.parametrize("name", NAMES)
def test_uniform_equals_one_precision(name):
    space = mixed(name)
    base = space.base.sample(np.random.default_rng(3))
    arch = space.uniform(base, "w4a8")
    assert set(space.bits(arch)) == {(4, 8)}
    one = space.base.network(base).at("w4a8").layers
    assert np.array_equal(space.network(arch).layers, one)
    with pytest.raises(InvalidArchitecture, match="expected weights of"):
        space.uniform(base, "w3a8")


@pytest.mark.parametrize("name", ["fbnet", "mobilenetv2", "ofa_mobilenetv3", "nasbench201"])
def test_many_networks_at_once_are_those_one_by_one(name):
    space = mixed(name)
    vectors = space.sample_many(np.random.default_rng(6), 12)
    vectors[1, : len(space.base.choices)] = vectors[0, : len(space.base.choices)]
    found = space.compose(vectors)
    slow = Space.compose(space, vectors)
    assert found.pool.tobytes() == slow.pool.tobytes()
    for one, two in zip(found[1:], slow[1:], strict=True):
        assert one.dtype == two.dtype
        assert (one == two).all()
    assert len(space.compose(vectors[:0]).pool) == 0


def test_no_network_has_more_weighted_layers_than_decisions():
    """All 15,625 cells fit, and the largest ones fill every decision."""
    space = mixed("nasbench201")
    assert space.layers == 1 + 15 * 6 + 2 * 3 + 1  # stem, six convolutions a cell, two reductions, classifier
    assert len(space.bits(space.uniform([3] * 6, "w8a8"))) == space.layers
    assert len(space.choices) == 6 + 2 * space.layers
    assert mixed("fbnet").layers == 1 + 22 * 3 + 1 + 1


@pytest.mark.parametrize("name", ["nasbench101", "resnet", "darts"])
def test_stated_largest_networks(name):
    """Samples never exceed the stated number, and one network reaches it."""
    from hwnasbench.spaces.mixed import _weighted_layers

    space = spaces.get(name)
    largest = {
        "nasbench101": "111100_00001_0001_001_11_1".replace("111100", "111100")
        + ":"
        + ",".join(["conv3x3-bn-relu"] * 5),
        "resnet": "16|" + "|".join(",".join(f"16-{w}" for w in [20, 24] * 4 + [20]) for _ in range(3)),
        "darts": [0, 3, 3] * 8,
    }[name]
    if name == "nasbench101":
        # four vertices read the input, the fifth the fourth; all feed the output: nine edges
        bits = {(0, 1), (0, 2), (0, 3), (0, 4), (4, 5), (1, 6), (2, 6), (3, 6), (5, 6)}
        from hwnasbench.spaces.nasbench101 import EDGES

        largest = [int(edge in bits) for edge in EDGES] + [0] * 5
    assert _weighted_layers(space, space.parse(largest).vector) == space.max_weighted_layers
    drawn = space.sample_many(np.random.default_rng(1), 40)
    assert max(_weighted_layers(space, tuple(v)) for v in drawn.tolist()) <= space.max_weighted_layers


def test_neighbours_and_features():
    space = mixed("nasbench201")
    arch = space.uniform(0, "w8a8")
    near = space.neighbours(arch)
    assert len(near) == 24 + len(space.bits(arch)) * (2 + 1)
    assert all(sum(a != b for a, b in zip(arch.vector, other.vector, strict=True)) == 1 for other in near)
    for kind in ("one_hot", "graph"):
        assert space.encode(arch, kind).shape == (1, len(space.feature_names(kind)))


def test_faults():
    base = spaces.get("nasbench201")
    with pytest.raises(InvalidRequest, match="different numbers of bits from 1 to 32"):
        mixed_precision(base, (8, 8))
    with pytest.raises(InvalidRequest, match="pass layers="):
        str(mixed_precision(base, layers=4).parse([3] * 6 + [0] * 8))
    with pytest.raises(InvalidRequest, match="pass layers=54"):
        mixed_precision(spaces.get("mobilenetv2"), layers=4).compose([[2] * 19 + [0] * 8])
    space = mixed("nasbench201")
    text = str(space.uniform(0, "w8a8"))
    with pytest.raises(InvalidArchitecture, match="weighted layers"):
        space.parse(text + ",w8a8")
    with pytest.raises(InvalidArchitecture, match="has no '@'"):
        space.parse(base.format(0))
    with pytest.raises(InvalidArchitecture, match="x8a8"):
        space.parse(text.replace("w8a8", "x8a8", 1))


@pytest.mark.parametrize("name", ["nasbench201", "mobilenetv2"])
def test_uniform_bits_need_the_memory_of_the_precision(name: str) -> None:
    """Scratch buffers of a microcontroller's layers, too."""
    base = spaces.get(name)
    mixed = mixed_precision(base, (8,), (8,))
    arch = base.sample(np.random.default_rng(3))
    for device in ("nucleo_f446re", "nicla_sense"):
        uniform = hwnasbench.load(mixed, data="shipped").query(mixed.uniform(arch, "int8"), device=device)
        plain = hwnasbench.load(base, data="shipped").query(arch, device=device, kinds="simulated")
        assert uniform.peak_memory == pytest.approx(plain.peak_memory, rel=1e-12), device
