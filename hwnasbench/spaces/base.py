"""What every space offers: architectures as vectors of categorical decisions."""

from __future__ import annotations

import operator

from hwnasbench.errors import InvalidArchitecture, InvalidRequest, NotEnumerable
from hwnasbench.spaces.architecture import Architecture

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from hwnasbench.networks import Network
    from hwnasbench.spaces.chain import Composition

__all__ = ["Architecture", "Space"]


def _registered(name: str) -> Space:
    from hwnasbench import spaces

    return spaces.get(name)


class Space:
    """Base of every space. A subclass fills in the facts and the notations.

    Attributes
    ----------
    name : str
        The registered name.
    choices : tuple of int
        How many choices each position has.
    enumerable : bool
        Whether architectures have a published index and whole columns make sense.
    datasets : tuple of str
        Data sets for which a network can be laid out.
    notations : tuple of str
        Foreign notations that `parse` and `format` know by name.
    layerwise : bool
        Whether networks are chains of fragments (`hwnasbench.spaces.chain`).
    """

    name: str = ""
    title: str = ""
    citation: str = ""
    choices: tuple[int, ...] = ()
    enumerable: bool = False
    datasets: tuple[str, ...] = ()
    notations: tuple[str, ...] = ()
    layerwise: bool = False

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild by the registered name; spaces that are made otherwise say how they are."""
        return _registered, (self.name,)

    # -- size ---------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Number of architectures (an exact integer of any size)."""
        total = 1
        for n in self.choices:
            total *= n
        return total

    def __len__(self) -> int:
        if not self.enumerable:
            raise NotEnumerable(
                f"space {self.name!r} has {self.size} architectures; use .size, sample() or explicit architectures"
            )
        return self.size

    def __iter__(self) -> Iterator[Architecture]:
        for index in range(len(self)):
            yield self.from_index(index)

    def __contains__(self, arch: object) -> bool:
        return isinstance(arch, Architecture) and arch.space.name == self.name

    # -- notations ----------------------------------------------------------------------------

    def parse(self, arch: Any, notation: str | None = None) -> Architecture:
        """Read an architecture in any notation in use.

        Parameters
        ----------
        arch : Architecture, str, int, sequence or ndarray
            A string in the space's own format, a published index, or the space's own decision
            vector. A bare sequence is never guessed to be a foreign notation.
        notation : str, optional
            One of `notations`, for a foreign encoding.

        Returns
        -------
        Architecture

        Raises
        ------
        InvalidArchitecture
            When it is malformed, out of range, or belongs to another space.
        """
        if notation is not None:
            if notation not in self.notations:
                from hwnasbench.errors import UnknownName

                raise UnknownName(f"notation of {self.name}", notation, self.notations)
            return self._parse_foreign(arch, notation)
        if isinstance(arch, Architecture):
            if arch.space.name != self.name:
                raise InvalidArchitecture(f"{arch!r} belongs to space {arch.space.name!r}, expected {self.name!r}")
            return arch
        if isinstance(arch, str):
            return self._parse_string(arch)
        if isinstance(arch, bool):
            raise InvalidArchitecture(f"{arch!r} is not an architecture of {self.name!r}")
        if hasattr(arch, "__index__") and getattr(arch, "ndim", 0) == 0:
            return self.from_index(operator.index(arch))
        return Architecture(self, self._check_vector(self._to_sequence(arch)))

    def _to_sequence(self, arch: Any) -> list[Any]:
        if getattr(arch, "ndim", 1) != 1 or not hasattr(arch, "__iter__") or isinstance(arch, (dict, set, bytes)):
            raise InvalidArchitecture(
                f"{arch!r} is not an architecture of {self.name!r}: "
                f"expected a string, an index or {len(self.choices)} integers"
            )
        return arch.tolist() if hasattr(arch, "tolist") else list(arch)

    def _check_vector(self, values: Sequence[Any]) -> tuple[int, ...]:
        """Return the decisions as a tuple of plain integers, or say which one is wrong."""
        try:
            packed = bytes(values)
        except (TypeError, ValueError):
            raise InvalidArchitecture(self._fault(values)) from None
        choices = self.choices
        if len(packed) != len(choices) or bool in map(type, values) or not all(map(operator.lt, packed, choices)):
            raise InvalidArchitecture(self._fault(values))
        return tuple(packed)

    def _fault(self, values: Sequence[Any]) -> str:
        """Say what is wrong with a vector of decisions."""
        shown = list(values)
        if len(shown) != len(self.choices):
            return f"{shown!r} has {len(shown)} decisions; {self.name!r} takes {len(self.choices)}"
        for position, (value, n) in enumerate(zip(shown, self.choices, strict=True)):
            if isinstance(value, bool) or not hasattr(value, "__index__") or not 0 <= operator.index(value) < n:
                return f"decision {position} of {shown!r} is {value!r}; expected an integer from 0 to {n - 1}"
        return f"{shown!r} is not an architecture of {self.name!r}"

    def _parse_string(self, text: str) -> Architecture:
        raise NotImplementedError

    def _parse_foreign(self, arch: Any, notation: str) -> Architecture:
        raise NotImplementedError

    def format(self, arch: Any, notation: str | None = None) -> str:
        """Return the canonical string, or the string of a foreign `notation`, one of `notations`.

        Raises
        ------
        InvalidArchitecture, UnknownName
        """
        raise NotImplementedError

    # -- index --------------------------------------------------------------------------------

    def index(self, arch: Any) -> int:
        """Return the published index of `arch`.

        Raises
        ------
        NotEnumerable
            Where the space has no published index.
        """
        raise NotEnumerable(f"space {self.name!r} has no published index")

    def from_index(self, index: int) -> Architecture:
        """Return the architecture with the published `index`, from 0 to ``len(self) - 1``.

        Raises
        ------
        InvalidArchitecture
            When there is no such index.
        NotEnumerable
            Where the space has no published index.
        """
        raise NotEnumerable(f"space {self.name!r} has no published index; {index!r} names no architecture")

    def code(self, text: str) -> int:
        """Return a number below `size` that follows from a canonical string without any table."""
        raise NotEnumerable(f"space {self.name!r} has no published index")

    def index_by_code(self) -> Sequence[int]:
        """Return the published index of each code."""
        raise NotEnumerable(f"space {self.name!r} has no published index")

    # -- structure ----------------------------------------------------------------------------

    def canonical(self, arch: Any) -> str:
        """Return a key that is equal exactly for architectures that compute the same function."""
        return self.format(arch)

    def graph_key(self, arch: Any) -> str:
        """Return a key that is equal exactly for architectures with the same live graph (equal cost)."""
        return self.canonical(arch)

    def canonical_vector(self, vector: tuple[int, ...]) -> tuple[int, ...]:
        """Return the checked decisions that stand for all that name the same network."""
        return vector

    def canonical_vectors(self, vectors: NDArray[np.int8]) -> NDArray[np.int8]:
        """Return `canonical_vector` of each row of an (n, positions) array of checked decisions."""
        import numpy as np

        if type(self).canonical_vector is Space.canonical_vector:
            return vectors
        found = [self.canonical_vector(tuple(vector)) for vector in vectors.tolist()]
        return np.array(found, np.int8).reshape(vectors.shape)

    def is_connected(self, arch: Any) -> bool:
        """Whether any path leads from the input to the output."""
        self.parse(arch)
        return True

    def neighbours(self, arch: Any) -> list[Architecture]:
        """Return every architecture that differs in exactly one decision."""
        vector = self.parse(arch).vector
        return [
            Architecture(self, (*vector[:position], choice, *vector[position + 1 :]))
            for position, n in enumerate(self.choices)
            for choice in range(n)
            if choice != vector[position]
        ]

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Draw one architecture uniformly with the NumPy Generator `rng`.

        Raises
        ------
        InvalidRequest
            When `rng` is something else, such as a seed.
        """
        return Architecture(self, tuple(int(v) for v in self.sample_many(rng, 1)[0]))

    def sample_many(self, rng: np.random.Generator, n: int) -> NDArray[np.int8]:
        """Draw `n` architectures uniformly, with replacement, as an (n, positions) array of decisions; see `sample`."""
        import numpy as np

        if not isinstance(rng, np.random.Generator):
            raise InvalidRequest(
                f"sample needs a numpy.random.Generator, got {type(rng).__name__}; use numpy.random.default_rng(seed)"
            )
        return rng.integers(0, np.array(self.choices), size=(n, len(self.choices))).astype(np.int8)

    def all_vectors(self) -> NDArray[np.int8]:
        """Return the decisions of the whole space in index order (enumerable spaces only)."""
        return self.vectors(list(range(len(self))))

    # -- many at once -------------------------------------------------------------------------

    def vectors(self, archs: Any) -> NDArray[np.int8]:
        """Turn many architectures into an (n, positions) array of decisions.

        Parameters
        ----------
        archs : (n, positions) ndarray, or iterable of anything `parse` reads

        Raises
        ------
        InvalidArchitecture
            When a decision is out of range or the shape is wrong.
        """
        import numpy as np

        positions = len(self.choices)
        if isinstance(archs, np.ndarray) and archs.ndim == 2:
            if archs.shape[1] != positions:
                raise InvalidArchitecture(f"array of shape {archs.shape}; {self.name!r} takes (n, {positions})")
            if archs.dtype.kind not in "iu":
                raise InvalidArchitecture(f"array of dtype {archs.dtype}; decisions are integers")
            self._check_bounds(archs)
            return archs.astype(np.int8, copy=False)
        out = np.empty((len(archs), positions), np.int8)
        for row, arch in enumerate(archs):
            out[row] = self.parse(arch).vector
        return out

    def _check_bounds(self, archs: NDArray[Any]) -> None:
        import numpy as np

        if not archs.size:
            return
        # As unsigned numbers negative ones are large, so that one pass finds both faults.
        unsigned = archs.view(archs.dtype.str.replace("i", "u")) if archs.dtype.kind == "i" else archs
        if min(self.choices) == max(self.choices) and unsigned.max() < self.choices[0]:
            return
        bad = np.argwhere((archs < 0) | (archs >= np.array(self.choices)))
        if len(bad):
            row, position = (int(v) for v in bad[0])
            raise InvalidArchitecture(
                f"row {row}, decision {position} is {archs[row, position]}; expected 0 to {self.choices[position] - 1}"
            )

    def indices(self, archs: Any) -> NDArray[np.intp]:
        """Turn many architectures into published indices (enumerable spaces only)."""
        raise NotEnumerable(f"space {self.name!r} has no published index")

    def encode(self, archs: Any, kind: str = "one_hot") -> NDArray[np.float32]:
        """Turn architectures into features.

        Parameters
        ----------
        archs : one architecture or many
            Anything `parse` or `vectors` reads.
        kind : {"one_hot", "graph"}
            ``one_hot``: one column a (position, choice). ``graph``: features of what the network
            computes, equal for architectures with equal graphs.

        Returns
        -------
        ndarray of float32, shape (n, features)
        """
        import numpy as np

        many = self.vectors(archs if self._is_many(archs) else [archs])
        if kind == "one_hot":
            hot = [many[:, [p]] == np.arange(n, dtype=np.int8) for p, n in enumerate(self.choices)]
            return np.concatenate(hot, axis=1).astype(np.float32)
        if kind == "graph":
            return self._graph_features(many)
        from hwnasbench.errors import UnknownName

        raise UnknownName("encoding", kind, ("one_hot", "graph"))

    def _is_many(self, archs: Any) -> bool:
        if isinstance(archs, (str, int, Architecture)) or not hasattr(archs, "__len__"):
            return False
        if hasattr(archs, "ndim"):
            return bool(archs.ndim == 2)
        return not (len(archs) == len(self.choices) and all(hasattr(v, "__index__") for v in archs))

    def _graph_features(self, vectors: NDArray[np.int8]) -> NDArray[np.float32]:
        raise NotImplementedError

    def feature_names(self, kind: str = "one_hot") -> list[str]:
        """Return the names of the columns of `encode`."""
        raise NotImplementedError

    # -- network ------------------------------------------------------------------------------

    def network(self, arch: Any, dataset: str | None = None) -> Network:
        """Lay out the architecture at a data set's input size as a table of layers.

        Parameters
        ----------
        arch : anything that `parse` reads
        dataset : str, optional
            One of `datasets`; the first by default.

        Raises
        ------
        InvalidArchitecture
            When it is none of this space.
        UnknownName
            When the space has no macro-architecture for `dataset`.
        """
        return self._network(self.parse(arch), self._dataset(dataset))

    def _dataset(self, dataset: str | None) -> str:
        from hwnasbench.errors import UnknownName

        chosen = self.datasets[0] if dataset is None else dataset
        if chosen not in self.datasets:
            raise UnknownName(f"data set of {self.name}", dataset, self.datasets)
        return chosen

    def layer_table(self, archs: Any, dataset: str | None = None) -> tuple[NDArray[np.void], NDArray[np.int64]]:
        """Return the live layers of many architectures, and the (n + 1,) offsets of each one's."""
        from hwnasbench.spaces.fragments import compose_networks

        composition = compose_networks(self, self.vectors(archs), self._dataset(dataset))
        return composition.pool, composition.starts[:-1]

    def compose(self, archs: Any, dataset: str | None = None, runs: str = "live") -> Composition:
        """Return what runs (`hwnasbench.networks.runtime.RUNS`) of many networks as sums of fragments."""
        from hwnasbench.spaces.fragments import compose_networks

        return compose_networks(self, self.vectors(archs), self._dataset(dataset), runs)

    def _network(self, arch: Architecture, dataset: str) -> Network:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<space {self.name}: {self.size} architectures>"
