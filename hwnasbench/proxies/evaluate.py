"""Scores of one architecture, from weights and batches that follow from a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from hwnasbench import proxies
from hwnasbench.errors import HwnasbenchError, InvalidRequest, ProxyFailed
from hwnasbench.proxies.base import BATCH, Batch, Proxy, build, gaussian_batch, new_head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnasbench.networks.layers import Network
    from hwnasbench.proxies.base import ProxyNetwork
    from hwnasbench.spaces import Architecture, Space


def evaluate(
    space: Space,
    arch: Architecture | str | int | Sequence[int],
    dataset: str | None = None,
    names: Sequence[str] = (),
    *,
    seed: int = 0,
    batch: Batch | None = None,
) -> dict[str, float]:
    """Return the scores of an architecture.

    Parameters
    ----------
    space : Space
    arch : Architecture, str, int or sequence of int
    dataset : str, optional
        Whose input size and classes the network has; the space's first by default.
    names : sequence of str
        Proxies; all registered ones where empty.
    seed : int
        Of the weights, and of the batch where none is given. A score does not depend on which others are asked for.
    batch : Batch, optional
        16 images from N(0, 1) with uniform labels by default.

    Returns
    -------
    dict
        A float each name.

    Raises
    ------
    UnknownName
        For no such proxy or data set.
    InvalidRequest
        When the network is disconnected, or does not fit the batch.
    ProxyFailed
        When a proxy raises or returns no finite number.
    """
    chosen = [proxies.get(name) for name in names or proxies.names()]
    network = space.network(space.parse(arch), dataset or space.datasets[0])
    if batch is not None:
        check_batch(batch, network)
    return shared([network], chosen, seed, None if batch is None else [batch])[0]


def shared(
    networks: Sequence[Network], chosen: Sequence[Proxy], seed: int, batches: Sequence[Batch] | None = None
) -> list[dict[str, float]]:
    """Score networks that differ in the number of classes alone: they share weights, images and what these cost.

    Parameters
    ----------
    networks : sequence of Network
    chosen : sequence of Proxy
    seed : int
    batches : sequence of Batch, optional
        One a network; Gaussian ones by default.
    """
    first = networks[0]
    whole = build(first, _rng(seed, "weights", first.name))
    if batches is None:
        images = gaussian_batch(first.input_shape, 1, _rng(seed, "images", first.input_shape), BATCH).images
        batches = [Batch(images, _labels(network.classes, seed)) for network in networks]
    out = []
    try:
        for network, batch in zip(networks, batches, strict=True):
            rng = _rng(seed, "head", network.name, network.classes)
            one = whole.with_head(new_head(whole.head.in_features, network.classes, rng))
            out.append({proxy.name: _score(proxy, one, batch, seed) for proxy in chosen})
    finally:
        whole.memory.clear()
    return out


def check_batch(batch: Batch, network: Network) -> None:
    """Refuse a batch that a network cannot read.

    Raises
    ------
    InvalidRequest
        When it is no Batch, or its images or labels are not those of the network.
    """
    if not isinstance(batch, Batch):
        raise InvalidRequest(f"batch is of type {type(batch).__name__}; expected hwnasbench.proxies.Batch")
    if tuple(batch.images.shape[1:]) != network.input_shape:
        raise InvalidRequest(f"a batch of {tuple(batch.images.shape[1:])} images: expected {network.input_shape}")
    if len(batch.labels) == 0 or batch.labels.min() < 0 or batch.labels.max() >= network.classes:
        raise InvalidRequest(
            f"a batch with labels {batch.labels.tolist()}: expected some from 0 to {network.classes - 1}"
        )


def _score(proxy: Proxy, network: ProxyNetwork, batch: Batch, seed: int) -> float:
    name = network.trunk.network.name
    try:
        score = proxy(network, batch, _rng(seed, proxy.name, name))
    except HwnasbenchError:
        raise
    except Exception as error:
        raise ProxyFailed(f"proxy {proxy.name!r} raised {type(error).__name__} on {name}: {error}") from error
    if isinstance(score, bool) or not isinstance(score, int | float | np.integer | np.floating):
        raise ProxyFailed(f"proxy {proxy.name!r} returned a {type(score).__name__} on {name}; expected a float")
    if not np.isfinite(score):
        raise ProxyFailed(f"proxy {proxy.name!r} returned {score} on {name}; expected a finite number")
    return float(score)


def _labels(classes: int, seed: int) -> Any:
    return gaussian_batch((1, 1, 1), classes, _rng(seed, "labels", classes), BATCH).labels


def _rng(seed: int, *about: object) -> np.random.Generator:
    """Return a generator of its own for each thing that is drawn."""
    if seed < 0:
        raise InvalidRequest(f"seed is {seed}; expected 0 or more")
    return np.random.default_rng([seed, *(crc32(str(one).encode()) for one in about)])
