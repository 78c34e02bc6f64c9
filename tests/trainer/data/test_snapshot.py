"""What a snapshot takes of two topics to which anybody may write.

Facts under their own keys, of days and times that have been.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.reading import Compacted
from broker.records import Record
from schemas.events import Erasure
from schemas.pairs import Pair, pair_key
from schemas.settings import TrainerSettings
from schemas.topics import ERASURES
from tests.trainer.builders import WORTH, a_pair, a_pointer, a_product, a_shop, fill_topics, write
from trainer.data import snapshot as snapshots
from trainer.data.snapshot import Manifest, Snapshot, keep, may_name_forgotten, take
from trainer.data.splits import split

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TODAY = (NOW - datetime(1970, 1, 1, tzinfo=UTC)).days
AT_MS = int(NOW.timestamp() * 1000) - 1000
DAYS = dict.fromkeys(range(TODAY - 20, TODAY + 1), 2)
TEA = a_pair("tea", "p1", DAYS)
PRODUCTS = {b"p1": a_product("p1", "teapot")}


def kept(
    folder: Path, pairs: dict[bytes, Pair], products=PRODUCTS, *, at_ms: int = AT_MS
) -> tuple[Manifest, Snapshot]:
    topics = [
        Compacted(
            {
                key: Record(name, 0, n, at_ms, key, fact.to_json())
                for n, (key, fact) in enumerate(facts.items())
            },
            {0: len(facts)},
        )
        for name, facts in (("pairs", pairs), ("catalog", products))
    ]
    manifest = keep(*topics, folder, settings=TrainerSettings(), live=a_pointer(1, "base"), now=NOW)
    return manifest, Snapshot.read(folder)


def test_the_newest_pair_was_written_when_its_record_says(tmp_path):
    manifest, _ = kept(tmp_path, {pair_key("tea", "p1"): TEA})
    assert (manifest.newest_at, manifest.unreadable) == (datetime.fromtimestamp(AT_MS / 1000, UTC), 0)


def test_a_time_that_has_not_come_is_now(tmp_path):
    assert kept(tmp_path, {pair_key("tea", "p1"): TEA}, at_ms=1 << 62)[0].newest_at == NOW


def test_rows_of_days_that_have_not_come_are_left_out_and_counted(tmp_path):
    far = a_pair("pot", "p1", {TODAY: 1, TODAY + 2: 1, TODAY + 3: 1, 1 << 24: 1, -(1 << 24): 1})
    manifest, snapshot = kept(tmp_path, {pair_key("tea", "p1"): TEA, pair_key("pot", "p1"): far})
    assert snapshot.pairs.filter(query="pot")["day"].to_list() == [TODAY, TODAY + 2]
    assert (manifest.unreadable, manifest.rows) == (3, len(DAYS) + 2)
    parts = split(snapshot.pairs, ["p1"], worth=WORTH, test_days=7, heldout_share=0)
    assert parts.train.height > 0


def test_a_fact_under_the_key_of_another_counts_once(tmp_path):
    keys = (pair_key("tea", "p1"), b"foreign", pair_key("tea", "p2"))
    manifest, snapshot = kept(tmp_path, dict.fromkeys(keys, TEA), {**PRODUCTS, b"p2": PRODUCTS[b"p1"]})
    assert (snapshot.pairs["credit"].sum(), snapshot.catalog.height) == (1000 * sum(DAYS.values()), 1)
    assert (manifest.pairs, manifest.unreadable) == (1, 3)


@pytest.mark.broker
async def test_a_snapshot_may_name_whom_somebody_asked_to_forget_after_it_or_shortly_before(
    kafka: str, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = TrainerSettings(kafka=kafka, topic_prefix=topic_prefix, partitions=2)
    await fill_topics(settings, a_shop())

    async def taken(name: str) -> Manifest:
        (tmp_path / name).mkdir()
        manifest = await asyncio.to_thread(take, settings, tmp_path / name, a_pointer(1, "base"))
        return Manifest.model_validate_json(manifest.model_dump_json())

    async def may(manifest: Manifest) -> bool:
        return await asyncio.to_thread(may_name_forgotten, settings, manifest)

    before = await taken("before")
    assert not await may(before)
    assert await may(before.model_copy(update={"followed": None})), "of an earlier version"
    erasure = Erasure(event_id="e1", timestamp=NOW, client_id="ann")
    await write(settings, ERASURES.name, (b"x", erasure.to_json()))
    assert await may(before)
    assert await may(await taken("soon after")), "its pairs may still name her"
    monkeypatch.setattr(snapshots, "FORGETTING_S", 0.0)
    assert not await may(await taken("long after"))
