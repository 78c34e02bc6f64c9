"""The newest dead letters of what shops send, within bounds, and what becomes of them. Pure."""

from collections import Counter
from collections.abc import Sequence

from api.newest import Newest
from broker.dead_letters import again, identity_of_letter, is_cut, reason_of, replays_of
from broker.records import Outgoing, Record, bytes_of
from schemas.operator_http import LetterCount, LetterTold
from schemas.topics import RAW, dead_letter_name

LETTERS_KEPT = 2000
LETTER_BYTES = 16 << 20
TOPICS = tuple(topic.name for topic in RAW if topic.dead_letters)
_SHOWN_CHARS = 2000


def letter_id(letter: Record) -> str:
    """Return what a letter is called: its topic and its offset there, which has one partition."""
    return f"{letter.topic}/{letter.offset}"


class Letters:
    """Feed it with the records of ``topics``, by their full names without the letters' ending."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._kept: Newest[Record] = Newest(LETTERS_KEPT, LETTER_BYTES)

    @property
    def topics(self) -> list[str]:
        """The topics that it is fed from."""
        return [f"{self._prefix}{dead_letter_name(name)}" for name in TOPICS]

    def take(self, letter: Record) -> None:
        """Take a letter in."""
        self._kept.put(letter_id(letter), letter, bytes_of(letter))

    def get(self, topic: str, offset: int) -> Record | None:
        """Return a letter of a topic, which is named without prefix and ending."""
        return self._kept.get(f"{self._prefix}{dead_letter_name(topic)}/{offset}")

    def chosen(self, topic: str | None = None, reason: str | None = None) -> list[Record]:
        """Return the letters of a topic and with a reason, the newest first; None chooses all."""
        whole = None if topic is None else f"{self._prefix}{dead_letter_name(topic)}"
        return [one for one in self._kept if whole in {None, one.topic} and reason in {None, reason_of(one)}]

    def counts(self) -> list[LetterCount]:
        """Return how many are kept by topic and reason, the most first."""
        found = Counter((self.topic_of(one), reason_of(one)) for one in self._kept)
        return [LetterCount(topic=t, reason=why, count=n) for (t, why), n in found.most_common()]

    def topic_of(self, letter: Record) -> str:
        """Return the topic that a record was refused from, without prefix."""
        return letter.topic.removeprefix(self._prefix).removesuffix(dead_letter_name(""))

    def told(self, letter: Record, *, whole: bool = False) -> LetterTold:
        """Return a letter as an operator reads it; but for ``whole`` the beginning of its bytes."""
        value = (letter.value or b"").decode(errors="backslashreplace")
        return LetterTold(
            topic=self.topic_of(letter),
            offset=letter.offset,
            reason=reason_of(letter),
            errors=(letter.header("dlq.errors") or b"[]").decode(errors="replace"),
            key=(letter.key or b"").decode(errors="replace"),
            value=value if whole else value[:_SHOWN_CHARS],
            cut=is_cut(letter),
            replays=replays_of(letter),
        )

    def to_replay(self, letters: Sequence[Record]) -> tuple[list[Outgoing], int]:
        """Return what goes back, the oldest first, and how many may not: cut, or sent often enough.

        Of a record that was refused again only its newest letter counts.
        """
        newest = {identity_of_letter(one): one for one in reversed(letters)}
        ready = [record for one in newest.values() if (record := again(one)) is not None]
        return ready, len(newest) - len(ready)
