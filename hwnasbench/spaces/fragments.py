"""The fragments of layer-wise networks, and many networks put together from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.networks.layers import LAYER
from hwnasbench.networks.memory import alive_elements, peak_elements
from hwnasbench.spaces.chain import Composition

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from numpy.typing import NDArray

    from hwnasbench.networks import Network
    from hwnasbench.spaces.base import Space

#: The fragment that stands for nothing, and what no network has shown yet.
_NOTHING, _UNSEEN = 0, -1


class Fragments:
    """Every fragment that the architectures asked about so far hold, for one data set.

    Parameters
    ----------
    lay_out : callable
        Takes a decision vector; returns its network, and how many layers end with each slot.
    """

    def __init__(self, lay_out: Callable[[Any], tuple[Network, list[int]]]) -> None:
        self._lay_out = lay_out
        self._by_code: list[NDArray[np.int64]] = []  # a slot: fragment of code - 1, so that -1 comes first
        self._by_content: dict[tuple[bytes, int], int] = {(b"", 0): _NOTHING}
        self._new: list[tuple[NDArray[np.void], int]] = []
        self._peaks = np.zeros(1, np.int64)
        self._pool = np.empty(0, LAYER)
        self._starts = np.zeros(2, np.int64)

    def layers(self, vectors: NDArray[Any], codes: NDArray[np.int64]) -> tuple[NDArray[np.void], NDArray[np.int64]]:
        """Return the layers of all networks one after the other, and the (n + 1,) offsets of each."""
        chosen = self._chosen(vectors, codes)
        lengths = np.diff(self._starts)[chosen]
        offsets = np.concatenate([[0], np.cumsum(lengths.sum(axis=1))])
        return _rows(self._pool, _spans(self._starts[chosen.ravel()], lengths.ravel())), offsets

    def compose(self, vectors: NDArray[Any], codes: NDArray[np.int64]) -> Composition:
        """Return the networks as sums of the fragments that they use."""
        chosen = self._chosen(vectors, codes)
        used = np.zeros(len(self._peaks), bool)
        used[chosen.ravel()] = True
        used[_NOTHING] = False
        kept = np.flatnonzero(used)
        number = np.full(len(used), len(kept), np.int64)
        number[kept] = np.arange(len(kept))
        lengths = np.append(np.diff(self._starts)[kept], 0)
        peaks = np.zeros(len(chosen), np.int64)
        for slot in range(chosen.shape[1]):
            np.maximum(peaks, self._peaks[chosen[:, slot]], out=peaks)
        return Composition(
            _rows(self._pool, _spans(self._starts[kept], lengths[:-1])),
            np.concatenate([[0], np.cumsum(lengths)]),
            number[chosen],
            np.ones(chosen.shape[1], np.int64),
            peaks,
        )

    def _chosen(self, vectors: NDArray[Any], codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the fragment in each slot of each network, (n, slots)."""
        if not self._by_code:
            self._by_code = [np.array([_NOTHING], np.int64) for _ in range(codes.shape[1])]
        chosen = np.empty(codes.shape, np.int64)
        for slot, column in enumerate((codes + 1).T):
            self._reserve(slot, int(column.max(initial=0)))
            chosen[:, slot] = self._by_code[slot][column]
            if (unseen := np.flatnonzero(chosen[:, slot] == _UNSEEN)).size:
                for row in unseen[np.unique(column[unseen], return_index=True)[1]]:
                    if self._by_code[slot][column[row]] == _UNSEEN:
                        self._harvest(vectors[row], codes[row])
                chosen[:, slot] = self._by_code[slot][column]
        self._join()
        return chosen

    def _reserve(self, slot: int, highest: int) -> None:
        missing = highest + 1 - len(self._by_code[slot])
        if missing > 0:
            self._by_code[slot] = np.concatenate([self._by_code[slot], np.full(missing, _UNSEEN, np.int64)])

    def _harvest(self, vector: NDArray[Any], codes: NDArray[np.int64]) -> None:
        """Learn every fragment of one network."""
        network, ends = self._lay_out(vector.tolist())
        alive = alive_elements(network)
        first = 0
        for slot, (end, code) in enumerate(zip(ends, codes.tolist(), strict=True)):
            self._reserve(slot, code + 1)
            if self._by_code[slot][code + 1] == _UNSEEN:
                peak = int(alive[first:end].max(initial=0))
                self._by_code[slot][code + 1] = self._add(network.layers[first:end], peak)
            first = end

    def _add(self, layers: NDArray[np.void], peak: int) -> int:
        """Return the number of a fragment; blocks that equal each other share one."""
        key = (layers.tobytes(), peak)
        if key not in self._by_content:
            self._by_content[key] = len(self._by_content)
            self._new.append((layers, peak))
        return self._by_content[key]

    def _join(self) -> None:
        """Put the fragments that were learnt behind the others."""
        if self._new:
            self._pool = np.concatenate([self._pool, *(layers for layers, _ in self._new)])
            ends = self._starts[-1] + np.cumsum([len(layers) for layers, _ in self._new])
            self._starts = np.concatenate([self._starts, ends])
            self._peaks = np.concatenate([self._peaks, np.array([peak for _, peak in self._new], np.int64)])
            self._new.clear()


def _spans(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ``starts[i], starts[i] + 1, ...``, ``lengths[i]`` numbers of each, one after the other."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))


def _rows(pool: NDArray[np.void], rows: NDArray[np.int64]) -> NDArray[np.void]:
    """Return rows of a layer table; as plain bytes, which NumPy copies faster than records."""
    plain = pool.view(np.int32).reshape(len(pool), LAYER.itemsize // 4)
    return np.take(plain, rows, axis=0).view(LAYER)[:, 0]


def compose_networks(space: Space, vectors: NDArray[Any], dataset: str, runs: str = "live") -> Composition:
    """Return each network as one fragment, empty where disconnected: the way of spaces whose networks are no chains."""
    from hwnasbench.networks.runtime import executed

    networks = []
    for vector in vectors:
        network = space.network(vector, dataset)
        live = network.live()
        networks.append(live if runs == "live" or not len(live) else executed(network, runs))
    lengths = np.array([len(network) for network in networks] + [0], np.int64)
    return Composition(
        np.concatenate([np.empty(0, LAYER), *(network.layers for network in networks)]),
        np.concatenate([[0], np.cumsum(lengths)]),
        np.arange(len(networks), dtype=np.int64)[:, None],
        np.ones(1, np.int64),
        np.array([peak_elements(network) for network in networks], np.int64),
    )
