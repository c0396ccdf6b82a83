"""Objectives: how metrics become what a search is after."""

from hwnasbench.search.objectives.base import Constrained, Front, Metric, Objective

__all__ = ["Constrained", "Front", "Metric", "Objective"]
