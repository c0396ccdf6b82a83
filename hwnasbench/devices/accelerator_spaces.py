"""Spaces of accelerator designs: named, bounded choices, each design a parametric device.

>>> from hwnasbench.devices import accelerator_spaces
>>> space = accelerator_spaces.get("systolic")
>>> space.device(space.parse("rows=16,columns=16,dataflow=os")).model
'systolic'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnasbench.devices import parametric
from hwnasbench.devices.parameters import parameters
from hwnasbench.errors import InvalidArchitecture, NotEnumerable, UnknownName
from hwnasbench.spaces.base import Architecture, Space

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    Choices = dict[str, tuple[float | int | str, ...]]


class AcceleratorSpace(Space):
    """Designs of one cost model: a choice for each of some of its parameters; the rest keep their default.

    Read as ``rows=16,columns=32,...`` (a parameter that is not named takes its first choice), as
    a dictionary, or as a vector of choices.

    Parameters
    ----------
    name : str
    accelerator : type
        The parametric device.
    options : dict
        Parameter to its choices.

    Raises
    ------
    UnknownName, InvalidRequest
        When a parameter is unknown, or a choice out of its bounds.
    """

    enumerable = False
    datasets = ()

    def __init__(self, name: str, accelerator: type[parametric.Accelerator], options: Choices) -> None:
        self.name = name
        self.title = f"designs of {accelerator.model}"
        self.accelerator = accelerator
        self.options = {key: tuple(values) for key, values in options.items()}
        self.choices = tuple(len(values) for values in self.options.values())
        known = parameters(accelerator.model)
        for key, values in self.options.items():
            if key not in known:
                raise UnknownName(f"parameter of {accelerator.model}", key, known)
            for value in values:
                known[key].check(value)

    def __reduce__(self) -> tuple[object, ...]:
        return AcceleratorSpace, (self.name, self.accelerator, self.options)

    def parse(self, arch: Any, notation: str | None = None) -> Architecture:
        return self._from_design(arch) if isinstance(arch, dict) else super().parse(arch, notation)

    def _parse_string(self, text: str) -> Architecture:
        design: dict[str, str] = {}
        for part in text.split(","):
            key, equals, value = part.partition("=")
            if not equals:
                raise InvalidArchitecture(f"{text!r}: expected parameter=value pairs joined by commas, got {part!r}")
            design[key.strip()] = value.strip()
        return self._from_design(design)

    def _from_design(self, design: dict[str, Any]) -> Architecture:
        vector = []
        for key in design:
            if key not in self.options:
                raise InvalidArchitecture(str(UnknownName(f"parameter of {self.name}", key, self.options)))
        for key, values in self.options.items():
            words = [str(value) for value in values]
            wanted = str(design.get(key, words[0]))
            if wanted not in words:
                raise InvalidArchitecture(str(UnknownName(key, wanted, words)))
            vector.append(words.index(wanted))
        return Architecture(self, tuple(vector))

    def format(self, arch: Any, notation: str | None = None) -> str:
        return ",".join(f"{key}={value}" for key, value in self.design(arch).items())

    def design(self, arch: Any) -> dict[str, float | int | str]:
        """Return the chosen value of each parameter."""
        vector = self.parse(arch).vector
        return {key: values[i] for (key, values), i in zip(self.options.items(), vector, strict=True)}

    def device(self, arch: Any) -> parametric.Accelerator:
        """Return the design as a device that every query takes."""
        return self.accelerator((), **self.design(arch))

    def designs(self, vectors: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
        """Return the value of each parameter of many designs, words as their codes, one array a parameter."""
        import numpy as np

        known = parameters(self.accelerator.model)
        out = {}
        for position, (key, values) in enumerate(self.options.items()):
            codes = np.array([known[key].code(value) for value in values])
            out[key] = codes[np.asarray(vectors)[:, position]]
        return out

    def feature_names(self, kind: str = "one_hot") -> list[str]:
        return [f"{key}={value}" for key, values in self.options.items() for value in values]

    def index(self, arch: Any) -> int:
        raise NotEnumerable(f"space {self.name!r} has no published index")


class JointSpace(Space):
    """Networks and the accelerator that runs them: the decisions of both, for co-search.

    The string is the network's, ``|| ``, and the design's.

    Parameters
    ----------
    base : Space
    accelerators : AcceleratorSpace
    """

    enumerable = False

    def __init__(self, base: Space, accelerators: AcceleratorSpace) -> None:
        self.base = base
        self.accelerators = accelerators
        self.name = f"{base.name}x{accelerators.name}"
        self.title = f"{base.title} with {accelerators.title}"
        self.citation = base.citation
        self.choices = base.choices + accelerators.choices
        self.datasets = base.datasets
        self._split = len(base.choices)

    def __reduce__(self) -> tuple[object, ...]:
        return JointSpace, (self.base, self.accelerators)

    def split(self, arch: Any) -> tuple[Architecture, Architecture]:
        """Return the network and the design of a joint architecture."""
        vector = self.parse(arch).vector
        return self.base.parse(vector[: self._split]), self.accelerators.parse(vector[self._split :])

    def _check_vector(self, values: Sequence[Any]) -> tuple[int, ...]:
        vector = super()._check_vector(values)
        self.base._check_vector(vector[: self._split])
        return vector

    def _parse_string(self, text: str) -> Architecture:
        head, bars, tail = text.rpartition("||")
        if not bars:
            raise InvalidArchitecture(f"{text!r}: expected a network of {self.base.name!r}, '||', and a design")
        return Architecture(self, self.base.parse(head.strip()).vector + self.accelerators.parse(tail.strip()).vector)

    def format(self, arch: Any, notation: str | None = None) -> str:
        network, design = self.split(arch)
        return f"{self.base.format(network)}||{self.accelerators.format(design)}"

    def feature_names(self, kind: str = "one_hot") -> list[str]:
        return [*self.base.feature_names("one_hot"), *self.accelerators.feature_names()]

    def sample_many(self, rng: np.random.Generator, n: int) -> NDArray[np.int8]:
        import numpy as np

        return np.concatenate([self.base.sample_many(rng, n), self.accelerators.sample_many(rng, n)], axis=1)

    def _network(self, arch: Architecture, dataset: str) -> Any:
        return self.base.network(self.split(arch)[0], dataset)


def joint(space: Space, accelerators: AcceleratorSpace | str) -> JointSpace:
    """Return the space of pairs (network, design).

    Parameters
    ----------
    space : Space
    accelerators : AcceleratorSpace or str
        A space, or a name of `names`.
    """
    return JointSpace(space, get(accelerators) if isinstance(accelerators, str) else accelerators)


_ARRAY = (8, 12, 14, 16, 24, 32, 64, 128, 256)
_BUFFER = (16, 32, 64, 128, 256, 512, 1024)
#: One entry a space. The first choice of each parameter is taken where none is named.
_SPACES: dict[str, tuple[type[parametric.Accelerator], Choices]] = {
    "systolic": (
        parametric.Systolic,
        {
            "rows": _ARRAY,
            "columns": _ARRAY,
            "dataflow": ("weight_stationary", "output_stationary", "input_stationary"),
            "input_kib": _BUFFER,
            "weight_kib": _BUFFER,
            "output_kib": _BUFFER,
            "word_bits": (8, 16),
            "clock_mhz": (500.0, 700.0, 1000.0),
            "technology_nm": (28.0, 16.0, 7.0),
        },
    ),
    "eyeriss": (
        parametric.Eyeriss,
        {
            "rows": (12, 6, 8, 16, 24, 32),
            "columns": (14, 7, 8, 16, 28, 32),
            "ifmap_words": (12, 24, 48),
            "filter_words": (224, 112, 448),
            "psum_words": (24, 16, 32, 48),
            "buffer_kib": (108.0, 32.0, 64.0, 256.0, 512.0),
        },
    ),
    "fpga": (
        parametric.Fpga,
        {
            "input_lanes": (4, 8, 16, 32),
            "output_lanes": (8, 16, 32, 64),
            "tile_rows": (7, 14, 16, 28),
            "tile_columns": (7, 14, 16, 28),
            "dsp_available": (220, 360, 900, 2520),
            "bram_available": (280, 432, 1090, 1824),
            "word_bits": (16, 8),
        },
    ),
    "reram": (
        parametric.Crossbar,
        {
            "rows": (64, 128, 256, 512),
            "columns": (64, 128, 256, 512),
            "bits_per_cell": (1, 2, 4),
            "adc_bits": (8, 4, 5, 6, 7, 9),
            "columns_per_adc": (64, 8, 16, 32),
            "cell_type": ("reram", "fefet", "sttmram"),
        },
    ),
}


def names() -> list[str]:
    """Return the names of the accelerator spaces, sorted."""
    return sorted(_SPACES)


def get(name: str) -> AcceleratorSpace:
    """Return the accelerator space called `name`.

    Raises
    ------
    UnknownName
        When there is none.
    """
    if name not in _SPACES:
        raise UnknownName("accelerator space", name, _SPACES)
    return AcceleratorSpace(name, *_SPACES[name])
