"""The merchandising rules of this searcher's deployment, read from the topic ``rules`` and kept in step.

What counts is the last record of each key, as after compaction: one that cannot be read, or is of another
deployment, takes out what was there. None stops the searcher.
"""

import asyncio
from collections.abc import Iterable

import structlog

from broker.guarding import judged
from broker.reading import open_reader
from broker.records import Record
from retrieval.merchandising import RuleSet, SetRule
from retrieval.rule_record import read_rule
from schemas.settings import SearcherSettings
from schemas.topics import RULES
from searcher.metrics import RULES_HELD, RULES_REFUSED

log = structlog.get_logger(__name__)

POLL_MS = 200
AT_ONCE = 5000


class ShopRules:
    """Run ``follow`` as one task. ``complete`` is set once all is read that the topic held at the start."""

    def __init__(self, settings: SearcherSettings) -> None:
        self._settings = settings
        self.rules = RuleSet()
        self.complete = asyncio.Event()

    async def follow(self, stopping: asyncio.Event) -> None:
        """Follow until ``stopping`` is set. Raises ``KafkaError`` when the broker is gone for good."""
        topic = self._settings.topic(RULES.name)
        async with open_reader(self._settings, [topic]) as reader:
            ends = await reader.end_offsets()
            while not stopping.is_set():
                if records := await reader.poll(timeout_ms=POLL_MS, max_records=AT_ONCE):
                    await asyncio.to_thread(self._take, records)
                if not self.complete.is_set() and await reader.reached(ends):
                    log.info("the rules are read", rules=len(self.rules))
                    self.complete.set()
        self.complete.set()

    def _take(self, records: Iterable[Record]) -> None:
        changes: dict[str, SetRule | None] = {}
        for record in records:
            rule_id, read = rule_of(record, self._settings.deployment)
            if isinstance(read, str):
                RULES_REFUSED.inc()
                log.warning("a rule was not taken", offset=record.offset, reason=read)
            if rule_id is not None:
                changes[rule_id] = None if isinstance(read, str) else read
        if left := self.rules.change(changes):
            RULES_REFUSED.inc(left)
            log.warning("rules beyond the bound were not taken", rules=left)
        RULES_HELD.set(len(self.rules))


def rule_of(record: Record, deployment: str) -> tuple[str | None, SetRule | str | None]:
    """Return the id that a record is about, and its rule.

    None for a deletion and for a rule of another deployment; a text says why there is none. Without an id the
    record is about nothing.
    """
    try:
        rule_id = (record.key or b"").decode()
    except UnicodeDecodeError:
        return None, "the key is not UTF-8"
    read = judged(lambda r: _read(rule_id, r.value, deployment), record)
    return rule_id or None, read if read is None or isinstance(read, SetRule | str) else "a fault of ours"


def _read(rule_id: str, value: bytes | None, deployment: str) -> SetRule | str | None:
    if value is None:
        return None
    rule = read_rule(rule_id, value)
    if isinstance(rule, str):
        return rule
    return SetRule.of(rule) if rule.deployment == deployment else None
