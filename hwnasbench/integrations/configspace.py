"""A configuration space for ConfigSpace, and the libraries that build on it.

>>> from hwnasbench.integrations import configspace
>>> space = configspace.configuration_space(problem, seed=0)
>>> vectors = [configspace.vector(problem, found) for found in space.sample_configuration(100)]
>>> problem.scores(vectors)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwnasbench.errors import MissingExtra
from hwnasbench.integrations import positions

try:
    from ConfigSpace import CategoricalHyperparameter, Configuration, ConfigurationSpace
except ImportError as error:
    raise MissingExtra("ConfigSpace is not installed: pip install 'hwnasbench[integrations]'") from error

if TYPE_CHECKING:
    from hwnasbench.search.base import Vector
    from hwnasbench.search.problem import Problem

__all__ = ["configuration", "configuration_space", "vector"]


def configuration_space(problem: Problem, seed: int | None = None) -> ConfigurationSpace:
    """Return the space of a problem: a categorical hyperparameter a position, ``p0``, ``p1``, ...

    Parameters
    ----------
    problem : Problem
    seed : int, optional
        Of what is sampled from it.
    """
    space = ConfigurationSpace(name=problem.space.name, seed=seed)
    space.add(
        [
            CategoricalHyperparameter(name, list(range(n)))
            for name, n in zip(positions.names(problem), problem.choices, strict=True)
        ]
    )
    return space


def vector(problem: Problem, configuration: Configuration) -> Vector:
    """Return the architecture of a configuration.

    Raises
    ------
    InvalidArchitecture
        When it lacks a position, or has a choice that the space does not.
    """
    return positions.vector(problem, configuration)


def configuration(problem: Problem, space: ConfigurationSpace, arch: Any) -> Configuration:
    """Return the configuration of an architecture.

    Parameters
    ----------
    problem : Problem
    space : ConfigurationSpace
        What `configuration_space` returned, perhaps with hyperparameters of your own: they have their defaults.
    arch : Architecture, str, int or sequence of int
        As the problem's space reads it.

    Raises
    ------
    InvalidArchitecture
        When it is not of the space.
    """
    choices = problem.space.parse(arch).vector
    return Configuration(
        space,
        values={**space.get_default_configuration(), **dict(zip(positions.names(problem), choices, strict=True))},
    )
