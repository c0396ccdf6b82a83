"""Mixed precision: the bits of every layer's weights and activations as further decisions of any space."""

from __future__ import annotations

from functools import lru_cache

from hwnasbench.errors import InvalidArchitecture, InvalidRequest, UnknownName
from hwnasbench.spaces.base import Architecture, Space

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from hwnasbench.networks import Network
    from hwnasbench.spaces.chain import Composition

_BITS = (2, 4, 6, 8)


def mixed_precision(
    space: Space,
    weights: Sequence[int] = _BITS,
    activations: Sequence[int] = _BITS,
    layers: int | None = None,
) -> MixedPrecision:
    """Return `space` with a choice of weight and activation bits for every weighted layer.

    Parameters
    ----------
    space : Space
    weights, activations : sequence of int
        Bits to choose from, 1 to 32.
    layers : int, optional
        Most convolutions and linear layers of any network; None finds it, which takes seconds for
        some spaces.

    Returns
    -------
    MixedPrecision

    Raises
    ------
    InvalidRequest
        When bits are missing, repeated or out of range.
    """
    for what, bits in (("weights", weights), ("activations", activations)):
        if not bits or len(set(bits)) != len(bits) or not all(isinstance(b, int) and 1 <= b <= 32 for b in bits):
            raise InvalidRequest(f"{what} {list(bits)!r}: expected different numbers of bits from 1 to 32")
    return MixedPrecision(space, tuple(weights), tuple(activations), layers or _most_layers(space))


class MixedPrecision(Space):
    """A space of architectures and bit widths; made by `mixed_precision`.

    The decisions are those of the base space, then the weight bits and the activation bits of each
    weighted layer (convolution or linear, in the order of the layer table). Layers beyond those of an
    architecture mean nothing and are 0 in the canonical form. The string is the base's, ``@``, and a
    precision a layer: ``BASE@w8a8,w4a8,...``.

    Attributes
    ----------
    base : Space
    weights, activations : tuple of int
        Bits to choose from.
    layers : int
        Weighted layers that have decisions.
    """

    per_layer = True

    def __init__(self, base: Space, weights: tuple[int, ...], activations: tuple[int, ...], layers: int) -> None:
        self.base = base
        self.weights = weights
        self.activations = activations
        self.layers = layers
        self.name = f"{base.name}@w{'/'.join(map(str, weights))}a{'/'.join(map(str, activations))}x{layers}"
        self.title = f"{base.title} in mixed precision"
        self.citation = base.citation
        self.choices = base.choices + (len(weights), len(activations)) * layers
        self.datasets = base.datasets
        self._split = len(base.choices)
        self._weighted = lru_cache(maxsize=4096)(self._count_weighted)
        self._laid_out = lru_cache(maxsize=1024)(self._lay_out)

    def __reduce__(self) -> tuple[object, ...]:
        return MixedPrecision, (self.base, self.weights, self.activations, self.layers)

    # -- notations ----------------------------------------------------------------------------

    def _check_vector(self, values: Sequence[Any]) -> tuple[int, ...]:
        vector = super()._check_vector(values)
        self.base._check_vector(vector[: self._split])
        return vector

    def _check_bounds(self, archs: NDArray[Any]) -> None:
        super()._check_bounds(archs)
        self.base._check_bounds(archs[:, : self._split])

    def _parse_string(self, text: str) -> Architecture:
        head, mark, tail = text.rpartition("@")
        if not mark:
            raise InvalidArchitecture(
                f"{text!r} has no '@'; expected {self.base.name}'s string, '@', and w8a8,w4a8,..."
            )
        base = self.base.parse(head)
        words = tail.split(",")
        expected = self._weighted(base.vector)
        if len(words) != expected:
            raise InvalidArchitecture(f"{len(words)} precisions in {text!r}; {head!r} has {expected} weighted layers")
        bits = [choice for word in words for choice in self._choices_of(word)]
        return Architecture(self, (*base.vector, *bits, *[0] * (2 * (self.layers - expected))))

    def _choices_of(self, precision: str) -> tuple[int, int]:
        from hwnasbench.vocabulary import precision_bits

        try:
            weight, activation = precision_bits(precision)
        except UnknownName as error:
            raise InvalidArchitecture(str(error)) from None
        if weight not in self.weights or activation not in self.activations:
            raise InvalidArchitecture(
                f"precision {precision!r}: expected weights of {self.weights}, activations of {self.activations} bits"
            )
        return self.weights.index(weight), self.activations.index(activation)

    def format(self, arch: Any, notation: str | None = None) -> str:
        if notation is not None:
            raise UnknownName("notation of a mixed-precision space", notation, self.notations)
        parsed = self.parse(arch)
        words = [f"w{weight}a{activation}" for weight, activation in self.bits(parsed)]
        return f"{self.base.format(self.base_of(parsed))}@{','.join(words)}"

    # -- structure ----------------------------------------------------------------------------

    def base_of(self, arch: Any) -> Architecture:
        """Return the architecture without its bits."""
        return Architecture(self.base, self.parse(arch).vector[: self._split])

    def bits(self, arch: Any) -> list[tuple[int, int]]:
        """Return the weight bits and the activation bits of each weighted layer of an architecture."""
        vector = self.parse(arch).vector
        count = self._weighted(vector[: self._split])
        chosen = vector[self._split : self._split + 2 * count]
        return [(self.weights[w], self.activations[a]) for w, a in zip(chosen[::2], chosen[1::2], strict=True)]

    def uniform(self, arch: Any, precision: str) -> Architecture:
        """Return an architecture of the base space with every layer at one precision, such as ``w4a8``."""
        base = self.base.parse(arch)
        count = self._weighted(base.vector)
        bits = self._choices_of(precision) * count
        return Architecture(self, (*base.vector, *bits, *[0] * (2 * (self.layers - count))))

    def canonical(self, arch: Any) -> str:
        """Return the string; where the base's networks are chains, with the base's canonical one.

        Elsewhere equal graphs may number their layers differently, so that the bits would not say
        the same: there the base's own string stands.
        """
        parsed = self.parse(arch)
        if not getattr(self.base, "layerwise", False):
            return self.format(parsed)
        return f"{self.base.canonical(self.base_of(parsed))}@{self.format(parsed).rpartition('@')[2]}"

    def canonical_vector(self, vector: tuple[int, ...]) -> tuple[int, ...]:
        return self.parse(self.canonical(vector)).vector

    def is_connected(self, arch: Any) -> bool:
        return self.base.is_connected(self.base_of(arch))

    def neighbours(self, arch: Any) -> list[Architecture]:
        """Return every architecture with one other decision, bits of layers that are not there left out."""
        vector = self.parse(arch).vector
        near = [Architecture(self, n.vector + vector[self._split :]) for n in self.base.neighbours(self.base_of(arch))]
        for position in range(self._split, self._split + 2 * self._weighted(vector[: self._split])):
            for choice in range(self.choices[position]):
                if choice != vector[position]:
                    near.append(Architecture(self, (*vector[:position], choice, *vector[position + 1 :])))
        return near

    def sample_many(self, rng: np.random.Generator, n: int) -> NDArray[np.int8]:
        """Draw `n` architectures as the base space does, and each layer's bits uniformly."""
        import numpy as np

        base = self.base.sample_many(rng, n)
        bits = rng.integers(0, np.array(self.choices[self._split :]), size=(n, 2 * self.layers)).astype(np.int8)
        return np.concatenate([base, bits], axis=1)

    def _count_weighted(self, base: tuple[int, ...]) -> int:
        return self._check_count(_weighted_layers(self.base, base))

    def _check_count(self, count: int) -> int:
        if count > self.layers:
            raise InvalidRequest(
                f"{count} weighted layers; {self.name!r} has bits for {self.layers}: pass layers={count}"
            )
        return count

    # -- features and network -----------------------------------------------------------------

    def _graph_features(self, vectors: NDArray[np.int8]) -> NDArray[np.float32]:
        """Give the base's features, and the mean bits of weights and activations over layers."""
        import numpy as np

        means = [np.mean(self.bits(tuple(vector)) or [(0, 0)], axis=0) for vector in vectors.tolist()]
        base = self.base._graph_features(vectors[:, : self._split])
        return np.concatenate([base, np.array(means, np.float32).reshape(-1, 2)], axis=1)

    def feature_names(self, kind: str = "one_hot") -> list[str]:
        if kind != "one_hot":
            return [*self.base.feature_names(kind), "mean_weight_bits", "mean_activation_bits"]
        names = self.base.feature_names(kind)
        for layer in range(self.layers):
            names += [f"w{bits}@{layer}" for bits in self.weights] + [f"a{bits}@{layer}" for bits in self.activations]
        return names

    def _network(self, arch: Architecture, dataset: str) -> Network:
        """Lay out the base's network with the bits in its layers.

        Every other layer has the bits of the layer that it reads first; before the first weighted
        layer, those of that one.
        """
        from dataclasses import replace

        import numpy as np

        network, weighted = self._laid_out(arch.vector[: self._split], dataset)
        layers = network.layers.copy()
        bits = np.array(self.bits(arch) or [(32, 32)], layers["weight_bits"].dtype)[weighted]
        layers["weight_bits"], layers["activation_bits"] = bits.T
        return replace(network, layers=layers, name=str(arch))

    def compose(self, archs: Any, dataset: str | None = None, runs: str = "live") -> Composition:
        """Return each network as one fragment; where the base's are chains, whose layers all run, many at once."""
        import numpy as np

        from hwnasbench.spaces.chain import Composition

        if not self.base.layerwise:
            return super().compose(archs, dataset, runs)
        chosen, vectors = self._dataset(dataset), self.vectors(archs)
        base, n = vectors[:, : self._split], len(vectors)
        layers, offsets = self.base.layer_table(base, chosen)
        weighted = [self._laid_out(tuple(vector), chosen)[1] for vector in base.tolist()]
        owner = np.repeat(np.arange(n), np.diff(offsets))
        decisions = vectors[:, self._split :].reshape(n, self.layers, 2)
        bits = decisions[owner, np.concatenate([np.empty(0, np.intp), *weighted])]
        layers["weight_bits"] = np.array(self.weights)[bits[:, 0]]
        layers["activation_bits"] = np.array(self.activations)[bits[:, 1]]
        return Composition(
            layers,
            np.append(offsets, offsets[-1]),
            np.arange(n, dtype=np.int64)[:, None],
            np.ones(1, np.int64),
            self.base.compose(base, chosen).peaks,
        )

    def _lay_out(self, base: tuple[int, ...], dataset: str) -> tuple[Network, NDArray[np.intp]]:
        """Return the base's network, and for each of its layers the number of the weighted layer whose bits it has."""
        import numpy as np

        from hwnasbench.networks.layers import INPUT, Op

        network = self.base.network(Architecture(self.base, base), dataset)
        first_source: dict[int, int] = {}
        for source, target in network.edges.tolist():
            first_source.setdefault(target, source)
        given, count = {INPUT: 0}, 0
        for row, op in enumerate(network.layers["op"].tolist()):
            heavy = op in (Op.CONV, Op.LINEAR)
            given[row] = count if heavy else given[first_source[row]]
            count += heavy
        self._check_count(count)
        return network, np.array([given[row] for row in range(len(network))], np.intp)


def _weighted_layers(space: Space, vector: tuple[int, ...]) -> int:
    from hwnasbench.networks.layers import Op

    ops = space.network(vector).layers["op"]
    return int(((ops == Op.CONV) | (ops == Op.LINEAR)).sum())


def _most_layers(space: Space) -> int:
    """Return the weighted layers of the largest network: one decision after the other made larger."""
    stated = getattr(space, "max_weighted_layers", None)
    if stated is not None:
        return int(stated)
    best = [0] * len(space.choices)
    most, before = _weighted_layers(space, tuple(best)), -1
    while most > before:
        before = most
        for position, n in enumerate(space.choices):
            for choice in range(n):
                tried = [*best[:position], choice, *best[position + 1 :]]
                count = _weighted_layers(space, tuple(tried))
                if count > most:
                    best, most = tried, count
    return most
