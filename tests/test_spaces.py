"""The spaces: facts, notations, structure, features, and what bad input gets."""

from __future__ import annotations

import ast
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnasbench import spaces
from hwnasbench.errors import HwnasbenchError, InvalidArchitecture, InvalidRequest, NotEnumerable, UnknownName
from hwnasbench.spaces import Architecture
from hwnasbench.spaces.nasbench201 import CONV1, CONV3, EDGES, NONE, OPERATORS, POOL, SKIP
from hwnasbench.spaces.nasbench201_features import NAMES, graph_features, live_representative

nb201 = spaces.get("nasbench201")
fbnet = spaces.get("fbnet")
cells = st.tuples(*[st.integers(0, 4)] * 6)
blocks = st.tuples(*[st.integers(0, 8)] * 22)
CELL = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"


# -- every space ----------------------------------------------------------------------------------


@pytest.fixture(params=spaces.names())
def space(request):
    return spaces.get(request.param)


@pytest.fixture
def archs(space):
    return [space.sample(np.random.default_rng(seed)) for seed in range(8)]


def test_space_is_one_instance_with_facts(space):
    assert spaces.get(space.name) is space
    assert space.title
    assert space.citation
    assert space.datasets
    vectors = np.prod([int(n) for n in space.choices], dtype=object)
    # Of NAS-Bench-101's vectors many are no cell or the same one; its size is the published count.
    assert space.size == (423_624 if space.name == "nasbench101" else vectors) <= vectors
    assert space.name in repr(space)


def test_own_notations_round_trip(space, archs):
    for arch in (space.parse(str(drawn)) for drawn in archs):  # decisions that mean nothing are 0
        for form in (arch, str(arch), list(arch.vector), arch.vector, np.array(arch.vector), np.int8(arch.vector)):
            assert space.parse(form) == arch
        assert hash(space.parse(str(arch))) == hash(arch)
        assert pickle.loads(pickle.dumps(arch)) == arch
        assert arch in space
        assert str(arch) in repr(arch)


def test_foreign_notations_round_trip(space, archs):
    for notation in space.notations:
        for arch in archs:
            text = space.format(arch, notation)
            foreign = ast.literal_eval(text) if text.startswith("(") else text
            parsed = space.parse(foreign, notation)
            # A published matrix of NAS-Bench-101 leaves out what is on no path.
            pruned = space.name == "nasbench101"
            assert space.canonical(parsed) == space.canonical(arch) if pruned else parsed == arch


def test_sampling_follows_the_seed(space):
    draws = [space.sample_many(np.random.default_rng(seed), 400) for seed in (1, 1, 2)]
    assert draws[0].dtype == np.int8
    assert draws[0].shape == (400, len(space.choices))
    assert (draws[0] == draws[1]).all()
    assert (draws[0] != draws[2]).any()
    assert draws[0].min() == 0
    assert (draws[0].max(axis=0) == np.array(space.choices) - 1).all()


@pytest.mark.parametrize("generator", [None, 0, np.random.RandomState(0), np.random])
def test_sampling_needs_a_generator(space, generator):
    with pytest.raises(InvalidRequest, match="Generator"):
        space.sample(generator)


def test_neighbours_differ_in_one_decision(space, archs):
    expected = sum(n - 1 for n in space.choices)
    for arch in archs:
        near = space.neighbours(arch)
        # Some changes of one decision leave no cell of NAS-Bench-101.
        assert 0 < len(set(near)) <= expected if space.name == "nasbench101" else len(set(near)) == expected
        assert {sum(a != b for a, b in zip(arch.vector, x.vector, strict=True)) for x in near} == {1}
        assert all(arch in space.neighbours(x) for x in near[:3])


@pytest.mark.parametrize("kind", ["one_hot", "graph"])
def test_features_have_names_and_rows(space, archs, kind):
    many = space.encode(archs, kind)
    assert many.dtype == np.float32
    assert many.shape == (len(archs), len(space.feature_names(kind)))
    assert len(set(space.feature_names(kind))) == many.shape[1]
    assert np.isfinite(many).all()
    assert (space.encode(archs[0], kind) == many[:1]).all()
    assert (space.encode(space.vectors(archs), kind) == many).all()


def test_one_hot_has_one_column_a_decision(space, archs):
    assert (space.encode(archs).sum(axis=1) == len(space.choices)).all()


def test_unknown_encoding_names_the_nearest(space, archs):
    with pytest.raises(UnknownName, match="one_hot"):
        space.encode(archs, "onehot")


def test_canonical_and_graph_key_are_strings_equal_for_equal_architectures(space, archs):
    for arch in archs:
        assert space.canonical(arch) == space.canonical(str(arch))
        assert space.graph_key(arch) == space.graph_key(list(arch.vector))
        assert isinstance(space.is_connected(arch), bool)


def test_canonical_vectors_name_the_same_network(space, archs):
    vectors = np.array([arch.vector for arch in archs], np.int8)
    found = space.canonical_vectors(vectors)
    assert (space.canonical_vectors(found) == found).all()
    for vector, canonical in zip(vectors.tolist(), found.tolist(), strict=True):
        assert space.canonical_vector(tuple(vector)) == space.parse(canonical).vector == tuple(canonical)
        assert space.graph_key(canonical) == space.graph_key(vector)
        for dataset in space.datasets:
            one, two = (sorted(space.network(v, dataset).live().layers.tolist()) for v in (vector, canonical))
            assert one == two
    assert space.canonical_vectors(vectors[:0]).shape == (0, len(space.choices))


def test_vectors_reads_a_mixture(space, archs):
    some = [space.parse(str(arch)) for arch in archs[:3]]
    mixed = [str(some[0]), some[1], list(some[2].vector)]
    assert (space.vectors(mixed) == [a.vector for a in some]).all()


def bad_architectures(space):
    good = [0] * len(space.choices)
    yield from ("", "nonsense", "|", "0_" * 3)
    yield from (good[:-1], [*good, 0], [], [good])
    yield from ([space.choices[0], *good[1:]], [-1, *good[1:]])
    yield from ([True, *good[1:]], [0.0, *good[1:]], [None, *good[1:]], [float("nan"), *good[1:]])
    yield from (True, 1.5, None, b"bytes", {}, set(), object(), np.float64(1))
    yield from (np.zeros(len(good)), np.zeros((1, len(good)), int), np.array(good[:-1]))


def test_malformed_architectures_are_refused(space):
    for bad in bad_architectures(space):
        with pytest.raises(InvalidArchitecture):
            space.parse(bad)


def test_architecture_of_another_space_is_refused(space):
    other = next(spaces.get(name) for name in spaces.names() if name != space.name)
    stranger = other.sample(np.random.default_rng(0))
    with pytest.raises(InvalidArchitecture, match=other.name):
        space.parse(stranger)
    assert stranger not in space


@pytest.mark.parametrize("notation", ["egale", "", "string"])
def test_unknown_notation_is_refused(space, archs, notation):
    with pytest.raises(UnknownName, match="notation"):
        space.parse(archs[0], notation)
    with pytest.raises(UnknownName, match="notation"):
        space.format(archs[0], notation)


def test_vector_arrays_are_checked(space):
    positions = len(space.choices)
    bad = np.zeros((3, positions), int)
    bad[1, 2] = 9
    with pytest.raises(InvalidArchitecture, match=r"row 1, decision 2 is 9"):
        space.vectors(bad)
    with pytest.raises(InvalidArchitecture, match="shape"):
        space.vectors(np.zeros((3, positions + 1), int))
    with pytest.raises(InvalidArchitecture, match="dtype"):
        space.vectors(np.zeros((3, positions)))


def test_unknown_space_names_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'nasbench201'"):
        spaces.get("nas-bench-201")


def test_spaces_import_neither_numpy_nor_torch():
    code = (
        "import sys, hwnasbench.spaces as s; import hwnasbench.networks\n"
        "space = s.get('nasbench201'); s.get('fbnet').parse('_'.join('8' * 22)); space.index(space.parse('"
        + CELL
        + "'))\n"
        "assert not {'numpy', 'torch', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# -- NAS-Bench-201 --------------------------------------------------------------------------------


def test_nasbench201_counts():
    assert len(nb201) == nb201.size == 15_625
    assert len({nb201.published_key(a) for a in nb201}) == 6_466
    assert len({nb201.canonical(a) for a in nb201}) == 4_930
    assert len({nb201.graph_key(a) for a in nb201}) == 8_765
    connected = np.array([nb201.is_connected(a) for a in nb201])
    assert (~connected).sum() == 341
    assert {len(nb201.neighbours(i)) for i in (0, 7, 15_624)} == {24}
    pairs = {
        frozenset((arch, swapped))
        for arch in nb201
        if nb201.is_connected(arch) and (swapped := nb201.node_swap(arch)) is not None
    }
    assert len(pairs) == 1_464
    assert all(nb201.graph_key(a) == nb201.graph_key(b) for a, b in map(tuple, pairs))


def test_each_key_refines_the_next():
    for fine, coarse in ((nb201.format, nb201.graph_key), (nb201.graph_key, nb201.canonical)):
        seen: dict[str, str] = {}
        for arch in nb201:
            assert seen.setdefault(fine(arch), coarse(arch)) == coarse(arch)


def test_canonical_is_the_function_and_nothing_else():
    """Operators are functions without structure that keep zero: equal values are equal functions."""
    vectors = nb201.all_vectors()
    multiplier = {CONV1: 0x9E3779B97F4A7C15, CONV3: 0xC2B2AE3D27D4EB4F, POOL: 0x165667B19E3779F9}

    def apply(choice, value):
        value = value * value + value * np.uint64(multiplier[choice])
        return (value ^ (value >> np.uint64(29))) * np.uint64(multiplier[choice])

    nodes = [np.full(len(vectors), 0x0123456789ABCDEF, np.uint64)]
    for node in (1, 2, 3):
        total = np.zeros(len(vectors), np.uint64)
        for position, (source, target) in enumerate(EDGES):
            if target == node:
                chosen = vectors[:, position]
                term = np.where(chosen == SKIP, nodes[source], np.uint64(0))
                for choice in multiplier:
                    term = np.where(chosen == choice, apply(choice, nodes[source]), term)
                total = total + term
        nodes.append(total)
    pairs = {(nb201.canonical(vector), int(value)) for vector, value in zip(vectors, nodes[3], strict=True)}
    assert len(pairs) == len({text for text, _ in pairs}) == len({value for _, value in pairs}) == 4_930


def test_index_order_is_published():
    assert str(nb201.from_index(0)) == CELL
    assert nb201.parse(0).index == 0
    assert all(arch.index == index for index, arch in enumerate(nb201))
    vectors = nb201.all_vectors()
    assert (nb201.indices(vectors) == np.arange(15_625)).all()
    assert (nb201.indices([str(a) for a in nb201]) == np.arange(15_625)).all()
    assert not vectors.flags.writeable
    assert [tuple(v) for v in vectors[:3].tolist()] == [nb201.parse(i).vector for i in range(3)]
    codes = nb201.index_by_code()
    assert [codes[nb201.code(str(nb201.from_index(i)))] for i in (0, 10, 15_624)] == [0, 10, 15_624]


@pytest.mark.sources
def test_index_order_equals_the_published_file(sources):
    path = Path(sources) / "help/data/nasbench201/str_arch2idx.pt"
    with zipfile.ZipFile(path) as archive:
        name = next(n for n in archive.namelist() if n.endswith("data.pkl"))
        published = pickle.loads(archive.read(name))
    assert len(published) == 15_625
    assert all(nb201.index(text) == index for text, index in published.items())


@pytest.mark.parametrize("index", [-1, 15_625, 10**30])
def test_index_out_of_range(index):
    with pytest.raises(InvalidArchitecture, match="0 to 15624"):
        nb201.parse(index)


@given(cells)
def test_cell_notations(vector):
    arch = Architecture(nb201, vector)
    assert nb201.parse(str(arch)) == arch
    assert nb201.parse(f" {arch}\n") == arch
    assert nb201.parse(arch.index) == arch
    assert nb201.parse(vector, notation="eagle") == arch
    naslib = eval(nb201.format(arch, "naslib"))
    assert nb201.parse(naslib, notation="naslib") == arch
    assert nb201.parse(naslib) == Architecture(nb201, naslib), "a bare tuple is the space's own vector"
    swapped = nb201.node_swap(arch)
    assert swapped is None or nb201.node_swap(swapped) == arch


def test_naslib_order():
    """NASLib: edges (1,2), (1,3), (1,4), (2,3), (2,4), (3,4); skip, none, conv3, conv1, pool."""
    cell = nb201.parse((0, 1, 2, 3, 4, 0), notation="naslib")
    names = [OPERATORS[v] for v in cell.vector]
    assert dict(zip(EDGES, names, strict=True)) == {
        (0, 1): "skip_connect",
        (0, 2): "none",
        (0, 3): "nor_conv_3x3",
        (1, 2): "nor_conv_1x1",
        (1, 3): "avg_pool_3x3",
        (2, 3): "skip_connect",
    }


def test_wrong_operator_names_the_nearest():
    with pytest.raises(InvalidArchitecture, match="did you mean 'nor_conv_3x3'"):
        nb201.parse(CELL.replace("nor_conv_1x1", "nor_conv3x3"))
    with pytest.raises(InvalidArchitecture, match="expected the form"):
        nb201.parse(CELL[:-1])
    with pytest.raises(InvalidArchitecture):
        nb201.parse(CELL.replace("~2", "~1"))


@given(cells)
def test_live_representative_is_the_graph_key(vector):
    live = live_representative(np.array([vector], np.int8))[0]
    assert nb201.format(live) == nb201.graph_key(vector)
    assert nb201.canonical(live) == nb201.canonical(vector)


def test_graph_features_are_the_graph():
    features = graph_features(nb201, nb201.all_vectors())
    assert features.shape == (15_625, len(NAMES))
    keys = [nb201.graph_key(a) for a in nb201]
    rows = {(key, row.tobytes()) for key, row in zip(keys, features, strict=True)}
    assert len(rows) == len({row for _, row in rows}) == 8_765
    assert graph_features(nb201, np.empty((0, 6), np.int8)).shape == (0, len(NAMES))


def test_graph_features_of_a_cell():
    cell = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|"
    found = dict(zip(NAMES, nb201.encode(cell, "graph")[0], strict=True))
    expected = {
        "paths": 3,
        "connected": 1,
        "additions": 2,
        "work": 19,
        "max:convs": 3,
        "min:convs": 1,
        "max:conv_3x3": 2,
        "max:work": 19,
        "min:edges": 2,
        "max:edges": 3,
        "inputs:3": 2,
        "terms:2": 2,
        "live_inner_nodes": 2,
        "paths:nor_conv_3x3>nor_conv_1x1>nor_conv_3x3": 1,
        "paths:nor_conv_3x3>avg_pool_3x3": 1,
        "paths:nor_conv_3x3": 1,
        "paths:identity": 0,
        "count:none": 1,
    }
    assert {name: found[name] for name in expected} == expected
    assert found["mean:convs"] == pytest.approx(5 / 3)
    nothing = dict(zip(NAMES, nb201.encode([NONE] * 6, "graph")[0], strict=True))
    assert {name for name, value in nothing.items() if value} == {"count:none"} | {
        f"live:none@{s}->{t}" for s, t in EDGES
    }


# -- FBNet ----------------------------------------------------------------------------------------


def test_fbnet_is_not_enumerable():
    assert fbnet.size == 9**22
    for attempt in (
        lambda: len(fbnet),
        lambda: fbnet.from_index(0),
        lambda: fbnet.parse(0),
        lambda: fbnet.index("_".join("8" * 22)),
        lambda: list(fbnet),
        lambda: fbnet.indices([]),
    ):
        with pytest.raises(NotEnumerable):
            attempt()
    assert fbnet.parse("_".join("8" * 22)).index is None
    assert issubclass(NotEnumerable, HwnasbenchError)


@given(blocks)
def test_block_notations(vector):
    arch = Architecture(fbnet, vector)
    names = fbnet.format(arch, "names")
    for form in (str(arch), names, names.replace(",", " "), names.split(","), tuple(names.split(","))):
        assert fbnet.parse(form) == arch
    assert fbnet.parse(names.split(","), notation="names") == arch
    assert fbnet.is_connected(arch)


def test_wrong_block_names_the_nearest():
    with pytest.raises(InvalidArchitecture, match="did you mean 'k3_e6'"):
        fbnet.parse(["k3_e66", *["skip"] * 21])
    with pytest.raises(InvalidArchitecture, match="22"):
        fbnet.parse("1_2_3")
    with pytest.raises(InvalidArchitecture, match="0 to 8"):
        fbnet.parse("9" + "_8" * 21)
