"""No record that anybody can make is one that nobody foresaw."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from benchmarks.fuzz import records
from benchmarks.intake.strange_records import readable
from broker.dead_letters import MAX_LETTER_BYTES, dead_letter
from broker.records import Record, bytes_of
from inbound.validation import validate_erasure, validate_interaction, validate_product, validate_search
from indexer.commands import parse
from schemas.rejections import Rejection
from schemas.settings import StreamSettings
from searcher.requests import read
from searcher.shop_rules import rule_of
from trainer.run.triggers import read_trigger

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
SETTINGS = StreamSettings()
READERS = {
    "searches": lambda r: validate_search(r, NOW, SETTINGS),
    "interactions": lambda r: validate_interaction(r, NOW, SETTINGS),
    "erasures": lambda r: validate_erasure(r, NOW, SETTINGS),
    "products": lambda r: validate_product(r, SETTINGS),
    "training-triggers": read_trigger,
    "deployment-commands": parse,
    "search-requests": lambda r: read(r, {"search-responses": 4}, "search-responses"),
    "rules": lambda r: rule_of(r, "main")[1],
}


@pytest.mark.parametrize("seed", [1, 2])
def test_every_reader_says_something_of_every_record_and_what_it_refuses_has_a_letter(seed: int) -> None:
    outcomes: Counter[tuple[str, bool]] = Counter()
    for offset, made in enumerate(records(300, seed, int(NOW.timestamp() * 1000))):
        record = Record(
            made.topic, 0, offset, made.timestamp_ms or 0, made.key, made.value, readable(made.headers)
        )
        found = READERS[made.topic](record)
        assert found != "a fault of ours"
        outcomes[made.topic, isinstance(found, Rejection | str)] += 1
        if isinstance(found, Rejection):
            assert bytes_of(dead_letter(record, found, stage="t")) < MAX_LETTER_BYTES + (1 << 16)
        elif hasattr(found, "to_json"):
            found.to_json()
    assert all(outcomes[topic, True] for topic in READERS if topic != "search-requests")
    assert all(
        outcomes[topic, False]
        for topic in ("searches", "interactions", "erasures", "products", "search-requests", "rules")
    )
