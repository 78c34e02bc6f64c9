"""What was read of the texts of documents, by number; of those used longest ago it is read again. Pure."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Generic, TypeVar

MOST = 50_000

Read = TypeVar("Read")


class KnownTexts(Generic[Read]):
    """May be shared by threads."""

    def __init__(
        self,
        texts: Callable[[Sequence[int]], Mapping[int, str]],
        read: Callable[[Sequence[str]], Sequence[Read]],
    ) -> None:
        """``texts``: asked for the texts of documents that are not held; ``read``: what is held of each."""
        self._texts = texts
        self._read = read
        self._held: OrderedDict[int, Read] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    def of(self, numbers: Collection[int]) -> dict[int, Read]:
        """Return what was read of the documents that are there."""
        with self._lock:
            found = {n: own for n in numbers if (own := self._held.get(n)) is not None}
            if len(self._held) >= MOST:
                for number in found:
                    self._held.move_to_end(number)
        if lacking := [n for n in numbers if n not in found]:
            texts = self._texts(lacking)
            read = dict(zip(texts, self._read(list(texts.values())), strict=True))
            self.enter(read)
            found |= read
        return found

    def enter(self, read: Mapping[int, Read]) -> None:
        """Hold what was read of documents."""
        with self._lock:
            self._held |= read
            while len(self._held) > MOST:
                self._held.popitem(last=False)

    def leave(self, numbers: Collection[int]) -> None:
        """Hold documents no longer."""
        with self._lock:
            for number in numbers:
                self._held.pop(number, None)
