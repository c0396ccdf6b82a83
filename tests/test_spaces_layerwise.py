"""Layer-wise spaces: known counts, networks as chains of fragments, and notations."""

from __future__ import annotations

import ast
import csv
import json
import tarfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnasbench import spaces
from hwnasbench.errors import InvalidArchitecture
from hwnasbench.networks import Builder, count_many
from hwnasbench.networks.layers import INPUT
from hwnasbench.networks.memory import alive_elements, peak_bytes, peak_elements
from hwnasbench.spaces.mnasnet import published_macs
from hwnasbench.spaces.tokens import TokenSpace

LAYERWISE = [spaces.get(name) for name in spaces.names() if spaces.get(name).layerwise]
TOKENS = [space for space in LAYERWISE if isinstance(space, TokenSpace)]
CASES = [(space, dataset) for space in LAYERWISE for dataset in space.datasets]
cases = pytest.mark.parametrize(("space", "dataset"), CASES, ids=lambda v: getattr(v, "name", v))
mobilenetv2, ofa, proxyless, mnasnet, macro, efficientnet = (
    spaces.get(name)
    for name in ("mobilenetv2", "ofa_mobilenetv3", "proxylessnas", "mnasnet", "nasbench_macro", "efficientnet")
)
MOBILENETV2 = [0, *[2] * 16]
B0 = "k3_e1_k3_e6_k5_e6_k3_e6_k5_e6_k5_e6_k3_e6"


def samples(space, n, seed=0):
    return space.sample_many(np.random.default_rng(seed), n)


# -- chains ---------------------------------------------------------------------------------------


@cases
def test_layer_table_holds_the_layers_of_every_network(space, dataset):
    vectors = samples(space, 40, seed=3)
    layers, offsets = space.layer_table(vectors, dataset)
    assert len(offsets) == 41
    assert len(layers) == offsets[-1]
    for row, vector in enumerate(vectors):
        expected = space.network(vector, dataset).live().layers
        assert layers[offsets[row] : offsets[row + 1]].tobytes() == expected.tobytes()
    nothing, offsets = space.layer_table(vectors[:0], dataset)
    assert (len(nothing), offsets.tolist()) == (0, [0])


@cases
def test_compositions_sum_to_the_networks(space, dataset):
    vectors = samples(space, 40, seed=4)
    found = space.compose(vectors, dataset)
    fragments = [found.pool[a:b] for a, b in zip(found.starts[:-1], found.starts[1:], strict=True)]
    assert len(fragments[-1]) == 0
    assert found.starts[-1] == len(found.pool)
    assert set(range(len(fragments) - 1)) <= set(found.codes.ravel().tolist()), "every fragment is in use"
    weights = {"macs": np.array([f["macs"].sum() for f in fragments])}
    weights["params"] = np.array([f["params"].sum() for f in fragments])
    for row, vector in enumerate(vectors):
        network = space.network(vector, dataset)
        for key, cost in weights.items():
            assert (found.weights * cost[found.codes[row]]).sum() == getattr(network, key)
        assert found.peaks[row] == peak_elements(network)


def test_spaces_without_fragments_have_one_a_network():
    nb201 = spaces.get("nasbench201")
    vectors = [[3] * 6, [0] * 6, [1] * 6]
    found = spaces.Space.compose(nb201, vectors, "cifar10")
    assert found.codes.tolist() == [[0], [1], [2]]
    live = [nb201.network(vector).live() for vector in vectors]
    assert np.diff(found.starts).tolist() == [*map(len, live), 0]
    assert found.peaks.tolist() == [peak_elements(network) for network in live]
    layers, offsets = spaces.Space.layer_table(nb201, vectors, "cifar10")
    assert layers[offsets[2] : offsets[3]].tobytes() == live[2].layers.tobytes()


@pytest.mark.slow
def test_layer_tables_of_many_networks_are_fast():
    import time

    vectors = samples(mobilenetv2, 100_000)
    mobilenetv2.layer_table(vectors, "imagenet")
    start = time.perf_counter()
    rows = sum(len(mobilenetv2.layer_table(vectors[i : i + 5_000])[0]) for i in range(0, 100_000, 5_000))
    assert rows > 5_000_000
    assert time.perf_counter() - start < 5


# -- memory ---------------------------------------------------------------------------------------


def test_alive_elements_of_a_residual_block():
    builder = Builder((2, 4, 4))  # 32 elements
    first = builder.conv(INPUT, 4, 3)  # 64
    second = builder.conv(first, 8, 1)  # 128
    third = builder.conv(second, 2, 1)  # 32
    builder.linear(builder.global_pool(builder.add([INPUT, third])), 5)
    network = builder.build("", "")
    # Input and first; input, first, second; input, second, third; input, third, sum; sum, pool; pool, logits.
    assert alive_elements(network).tolist() == [96, 224, 192, 96, 34, 7]
    assert peak_elements(network) == 224
    assert peak_bytes(network) == 224 * 4
    assert peak_bytes(network.at("int8")) == 224
    layers = network.layers.copy()
    layers["activation_bits"] = [8, 16, 32, 32, 32, 32]
    mixed = type(network)(layers, network.edges, "", "", network.input_shape, 5)
    assert peak_bytes(mixed) == max(32 + 64 + 256, 32 + 256 + 128)


def test_a_network_of_nothing_needs_no_memory():
    live = spaces.get("nasbench201").network([0] * 6).live()
    if not len(live):
        assert (peak_elements(live), peak_bytes(live)) == (0, 0.0)
    empty = spaces.get("nasbench201").network([3, 3, 3, 0, 0, 0]).live()
    assert (len(empty), peak_elements(empty), peak_bytes(empty)) == (0, 0, 0.0)


# -- known networks -------------------------------------------------------------------------------


def test_mobilenetv2_itself():
    """Counts of torchvision's ``mobilenet_v2`` (recalled)."""
    network = mobilenetv2.network(MOBILENETV2)
    assert (network.params, network.macs) == (3_504_872, 300_774_272)
    assert mobilenetv2.network([*MOBILENETV2, 0, 0]).input_shape == (3, 48, 48)


@pytest.mark.sources
def test_widths_of_mobilenetv2_equal_published_parameters(sources):
    """The half-width network there keeps 1,280 last channels, as here."""
    published = _timm(sources)
    for name, width in (("mobilenetv2_050", 3), ("mobilenetv2_100", 8)):
        assert f"{mobilenetv2.network([*MOBILENETV2, width, 11]).params / 1e6:.2f}" == published[name]


@pytest.mark.sources
def test_efficientnets_equal_published_parameters(sources):
    published = _timm(sources)
    assert efficientnet.network(f"{B0}_b0").params == 5_288_548  # torchvision's efficientnet_b0 (recalled)
    for number in range(8):
        network = efficientnet.network(f"{B0}_b{number}")
        assert f"{network.params / 1e6:.2f}" == published[f"tf_efficientnet_b{number}"]


def _timm(sources):
    with (sources / "timm/results/results-imagenet.csv").open() as file:
        return {row["model"].split(".")[0]: row["param_count"] for row in csv.DictReader(file)}


@pytest.mark.sources
def test_proxylessnas_has_the_shapes_of_the_published_table(sources):
    """Every block of the Pixel 1 table is in the space, and no other."""
    text = (sources / "ofa_luts/proxylessnas/mobile_trim.yaml").read_text()
    keys = {line.rstrip(":") for line in text.splitlines() if line and not line.startswith(" ")}
    published = {key.replace("expanded_conv-", "") for key in keys if "expand:1" not in key and "expanded" in key}
    found = set()
    for choice in range(6):
        network = proxyless.network([choice] * 21)
        layers = network.layers
        for row in np.flatnonzero((layers["groups"] > 1) & (layers["in_channels"] == layers["groups"])):
            wide, narrow = layers[row - 1], layers[row + 1]
            if wide["kernel"] != 1:
                continue
            depthwise, expansion = layers[row], layers[row]["in_channels"] // wide["in_channels"]
            side_in, side_out = depthwise["in_height"], depthwise["out_height"]
            idskip = int(depthwise["stride"] == 1 and wide["in_channels"] == narrow["out_channels"])
            found.add(
                f"input:{side_in}x{side_in}x{wide['in_channels']}-output:{side_out}x{side_out}x{narrow['out_channels']}"
                f"-expand:{expansion}-kernel:{depthwise['kernel']}-stride:{depthwise['stride']}-idskip:{idskip}"
            )
    assert found == published


@pytest.mark.sources
def test_ofa_equals_every_published_subnetwork(sources):
    published = {}
    for path in (sources / "dynast/notebooks/data").glob("*.csv"):
        with path.open() as file:
            published |= {row["Sub-network"]: row for row in csv.DictReader(file)}
    assert len(published) == 2_223
    counts = count_many(ofa, ofa.vectors(list(published)), "imagenet")
    assert counts["params"].tolist() == [int(row["Model Parameters"]) for row in published.values()]
    assert counts["macs"].tolist() == [int(row["MACs"]) for row in published.values()]
    for text in list(published)[:50]:
        settings_ = ast.literal_eval(text)
        active = [4 * stage + number for stage, depth in enumerate(settings_["d"]) for number in range(depth)]
        short = {key: [settings_[key][block] for block in active] for key in ("ks", "e")}
        shorter = ofa.parse({**short, "d": settings_["d"], "image_size": 224})
        assert ofa.canonical(shorter) == ofa.canonical(text)


@pytest.mark.sources
def test_mnasnet_equals_every_published_network(sources):
    published = {}
    with tarfile.open(sources / "accelnasbench/anb_dataset/anb_dataset_jsons.tar.gz") as archive:
        for member in archive:
            if member.name.endswith(".json"):
                record = json.load(archive.extractfile(member))
                published[str(mnasnet.parse(record["architecture"]))] = record["model_info"]
    assert len(published) == 5_125
    counts = count_many(mnasnet, mnasnet.vectors(list(published)), "imagenet")
    assert counts["params"].tolist() == [round(record["params"] * 1e6) for record in published.values()]
    some = list(published)[::5]
    assert [published_macs(mnasnet.network(a)) for a in some] == [round(published[a]["macs"] * 1e6) for a in some]


@pytest.mark.sources
def test_nasbench_macro_equals_every_published_count(sources):
    published = json.loads((sources / "nasbench_macro/data/nas-bench-macro_cifar10.json").read_text())
    assert len(published) == len(macro) == 6_561
    order = [str(arch) for arch in macro]
    assert order == sorted(published)
    counts = count_many(macro, macro.all_vectors(), "cifar10")
    assert counts["params"].tolist() == [published[name]["params"] for name in order]
    assert counts["macs"].tolist() == [published[name]["flops"] for name in order]


def test_nasbench_macro_index():
    assert macro.parse("22212220").index == int("22212220", 3)
    assert (macro.indices(macro.all_vectors()) == np.arange(6_561)).all()
    assert (macro.indices(["00000000", "22222222"]) == [0, 6_560]).all()
    assert (macro.indices(np.array([5, 7])) == [5, 7]).all()
    codes = macro.index_by_code()
    assert all(codes[macro.code(str(arch))] == arch.index for arch in macro)
    for bad in (-1, 6_561):
        with pytest.raises(InvalidArchitecture, match="0 to 6560"):
            macro.parse(bad)
    with pytest.raises(InvalidArchitecture, match="0 to 6560"):
        macro.indices(np.array([0, 6_561]))


# -- notations ------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", TOKENS, ids=lambda s: s.name)
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_notations_round_trip(space, data):
    vector = data.draw(st.tuples(*[st.integers(0, n - 1) for n in space.choices]))
    arch = space.parse(vector)
    assert space.parse(str(arch)) == arch
    assert space.parse(f" {arch}\n") == arch
    assert space.parse(list(vector)).vector == vector
    same = space.parse(space.canonical(arch))
    assert space.canonical(same) == space.canonical(arch)
    assert space.network(same).layers.tobytes() == space.network(arch).layers.tobytes()
    assert (space.encode(same, "graph") == space.encode(arch, "graph")).all()
    for notation in space.notations:
        assert space.parse(space.format(arch, notation)) == arch


def test_what_is_left_out_of_mobilenetv2():
    full = mobilenetv2.parse([*MOBILENETV2, 8, 11])
    assert str(full).endswith("_k3e6_w1.0_r224")
    for short in (MOBILENETV2, tuple(MOBILENETV2), np.array(MOBILENETV2), str(full).removesuffix("_w1.0_r224")):
        assert mobilenetv2.parse(short) == full
    with pytest.raises(InvalidArchitecture, match="did you mean 'k3e6'"):
        mobilenetv2.parse(str(full).replace("k3e6_w", "k3e66_w"))
    with pytest.raises(InvalidArchitecture, match="18 decisions"):
        mobilenetv2.parse(str(full).removesuffix("_r224"))


def test_only_active_blocks_matter():
    shallow = {"ks": [3] * 20, "e": [4] * 20, "d": [2] * 5, "r": 224}
    other = {**shallow, "ks": [3, 3, 7, 5] * 5, "r": [224]}
    one, two = ofa.parse(shallow), ofa.parse(str(other))
    assert one != two
    assert ofa.canonical(one) == ofa.canonical(two)
    assert ofa.parse(json.dumps({**shallow, "wid": None})) == one
    assert ofa.settings(one) == shallow
    assert ofa.canonical(ofa.parse({**shallow, "d": [2, 2, 2, 2, 3]})) != ofa.canonical(one)
    for bad in ({}, {**shallow, "d": [2] * 4}, {**shallow, "ks": [3] * 19}, {**shallow, "r": 225}, {**shallow, "e": 3}):
        with pytest.raises(InvalidArchitecture):
            ofa.parse(bad)
    with pytest.raises(InvalidArchitecture):
        ofa.parse("r224|5:k3e3")
    with pytest.raises(InvalidArchitecture):
        mnasnet.parse({"block0_e": 1})


def test_where_nothing_stands_does_not_matter():
    blocks = proxyless.parse([0] * 21).vector
    early, late = (0, 6, 1, 2, *blocks[4:]), (0, 1, 2, 6, *blocks[4:])
    assert proxyless.canonical(early) == proxyless.canonical(late) == proxyless.format(late)
    assert proxyless.network(early).layers.tobytes() == proxyless.network(late).layers.tobytes()
    assert macro.canonical("00001002") == "00010020"
    assert len({macro.canonical(arch) for arch in macro}) == len(
        {macro.network(arch).layers.tobytes() for arch in macro}
    )


# -- modules --------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", TOKENS, ids=lambda s: s.name)
def test_modules_run(space):
    torch = pytest.importorskip("torch")
    vector = samples(space, 1, seed=5)[0]
    if space.name == "efficientnet":
        vector[-1] = 0
    network = space.network(vector)
    module = network.to_torch().eval()
    assert sum(p.numel() for p in module.parameters()) == network.params
    side = min(network.input_shape[1], 96)
    with torch.no_grad():
        assert module(torch.zeros(1, 3, side, side)).shape == (1, network.classes)
