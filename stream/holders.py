"""Which values of a table name a client, so that erasing one costs what it has and not a look at everything.

Kept beside the table from the stored bytes, with nothing of its own to store. Most clients stand in few
pairs, so a client's keys are the key itself, a tuple, or from ``MANY`` on a set.
"""

from collections.abc import Callable, Sequence

MANY = 16
# Reads the names out of stored bytes; None for values of which nobody will ask.
Names = Callable[[bytes], Sequence[bytes] | None]


class Holders:
    """From a name to the keys of the values that hold it.

    ``unnamed`` are the keys of those that hold none.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._keys: dict[bytes, bytes | tuple[bytes, ...] | set[bytes]] = {}
        self.unnamed: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._keys)

    def holding(self, name: bytes) -> list[bytes]:
        """Return the keys of all values that hold the name, in no order."""
        found = self._keys.get(name, ())
        return [found] if isinstance(found, bytes) else list(found)

    def replaced(self, key: bytes, old: bytes | None, new: bytes | None) -> None:
        """Take in that a key has another value; None stands for none."""
        before = self._names(old) if old is not None else None
        after = self._names(new) if new is not None else None
        if before == after:
            return
        if after is not None and not after:
            self.unnamed.add(key)
        else:
            self.unnamed.discard(key)
        gone, come = set(before or ()), set(after or ())
        for name in gone - come:
            self._remove(name, key)
        for name in come - gone:
            self._add(name, key)

    def _add(self, name: bytes, key: bytes) -> None:
        held = self._keys.get(name)
        if held is None:
            self._keys[name] = key
        elif isinstance(held, set):
            held.add(key)
        else:
            keys = ((held,) if isinstance(held, bytes) else held) + (key,)
            self._keys[name] = keys if len(keys) < MANY else set(keys)

    def _remove(self, name: bytes, key: bytes) -> None:
        held = self._keys.pop(name, ())
        if isinstance(held, set):
            held.discard(key)
            if held:
                self._keys[name] = held
        elif not isinstance(held, bytes) and (left := tuple(k for k in held if k != key)):
            self._keys[name] = left if len(left) > 1 else left[0]
