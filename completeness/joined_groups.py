"""Groups that grow by pairs (union and find, by the least member)."""


class JoinedGroups:
    """Numbers that belong together because each is joined to another."""

    def __init__(self) -> None:
        self._above: dict[int, int] = {}

    def join(self, one: int, other: int) -> None:
        """Let two numbers, and all that are joined to either, be one group."""
        first, second = sorted((self._leader(one), self._leader(other)))
        self._above[first] = self._above[second] = first

    def all(self) -> list[list[int]]:
        """Return the groups, each in order, in the order of their first."""
        groups: dict[int, list[int]] = {}
        for number in sorted(self._above):
            groups.setdefault(self._leader(number), []).append(number)
        return list(groups.values())

    def _leader(self, number: int) -> int:
        found = number
        while (above := self._above.get(found, found)) != found:
            found = above
        while (above := self._above.get(number, number)) != found:
            self._above[number], number = found, above
        return found
