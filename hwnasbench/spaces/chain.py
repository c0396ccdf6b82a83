"""Layer-wise spaces: networks that are chains of fragments, one a slot (stem, blocks, head)."""

from __future__ import annotations

from hwnasbench.spaces.base import Space

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, NamedTuple

    import numpy as np
    from numpy.typing import NDArray

    from hwnasbench.networks import Builder, Network
    from hwnasbench.spaces.base import Architecture
    from hwnasbench.spaces.fragments import Fragments

    class Composition(NamedTuple):
        """Many networks as sums of few fragments.

        What an additive cost says of network ``i`` is the sum over slots ``s`` of
        ``weights[s] * cost[codes[i, s]]``, where the cost of fragment ``f`` is the sum over its
        layers ``pool[starts[f]:starts[f + 1]]``. The last fragment is empty and stands for nothing.
        """

        pool: NDArray[np.void]
        """(m,) of LAYER: the layers of every fragment in use, one fragment after the other."""
        starts: NDArray[np.int64]
        """(fragments + 1,): where each fragment starts in `pool`; the last entry is m."""
        codes: NDArray[np.int64]
        """(n, slots): the fragment in each slot."""
        weights: NDArray[np.int64]
        """(slots,): how often the fragment of each slot stands in the network."""
        peaks: NDArray[np.int64]
        """(n,): the largest number of activation elements that are alive at one time; 0 where disconnected."""
else:
    from collections import namedtuple

    Composition = namedtuple("Composition", "pool starts codes weights peaks")


class LayerwiseSpace(Space):
    """Base of spaces whose networks are chains of fragments.

    Each slot (stem, block, head) holds layers that an integer, its code, determines alone. So the
    layers of many networks follow from those of a few, which are taken from whole networks.
    """

    layerwise = True

    def __init__(self) -> None:
        self._fragments: dict[str, Fragments] = {}

    def _input_size(self, vector: tuple[int, ...], dataset: str) -> int:
        """Return the height and width of the input."""
        raise NotImplementedError

    def _blocks(self, builder: Builder, vector: tuple[int, ...], dataset: str) -> Iterator[int]:
        """Add the layers slot after slot, and give the number of the last layer after each slot."""
        raise NotImplementedError

    def slot_codes(self, vectors: NDArray[Any], dataset: str) -> NDArray[np.int64]:
        """Return what stands in each slot, (n, slots); -1 is nothing.

        Equal numbers in one slot mean equal layers, whatever the other slots hold.
        """
        raise NotImplementedError

    def _lay_out(self, arch: Architecture, dataset: str) -> tuple[Network, list[int]]:
        """Return the network, and how many of its layers end with each slot."""
        from hwnasbench.networks import Builder

        size = self._input_size(arch.vector, dataset)
        builder = Builder((3, size, size))
        ends = [layer + 1 for layer in self._blocks(builder, arch.vector, dataset)]
        return builder.build(str(arch), dataset), ends

    def _network(self, arch: Architecture, dataset: str) -> Network:
        return self._lay_out(arch, dataset)[0]

    def _fragments_of(self, dataset: str) -> Fragments:
        from hwnasbench.spaces.fragments import Fragments

        if dataset not in self._fragments:
            self._fragments[dataset] = Fragments(lambda arch: self._lay_out(self.parse(arch), dataset))
        return self._fragments[dataset]

    def layer_table(self, archs: Any, dataset: str | None = None) -> tuple[NDArray[np.void], NDArray[np.int64]]:
        chosen = self._dataset(dataset)
        vectors = self.vectors(archs)
        return self._fragments_of(chosen).layers(vectors, self.slot_codes(vectors, chosen))

    def compose(self, archs: Any, dataset: str | None = None, runs: str = "live") -> Composition:
        """Return networks as sums of fragments; of a chain all layers are live. See `Space.compose`."""
        from hwnasbench.networks.runtime import check_runs

        check_runs(runs)
        chosen = self._dataset(dataset)
        vectors = self.vectors(archs)
        return self._fragments_of(chosen).compose(vectors, self.slot_codes(vectors, chosen))
