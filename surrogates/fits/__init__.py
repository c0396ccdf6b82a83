"""Parameters of cost models fitted to published measurements.

``python -m surrogates.fits --from DIR [DEVICE ...]`` rewrites ``hwnasbench/devices/fits/<device>.toml``.
A module of this package offers ``fits(sources: Path) -> Iterator[Fit]``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

#: Modules of this package that fit devices, in the order in which they run.
MODULES: tuple[str, ...] = ("roofline", "mcu", "accelerators", "npu", "blocks", "own")


@dataclass
class Fit:
    """The fitted parameters of one device.

    Attributes
    ----------
    device, model : str
    source : str
        What they were fitted to: source id and file, metric, number of rows.
    parameters : mapping of str to float or str
    scorecards : list of dict
        Held-out quality (`scorecard`), one a column that was fitted.
    """

    device: str
    model: str
    source: str
    parameters: Mapping[str, float | str]
    scorecards: list[dict[str, Any]] = field(default_factory=list)

    def to_toml(self) -> str:
        """Return the text of the device's file of fits."""
        lines = ["# Made by `python -m surrogates.fits`; do not edit.", f'model = "{self.model}"']
        for name, value in sorted(self.parameters.items()):
            number = value if isinstance(value, str) else float(f"{value:.6g}")
            lines += ["", f"[parameters.{name}]", f"value = {_toml(number)}", 'evidence = "fitted"']
            lines.append(f'source = "{self.source}"')
        for card in self.scorecards:
            lines += ["", "[[scorecards]]", *(f"{key} = {_toml(value)}" for key, value in card.items())]
        return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else f"{value!r}"


def spearman(first: Any, second: Any) -> float:
    """Return the rank correlation of two sequences of numbers."""
    from scipy.stats import spearmanr

    return float(spearmanr(first, second).statistic)


def scorecard(metric: str, source: str, true: NDArray[Any], held_out: NDArray[Any], **extra: Any) -> dict[str, Any]:
    """Return the quality of held-out predictions: n; mean, root mean square and median error in %; rank and fit.

    Parameters
    ----------
    metric, source : str
    true, held_out : (n,) ndarray of float
        Measured values, and predictions by models that never saw them.
    **extra
        What else to record (folds, data set, batch, precision, ...).
    """
    error = np.abs(held_out / true - 1)
    log_true, log_held = np.log(true), np.log(np.maximum(held_out, 1e-300))
    r2 = 1 - ((log_true - log_held) ** 2).sum() / ((log_true - log_true.mean()) ** 2).sum()
    return {
        "metric": metric,
        "source": source,
        "n": len(true),
        **extra,
        "mape": round(float(error.mean()) * 100, 2),
        "rmspe": round(float(np.sqrt((error**2).mean())) * 100, 2),
        "median_error": round(float(np.median(error)) * 100, 2),
        "spearman": round(spearman(true, held_out), 4),
        "r2_log": round(float(r2), 4),
    }


def write(fit: Fit, folder: Path) -> None:
    """Write one device's file into `folder`."""
    from hwnasbench.tables.write import atomically

    atomically(folder / f"{fit.device}.toml", lambda path: path.write_text(fit.to_toml(), "utf-8"))
