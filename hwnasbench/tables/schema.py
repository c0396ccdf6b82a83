"""The schema of every table: the one place where its columns are written down.

A table is tidy Parquet with one row an observation. A row either has a value and the status
``ok``, or has no value and says why in `status`.
"""

from __future__ import annotations

import pyarrow as pa

from hwnasbench.errors import CorruptFile
from hwnasbench.vocabulary import KEYS, KINDS, METRICS, STATUSES

#: Raised when a column is added, removed or changes its meaning.
SCHEMA_VERSION = 1

_TEXT = pa.dictionary(pa.int32(), pa.string())

#: Observations: one row an architecture and column.
OBSERVATIONS = pa.schema(
    [
        pa.field("space", _TEXT, nullable=False),
        pa.field("arch", _TEXT, nullable=False),
        pa.field("arch_index", pa.int32()),
        pa.field("dataset", _TEXT),
        pa.field("input", _TEXT),
        pa.field("device", _TEXT),
        pa.field("engine", _TEXT),
        pa.field("threads", pa.int32()),
        pa.field("batch", pa.int32()),
        pa.field("precision", _TEXT),
        pa.field("metric", _TEXT, nullable=False),
        pa.field("split", _TEXT),
        pa.field("recipe", _TEXT),
        pa.field("epochs", pa.int32()),
        pa.field("value", pa.float64()),
        pa.field("std", pa.float64()),
        pa.field("noise", pa.float64()),
        pa.field("n", pa.int32()),
        pa.field("kind", _TEXT, nullable=False),
        pa.field("of", _TEXT),
        pa.field("source", _TEXT, nullable=False),
        pa.field("status", _TEXT, nullable=False),
        pa.field("flags", _TEXT),
    ],
    metadata={"hwnasbench.schema": f"observations/{SCHEMA_VERSION}"},
)

#: Additive models of a layer-wise space: value = link(intercept + sum over positions of the
#: chosen operator's cost). Position -1, choice -1 holds the intercept. A null cost was not measured: networks with it
#: have no value. Link is ``identity`` or
#: ``exp``; for ``exp``, `std` is relative to the value.
LOOKUPS = pa.schema(
    [
        *(field for field in OBSERVATIONS if field.name not in {"arch", "arch_index", "status", "n", "noise"}),
        pa.field("link", _TEXT, nullable=False),
        pa.field("position", pa.int32(), nullable=False),
        pa.field("choice", pa.int32(), nullable=False),
    ],
    metadata={"hwnasbench.schema": f"lookups/{SCHEMA_VERSION}"},
)

#: Quantiles of the normalised held-out residuals of predicted columns, in groups of the prediction: `upper` is
#: the prediction at which the next group begins (null in the last), `quantile` that of (true - value) / std at `level`.
INTERVALS = pa.schema(
    [
        *(field for field in OBSERVATIONS if field.name in {"space", "metric", *KEYS, "source"}),
        pa.field("group", pa.int32(), nullable=False),
        pa.field("upper", pa.float64()),
        pa.field("level", pa.float64(), nullable=False),
        pa.field("quantile", pa.float64(), nullable=False),
    ],
    metadata={"hwnasbench.schema": f"intervals/{SCHEMA_VERSION}"},
)

#: What makes a column a column: rows that agree on all of these belong together.
COLUMN_KEYS = ("space", "metric", *KEYS, "source")


def validate(table: pa.Table, path: str = "table") -> None:
    """Check an observation table against the schema and the closed vocabularies.

    Parameters
    ----------
    table : pyarrow.Table
    path : str
        Named in the error.

    Raises
    ------
    CorruptFile
        When a column is missing or of another type, a word is outside its vocabulary, a value is
        not finite, a row has both or neither of value and status, or a sentinel survived.
    """
    import pyarrow.compute as pc

    for field in OBSERVATIONS:
        if field.name not in table.column_names:
            raise CorruptFile(f"{path}: column {field.name!r} is missing; expected {', '.join(OBSERVATIONS.names)}")
        if table.schema.field(field.name).type != field.type:
            raise CorruptFile(
                f"{path}: column {field.name!r} is {table.schema.field(field.name).type}, expected {field.type}"
            )
    for name, words in (("kind", KINDS), ("status", STATUSES), ("metric", METRICS)):
        seen = set(pc.unique(table[name].cast(pa.string())).to_pylist())
        unknown = seen - set(words)
        if unknown:
            raise CorruptFile(f"{path}: {name} {sorted(map(str, unknown))[0]!r} is unknown; known: {', '.join(words)}")
    value = table["value"]
    has_value = pc.is_valid(value)
    is_ok = pc.equal(table["status"].cast(pa.string()), "ok")
    if pc.any(pc.xor(has_value, is_ok)).as_py():
        raise CorruptFile(f"{path}: a row must have a value and status 'ok', or no value and another status")
    if not pc.all(pc.is_finite(value.drop_null())).as_py():
        raise CorruptFile(f"{path}: a value is not finite; use a status where there is no value")
