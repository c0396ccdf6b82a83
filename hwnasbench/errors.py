"""The library's exceptions: each names the value, what was expected, and the nearest valid choice."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(value: object, choices: Iterable[object], n: int = 3) -> list[str]:
    """Return the `n` choices closest to `value` in spelling, best first.

    Parameters
    ----------
    value : object
        What was asked for.
    choices : iterable of object
        The valid choices.
    n : int
        How many to return at most.

    Returns
    -------
    list of str
        Close matches; empty where nothing is close.
    """
    import difflib

    by_key = {str(c).lower(): str(c) for c in choices}
    hits = difflib.get_close_matches(str(value).lower(), list(by_key), n=n, cutoff=0.5)
    return [by_key[hit] for hit in hits]


class HwnasbenchError(Exception):
    """Base of every exception this library raises on purpose."""


class UnknownName(HwnasbenchError, ValueError):
    """A name that is not registered (space, device, metric, data set, precision, ...).

    Attributes
    ----------
    what : str
        The sort of name, e.g. ``"device"``.
    value : object
        The name that was asked for.
    choices : tuple of str
        Every valid name.
    nearest : list of str
        The valid names closest to `value`.
    """

    def __init__(self, what: str, value: object, choices: Iterable[object]) -> None:
        self.what = what
        self.value = value
        self.choices = tuple(sorted(str(c) for c in choices))
        self.nearest = nearest(value, self.choices)
        hint = f"did you mean {' or '.join(map(repr, self.nearest))}? " if self.nearest else ""
        shown = ", ".join(self.choices[:12]) + (", ..." if len(self.choices) > 12 else "")
        super().__init__(f"unknown {what} {value!r}; {hint}known: {shown or 'none'}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.what, self.value, self.choices)


class InvalidArchitecture(HwnasbenchError, ValueError):
    """An architecture that is malformed, out of range, or of another space."""


class NotEnumerable(HwnasbenchError, TypeError):
    """The space is too large for an index, a length or a whole column."""


class InvalidRequest(HwnasbenchError, ValueError):
    """A query whose arguments contradict each other or have the wrong type."""


class CoresTaken(InvalidRequest):
    """A measuring process needs more cores than other ones leave free now."""


class AmbiguousQuery(HwnasbenchError, LookupError):
    """Several columns answer a request that named no default; the message lists them."""


class NoColumn(HwnasbenchError, LookupError):
    """No column answers the request; the message names what would fill it."""


class NoValue(HwnasbenchError, LookupError):
    """A value was read where there is only a status (disconnected, not_measured, ...)."""


class CorruptFile(HwnasbenchError, ValueError):
    """A file that is truncated, malformed, or not what its name says."""


class UnsafePickle(CorruptFile):
    """A pickle that names something outside its allow-list. Nothing of it was run."""


class ChecksumMismatch(CorruptFile):
    """A file whose SHA-256 is not the pinned one."""


class DownloadFailed(HwnasbenchError, OSError):
    """A file could not be fetched; what was fetched before is kept."""


class StorageError(HwnasbenchError, OSError):
    """The data folder cannot be written (read-only, full, not a folder)."""


class BuildLocked(HwnasbenchError, RuntimeError):
    """Another build holds the data folder."""


class StaleStore(HwnasbenchError, RuntimeError):
    """A column store of another schema version, or one that does not match its tables."""


class MissingExtra(HwnasbenchError, ImportError):
    """An optional dependency is not installed; the message says which extra brings it."""


class SourceMissing(HwnasbenchError, FileNotFoundError):
    """A source's files are not in the folder that was given."""


class ProxyFailed(HwnasbenchError, RuntimeError):
    """A proxy that raised, or that returned no finite number; the message names the architecture."""


class ObjectiveFailed(HwnasbenchError, RuntimeError):
    """A function of a result that raised, or returned no number; the message names the architecture.

    Attributes
    ----------
    row : int
        Which of the architectures that were scored together it was.
    """

    def __init__(self, message: str, row: int) -> None:
        super().__init__(message)
        self.row = row

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.row)


class Unmeasurable(HwnasbenchError, RuntimeError):
    """A network that an engine refuses or a device cannot hold, or a device that is not there."""


class StudyIncomplete(HwnasbenchError, RuntimeError):
    """Runs of a study raised; the others are kept, and the next run of the study makes those that are missing."""


class MeasurementDisturbed(HwnasbenchError, RuntimeError):
    """The machine did something else while it was to be measured; what was finished before is kept."""
