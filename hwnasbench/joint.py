"""Co-search: networks and the accelerators that run them, simulated together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.costs import model as model_of
from hwnasbench.costs.base import chunked
from hwnasbench.vocabulary import precision_bits

if TYPE_CHECKING:
    from typing import Any

    import pandas as pd

    from hwnasbench.benchmark import Data
    from hwnasbench.devices.accelerator_spaces import JointSpace
    from hwnasbench.results import Result

#: Pairs laid out at a time: their layer tables stay small.
_PAIRS = 2048


class JointBenchmark:
    """Queries over pairs of a network and an accelerator design.

    Parameters
    ----------
    space : JointSpace
    data : {"auto", "shipped", "built"}
        Where accuracies come from; what the design costs is simulated.
    """

    def __init__(self, space: JointSpace, data: Data = "auto") -> None:
        from hwnasbench.benchmark import load

        self.space = space
        self.networks = load(space.base, data)

    def query(self, arch: Any, **request: Any) -> Result:
        """Return what is known of one pair; the arguments are those of `Benchmark.query`, without a device."""
        network, design = self.space.split(arch)
        return self.networks.query(network, device=self.space.accelerators.device(design), **request)

    def query_many(self, archs: Any, *, dataset: str | None = None, precision: str | None = None) -> pd.DataFrame:
        """Return latency (ms) and energy (mJ) of many pairs, each network on its own design, at batch 1.

        Parameters
        ----------
        archs : (n, positions) array or iterable of pairs
        dataset : str, optional
            The space's first where None.
        precision : str, optional
            The accelerator's first where None.

        Returns
        -------
        pandas.DataFrame
        """
        import pandas as pd

        vectors = self.space.vectors(archs)
        split = len(self.space.base.choices)
        accelerator = self.space.accelerators
        model = model_of(accelerator.accelerator.model)
        designs = accelerator.designs(vectors[:, split:])
        chosen = precision or accelerator.accelerator().precisions[0]
        bits = precision_bits(chosen)
        out = np.empty((len(vectors), 2))
        for start in range(0, len(vectors), _PAIRS):
            part = slice(start, start + _PAIRS)
            table, offsets = self.space.base.layer_table(vectors[part, :split], dataset or self.space.datasets[0])
            table["weight_bits"], table["activation_bits"] = bits
            lengths = np.diff(offsets)
            values = model.values({key: np.repeat(value[part], lengths) for key, value in designs.items()}, arrays=True)
            costs = chunked(model, table, values)
            each = model.values({key: value[part] for key, value in designs.items()}, arrays=True)
            out[part, 0] = np.add.reduceat(costs.latency, offsets[:-1]) + model.overhead(each)
            out[part, 1] = np.add.reduceat(costs.energy, offsets[:-1])
        return pd.DataFrame({"latency": out[:, 0], "energy": out[:, 1]})
