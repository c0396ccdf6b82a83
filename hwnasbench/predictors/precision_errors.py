"""What is known of the errors of losses at low precision: quantiles on left-out data, beside the model's arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwnasbench.predictors.base import Quantiles
from hwnasbench.predictors.words import METHODS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

#: Errors of losses at int8 by method, of what weights below 8 bits add, and layer by layer.
ERRORS = (*METHODS, "trees", "layers")
#: The arrays that hold them: levels, and by error the limits of the groups and a table of groups by levels.
KEYS = ("errors_levels", *(f"errors_{name}{part}" for name in ERRORS for part in ("", "_edges")))


def tables(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Quantiles]:
    """Return the quantiles of the residuals over their std, ``true - predicted`` loss, by the name of the error."""
    levels = arrays["errors_levels"].tolist()
    return {
        name: Quantiles(levels, arrays[f"errors_{name}_edges"].tolist(), arrays[f"errors_{name}"].tolist())
        for name in ERRORS
    }
