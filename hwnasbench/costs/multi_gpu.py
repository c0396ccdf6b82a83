"""Several GPUs: the branches of a network in parallel, against the chain on one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnasbench.costs.layers import LayerCosts, Layers
from hwnasbench.costs.roofline import Roofline

if TYPE_CHECKING:
    from hwnasbench.costs.base import Values
    from hwnasbench.networks import Network

_GIGA, _MICRO = 1e6, 1e-3


class MultiGpu(Roofline):
    """A roofline for each GPU, list scheduling of the layers, and a link that tensors cross.

    Every GPU draws its idle power over the sum of the layers' times: an upper bound where branches overlap.
    """

    name = "multi_gpu"
    sequential = False

    def cost(self, layers: Layers, values: Values) -> LayerCosts:
        costs = super().cost(layers, values)
        costs.static = costs.static * values.devices
        return costs

    def network_latency(self, network: Network, costs: LayerCosts, values: Values, batch: int) -> float:
        """Return the shorter of the chain on one GPU and the schedule over all.

        Layers are taken in their order, each put where it ends first: when the GPU is free and its
        inputs have arrived, over the link where another GPU wrote them.
        """
        durations = costs.latency.tolist()
        layers = network.layers
        elements = layers["out_channels"].astype(float) * layers["out_height"] * layers["out_width"]
        sent = (elements * layers["activation_bits"] / 8 * batch / (values.link_gbps * _GIGA)).tolist()
        sources: list[list[int]] = [[] for _ in durations]
        for source, target in network.edges.tolist():
            if source >= 0:
                sources[target].append(source)
        free = [0.0] * int(values.devices)
        ends: list[float] = []
        place: list[int] = []
        for row, duration in enumerate(durations):
            finish = []
            for gpu, ready in enumerate(free):
                arrived = [
                    ends[s] + (0.0 if place[s] == gpu else values.link_us * _MICRO + sent[s]) for s in sources[row]
                ]
                finish.append(max([ready, *arrived]) + duration)
            best = finish.index(min(finish))
            free[best] = finish[best]
            ends.append(finish[best])
            place.append(best)
        return min(float(sum(durations)), ends[-1]) + self.overhead(values)
