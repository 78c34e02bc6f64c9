"""The newest of what has an id, as many as there is room for, and a page of them. Pure."""

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from api.bodies import HttpFault

T = TypeVar("T")
PAGE = 50
LONGEST_PAGE = 500


class Newest(Generic[T]):
    """Things by their ids, the newest ``count``, and of their ``size`` together at most ``held_bytes``.

    What comes again under an id takes the place of the earlier one, which it leaves. Iterates from the
    newest on.
    """

    def __init__(self, count: int, held_bytes: int = 0) -> None:
        self._count, self._room = count, held_bytes
        self._items: dict[str, tuple[T, int]] = {}
        self._bytes = 0

    def put(self, identifier: str, item: T, size: int = 0) -> None:
        """Take one in; the oldest ones go while there is no room."""
        self.drop(identifier)
        self._items[identifier] = item, size
        self._bytes += size
        while len(self._items) > self._count or (self._room and self._bytes > self._room):
            self.drop(next(iter(self._items)))

    def drop(self, identifier: str) -> None:
        """Forget one, if it is there."""
        _, size = self._items.pop(identifier, (None, 0))
        self._bytes -= size

    def get(self, identifier: str) -> T | None:
        """Return one by its id."""
        found = self._items.get(identifier)
        return found[0] if found else None

    def __iter__(self) -> Iterator[T]:
        return (item for item, _ in reversed(self._items.values()))

    def items(self) -> list[tuple[str, T]]:
        """Return ids and things, from the newest on."""
        return [(identifier, item) for identifier, (item, _) in reversed(self._items.items())]

    def __len__(self) -> int:
        return len(self._items)


def page_of(
    items: Sequence[T], id_of: Callable[[T], str], *, limit: int, after: str | None
) -> tuple[Sequence[T], str | None] | HttpFault:
    """Return the ``limit`` items behind the one with the id ``after``, and what to say to get those behind.

    None where these are the last.
    """
    begin = 0
    if after is not None:
        place = next((place for place, item in enumerate(items) if id_of(item) == after), None)
        if place is None:
            return HttpFault(400, "invalid_request", "after: nothing is known by this id; begin without it")
        begin = place + 1
    found = items[begin : begin + limit]
    return found, id_of(found[-1]) if found and begin + limit < len(items) else None
