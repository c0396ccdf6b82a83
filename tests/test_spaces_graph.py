"""The spaces of graphs: NAS-Bench-101, DARTS, shuffle blocks, ResNets; NAS-Bench-201 composed."""

from __future__ import annotations

import itertools
import pickle
from collections import namedtuple

import numpy as np
import pytest

from hwnasbench import spaces
from hwnasbench.errors import InvalidArchitecture, UnknownName
from hwnasbench.networks.layers import Op
from hwnasbench.networks.runtime import RUNS, executed
from hwnasbench.spaces.nasbench101 import OPERATORS, pruned

NAMES = ("nasbench101", "darts", "shufflenetv2", "resnet")
#: The Inception-like cell of google-research/nasbench's README.md and NASBench.ipynb.
INCEPTION = (
    [
        [0, 1, 1, 1, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 0],
    ],
    ["input", OPERATORS[1], OPERATORS[0], OPERATORS[0], OPERATORS[0], OPERATORS[2], "output"],
)
#: As that notebook prints it back: a renumbering of the same cell.
INCEPTION_PRINTED = (
    [
        [0, 1, 1, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 0],
    ],
    ["input", OPERATORS[0], OPERATORS[1], OPERATORS[2], OPERATORS[0], OPERATORS[0], "output"],
)
Genotype = namedtuple("Genotype", "normal normal_concat reduce reduce_concat")
#: The second-order genotype of quark0/darts (recalled; its parameters are those of the README).
DARTS_V2 = Genotype(
    normal=[
        ("sep_conv_3x3", 0),
        ("sep_conv_3x3", 1),
        ("sep_conv_3x3", 0),
        ("sep_conv_3x3", 1),
        ("sep_conv_3x3", 1),
        ("skip_connect", 0),
        ("skip_connect", 0),
        ("dil_conv_3x3", 2),
    ],
    normal_concat=[2, 3, 4, 5],
    reduce=[
        ("max_pool_3x3", 0),
        ("max_pool_3x3", 1),
        ("skip_connect", 2),
        ("max_pool_3x3", 1),
        ("max_pool_3x3", 0),
        ("skip_connect", 2),
        ("skip_connect", 2),
        ("max_pool_3x3", 1),
    ],
    reduce_concat=[2, 3, 4, 5],
)


@pytest.mark.parametrize("name", NAMES)
def test_samples_round_trip_and_lay_out(name):
    space = spaces.get(name)
    drawn = space.sample_many(np.random.default_rng(5), 30)
    assert np.array_equal(drawn, space.sample_many(np.random.default_rng(5), 30))
    for vector in drawn:
        arch = space.parse(vector)
        again = space.parse(str(arch))
        assert str(again) == str(arch)
        assert space.canonical(again) == space.canonical(arch)
        assert pickle.loads(pickle.dumps(arch)) == arch
        network = space.network(arch)
        assert network.params == space.network(again).params
        assert len(network.live()) == len(network)  # every layer of these networks is live
    for kind in ("one_hot", "graph"):
        assert space.encode(drawn, kind).shape == (30, len(space.feature_names(kind)))
    assert (space.encode(drawn).sum(axis=1) == len(space.choices)).all()


def test_nasbench101_has_the_published_parameters():
    space = spaces.get("nasbench101")
    arch = space.parse(INCEPTION, "matrix")
    assert space.network(arch).params == 2_694_282  # NASBench.ipynb of google-research/nasbench
    printed = space.parse(INCEPTION_PRINTED, "matrix")
    assert printed != arch
    assert space.canonical(printed) == space.canonical(arch)


def test_nasbench101_refuses_what_is_no_cell():
    space = spaces.get("nasbench101")
    with pytest.raises(InvalidArchitecture, match="no path leads from the input"):
        space.parse([0] * 26)
    with pytest.raises(InvalidArchitecture, match="21 edges lie on paths through it; expected 9 at most"):
        space.parse([1] * 21 + [0] * 5)
    with pytest.raises(InvalidArchitecture, match="row 1 is no cell"):
        space.vectors(
            np.array([[1] * 6 + [0] * 15 + [0] * 5, [0] * 26]).clip(0, 1) * [[0, 0, 0, 0, 0, 1] + [0] * 20, [1] * 26]
        )
    with pytest.raises(InvalidArchitecture, match="did you mean 'maxpool3x3'"):
        space.parse("000001_00000_0000_000_00_0:maxpool3x2,maxpool3x3,maxpool3x3,maxpool3x3,maxpool3x3")


def _isomorphic(one, other):
    (a, names_a), (b, names_b) = one, other
    n = len(a)
    if len(b) != n or sorted(names_a) != sorted(names_b):
        return False
    for order in itertools.permutations(range(1, n - 1)):
        to = [0, *order, n - 1]
        if all(names_a[v - 1] == names_b[to[v] - 1] for v in range(1, n - 1)) and all(
            a[s][t] == b[to[s]][to[t]] for s in range(n) for t in range(n)
        ):
            return True
    return False


def test_nasbench101_canonical_is_isomorphism():
    """Keys are equal exactly where some renumbering of the inner vertices makes the cells equal."""
    space = spaces.get("nasbench101")
    rng = np.random.default_rng(0)
    drawn = space.sample_many(rng, 4000)
    small = drawn[[len(pruned(tuple(v))[0]) <= 5 for v in drawn.tolist()]][:150]
    cells = [pruned(tuple(v)) for v in small.tolist()]
    keys = [space.canonical(v) for v in small]
    pairs = list(itertools.combinations(range(len(small)), 2))
    same = [_isomorphic(cells[i], cells[j]) for i, j in pairs]
    assert 0 < sum(same) < len(same)
    assert same == [keys[i] == keys[j] for i, j in pairs]


def test_darts_has_the_published_parameters():
    space = spaces.get("darts")
    arch = space.parse(DARTS_V2)
    assert space.parse(str(DARTS_V2)) == arch == space.parse(space.format(arch, "genotype"))
    # quark0/darts README.md: "3.349MB params" at CIFAR-10, "4.719MB params" at ImageNet.
    assert space.network(arch).params == 3_349_342
    assert round(space.network(arch, "imagenet").params / 1e6, 3) == 4.719


def test_darts_canonical_does_not_know_the_order_of_nodes():
    space = spaces.get("darts")
    cell = [("max_pool_3x3", 0), ("sep_conv_3x3", 1), ("skip_connect", 0), ("dil_conv_5x5", 1)]
    tail = [("sep_conv_5x5", 2), ("skip_connect", 3), ("avg_pool_3x3", 0), ("avg_pool_3x3", 1)]
    swapped_tail = [("sep_conv_5x5", 3), ("skip_connect", 2), *tail[2:]]
    one, other = (
        Genotype(c, [2, 3, 4, 5], DARTS_V2.reduce, [2, 3, 4, 5])
        for c in (cell + tail, cell[2:] + cell[:2] + swapped_tail)
    )
    assert space.parse(one) != space.parse(other)
    assert space.canonical(one) == space.canonical(other)
    assert space.canonical(one) != space.canonical(DARTS_V2)
    with pytest.raises(InvalidArchitecture, match="expected two different ones from 0 to 1"):
        space.parse(one._replace(normal=[("skip_connect", 0), ("skip_connect", 0), *one.normal[2:]]))


def test_resnet_20_is_in_the_space():
    """With projections as short cuts, 272,474 parameters; with padding ones 2,752 fewer (269,722)."""
    space = spaces.get("resnet")
    resnet20 = "16|" + "|".join(",".join([f"{c}-{c}"] * 3) for c in (16, 32, 64))
    network = space.network(resnet20)
    assert network.params == 272_474
    short_cuts = network.layers[(network.layers["kernel"] == 1) & (network.layers["stride"] == 2)]
    assert network.params - int(short_cuts["params"].sum()) == 269_722
    with pytest.raises(InvalidArchitecture, match="a multiple of 4 from 16 to 64"):
        space.parse(resnet20.replace("16|", "18|", 1))


@pytest.mark.parametrize("runs", RUNS)
def test_nasbench201_composes_to_the_networks(runs):
    space = spaces.get("nasbench201")
    rng = np.random.default_rng(2)
    drawn = [*rng.choice(len(space), 290, replace=False).tolist()]
    disconnected = [i for i in range(len(space)) if not space.is_connected(i)][:10]
    for dataset in space.datasets:
        rows = (drawn + disconnected)[:: 1 if dataset == "cifar10" else 10]
        composition = space.compose(space.vectors(rows), dataset, runs)
        slow = spaces.Space.compose(space, rows, dataset, runs)
        for at, index in enumerate(rows):
            network = space.network(index, dataset)
            expected_layers = executed(network, runs if len(network.live()) else "live").layers
            counted: dict[bytes, int] = {}
            for code, weight in zip(composition.codes[at], composition.weights, strict=True):
                for layer in composition.pool[composition.starts[code] : composition.starts[code + 1]]:
                    counted[layer.tobytes()] = counted.get(layer.tobytes(), 0) + int(weight)
            expected: dict[bytes, int] = {}
            for layer in expected_layers:
                expected[layer.tobytes()] = expected.get(layer.tobytes(), 0) + 1
            assert counted == expected, index
            assert composition.peaks[at] == slow.peaks[at], index
    assert composition.starts[-1] == composition.starts[-2] == len(composition.pool)


def test_what_runs_of_a_cell_with_dead_edges():
    space = spaces.get("nasbench201")
    # Node 1 is empty, and node 2, which reads it alone, leads nowhere but to the output.
    text = "|none~0|+|none~0|nor_conv_3x3~1|+|nor_conv_1x1~0|avg_pool_3x3~1|none~2|"
    network = space.network(text)
    convolved = {runs: int((executed(network, runs).layers["kernel"] == 3).sum()) for runs in RUNS}
    frame = 1 + 2 * 2  # the stem and two residual blocks of two 3 x 3 convolutions
    assert convolved == {"live": frame, "read": frame + 15, "nonzero": frame + 30, "all": frame + 30}
    zeros = {runs: int((executed(network, runs).layers["op"] == Op.ZERO).sum()) for runs in RUNS}
    assert zeros == {"live": 0, "read": 0, "nonzero": 0, "all": 45}
    assert executed(network, "live").macs < executed(network, "nonzero").macs == network.macs
    with pytest.raises(UnknownName, match="'nonzero'"):
        executed(network, "nonzeros")
    with pytest.raises(UnknownName, match="'read'"):
        space.compose([0], "cifar10", "reads")
