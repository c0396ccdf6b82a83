"""Which networks a campaign times."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.errors import InvalidRequest
from hwnasbench.networks.layers import INPUT

if TYPE_CHECKING:
    from hwnasbench.networks.layers import Network
    from hwnasbench.spaces import Architecture, Space
    from hwnasbench.spaces.chain import LayerwiseSpace


def graphs(space: Space) -> list[Architecture]:
    """Return the first architecture of each graph that is left without dead layers; those of no layers are left out.

    On NAS-Bench-201 these are 8,764 of 15,625: what shares a graph takes the same time, what merely computes the same
    function does not.
    """
    first: dict[str, Architecture] = {}
    for arch in space:
        first.setdefault(space.graph_key(arch), arch)
    return [arch for arch in first.values() if len(space.network(arch, space.datasets[0]).live())]


def sample(space: Space, dataset: str, n: int, seed: int = 0) -> list[Architecture]:
    """Draw architectures whose networks have layers left, of distinct graphs.

    Parameters
    ----------
    space : Space
    dataset : str
    n : int
    seed : int

    Raises
    ------
    InvalidRequest
        When `n` is below 1, or the space has too few.
    """
    if n < 1:
        raise InvalidRequest(f"a sample of {n} networks; expected 1 or more")
    rng = np.random.default_rng(seed)
    found: dict[str, Architecture] = {}
    for _ in range(50 * n + 1000):
        arch = space.sample(rng)
        if space.graph_key(arch) not in found and len(space.network(arch, dataset).live()):
            found[space.graph_key(arch)] = arch
            if len(found) == n:
                return list(found.values())
    raise InvalidRequest(f"{space.name} gave {len(found)} distinct graphs in {50 * n + 1000} draws; asked for {n}")


def networks(space: Space, archs: list[Architecture], dataset: str) -> list[Network]:
    """Return the live networks of architectures at a data set's input size."""
    return [space.network(arch, dataset).live() for arch in archs]


def parts(space: LayerwiseSpace, arch: Architecture, dataset: str) -> list[Network]:
    """Return the blocks of a chain's network, in order: stem, blocks, head; what is left out has none.

    Each is a network of its own, that reads what the block before it writes, and is named by what it holds.
    """
    whole, ends = space._lay_out(arch, dataset)
    first, found = 0, []
    for end in ends:
        if end > first:
            found.append(_part(space, whole, first, end))
        first = end
    return found


def _part(space: LayerwiseSpace, whole: Network, first: int, end: int) -> Network:
    layers = whole.layers[first:end].copy()
    inside = (whole.edges[:, 1] >= first) & (whole.edges[:, 1] < end)
    edges = whole.edges[inside] - np.int32(first)
    edges[edges[:, 0] < 0, 0] = INPUT
    first_row, last = layers[0], layers[-1]
    shape = (int(first_row["in_channels"]), int(first_row["in_height"]), int(first_row["in_width"]))
    outputs = int(last["out_channels"]) * int(last["out_height"]) * int(last["out_width"])
    content = hashlib.sha256(layers.tobytes() + edges.tobytes()).hexdigest()[:16]
    return replace(
        whole, layers=layers, edges=edges, name=f"{space.name}/{content}", input_shape=shape, classes=outputs
    )


def blocks(space: LayerwiseSpace, dataset: str, trailing: tuple[int, ...] = ()) -> list[Network]:
    """Return every block that chains hold at some position, each once.

    Parameters
    ----------
    space : LayerwiseSpace
        Whose every decision but the trailing ones is of one block.
    dataset : str
    trailing : tuple of int
        The last decisions, such as width and image size, which are kept.
    """
    own = space.choices[: len(space.choices) - len(trailing)]
    found: dict[str, Network] = {}
    for choice in range(max(own)):
        arch = space.parse([choice % number for number in own] + list(trailing))
        for part in parts(space, arch, dataset):
            found.setdefault(part.name, part)
    return list(found.values())


def chains(space: LayerwiseSpace, n: int, seed: int = 0, trailing: tuple[int, ...] = ()) -> list[Architecture]:
    """Draw distinct architectures whose trailing decisions are given; the others are uniform."""
    rng = np.random.default_rng(seed)
    own = space.choices[: len(space.choices) - len(trailing)]
    found: dict[str, Architecture] = {}
    while len(found) < n:
        arch = space.parse([int(rng.integers(number)) for number in own] + list(trailing))
        found.setdefault(space.canonical(arch), arch)
    return list(found.values())
