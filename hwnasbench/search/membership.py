"""Which vectors of decisions are architectures of a space."""

from __future__ import annotations

from operator import contains, index
from typing import TYPE_CHECKING, Any

from hwnasbench.errors import InvalidArchitecture
from hwnasbench.spaces.base import Space

if TYPE_CHECKING:
    from hwnasbench.search.base import Vector


class Membership:
    """What a space takes.

    Parameters
    ----------
    space : Space

    Attributes
    ----------
    ruled : bool
        Whether the space may have rules beyond how many choices each position has.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.ruled = type(space)._check_vector is not Space._check_vector
        self._ranges = [range(n) for n in space.choices]

    def inside(self, vector: Any) -> Vector:
        """Return decisions as plain integers; they may still break a rule of the space together.

        Raises
        ------
        InvalidArchitecture
            When there are too many or too few, or one is none of its choices.
        """
        try:
            found = tuple([index(decision) for decision in vector])
        except TypeError:
            found = ()
        if len(found) == len(self._ranges) and all(map(contains, self._ranges, found)):
            return found
        if not isinstance(vector, (str, int)):
            self.space.parse(vector)  # says what is wrong
        raise InvalidArchitecture(
            f"{vector!r} is not an architecture of {self.space.name}: expected {len(self._ranges)} integers"
        )

    def keeps_rules(self, vector: Vector) -> bool:
        """Whether decisions that are each one of their choices are an architecture."""
        if not self.ruled:
            return True
        try:
            self.space.parse(list(vector))
        except InvalidArchitecture:
            return False
        return True
