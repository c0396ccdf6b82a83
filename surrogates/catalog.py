"""What is trained on what: for each column the candidates, and the family of its learning curve.

The first rule that matches a column holds. Several candidates are blended, with shares that nested
cross-validation finds.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from hwnasbench.vocabulary import METRICS
from surrogates.families.gp import GaussianProcess
from surrogates.families.graph import GraphNetwork
from surrogates.families.ridge import Ridge
from surrogates.families.trees import Trees

if TYPE_CHECKING:
    from surrogates.columns import Column
    from surrogates.families.base import Family


@dataclass(frozen=True)
class Rule:
    """What columns of one kind are learned with.

    Attributes
    ----------
    space : str
    pattern : str
        Of the column's name after the space, ``*`` for anything.
    candidates : tuple of Family
    curve : Family
        What the learning curve is of.
    """

    space: str
    pattern: str
    candidates: tuple[Family, ...]
    curve: Family

    def speaks_of(self, column: Column) -> bool:
        """Whether the rule is of this column."""
        return self.space == column.space and fnmatchcase(column.name.split("/", 1)[1], self.pattern)


#: Costs are of the graph, accuracy and proxies of the function.
COST = Trees("cost", 300, {"max_depth": 5, "eta": 0.07, "subsample": 0.7})
PATIENT = Trees(
    "cost",
    600,
    {"max_depth": 8, "eta": 0.02, "subsample": 0.5, "colsample_bynode": 0.3},
    "patient gradient-boosted trees",
)
PAIRS = Ridge(10.0, "pairs", "ridge on pairs of operators")
FUNCTION = Trees("function", 250, {"max_depth": 7, "eta": 0.1, "subsample": 0.8, "colsample_bytree": 0.5})
PROCESS = GaussianProcess("class", learned_on=700, steps=40)
NETWORK = GraphNetwork(members=2, epochs=40)
#: Metrics that the function, rather than the graph, decides.
_OF_FUNCTION = ("accuracy", *(name for name, metric in METRICS.items() if metric.scope == "proxy"))

RULES = (
    Rule("nasbench201", "accuracy/robot/*epochs=200", (PROCESS, FUNCTION, NETWORK), PROCESS),
    *(Rule("nasbench201", f"{metric}/*", (FUNCTION,), FUNCTION) for metric in _OF_FUNCTION),
    *(
        Rule("nasbench201", f"latency/help/*device={device},*", (COST, PATIENT, PAIRS), COST)
        for device in ("pixel3", "raspi4", "gold_6226", "gold_6240", "pixel2")
    ),
    Rule("nasbench201", "*", (COST,), COST),
)


def rule_of(column: Column) -> Rule:
    """Return the first rule that matches the column.

    Raises
    ------
    LookupError
        When none does.
    """
    for rule in RULES:
        if rule.speaks_of(column):
            return rule
    raise LookupError(f"no rule of the catalogue is of {column.name}")
