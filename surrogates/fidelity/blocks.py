"""Published tables of blocks and layers: held-out fits, tables that are not monotone, and what sums are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from data_builders.operators import haq, ofa_fpga, ofa_luts, spnas_pixel1, tfnas, tinynas_v100
from data_builders.pickles import load_pt
from data_builders.sources.ofa_luts import blocks as proxyless_blocks
from hwnasbench import spaces
from hwnasbench.costs.simulate import Simulator
from hwnasbench.devices import catalog
from hwnasbench.devices.parameters import fit_of
from hwnasbench.networks.layers import Op
from surrogates.fidelity.scores import of_card
from surrogates.fits import spearman

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hwnasbench.networks import Network

DEVICES = ("note10", "pixel1", "xeon_6130", "v100_tensorrt")
#: Whole networks drawn for each comparison.
_NETWORKS = 1000
_SEED = 20205
#: A row of a table: what tells it from others, and its time.
Rows = list[tuple[tuple[int, ...], float]]
#: What may grow in a block; what has no name only tells blocks apart: stride, and whether the input is added.
_FIELDS = ("image", "input channels", "output channels", "", "", "squeeze-and-excitation", "kernel", "inner channels")


def section(sources: Path | None) -> str:
    """Return the section of tables of blocks and layers."""
    lines = ["## Tables of blocks and layers", ""]
    if sources is None:
        return "\n".join([*lines, "Not compared here: the published files are absent."]) + "\n"
    lines += [
        *_scores(sources),
        "",
        *_violations(sources),
        "",
        *_narrower(sources),
        "",
        *_second_opinion(sources),
        "",
        *_sums(sources),
    ]
    return "\n".join(lines) + "\n"


def _scores(sources: Path) -> list[str]:
    """Return the held-out scores, and what one row does to the Pixel 1's."""
    lines = [
        "Rooflines fitted to tables of single blocks and layers, each row judged by a fit that never saw it (5 folds;",
        "one block at five image sizes, or one convolution at any batch and precision, is in one fold). A row of",
        "TF-NAS's Xeon is a whole network as its table adds it up, since its numbers of a block seem sorted by its",
        "width. All rows of a device share one set of constants, at all precisions.",
        "",
        "| device | precision | rows | MAPE [%] | median error [%] | Spearman | R2 of logarithms |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in DEVICES:
        for card in fit_of(name)["scorecards"]:
            lines.append(f"| {name} | {card['precision']} | {of_card(card, 'r2_log')} |")
    return [*lines, "", _worst_row(sources)]


def _worst_row(sources: Path) -> str:
    from surrogates.fits import blocks

    rows = list(ofa_luts.pixel1(sources / "ofa_luts"))
    sample = blocks.pixel1(sources)
    ratio = blocks.held_out("pixel1", {"": sample}).values[""] / sample.values
    worst = int(np.argmax(np.abs(np.log(ratio))))
    rest = np.delete(np.abs(ratio - 1), worst)
    return (
        f"The Pixel 1's mean is one row's: `{rows[worst].name}`, the only linear layer, is {ratio[worst]:.1f} times\n"
        f"too slow where no linear layer was seen. The other {len(rest)} rows have a MAPE of {100 * rest.mean():.1f} %."
    )


def _violations(sources: Path) -> list[str]:
    """Return how often a table's larger operator is the cheaper one."""
    lines = [
        "How often the larger of two neighbours in a table is the cheaper one, all else equal. A roofline with",
        "the constants that are fitted here never says so: every such pair is one that it puts in the wrong order.",
        "TF-NAS's never fall with inner channels, and its script has a conversion that sorts them, so that this field",
        "of it is left out.",
        "",
        "| table | what grows | pairs | cheaper | cheaper by over 5 % |",
        "|---|---|---|---|---|",
    ]
    for table, rows, fields in _tables(sources):
        for number, field in enumerate(fields):
            line = _violated(rows, number) if field else ""
            if line:
                lines.append(f"| {table} | {field} | {line} |")
    return lines


def _tables(sources: Path) -> Iterator[tuple[str, Rows, Sequence[str]]]:
    """Yield each table's name, its rows and the names of the fields that may grow."""
    phones = sources / "ofa_luts"
    pixel1 = [(row.network, row.latency) for row in ofa_luts.pixel1(phones)]
    note10 = [(row.network, row.latency) for size in ofa_luts.NOTE10 for row in ofa_luts.note10(phones, size)]
    yield "Note10", _block_rows(note10), _FIELDS
    yield "Pixel 1, ProxylessNAS", _block_rows(pixel1), _FIELDS
    second = [(row.network, row.latency) for row in spnas_pixel1.rows(sources / "spnas_pixel1")]
    yield "Pixel 1, Single-Path NAS", _block_rows(second, places=True), (*_FIELDS, "")
    for device in tfnas.FILES:
        table = tfnas.table(sources / "tfnas", device)
        yield f"TF-NAS, {device}", _sorted_rows(table), (*_FIELDS[:-1], "")
    boards = {row.name: (row.network, row.latency) for row in ofa_fpga.rows(sources / "ofa_fpga")}
    yield "Ultra96-V2", _block_rows(boards.values()), _FIELDS
    bits: Rows = [((r.layer, r.weight_bits, r.activation_bits), r.latency) for r in haq.rows(sources / "haq")]
    yield "HAQ", bits, ("", "bits of weights", "bits of activations")
    layers = ("", "batch", "input channels", "image", "output channels", "kernel", "", "a fused addition")
    for precision in tinynas_v100.FILES:
        yield f"V100, {precision}", list(_timed(sources, precision).items()), layers


def _timed(sources: Path, precision: str) -> dict[tuple[int, ...], float]:
    return {row.key: row.latency for row in tinynas_v100.rows(sources / "tinynas_v100", precision) if row.latency}


def _block_rows(blocks: Iterable[tuple[Network, float]], places: bool = False) -> Rows:
    """Return what tells inverted residual blocks apart; `places`: one shape at two places was timed twice."""
    rows = []
    for network, latency in blocks:
        layers = network.layers
        depthwise = layers[(layers["groups"] > 1) & (layers["op"] == Op.CONV)]
        if len(depthwise) == 1:
            layer, out = depthwise[0], int(layers[layers["op"] == Op.CONV][-1]["out_channels"])
            squeeze = int((layers["op"] == Op.MUL).any())
            added = int((layers["op"] == Op.ADD).any())
            image, channels = int(layers[0]["in_height"]), int(layers[0]["in_channels"])
            shape = (image, channels, out, int(layer["stride"]), added, squeeze)
            place = (int(network.name.split()[1]),) if places else ()
            rows.append(((*shape, int(layer["kernel"]), int(layer["in_channels"]), *place), latency))
    return rows


def _sorted_rows(table: tfnas.Table) -> Rows:
    rows: Rows = []
    for block, wide, latency in table.rows():
        channels, out, stride = block.in_channels, block.out_channels, block.stride
        added = int(stride == 1 and channels == out)
        rows.append(((block.size, channels, out, stride, added, block.squeeze, block.kernel, wide), latency))
    return rows


def _violated(rows: Rows, field: int) -> str:
    """Return the pairs of neighbours along a field, and the shares whose larger one is cheaper; empty where none."""
    keys, values = np.array([key for key, _ in rows]), np.array([value for _, value in rows])
    others = np.delete(keys, field, axis=1)
    order = np.lexsort((keys[:, field], *others.T))
    pair = (np.diff(others[order], axis=0) == 0).all(1) & (np.diff(keys[order, field]) > 0)
    ratio = (values[order][1:] / values[order][:-1])[pair]
    if not len(ratio):
        return ""
    return f"{len(ratio):,} | {(ratio < 1).mean():.1%} | {(ratio < 0.95).mean():.1%}"


def _narrower(sources: Path) -> list[str]:
    """Return how often a V100 is slower at fewer bits, which the model never is."""
    timed = {name: _timed(sources, name) for name in tinynas_v100.FILES}
    told = []
    for few, many in (("int8", "fp16"), ("fp16", "fp32"), ("int8", "fp32")):
        shared = sorted(timed[few].keys() & timed[many].keys())
        ratio = np.array([timed[few][key] / timed[many][key] for key in shared])
        told.append(f"{few} is slower than {many} on {(ratio > 1).mean():.1%} of {len(shared):,} shared ones")
    return [
        "TinyNAS's V100 convolutions: " + ",\n".join(told) + ".",
        "The model is analytic and never slower at fewer bits, so that `v100_tensorrt` is wrong there.",
    ]


def _second_opinion(sources: Path) -> list[str]:
    """Return how two tables of the same blocks on a Pixel 1 agree."""
    known = {row.name: row.latency for row in ofa_luts.pixel1(sources / "ofa_luts")}
    names = {(position, choice): name for position, choice, name in proxyless_blocks()}
    rows = list(spnas_pixel1.rows(sources / "spnas_pixel1"))
    tokens = spaces.get("proxylessnas").tokens  # type: ignore[attr-defined]
    first = [known[names[r.position, tokens[r.position].index(f"k{r.kernel}e{r.expansion}")]] for r in rows]
    ratio = np.array([row.latency for row in rows]) / np.array(first)
    rank = spearman(np.array([row.latency for row in rows]), np.array(first))
    early = np.array([row.position < 4 for row in rows])
    apart = 100 * np.median(np.abs(ratio - 1))
    return [
        f"Two tables of {len(rows)} blocks on a Pixel 1: Single-Path NAS's numbers are {np.median(ratio):.2f} of",
        f"ProxylessNAS's at the median ({np.median(ratio[early]):.2f} in the first stage, {ratio.min():.2f} to "
        f"{ratio.max():.2f} in all), {apart:.1f} % apart",
        f"at the median, Spearman {rank:.3f}. `pixel1` follows ProxylessNAS's.",
    ]


def _sums(sources: Path) -> list[str]:
    lines = [
        "What sums of layers are worth where whole networks were timed (other runtimes, so that a scale is taken out",
        f"first; {_NETWORKS:,} networks a line). `scale` is the median of the first over the second.",
        "",
        "| sum of | against | batch | scale | median error once scaled [%] | Spearman |",
        "|---|---|---|---|---|---|",
    ]
    against = "HELP's OFA-MobileNetV3 on a V100"
    for batch in (1, 32, 64):
        nearest, simulated, timed = _help(sources, batch)
        lines.append(f"| TinyNAS's nearest convolutions, fp32 | {against} | {batch} {_compared(nearest, timed)}")
        lines.append(f"| `v100_tensorrt`, fp32 | {against} | {batch} {_compared(simulated, timed)}")
    line = _compared(*_titan(sources))
    lines.append(f"| TF-NAS's blocks on a Titan RTX | `titan_rtx`, fitted to HELP's networks | 32 {line}")
    line = _compared(*_pixel1(sources))
    lines.append(f"| ProxylessNAS's blocks on a Pixel 1 | `pixel1`, fitted to those blocks | 1 {line}")
    return [
        *lines,
        "",
        "The last two lines compare what a table adds up with a model, not with timed networks. Of the Note10, the",
        "Pixel 1, the Xeon, the Ultra96-V2 and HAQ's accelerator no whole network was at hand: the error of adding up",
        "their tables is not known. (TF-NAS's README times six networks and does not give their widths.)",
    ]


def _help(sources: Path, batch: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return sums of measured convolutions, sums of simulated layers, and what HELP timed."""
    folder = sources / "help" / "data" / "ofa"
    archs = load_pt(folder / "ofa_archs.pt")["arch"]
    latency = np.asarray(load_pt(folder / "latency" / f"v100_{batch}.pt"), np.float64)
    drawn = np.random.default_rng(_SEED).permutation(len(archs))[:_NETWORKS]
    space = spaces.get("ofa_mobilenetv3")
    vectors = space.vectors([space.format(space.canonical(archs[number])) for number in drawn])
    found = Simulator(catalog()["v100_tensorrt"], "fp32", batch).many(space, vectors, "imagenet")
    networks = [space.network(vector, "imagenet") for vector in vectors]
    return _nearest(sources, batch, networks), found["latency"].values, latency[drawn]


def _nearest(sources: Path, batch: int, networks: Sequence[Network]) -> NDArray[np.float64]:
    """Return the sum over the convolutions of each network of the times of those in TinyNAS's table most like them."""
    from scipy.spatial import cKDTree

    table = np.concatenate([network.layers[network.layers["op"] == Op.CONV] for network in networks])
    owner = np.repeat(np.arange(len(networks)), [int((network.layers["op"] == Op.CONV).sum()) for network in networks])
    sorts = np.stack([table["groups"] > 1, table["kernel"], table["stride"]], axis=1)
    shapes = np.log(np.stack([table["in_channels"], table["in_height"], table["out_channels"]], axis=1))
    timed = [(key, ms) for key, ms in _timed(sources, "fp32").items() if key[1] == batch and not key[-1]]
    keys, values = np.array([key for key, _ in timed]), np.array([ms for _, ms in timed])
    found = np.empty(len(table))
    for sort in np.unique(sorts, axis=0):
        mine, theirs = (sorts == sort).all(1), (keys[:, [0, 5, 6]] == sort).all(1)
        _, at = cKDTree(np.log(keys[theirs][:, 2:5])).query(shapes[mine])
        found[mine] = values[theirs][at]
    return np.bincount(owner, found, len(networks)).astype(np.float64)


def _titan(sources: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from surrogates.fits import blocks, samples

    drawn = blocks.drawn_networks(sources, "titan_rtx", _NETWORKS)
    return drawn.values, samples.latency(catalog()["titan_rtx"], drawn)


def _pixel1(sources: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from data_builders.catalog import Folder, get
    from data_builders.sources.ofa_luts import lookups

    table = lookups(Folder(get("ofa_luts"), sources / "ofa_luts"))["proxylessnas"]
    rows: list[dict[str, Any]] = table.to_pylist()
    costs = {(row["position"], row["choice"]): row["value"] for row in rows}
    space, rng = spaces.get("proxylessnas"), np.random.default_rng(_SEED)
    vectors = space.vectors([space.sample(rng) for _ in range(_NETWORKS)])
    summed = [costs[-1, -1] + sum(costs[place, c] for place, c in enumerate(v)) for v in vectors.tolist()]
    found = Simulator(catalog()["pixel1"], "fp32", 1).many(space, vectors, "imagenet")
    return np.array(summed), found["latency"].values


def _compared(guess: NDArray[np.float64], true: NDArray[np.float64]) -> str:
    scale = float(np.median(guess / true))
    error = np.median(np.abs(guess / true / scale - 1))
    return f"| {scale:.3f} | {100 * error:.1f} | {spearman(guess, true):.4f} |"
