"""Searchers that tests name as MODULE:CLASS: they fail, die or take their time on purpose."""

from __future__ import annotations

import os
import time

from hwnasbench.search.limits import Limits
from hwnasbench.search.random import RandomSearch


class Fails(RandomSearch):
    """Raises with one seed, unless the environment says that it is mended."""

    name = "fails"

    def __init__(self, problem, seed, *, on=-1):
        super().__init__(problem, seed)
        self.on = on

    def ask(self, n):
        if self.seed == self.on and "MENDED" not in os.environ:
            raise ZeroDivisionError("nothing left to divide")
        return super().ask(n)


class Within(RandomSearch):
    """Draws among what keeps the limits on costs: it knows as much of them as searchers by tables do."""

    name = "within"

    def __init__(self, problem, seed):
        super().__init__(problem, seed)
        self.limits, self.asked = Limits(problem), {}

    def ask(self, n):
        found = self.limits.draw(n, self.asked, self.rng)
        self.asked.update(dict.fromkeys(found))
        return found


class Dies(Fails):
    """Takes its process with it."""

    name = "dies"

    def ask(self, n):
        if self.seed == self.on and "MENDED" not in os.environ:
            os._exit(7)
        return super().ask(n)


class Slow(RandomSearch):
    """Sleeps before each run."""

    name = "slow"

    def ask(self, n):
        time.sleep(0.1 if "MENDED" not in os.environ else 0)
        return super().ask(n)
