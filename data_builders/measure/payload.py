"""Networks as bytes, so that a measuring process needs neither the space nor a shared disk."""

from __future__ import annotations

import hashlib
import io
import json
from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.networks.layers import LAYER, Network

if TYPE_CHECKING:
    from collections.abc import Sequence


def pack(networks: Sequence[Network]) -> bytes:
    """Return networks as the bytes of an npz archive; the same bytes for the same networks."""
    about = [
        {"name": n.name, "dataset": n.dataset, "input_shape": list(n.input_shape), "classes": n.classes}
        for n in networks
    ]
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        about=np.frombuffer(json.dumps(about).encode(), np.uint8),
        layers=np.concatenate([np.empty(0, LAYER), *(n.layers for n in networks)]),
        edges=np.concatenate([np.empty((0, 2), np.int32), *(n.edges for n in networks)]),
        sizes=np.array([[len(n.layers), len(n.edges)] for n in networks], np.int64).reshape(-1, 2),
    )
    return stream.getvalue()


def unpack(data: bytes) -> list[Network]:
    """Return the networks of `pack`."""
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        about = json.loads(archive["about"].tobytes())
        if not about:
            return []
        ends = archive["sizes"].cumsum(axis=0)[:-1]
        layers, edges = np.split(archive["layers"], ends[:, 0]), np.split(archive["edges"], ends[:, 1])
    return [
        Network(rows, pairs, **{**known, "input_shape": tuple(known["input_shape"])})
        for rows, pairs, known in zip(layers, edges, about, strict=True)
    ]


def digest(networks: Sequence[Network]) -> str:
    """Return the SHA-256 of all that a time may depend on, and of the names."""
    found = hashlib.sha256()
    for network in networks:
        words = [network.name, network.dataset, list(network.input_shape), network.classes]
        found.update(json.dumps(words).encode())
        found.update(network.layers.tobytes())
        found.update(network.edges.tobytes())
    return found.hexdigest()
