"""The columns of a store: how one architecture's value, status, kind and spread are read.

Reading one number touches one page of one file and imports nothing beyond the standard library.
"""

from __future__ import annotations

import math

from hwnasbench import spaces
from hwnasbench.predictors.lookup import evaluate
from hwnasbench.vocabulary import KEYS, KINDS, STATUSES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from hwnasbench.predictors.base import Prediction, Predictor, Quantiles
    from hwnasbench.tables.store import Store

_NAN = math.nan
_OK = STATUSES.index("ok")
_NOT_MEASURED = "not_measured"


class Column:
    """One metric on one device, data set, batch, precision and source, over a whole space.

    Attributes
    ----------
    space, metric, source, kind : str
        `kind` is the most trusted kind among its rows.
    of : str or None
        For predicted columns: the kind of the values they were fitted to.
    keys : dict
        Every key of `hwnasbench.vocabulary.KEYS`, None where it is not stated.
    flags : tuple of str
        Caveats on every row.
    count : int or None
        Rows with a value; None for a model that answers for every architecture.
    """

    #: What the store's index says of the column; columns that are computed have no such record.
    _record: dict[str, Any] = {}  # noqa: RUF012 - never written to
    _quantiles: Quantiles | None = None

    def __init__(self, store: Store, record: dict[str, Any]) -> None:
        self.store = store
        self.space: str = record["space"]
        self.metric: str = record["metric"]
        self.source: str = record["source"]
        self.kind: str = record["kind"]
        self.kinds: tuple[str, ...] = tuple(record.get("kinds", (self.kind,)))
        self.of: str | None = record.get("of")
        keys = record["keys"]
        self.keys: dict[str, str | int | None] = {key: keys.get(key) for key in KEYS}
        self.flags: tuple[str, ...] = tuple(record.get("flags", ()))
        self.count: int | None = record.get("count")
        self.priority: int = store.sources.get(self.source, {}).get("priority", 0)
        self._record = record

    @property
    def sources(self) -> tuple[str, ...]:
        """The source, and those of other columns that the values are made of."""
        return (self.source,)

    def read(self, where: Any) -> float:
        """Return the value of one architecture; NaN where there is only a status."""
        raise NotImplementedError

    def status(self, where: Any) -> str:
        """Return the status of one architecture."""
        raise NotImplementedError

    def kind_at(self, where: Any) -> str:
        """Return the kind of one row."""
        return self.kind

    def flags_at(self, where: Any) -> tuple[str, ...]:
        """Return the caveats on one row."""
        return self.flags

    def std_at(self, where: Any) -> float | None:
        """Return the spread of the true value given all we know, or None where nobody knows."""
        return None

    def noise_at(self, where: Any) -> float | None:
        """Return the repeatability of one measurement, or None where it is not stated."""
        return None

    def repeats_at(self, where: Any) -> int | None:
        """Return how many runs the value is the mean of, or None where it is not stated."""
        return None

    def noises(self) -> NDArray[Any] | float | None:
        """Return the repeatability row by row, the one number that all rows share, or None where it is not stated."""
        return None

    def quantiles(self) -> Quantiles | None:
        """Return the quantiles of the normalised held-out residuals, or None where nobody took them."""
        if self._quantiles is None and "quantiles" in self._record:
            from hwnasbench.predictors.base import Quantiles

            levels, edges, table = (list(self.store.array(number)) for number in self._record["quantiles"])
            width = len(levels)
            rows = [table[i : i + width] for i in range(0, len(table), width)]
            self._quantiles = Quantiles(levels, edges, rows)
        return self._quantiles

    def quantiles_at(self, where: Any) -> Quantiles | None:
        """Return the quantiles that tell the interval of one architecture."""
        return self.quantiles()

    def describe(self) -> dict[str, Any]:
        """Return what tells the column apart, as a plain dictionary."""
        return {
            "space": self.space,
            "metric": self.metric,
            **self.keys,
            "kind": self.kind,
            "of": self.of,
            "source": self.source,
            "flags": ";".join(self.flags),
            "count": self.count,
        }

    def __repr__(self) -> str:
        keys = ", ".join(f"{k}={v}" for k, v in self.keys.items() if v is not None)
        return f"<column {self.metric} of {self.space}: {keys}; {self.kind}, {self.source}>"


class _TableColumn(Column):
    """A column with one stored entry a row; subclasses say which row an architecture is."""

    def __init__(self, store: Store, record: dict[str, Any]) -> None:
        super().__init__(store, record)
        self.values = store.array(record["values"])

    def _optional(self, name: str) -> memoryview | None:
        number = self._record.get(name)
        return None if number is None else self.store.array(number)

    def row(self, where: Any) -> int | None:
        """Return the row of an architecture, or None where the column does not hold it."""
        raise NotImplementedError

    def read(self, where: Any) -> float:
        row = self.row(where)
        return _NAN if row is None else self.values[row]

    def status(self, where: Any) -> str:
        row, codes = self.row(where), self._optional("status")
        if row is None:
            return _NOT_MEASURED
        return STATUSES[_OK if codes is None else codes[row]]

    def kind_at(self, where: Any) -> str:
        row, codes = self.row(where), self._optional("kind_codes")
        return self.kind if codes is None or row is None else KINDS[codes[row]]

    def flags_at(self, where: Any) -> tuple[str, ...]:
        row, codes = self.row(where), self._optional("flag_codes")
        if codes is None or row is None:
            return self.flags
        text = self._record["flag_words"][codes[row]]
        return tuple(text.split(";")) if text else ()

    def std_at(self, where: Any) -> float | None:
        return self._spread_at("std", where)

    def noise_at(self, where: Any) -> float | None:
        return self._spread_at("noise", where)

    def _spread_at(self, name: str, where: Any) -> float | None:
        row, stored = self.row(where), self._optional(name)
        if stored is None or row is None:
            constant = self._record.get(f"{name}_constant")
            return None if constant is None or row is None else float(constant)
        value: float = stored[row]
        return value if value == value else None

    def repeats_at(self, where: Any) -> int | None:
        row, repeats = self.row(where), self._optional("n")
        if repeats is None or row is None:
            return self._record.get("n_constant")
        return repeats[row] or None

    # -- vectors ------------------------------------------------------------------------------

    def vector(self) -> NDArray[Any]:
        """Return all values as a read-only NumPy view; NaN where there is only a status."""
        return self.store.numpy(self._record["values"])

    def statuses(self) -> NDArray[np.uint8] | None:
        """Return the status codes, or None where every row has a value."""
        number = self._record.get("status")
        return None if number is None else self.store.numpy(number)

    def kind_codes(self) -> NDArray[np.uint8] | None:
        """Return the positions in `KINDS` row by row, or None where all rows have one kind."""
        number = self._record.get("kind_codes")
        return None if number is None else self.store.numpy(number)

    def noises(self) -> NDArray[Any] | float | None:
        number = self._record.get("noise")
        constant: float | None = self._record.get("noise_constant")
        return constant if number is None else self.store.numpy(number)


class DenseColumn(_TableColumn):
    """A column over an enumerable space: row = published index."""

    def row(self, where: Any) -> int:
        return where  # type: ignore[no-any-return]

    def read(self, where: Any) -> float:
        return self.values[where]  # type: ignore[no-any-return]


class RowsColumn(_TableColumn):
    """A column over listed architectures of a space without an index.

    Where several decision vectors name one network, each of them finds its row.
    """

    def __init__(self, store: Store, record: dict[str, Any]) -> None:
        super().__init__(store, record)
        self._rows: dict[bytes, int] | None = None

    def row(self, where: Any) -> int | None:
        if self._rows is None:
            self._rows = self._read_rows()
        row = self._rows.get(bytes(where))
        return self._rows.get(bytes(spaces.get(self.space).canonical_vector(where))) if row is None else row

    def _read_rows(self) -> dict[bytes, int]:
        positions = self._record["positions"]
        blob = bytes(self.store.array(self._record["archs"]))
        return {blob[i * positions : (i + 1) * positions]: i for i in range(len(blob) // positions)}

    def rows(self, vectors: NDArray[np.int8]) -> NDArray[np.intp]:
        """Return the row of each decision vector; -1 where the column does not hold it."""
        import numpy as np

        if self._rows is None:
            self._rows = self._read_rows()
        rows, vectors = self._rows, spaces.get(self.space).canonical_vectors(vectors)
        return np.fromiter((rows.get(v.tobytes(), -1) for v in vectors), np.intp, count=len(vectors))


class LookupColumn(Column):
    """An additive model of a layer-wise space, evaluated by `hwnasbench.predictors.lookup`.

    Decisions that name one network have one value: that of the canonical ones.

    Attributes
    ----------
    partial : bool
        Whether choices exist whose cost was not measured: networks with one have no value.
    """

    def __init__(self, store: Store, record: dict[str, Any]) -> None:
        super().__init__(store, record)
        self.link: str = record["link"]
        self.choices: int = record["choices"]
        self.intercept: float = record["intercept"]
        self.partial: bool = record.get("partial", False)
        self._rows: list[list[float]] | None = None

    def table(self) -> list[list[float]]:
        """Return the cost of every (position, choice), as nested lists."""
        if self._rows is None:
            flat: list[float] = list(self.store.array(self._record["values"]))
            self._rows = [flat[i : i + self.choices] for i in range(0, len(flat), self.choices)]
        return self._rows

    def coefficients(self) -> NDArray[np.float64]:
        """Return the cost of every (position, choice), shape (positions, choices)."""
        return self.store.numpy(self._record["values"]).reshape(-1, self.choices)

    def read(self, where: tuple[int, ...]) -> float:
        vector = spaces.get(self.space).canonical_vector(where)
        return evaluate(self.table(), self.intercept, self.link, vector)

    def status(self, where: Any) -> str:
        if self.partial and self.read(where) != self.read(where):
            return _NOT_MEASURED
        return STATUSES[_OK]

    def std_at(self, where: Any) -> float | None:
        std = self._record.get("std")
        if std is None:
            return None
        return float(std) * abs(self.read(where)) if self.link == "exp" else float(std)


class PredictedColumn(Column):
    """A column that a model computes for every architecture when it is asked."""

    kind = "predicted"
    count = None
    _last: tuple[Any, tuple[float, float, bool]] | None = None

    def predict(self, where: NDArray[Any] | None) -> Prediction:
        """Predict architectures by index (None is the whole space) or by decision vector, however it is spelled."""
        raise NotImplementedError

    def statuses(self, where: NDArray[Any] | None) -> NDArray[np.uint8] | None:
        """Return the status codes of architectures, or None where all have a value."""
        return None

    def _one(self, where: Any) -> tuple[float, float, bool]:
        """Return value, std and whether it is extrapolated; the last architecture is remembered."""
        import numpy as np

        key = where if isinstance(where, int) else bytes(where)
        if self._last is None or self._last[0] != key:
            found = self.predict(np.array([where]))
            self._last = (key, (float(found.values[0]), float(found.std[0]), bool(found.extrapolated[0])))
        return self._last[1]

    def read(self, where: Any) -> float:
        return self._one(where)[0]

    def status(self, where: Any) -> str:
        return STATUSES[_OK]

    def std_at(self, where: Any) -> float | None:
        return self._one(where)[1]

    def flags_at(self, where: Any) -> tuple[str, ...]:
        return (*self.flags, "extrapolated") if self._one(where)[2] else self.flags


class ModelColumn(PredictedColumn):
    """A small model beside the store, evaluated by `hwnasbench.predictors.arrays`."""

    _model: Predictor | None = None

    @property
    def predictor(self) -> Predictor:
        """The model, loaded when the first value is read."""
        if self._model is None:
            from hwnasbench.predictors.arrays import load

            self._model = load(f"{self.store.folder}/../{self._record['file']}")
        return self._model

    def predict(self, where: NDArray[Any] | None) -> Prediction:
        assert where is not None
        return self.predictor.predict(spaces.get(self.space).canonical_vectors(where))

    def quantiles(self) -> Quantiles | None:
        return self.predictor.quantiles()


#: Column classes by the layout that a store's index names.
LAYOUTS: dict[str, type[Column]] = {
    "dense": DenseColumn,
    "rows": RowsColumn,
    "lookup": LookupColumn,
    "model": ModelColumn,
}
