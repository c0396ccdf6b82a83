"""One point of a space."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hwnasbench.spaces.base import Space


class Architecture:
    """One point of a space: a vector of categorical decisions.

    Attributes
    ----------
    space : Space
        The space it belongs to.
    vector : tuple of int
        One choice a position, in the space's own order.
    """

    __slots__ = ("space", "vector")

    def __init__(self, space: Space, vector: tuple[int, ...]) -> None:
        self.space = space
        self.vector = vector

    @property
    def index(self) -> int | None:
        """The published index, or None where the space is not enumerable."""
        return self.space.index(self) if self.space.enumerable else None

    def __str__(self) -> str:
        return self.space.format(self)

    def __repr__(self) -> str:
        return f"Architecture({self.space.name!r}, {self.space.format(self)!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Architecture):
            return NotImplemented
        return self.vector == other.vector and self.space.name == other.space.name

    def __hash__(self) -> int:
        return hash((self.space.name, self.vector))

    def __reduce__(self) -> tuple[object, ...]:
        return Architecture, (self.space, self.vector)
