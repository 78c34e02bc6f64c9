"""What the topic ``releases`` says of one deployment: the pointer that holds, and every generation.

All processes and verbs read the topic by this class, so that they agree on what serves. It is fed with
records in the order of the log. A pointer that cannot be read or does not follow the one that holds says
nothing. A generation's record that cannot be read, or names another one, stands for what its key said
before, as compaction would leave it; it hides no other key.
"""

from collections.abc import Iterable
from contextlib import suppress

from pydantic import ValidationError

from broker.guarding import judged
from broker.pointer_chain import PointerChain
from broker.records import Record
from schemas.releases import LivePointer, Release, is_release_key, release_key
from schemas.settings import MAIN


class ReleaseLog:
    """The state of ``releases`` after some records."""

    def __init__(self, deployment: str = MAIN, records: Iterable[Record] = ()) -> None:
        self._deployment = deployment
        self._chain = PointerChain()
        self._releases: dict[bytes, Release] = {}
        for record in records:
            self.take(record)

    @property
    def pointer(self) -> LivePointer | None:
        """The pointer that holds; None before the first generation serves."""
        return self._chain.holds

    @property
    def releases(self) -> list[Release]:
        """The newest record of every generation, in the order of their numbers."""
        return sorted(self._releases.values(), key=lambda r: r.generation)

    def is_pointer(self, record: Record) -> bool:
        """Say whether a record has the key of the deployment's pointer."""
        return record.key == self._deployment.encode()

    def is_release(self, record: Record) -> bool:
        """Say whether a record has the key of one of the deployment's generations."""
        return record.key is not None and is_release_key(record.key, self._deployment)

    def take(self, record: Record) -> LivePointer | Release | None:
        """Take a record in.

        Returns the pointer that holds from now on, or the generation's new state; None where it says nothing.
        """
        if self.is_pointer(record):
            return self.pointer if judged(self._takes, record) is True else None
        if record.key is None or not self.is_release(record):
            return None
        self._releases.pop(record.key, None)
        release = judged(_release, record)
        if not isinstance(release, Release) or record.key != release_key(
            release.generation, self._deployment
        ):
            return None
        self._releases[record.key] = release
        return release

    def _takes(self, record: Record) -> bool:
        return record.value is not None and self._chain.take(record.value)


def _release(record: Record) -> Release | None:
    with suppress(ValidationError):
        return Release.from_json(record.value or b"")
    return None
