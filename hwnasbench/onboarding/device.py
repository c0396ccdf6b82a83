"""A device that the user measured a little: what queries ask instead of a device of the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwnasbench.devices import Device, catalog
from hwnasbench.errors import InvalidRequest
from hwnasbench.onboarding import checks
from hwnasbench.onboarding.column import OnboardedColumn
from hwnasbench.onboarding.known import known
from hwnasbench.onboarding.learner import Posterior
from hwnasbench.onboarding.registry import register

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from hwnasbench.benchmark import Benchmark
    from hwnasbench.spaces import Space
    from hwnasbench.tables.columns import Column

#: Known columns that each metric is learned from.
_LEARNED_FROM = {"latency": ("latency",), "energy": ("latency", "energy")}


class OnboardedDevice(Device):
    """A device learned from a few measurements; `onboard` makes it.

    Attributes
    ----------
    space : str
        The space it answers for.
    archs : tuple of str
        The measured architectures.
    measurements : dict
        Metric to the measured values.
    resembles : dict
        Metric to the known device that the measurements speak for most; empty where no single one does.
    """

    __slots__ = ("_columns", "_record", "archs", "measurements", "resembles", "space")

    def __init__(self, record: dict[str, Any]) -> None:
        space = checks.check_space(record["space"])
        name = checks.check_name(record["name"])
        checks.check_words(record["device_class"], record["of"])
        setting = checks.check_setting(space, record)
        vectors = checks.check_archs(space, record["archs"])
        values = {m: checks.check_values(m, record["measurements"][m], len(vectors)) for m in record["measurements"]}
        if not values:
            raise InvalidRequest("nothing measured; expected latency=, energy= or both")
        self.space = space.name
        self.archs = tuple(space.format(tuple(int(v) for v in vector)) for vector in vectors)
        self.measurements = {metric: tuple(map(float, found)) for metric, found in values.items()}
        self.resembles: dict[str, str] = {}
        self._columns: list[OnboardedColumn] = []
        for metric, found in values.items():
            base = known(space, _LEARNED_FROM[metric])
            posterior = Posterior(base.at(vectors), found)
            keys = {**setting, "device": name}
            column = OnboardedColumn(base, posterior, metric, f"onboarded:{name}", keys, record["of"], len(found))
            self._columns.append(column)
            if posterior.resembles is not None:
                self.resembles[metric] = str(base.columns[posterior.resembles].keys["device"])
        alike = next(iter(self.resembles.values()), None)
        super().__init__(
            {
                "name": name,
                "title": record["title"] or name,
                "device_class": record["device_class"] or (catalog()[alike].device_class if alike else "mobile_cpu"),
                "chip": record["title"] or name,
                "chip_evidence": "stated",
                "defaults": {k: v for k, v in setting.items() if k != "dataset" and v is not None},
                "note": f"Learned from {len(self.archs)} architectures of {self.space} that the user measured.",
                "cost": {},
            }
        )
        self._record = {
            **record,
            **setting,
            "space": self.space,
            "archs": list(self.archs),
            "measurements": {metric: list(found) for metric, found in self.measurements.items()},
        }

    def columns(self, bench: Benchmark, metric: str) -> Sequence[Column]:
        """Return what it answers for a metric of the benchmark's space, and let the benchmark cite it."""
        found = [c for c in self._columns if c.metric == metric and c.space == bench.space.name]
        for column in found:
            bench.sources[column.source] = self._source(bench, column)
        return found

    def _source(self, bench: Benchmark, column: OnboardedColumn) -> dict[str, Any]:
        """Return the record of its source: the user's measurements, and whoever measured the known devices."""
        origins = dict.fromkeys(other.source for other in column.known.columns)
        return {
            "title": f"{self.title}: {len(self.archs)} architectures measured by the user",
            "repository": "",
            "commit": "",
            "licence": "the user's own",
            "priority": 0,
            "citation": "\n\n".join(bench.sources[o]["citation"].strip() for o in origins if o in bench.sources),
        }

    def record(self) -> dict[str, Any]:
        """Return what `save` writes: the setting and the measurements, as plain data."""
        return dict(self._record)

    def save(self, path: str | Path | None = None) -> Path:
        """Keep the device for later processes, whole or not at all.

        What is written is what was measured; it is learned anew, from the data then shipped, when it is read.

        Parameters
        ----------
        path : str or Path, optional
            A JSON file. By default it lies in the data folder, where queries find the device by its name;
            elsewhere `hwnasbench.load_device` reads it.

        Returns
        -------
        Path

        Raises
        ------
        StorageError
            When the file cannot be written.
        """
        from hwnasbench.onboarding.saved import write

        return write(self, path)

    # Two devices of one name may be learned from different measurements: only itself is equal.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self) >> 4

    def __reduce__(self) -> tuple[Any, ...]:
        return OnboardedDevice, (self._record,)


def onboard(
    name: str,
    *,
    space: str | Space,
    archs: Iterable[Any],
    latency: Iterable[float] | None = None,
    energy: Iterable[float] | None = None,
    dataset: str | None = None,
    title: str = "",
    device_class: str | None = None,
    batch: int = 1,
    precision: str = "fp32",
    engine: str | None = None,
    threads: int | None = None,
    of: str = "measured",
) -> OnboardedDevice:
    """Bring a new device in from a few measurements.

    It lives in memory, where queries find it by its name and replace an earlier one so called, until
    `OnboardedDevice.save`.

    Parameters
    ----------
    name : str
        What to call it; no name or alias of the catalogue.
    space : str or Space
    archs : iterable
        The 3 to 256 architectures that were measured; ten or twenty of `propose` do well.
    latency, energy : iterable of float, optional
        ms and mJ of one inference call of one batch, in the order of `archs`; at least one of them.
    dataset : str, optional
        Whose input size was measured; by default the first of the space.
    title, device_class : str, optional
        What people call it, and its class (by default that of the known device it resembles most).
    batch, precision, engine, threads : optional
        How it was measured.
    of : {"measured", "estimated"}
        Whether the values were timed, or a simulator's.

    Returns
    -------
    OnboardedDevice
        Usable wherever a device is.

    Raises
    ------
    UnknownName, InvalidArchitecture, InvalidRequest
        For bad input; nothing is then registered.
    NoColumn
        When the space has too few known devices.

    Examples
    --------
    >>> import hwnasbench
    >>> archs = hwnasbench.propose("nasbench201", n=10)
    >>> bench = hwnasbench.load("nasbench201", data="shipped")
    >>> times = [bench.query(arch, device="pixel3").latency for arch in archs]  # measure your board instead
    >>> board = hwnasbench.onboard("my_board", space="nasbench201", archs=archs, latency=times)
    >>> bench.query(6111, device=board)["latency"].kind
    'predicted'
    """
    given = checks.check_space(space)
    listed = list(archs) if hasattr(archs, "__iter__") and not isinstance(archs, (str, bytes, dict)) else archs
    measured = {"latency": latency, "energy": energy}
    device = OnboardedDevice(
        {
            "name": name,
            "title": title,
            "device_class": device_class,
            "space": given.name,
            "dataset": dataset if dataset is not None or not given.datasets else given.datasets[0],
            "batch": batch,
            "precision": precision,
            "engine": engine,
            "threads": threads,
            "of": of,
            "archs": listed,
            "measurements": {m: _listed(found) for m, found in measured.items() if found is not None},
        }
    )
    register(device)
    return device


def _listed(values: Any) -> Any:
    return list(values) if hasattr(values, "__iter__") and not isinstance(values, (str, bytes, dict)) else values
