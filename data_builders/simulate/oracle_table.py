"""What an oracle says of the unique layers of some spaces, as the table that ships.

>>> write_oracle_table(Vela(), sampled_layers(), Path("vela.parquet"))  # doctest: +SKIP
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hwnasbench.networks import LAYER

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

#: The spaces and data sets whose layers are asked about, and how many architectures are drawn from each.
_DRAWN = (("nasbench201", "cifar10"), ("fbnet", "cifar100"), ("fbnet", "imagenet"))
_ARCHITECTURES = 60


class Tool(Protocol):
    """What a table needs of an oracle."""

    name: str
    targets: tuple[str, ...]

    def version(self) -> str: ...

    def settings(self) -> dict[str, str]: ...

    def evaluate_many(self, layers: NDArray[np.void], target: str) -> list[dict[str, object]]: ...


def sampled_layers() -> NDArray[np.void]:
    """Return the unique layers, at int8, of architectures drawn with seed 0; in the order met."""
    from hwnasbench import spaces

    seen: dict[bytes, np.void] = {}
    for name, dataset in _DRAWN:
        space, rng = spaces.get(name), np.random.default_rng(0)
        for _ in range(_ARCHITECTURES):
            for layer in space.network(space.sample(rng), dataset).at("int8").layers:
                seen.setdefault(layer.tobytes(), layer)
    return np.array(list(seen.values()), LAYER)


def oracle_table(tool: Tool, layers: NDArray[np.void]) -> pa.Table:
    """Return one row a target and layer: the LAYER columns, target, status and the tool's numbers.

    Parameters
    ----------
    tool : Tool
        The oracle.
    layers : ndarray of LAYER
        What it is asked about.

    Returns
    -------
    pyarrow.Table
        Numbers are null where the status is not ``ok``; the metadata hold tool, version and settings.
    """
    import pyarrow as pa

    answers = [answer for target in tool.targets for answer in tool.evaluate_many(layers, target)]
    rows = np.concatenate([layers] * len(tool.targets))
    data = {name: rows[name] for name in LAYER.names or ()}
    data["target"] = np.repeat(tool.targets, len(layers))
    data["status"] = np.array([answer["status"] for answer in answers])
    numbers = dict.fromkeys(name for answer in answers for name in answer if name != "status")
    table = pa.table(data | {name: pa.array([a.get(name) for a in answers], pa.float64()) for name in numbers})
    settings = json.dumps(tool.settings(), sort_keys=True)
    return table.replace_schema_metadata({"tool": tool.name, "version": tool.version(), "settings": settings})


def write_oracle_table(tool: Tool, layers: NDArray[np.void], path: Path) -> None:
    """Write `oracle_table` to a Parquet file."""
    import pyarrow.parquet as pq

    pq.write_table(oracle_table(tool, layers), path, compression="zstd")
