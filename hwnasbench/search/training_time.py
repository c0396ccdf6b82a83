"""How long training an architecture would have taken: what a search within simulated seconds pays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench import predicted
from hwnasbench.errors import InvalidRequest, NoColumn
from hwnasbench.search.membership import Membership

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwnasbench.benchmark import Benchmark
    from hwnasbench.search.base import Vector

#: Keys of a request that choose among times of training.
_KEYS = ("dataset", "recipe")


class TrainingTimes:
    """Seconds of training, of networks alone: neither an accelerator nor bits that come after training cost any.

    Parameters
    ----------
    networks : Benchmark
        Of the networks, also where each comes with an accelerator.
    members : Membership
        Of the space that is searched; its architectures begin with the network's decisions.
    request : mapping
        Of the search.
    metrics : sequence of str
        That the search looks at.
    """

    def __init__(
        self, networks: Benchmark, members: Membership, request: Mapping[str, Any], metrics: Sequence[str]
    ) -> None:
        self._trained = predicted.of_base(networks)
        self._members, self._metrics = members, sorted(set(metrics))
        self._request = {key: value for key, value in request.items() if key in _KEYS}
        self._positions = len(self._trained.space.choices)
        self._epochs: int | None = None
        self._seconds: dict[Vector, float] = {}

    def of(self, vectors: Sequence[Vector], epochs: int | None) -> list[float]:
        """Return the seconds of each architecture, trained for so many epochs; None is as long as was published.

        Raises
        ------
        InvalidArchitecture
            When one is not in the space.
        InvalidRequest
            When no metric is an accuracy: nothing is trained.
        NoColumn
            Where no time of training is known.
        """
        known = self._seconds
        try:
            seconds = [known[vector] for vector in vectors]
        except (KeyError, TypeError):
            vectors = [self._members.inside(vector) for vector in vectors]
            self._learn(vectors)
            seconds = [known[vector] for vector in vectors]
        if epochs is None or self._epochs is None:
            return seconds
        # Divided first: what a search paid must not differ in the last digit between releases.
        return [second / self._epochs * epochs for second in seconds]

    def _learn(self, vectors: Sequence[Vector]) -> None:
        if "accuracy" not in self._metrics:
            raise InvalidRequest(
                f"nothing is trained to know {', '.join(self._metrics)}: seconds of training limit nothing; "
                "give the budget in queries"
            )
        networks = self._trained.space
        if networks.enumerable and not self._seconds:
            self._ask(list(map(tuple, networks.all_vectors().tolist())))
        cut = self._positions
        # One at a time, a prediction has the same last digit whatever it is asked with.
        for network in dict.fromkeys(vector[:cut] for vector in vectors):
            if network not in self._seconds:
                self._ask([network])
        # Where architectures are more than networks they are looked up whole the next time.
        self._seconds.update((vector, self._seconds[vector[:cut]]) for vector in vectors)

    def _ask(self, networks: list[Vector]) -> None:
        name = self._trained.space.name
        try:
            frame = self._trained.query_many(np.array(networks, np.int8), metrics=("train_time",), **self._request)
        except NoColumn as error:
            raise NoColumn(f"no time of training is known of {name}; give the budget in queries: {error}") from error
        seconds = frame["train_time"].to_numpy(np.float64)
        lacking = np.flatnonzero(~np.isfinite(seconds))
        if len(lacking):
            arch = self._trained.space.format(networks[int(lacking[0])])
            raise NoColumn(f"no time of training is known of {arch} of {name}; give the budget in queries")
        self._epochs = frame.attrs["request"].get("epochs")
        self._seconds.update(zip(networks, seconds.tolist(), strict=True))
