"""Tables come back from their changelogs whole, and nobody writes behind their back, on a real broker."""

from collections import defaultdict
from types import SimpleNamespace

import faust
import pytest
from aiokafka.errors import ProducerFenced

from broker.claiming import open_claims
from broker.records import Outgoing
from broker.topics import ensure_topics
from schemas.connections import KafkaConnection
from schemas.settings import Settings
from stream.recovery import FencedTable
from stream.restoring import Restoring
from tests.stream.tables import first_epoch

pytestmark = pytest.mark.broker


class Shelf:
    """A table as restoring knows it, that keeps the greater number."""

    def __init__(self):
        self.values = defaultdict(dict)
        self.next = {}
        self.given = 0

    def keep(self, partitions):
        self.values = defaultdict(dict, {p: v for p, v in self.values.items() if p in partitions})
        self.next = {p: o for p, o in self.next.items() if p in partitions}

    def next_offset(self, partition):
        return self.next.get(partition, 0)

    def restore(self, partition, offset, key, value):
        self.given += 1
        if value is None:
            self.values[partition].pop(key)
        else:
            self.values[partition][key] = max(value, self.values[partition].get(key, b""))
        self.next[partition] = offset + 1

    def restored(self, partition, next_offset):
        self.next[partition] = next_offset


@pytest.fixture
async def topics(kafka, topic_prefix):
    settings = Settings(kafka=kafka, topic_prefix=topic_prefix, partitions=2)
    await ensure_topics(settings)
    return settings.topic("pairs"), settings.topic("shoppers")


async def test_a_table_holds_all_that_was_written_before_and_whoever_wrote_it_writes_no_more(kafka, topics):
    pairs, shoppers = topics
    first, second = Shelf(), Shelf()
    async with (
        open_claims(KafkaConnection(kafka=kafka)) as old,
        open_claims(KafkaConnection(kafka=kafka)) as new,
    ):
        await old.take([(pairs, 0), (pairs, 1), (shoppers, 1)])
        await old.write_all(
            [Outgoing(pairs, b"%d" % n, key=b"k%d" % (n % 3), partition=n % 2) for n in range(10)]
        )
        await old.write_all(
            [
                Outgoing(shoppers, b"7", key=b"ann", partition=1),
                Outgoing(shoppers, b"8", key=b"ben", partition=1),
            ]
        )
        await old.write_all([Outgoing(shoppers, None, key=b"ben", partition=1)])
        await Restoring(KafkaConnection(kafka=kafka), new, first_epoch()).restore(
            {(pairs, 0): first, (pairs, 1): first, (shoppers, 1): second}
        )
        with pytest.raises(ProducerFenced):
            await old.write_all([Outgoing(pairs, b"0", key=b"k0", partition=0)])
        await new.write_all([Outgoing(pairs, b"9", key=b"k0", partition=0)])
    assert first.values == {
        0: {b"k0": b"6", b"k1": b"4", b"k2": b"8"},
        1: {b"k0": b"9", b"k1": b"7", b"k2": b"5"},
    }
    assert second.values == {1: {b"ann": b"7"}}


async def test_a_kept_partition_is_read_on_and_one_that_was_elsewhere_from_its_beginning(kafka, topics):
    pairs, _ = topics
    shelf = Shelf()
    async with (
        open_claims(KafkaConnection(kafka=kafka)) as claims,
        open_claims(KafkaConnection(kafka=kafka)) as other,
    ):
        restoring = Restoring(KafkaConnection(kafka=kafka), claims, first_epoch())
        await restoring.restore({(pairs, 0): shelf, (pairs, 1): shelf})
        await claims.write_all(
            [Outgoing(pairs, b"1", key=b"a", partition=0), Outgoing(pairs, b"1", key=b"b", partition=1)]
        )
        await restoring.restore({(pairs, 0): shelf})
        assert shelf.values == {0: {b"a": b"1"}}
        await other.take([(pairs, 1)])
        await other.write_all([Outgoing(pairs, b"2", key=b"b", partition=1)])
        before = shelf.given
        await restoring.restore({(pairs, 0): shelf, (pairs, 1): shelf})
        assert shelf.values == {0: {b"a": b"1"}, 1: {b"b": b"2"}}
        assert shelf.given - before == 2
        await restoring.restore({})
    assert shelf.values[0] == {b"a": b"1"}


class Event(SimpleNamespace):
    """What faust refers to weakly."""


class ReadTable(FencedTable):
    """The table itself, which counts what it is given to restore."""

    given = 0

    def restore(self, partition, offset, key, value):
        self.given += 1
        super().restore(partition, offset, key, value)


async def test_what_a_table_has_written_itself_is_not_read_again_and_what_another_wrote_meanwhile_is(
    kafka, topics
):
    pairs, _ = topics
    app = faust.App("searchloop-test", broker="kafka://127.0.0.1:1", store="memory://")
    async with (
        open_claims(KafkaConnection(kafka=kafka)) as claims,
        open_claims(KafkaConnection(kafka=kafka)) as other,
    ):
        topic = app.topic(pairs, key_type=bytes, value_type=bytes, partitions=2)
        table = ReadTable(
            app,
            name="t",
            partitions=2,
            changelog_topic=topic,
            readable=bool,
            supersedes=lambda a, b: a >= b,
            claims=claims,
            names=lambda _: (),
        )
        table._verified_source_topics_for_partitions.add("words")
        restoring, at = (
            Restoring(KafkaConnection(kafka=kafka), claims, first_epoch()),
            Event(message=SimpleNamespace(topic="words", partition=1)),
        )
        place = {(pairs, 1): table}
        await restoring.restore(place)
        for n in range(300):
            table.write(b"k%d" % (n % 90), b"%03d" % n, at)
            if n % 100 == 99:
                await table.flush()
        await restoring.restore(place)
        assert table.given == 0
        await other.take([(pairs, 1)])  # and this worker has not noticed
        await other.write_all([Outgoing(pairs, b"999", key=b"k7", partition=1)])
        await restoring.restore(place)
        assert (table.given, table.read(b"k7"), table.read(b"k8")) == (1, b"999", b"278")
        table.keep(set())
        await restoring.restore(place)
        assert (table.given, table.read(b"k7"), len(table.keys_of(1))) == (302, b"999", 90)
