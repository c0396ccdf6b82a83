"""Steps in a space: a random architecture, a changed decision, a mixture of two."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

    from hwnasbench.search.base import Vector


def draw(choices: tuple[int, ...], generator: random.Random) -> Vector:
    """Return an architecture drawn uniformly."""
    number = generator.random
    return tuple([int(number() * n) for n in choices])


def mutate(choices: tuple[int, ...], vector: Vector, generator: random.Random) -> Vector:
    """Return the architecture with one decision, drawn uniformly, changed to another choice, drawn uniformly."""
    number = generator.random
    while True:
        position = int(number() * len(choices))
        n = choices[position]
        if n > 1:
            break
    choice = int(number() * (n - 1))
    return (*vector[:position], choice + (choice >= vector[position]), *vector[position + 1 :])


def mutate_each(choices: tuple[int, ...], vector: Vector, rate: float, generator: random.Random) -> Vector:
    """Return the architecture with each decision drawn anew with probability `rate`."""
    number = generator.random
    return tuple([int(number() * n) if number() < rate else old for n, old in zip(choices, vector, strict=True)])


def cross(first: Vector, second: Vector, generator: random.Random) -> Vector:
    """Return an architecture that has each decision from one of two, drawn uniformly."""
    number = generator.random
    return tuple([a if number() < 0.5 else b for a, b in zip(first, second, strict=True)])


def neighbours(choices: tuple[int, ...], vector: Vector) -> list[Vector]:
    """Return every architecture that differs in exactly one decision."""
    return [
        (*vector[:position], choice, *vector[position + 1 :])
        for position, n in enumerate(choices)
        for choice in range(n)
        if choice != vector[position]
    ]
