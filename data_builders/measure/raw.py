"""Raw samples in HDF5: one file a chunk and process while a campaign runs, one file for all of it at the end."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data_builders.measure.protocol import Samples
from hwnasbench.errors import CorruptFile, MissingExtra
from hwnasbench.tables.write import atomically

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import ModuleType

    from numpy.typing import NDArray

_FORMAT = "hwnasbench measurement 3"
#: What the project's first files are: `about` is an attribute, which has no checksum.
_EARLIER = "hwnasbench measurement 2"
#: HDF5 1.10 keeps a group in a quarter of the bytes that older formats take.
_LIBVER = ("v110", "v110")


@dataclass(frozen=True, eq=False)
class Chunk:
    """What one process found out about some networks.

    Attributes
    ----------
    names : list of str
    status : list of str
        "ok", or why a network has no time: "compile_failed: ...".
    samples : Samples
        Of the networks whose status is ok, in their order.
    joules : (n,) ndarray of float64
        Energy of an inference, of those networks; NaN where it was not metered.
    about : dict
        Machine, versions, setting, protocol, digest of the networks, process number, clock.
    """

    names: list[str]
    status: list[str]
    samples: Samples
    joules: NDArray[np.float64]
    about: dict[str, Any]

    @property
    def ok(self) -> NDArray[np.bool_]:
        """Which networks were timed, (networks,)."""
        return np.array([status == "ok" for status in self.status], bool)

    @property
    def fastest(self) -> float:
        """The reference's fastest inference in undisturbed rounds, in seconds."""
        return float(self.samples.reference[self.samples.kept].min())


def _h5py() -> ModuleType:
    try:
        import h5py
    except ImportError as error:
        raise MissingExtra("raw samples need h5py: pip install 'hwnasbench[measure]'") from error
    return h5py  # type: ignore[no-any-return]


def to_bytes(chunk: Chunk) -> bytes:
    """Return a chunk as the bytes of an HDF5 file."""
    stream = io.BytesIO()
    with _h5py().File(stream, "w", libver=_LIBVER) as file:
        _fill(file, chunk)
    return stream.getvalue()


def _fill(group: Any, chunk: Chunk) -> None:
    group.attrs["format"] = _FORMAT
    samples = chunk.samples
    arrays: dict[str, NDArray[Any]] = {
        "about": np.frombuffer(json.dumps(chunk.about, sort_keys=True).encode(), np.uint8),
        "names": np.frombuffer(json.dumps(chunk.names).encode(), np.uint8),
        "status": np.frombuffer(json.dumps(chunk.status).encode(), np.uint8),
        "seconds": samples.seconds,
        "reference": samples.reference,
        "kept": samples.kept,
        "joules": chunk.joules,
    }
    for name, values in arrays.items():
        # float32 keeps a ten-millionth of a time, and half the bytes.
        kept = values.astype(np.float32) if values.dtype == np.float64 else values
        group.create_dataset(name, data=kept, compression="gzip", shuffle=True, fletcher32=True)


def read(path: Path) -> Chunk:
    """Read the file of a chunk.

    Raises
    ------
    CorruptFile
        When it is damaged or something else.
    """
    h5py = _h5py()
    try:
        with h5py.File(path, "r") as file:
            return _chunk(file)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise CorruptFile(
            f"{path} is no file of raw samples, or a damaged one ({error}); remove it and run the same command again: "
            "only its chunk is measured anew"
        ) from error


def _chunk(group: Any) -> Chunk:
    if group.attrs["format"] not in (_FORMAT, _EARLIER):
        raise ValueError(f"format {group.attrs['format']!r}; expected {_FORMAT!r}")
    names, status = (json.loads(group[name][()].tobytes()) for name in ("names", "status"))
    seconds, reference, joules = (group[name][()].astype(np.float64) for name in ("seconds", "reference", "joules"))
    samples = Samples(seconds, reference, group["kept"][()].astype(bool))
    earlier = group.attrs["format"] == _EARLIER
    about = json.loads(group.attrs["about"] if earlier else group["about"][()].tobytes())
    found = Chunk(names, status, samples, joules, about)
    rounds, timed = samples.seconds.shape
    if len(names) != len(status) or timed != found.ok.sum() or samples.reference.shape != (rounds, 2):
        raise ValueError(f"{len(names)} names, {len(status)} statuses, {timed} timed networks in {rounds} rounds")
    return found


def join(paths: Iterable[Path], target: Path) -> None:
    """Write the chunks of many files into one, a group each, named as the files: the whole file or none."""
    chunks = {path.stem: read(path) for path in paths}

    def write(temporary: Path) -> None:
        with _h5py().File(temporary, "w", libver=_LIBVER) as file:
            for name, chunk in sorted(chunks.items()):
                _fill(file.create_group(name), chunk)

    atomically(target, write)


def read_all(path: Path) -> dict[str, Chunk]:
    """Read what `join` wrote.

    Raises
    ------
    CorruptFile
    """
    try:
        with _h5py().File(path, "r") as file:
            return {name: _chunk(group) for name, group in file.items()}
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise CorruptFile(f"{path} is no file of joined raw samples, or a damaged one ({error})") from error
