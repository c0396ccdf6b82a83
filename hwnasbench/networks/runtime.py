"""Which layers of a network a runtime executes: some converters remove what is dead, interpreters run all of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.errors import UnknownName
from hwnasbench.networks.layers import INPUT, Op

if TYPE_CHECKING:
    from hwnasbench.networks.layers import Network

#: ``live``: on a path from the input to the output. ``read``: on a path to the output, though zeros may be all that
#: it reads; of these two, additions that are left with one input do not run. ``nonzero``: all but the zeros
#: themselves. ``all``: as written.
RUNS = ("live", "read", "nonzero", "all")


def check_runs(runs: str) -> None:
    """Refuse a word that is none of `RUNS`.

    Raises
    ------
    UnknownName
    """
    if runs not in RUNS:
        raise UnknownName("runs", runs, RUNS)


def executed(network: Network, runs: str) -> Network:
    """Return the network that a runtime executes.

    Parameters
    ----------
    network : Network
    runs : {"live", "read", "nonzero", "all"}
        See `RUNS`.

    Returns
    -------
    Network
        Of ``live``, a disconnected architecture leaves no layers.

    Raises
    ------
    UnknownName
        When `runs` is none of the words.
    """
    check_runs(runs)
    if runs == "all":
        return network
    sources: list[list[int]] = [[] for _ in range(len(network))]
    for source, target in network.edges.tolist():
        sources[target].append(source)
    if runs == "nonzero":
        return _without_zeros(network)
    filled = _filled(network, sources, constants=runs == "read")
    sources = [[s for s in known if s == INPUT or filled[s]] for known in sources]
    return _keep(network, sources, _wanted(filled, sources))


def _without_zeros(network: Network) -> Network:
    """Return the network without its zeros; what reads them still has as many inputs."""
    kept = network.layers["op"] != Op.ZERO
    number = np.append(np.cumsum(kept) - 1, INPUT)  # the last entry is what INPUT, -1, points to
    sources, targets = network.edges.T
    stay = kept[targets] & ((sources == INPUT) | kept[sources])
    edges = np.stack([number[sources[stay]], number[targets[stay]]], axis=1).astype(np.int32)
    return replace(network, layers=network.layers[kept], edges=edges)


def _filled(network: Network, sources: list[list[int]], constants: bool) -> list[bool]:
    """Return which layers write more than zeros; what an operator makes of zeros counts where `constants`."""
    ops = network.layers["op"].tolist()
    filled = [False] * len(network)
    for row, op in enumerate(ops):
        reads = any(s == INPUT or filled[s] for s in sources[row])
        filled[row] = op != Op.ZERO and (reads or (constants and op != Op.ADD))
    return filled


def _wanted(filled: list[bool], sources: list[list[int]]) -> list[bool]:
    """Return which layers the last one depends on."""
    wanted = [False] * len(filled)
    wanted[-1:] = filled[-1:]
    for row in reversed(range(len(filled))):
        if wanted[row]:
            for source in sources[row]:
                if source != INPUT:
                    wanted[source] = True
    return wanted


def _keep(network: Network, sources: list[list[int]], wanted: list[bool]) -> Network:
    """Return some layers of a network; an addition of one term is that term."""
    adds = (network.layers["op"] == Op.ADD).tolist()
    number = {INPUT: INPUT}
    kept: list[int] = []
    edges: list[tuple[int, int]] = []
    for row, own in enumerate(sources):
        if wanted[row] and adds[row] and len(own) == 1:
            number[row] = number[own[0]]
        elif wanted[row]:
            number[row] = len(kept)
            edges.extend((number[s], len(kept)) for s in own)
            kept.append(row)
    layers = network.layers[kept]
    layers["inputs"] = [max(len(sources[row]), 1) for row in kept]  # zeros are read too
    return replace(network, layers=layers, edges=np.array(edges, np.int32).reshape(-1, 2))
