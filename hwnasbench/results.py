"""What a query returns: a `Result` whose values are built when they are read."""

from __future__ import annotations

from collections import namedtuple

from hwnasbench.errors import NoValue, UnknownName
from hwnasbench.vocabulary import METRICS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, NamedTuple

    from hwnasbench.benchmark import Benchmark
    from hwnasbench.plan import Plan
    from hwnasbench.predictors.base import Quantiles
    from hwnasbench.spaces import Architecture

    class Value(NamedTuple):
        """One number and everything needed to judge it.

        Attributes
        ----------
        value : float or None
            None where there is only a status.
        unit : str
            Fixed by the metric.
        std : float or None
            Spread of the true value given all we know; for a predicted value, of the value it was
            fitted to. None where nobody states it.
        noise : float or None
            Repeatability of one measurement (over runs or seeds), where it is stated.
        kind : str or None
            measured, estimated, predicted or simulated.
        source : str or None
            Id of the source; `Benchmark.cite` gives its BibTeX.
        of : str or None
            For predicted values: the kind of the values the surrogate was fitted to.
        status : str
            ``ok``, or why there is no value.
        flags : tuple of str
            Caveats.
        n : int or None
            Runs behind the value, where stated.
        keys : dict
            Every key of the column that answered.
        residuals : Quantiles or None
            What `interval` reads: quantiles of held-out residuals, for predicted values.
        """

        value: float | None
        unit: str
        std: float | None
        noise: float | None
        kind: str | None
        source: str | None
        of: str | None
        status: str
        flags: tuple[str, ...]
        n: int | None
        keys: dict[str, str | int | None]
        residuals: Quantiles | None = None

        def interval(self, level: float = 0.9) -> tuple[float, float]:
            """Return the central interval that holds the true value with probability `level`.

            It is read from the quantiles of held-out residuals near this prediction, so it need not be
            symmetric. An exact value is its own interval.

            Raises
            ------
            NoValue
                Where there is no value, or nobody took residuals: of measured and simulated values.
            InvalidRequest
                When the level is not above 0 and at most 0.99; 0.95 of accuracy on ImageNet, whose residuals are
                few, and else 0.98 at low precision, where errors add up.
            """
            ...
else:

    class Value(namedtuple("Value", "value unit std noise kind source of status flags n keys residuals")):  # noqa: D101 - set below
        __slots__ = ()

        def interval(self, level=0.9):
            if self.value is None:
                raise NoValue(f"no interval: the value is {self.status} ({self.source})")
            if self.std == 0 and self.kind == "predicted" and self.residuals is None:
                return self.value, self.value
            if self.residuals is None or self.std is None:
                raise NoValue(f"no interval of a {self.kind} value ({self.source}): no held-out residuals tell it")
            low, high = self.residuals.interval(self.value, self.std, level)
            if self.unit != "1":  # times, energies, sizes and percentages are not negative
                low = max(low, 0.0)
            return low, min(high, 100.0) if self.unit == "%" else high

    Value.__new__.__defaults__ = (None,)
    Value.__doc__ = "One number and everything needed to judge it; its fields are in docs/data-model.md."


class Result:
    """The answer to one query.

    ``result.latency`` is a float (or raises `NoValue` with the reason); ``result["latency"]`` is a
    `Value`. ``latency_per_image`` and ``energy_per_image`` divide by the batch.

    Attributes
    ----------
    request : dict
        Every resolved key of the request.
    release, fingerprint : str
        Of the data that answered.
    """

    __slots__ = ("_plan", "_where")

    def __init__(self, plan: Plan, where: Any) -> None:
        self._plan = plan
        self._where = where

    def __reduce__(self) -> tuple[Any, ...]:
        return _ask_again, (self._plan.bench, self._plan.key, self._where)

    @property
    def arch(self) -> Architecture:
        """The architecture that was asked for."""
        return self._plan.bench.space.parse(self._where)

    @property
    def request(self) -> dict[str, Any]:
        """Every resolved key of the request."""
        return {"space": self._plan.bench.space.name, "arch": str(self.arch), **self._plan.request}

    @property
    def release(self) -> str:
        """Name of the data that answered."""
        return self._plan.bench.release

    @property
    def fingerprint(self) -> str:
        """Hash over the sorted logical values of the data that answered."""
        return self._plan.bench.fingerprint

    def __getitem__(self, metric: str) -> Value:
        return self._plan.value(metric, self._where)

    def __iter__(self) -> Iterator[str]:
        return iter(self._plan.metrics)

    def __len__(self) -> int:
        return len(self._plan.metrics)

    def __contains__(self, metric: object) -> bool:
        return metric in self._plan.metrics

    def keys(self) -> tuple[str, ...]:
        """Return the metrics that the result holds."""
        return self._plan.metrics

    def sources(self) -> list[str]:
        """Return the ids of the sources of every value, and of what these are made of."""
        plan, where = self._plan, self._where
        return sorted({source for name in plan.metrics for source in plan.pick(name, where).sources})

    def to_dict(self) -> dict[str, Any]:
        """Return request, release, fingerprint and every value as plain Python data."""
        return {
            "request": self.request,
            "release": self.release,
            "fingerprint": self.fingerprint,
            "metrics": {name: _plain(self[name]) for name in self._plan.metrics},
        }

    def __getattr__(self, name: str) -> float:
        if name.endswith("_per_image"):
            metric = name.removesuffix("_per_image")
            if metric in ("latency", "energy"):
                batch = self[metric].keys.get("batch")
                if not isinstance(batch, int):
                    raise NoValue(f"{name} is unknown: the batch of {metric} is not stated")
                return float(getattr(self, metric)) / batch
        if name.startswith("_"):
            raise AttributeError(name)
        raise AttributeError(str(UnknownName("metric", name, METRICS)))

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._plan.metrics})

    def __repr__(self) -> str:
        parts = []
        for name in self._plan.metrics:
            value = self[name]
            unit = "" if value.unit == "1" else f" {value.unit}"
            text = value.status if value.value is None else f"{value.value:.6g}{unit}"
            parts.append(f"{name}={text} ({value.kind})" if value.kind else f"{name}={text}")
        return f"<result {self._plan.bench.space.name} {self.arch}: {', '.join(parts)}>"


def _plain(value: Value) -> dict[str, Any]:
    """Return a value's fields as plain data; what only `Value.interval` reads is left out."""
    fields = {**value._asdict(), "flags": list(value.flags)}
    del fields["residuals"]
    return fields


def _ask_again(bench: Benchmark, key: tuple[Any, ...], where: Any) -> Result:
    return Result(bench.plan_of(key), where)


def _reader(metric: str) -> property:
    def read(self: Result) -> float:
        reader = self._plan.readers.get(metric)
        if reader is not None:
            value = reader(self._where)
            if value == value:
                return value
        return self._plan.refuse(metric, self._where)

    return property(read, doc=METRICS[metric].description)


for _metric in METRICS:
    setattr(Result, _metric, _reader(_metric))
