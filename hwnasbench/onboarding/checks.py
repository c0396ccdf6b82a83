"""What a new device is refused for: one clear error each, before anything is learned or registered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench import spaces
from hwnasbench.devices import catalog
from hwnasbench.errors import InvalidArchitecture, InvalidRequest, UnknownName
from hwnasbench.plan import as_integer
from hwnasbench.vocabulary import DEVICE_CLASSES, ENGINES, METRICS, precision_bits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hwnasbench.spaces import Space

#: Fewest and most measurements that a device is learned from.
FEWEST, MOST = 3, 256
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}")


def check_name(name: Any) -> str:
    """Refuse what is no file name, or what the catalogue calls a device of its own."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidRequest(f"name={name!r}: expected letters, digits, '_', '-', '.' or '+', up to 100")
    taken = catalog().get(name)
    if taken is not None:
        raise InvalidRequest(f"name={name!r} is a device of the catalogue ({taken.title}); choose another one")
    return name


def check_space(space: Any) -> Space:
    """Return a registered space."""
    if isinstance(space, spaces.Space) and space.name in spaces.names():
        space = space.name
    if not isinstance(space, str):
        raise UnknownName("space", space, spaces.names())
    return spaces.get(space)


def check_archs(space: Space, archs: Any) -> NDArray[np.int8]:
    """Return the decisions of the measured architectures: of this space, connected, each once."""
    if isinstance(archs, (str, bytes, dict)) or not hasattr(archs, "__iter__"):
        raise InvalidRequest(f"archs: expected a sequence of architectures, got {type(archs).__name__}")
    listed = [space.parse(arch) for arch in archs]
    if not FEWEST <= len(listed) <= MOST:
        raise InvalidRequest(f"{len(listed)} measured architectures; expected {FEWEST} to {MOST}")
    seen: dict[tuple[int, ...], int] = {}
    for row, arch in enumerate(listed):
        if not space.is_connected(arch):
            raise InvalidArchitecture(f"archs[{row}] ({arch}) is disconnected: no measurement of it means anything")
        first = seen.setdefault(space.canonical_vector(arch.vector), row)
        if first != row:
            raise InvalidRequest(f"archs[{first}] and archs[{row}] are one network ({arch}); average its measurements")
    return space.canonical_vectors(space.vectors(listed))


def check_values(metric: str, values: Any, expected: int) -> NDArray[np.float64]:
    """Return the measurements of one metric: as many as architectures, finite, positive, not all equal."""
    try:
        given = np.array(values)
    except ValueError as error:
        raise InvalidRequest(f"{metric}: expected numbers in {METRICS[metric].unit} ({error})") from None
    if given.dtype.kind not in "iuf":
        raise InvalidRequest(f"{metric}: expected numbers in {METRICS[metric].unit}, got {values!r:.80}")
    found = given.astype(np.float64)
    if found.ndim != 1 or len(found) != expected:
        raise InvalidRequest(
            f"{metric} has shape {found.shape}; expected one number for each of {expected} architectures"
        )
    bad = np.flatnonzero(~(np.isfinite(found) & (found > 0)))
    if len(bad):
        raise InvalidRequest(f"{metric}[{bad[0]}] is {found[bad[0]]}; expected a finite number above 0")
    if np.ptp(found) == 0:
        raise InvalidRequest(f"{metric} is {found[0]:g} for every architecture; constant values tell nothing apart")
    return found


def check_setting(space: Space, setting: Mapping[str, Any]) -> dict[str, Any]:
    """Return data set, batch, precision, engine and threads, each a word or a number that queries know."""
    dataset = setting["dataset"]
    if dataset not in space.datasets:
        raise UnknownName("data set", dataset, space.datasets)
    counts = {name: as_integer(name, setting[name]) for name in ("batch", "threads")}
    for name, count in counts.items():
        if (count is None and name == "batch") or (count is not None and count < 1):
            raise InvalidRequest(f"{name}={count!r}: expected 1 or more")
    precision_bits(setting["precision"])
    if setting["engine"] is not None and setting["engine"] not in ENGINES:
        raise UnknownName("engine", setting["engine"], ENGINES)
    return {"dataset": dataset, **counts, "precision": setting["precision"], "engine": setting["engine"]}


def check_words(device_class: Any, of: Any) -> None:
    """Refuse an unknown device class, or a kind that nobody can have found outside of this library."""
    if device_class is not None and device_class not in DEVICE_CLASSES:
        raise UnknownName("device class", device_class, DEVICE_CLASSES)
    if of not in ("measured", "estimated"):
        raise UnknownName("kind of the measurements", of, ("measured", "estimated"))
