"""Reading as a group: at least once, whatever becomes of a member."""

import asyncio
from collections import deque
from datetime import timedelta

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from broker import consuming
from broker.consuming import GroupConsumer, OrderedGroupConsumer, open_group, take_in_order
from broker.group_lag import open_lag_reader
from broker.producing import open_producer
from broker.records import Outgoing, Record
from broker.topics import ensure_topics
from schemas.connections import KafkaConnection
from schemas.settings import Settings
from tests.topics import read_all

pytestmark = pytest.mark.broker


@pytest.fixture
async def searches(kafka: str, topic_prefix: str) -> str:
    settings = Settings(kafka=kafka, topic_prefix=topic_prefix, partitions=2)
    await ensure_topics(settings)
    async with open_producer(KafkaConnection(kafka=kafka)) as producer:
        await producer.send_all(
            Outgoing(settings.topic("searches"), str(n).encode(), partition=n % 2) for n in range(10)
        )
    return settings.topic("searches")


async def take(group: GroupConsumer, count: int) -> list[Record]:
    """Return at least ``count`` records. Raises ``TimeoutError``."""
    taken: list[Record] = []
    async with asyncio.timeout(120):
        while len(taken) < count:
            taken += await group.batch(timeout_ms=200, max_records=4)
    return taken


async def test_what_was_not_committed_comes_again(kafka: str, searches: str, topic_prefix: str) -> None:
    async with open_group(KafkaConnection(kafka=kafka), [searches], f"{topic_prefix}g") as group:
        first = await take(group, 10)
        await group.commit([r for r in first if r.partition == 0])
    async with open_group(KafkaConnection(kafka=kafka), [searches], f"{topic_prefix}g") as group:
        again = await take(group, 5)
        assert await group.batch(timeout_ms=200, max_records=10) == []
        assert await group.lag() == 0
    assert [(r.partition, r.offset, r.value) for r in again] == [
        (r.partition, r.offset, r.value) for r in first if r.partition == 1
    ]


async def test_two_groups_each_see_everything(kafka: str, searches: str, topic_prefix: str) -> None:
    for name in ("a", "b"):
        async with open_group(KafkaConnection(kafka=kafka), [searches], f"{topic_prefix}{name}") as group:
            values = {r.value for r in await take(group, 10)}
            await group.commit([])
        assert values == {str(n).encode() for n in range(10)}


async def test_a_member_that_leaves_hands_its_uncommitted_records_over(
    kafka: str, searches: str, topic_prefix: str
) -> None:
    name = f"{topic_prefix}g"
    async with open_group(KafkaConnection(kafka=kafka), [searches], name) as stays:
        taken = await take(stays, 10)
        async with open_group(KafkaConnection(kafka=kafka), [searches], name) as leaves:
            rebalanced = [
                # Its one remaining partition again: nothing was committed
                asyncio.create_task(take(stays, 5)),
                asyncio.create_task(take(leaves, 5)),
            ]
            parts = [{r.partition for r in await task} for task in rebalanced]
            assert sorted(map(len, parts)) == [1, 1]
            assert parts[0] != parts[1]
            await stays.commit(taken)  # of a partition it has lost, nothing is committed
        rest = await take(stays, 5)
    assert {r.partition for r in rest} == parts[1]


async def test_a_member_with_a_name_comes_back_to_its_partitions_and_no_other_is_moved(
    kafka: str, searches: str, topic_prefix: str
) -> None:
    """Not even when it led the group, and what it has not committed comes to it again."""
    name = f"{topic_prefix}g"

    def member(of: str) -> KafkaConnection:
        return KafkaConnection(kafka=kafka, kafka_member=of, kafka_member_timeout=timedelta(minutes=5))

    async with open_group(member("stays"), [searches], name) as stays:
        await take(stays, 10)
        async with open_group(member("restarts"), [searches], name) as first:
            taken, _ = await asyncio.gather(take(first, 5), take(stays, 5))
        had = stays.assignment()
        async with open_group(member("restarts"), [searches], name) as second:
            again = await take(second, 5)
            await second.commit(again)
        assert {(r.partition, r.offset) for r in again} == {(r.partition, r.offset) for r in taken}
        assert stays.assignment() is had
    async with (
        open_group(member("stays"), [searches], name) as led,
        open_group(member("restarts"), [searches], name) as third,
    ):
        await take(led, 5)
        while not third.assignment():
            await third.batch(timeout_ms=100, max_records=1)
        assert led.assignment() == had
        assert {tp.partition for tp in third.assignment()} == {r.partition for r in taken}


def test_records_of_several_partitions_come_in_the_order_of_the_brokers_clock():
    """And none goes while a partition that has more is empty here."""

    def record(partition: int, offset: int, timestamp_ms: int) -> Record:
        return Record("t", partition, offset, timestamp_ms, None, b"")

    one, two = TopicPartition("t", 0), TopicPartition("t", 1)
    held = {
        one: deque([record(0, 0, 10), record(0, 1, 40)]),
        two: deque([record(1, 0, 20), record(1, 1, 30)]),
    }
    assert [r.timestamp_ms for r in take_in_order(held, {two}, 100)] == [10, 20, 30]
    assert take_in_order(held, {two}, 100) == []
    assert [r.timestamp_ms for r in take_in_order(held, set(), 100)] == [40]


async def test_a_backlog_is_read_in_the_order_in_which_it_was_sent(
    kafka: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
):
    """Partition after partition would be the order of a plain consumer."""
    monkeypatch.setattr(OrderedGroupConsumer, "PATIENCE_S", 60.0)  # no stall of this machine is passed over
    settings = Settings(kafka=kafka, topic_prefix=topic_prefix, partitions=3)
    await ensure_topics(settings)
    topics = [settings.topic("searches"), settings.topic("interactions")]
    async with open_producer(KafkaConnection(kafka=kafka), linger_ms=0) as producer:
        for number in range(240):
            await producer.send(Outgoing(topics[number % 2], b"%d" % number, partition=number % 3))
    async with open_group(
        KafkaConnection(kafka=kafka), topics, f"{topic_prefix}ordered", in_order=True
    ) as group:
        found = [int(r.value or b"") for r in await take(group, 240)]
    assert sorted(found) == list(range(240))
    # Two records of one millisecond may change places.
    assert max(abs(place - number) for place, number in enumerate(found)) < 12


@pytest.mark.parametrize("in_order", [False, True])
async def test_what_was_rolled_back_is_not_read_and_leaves_no_lag(
    kafka: str, searches: str, topic_prefix: str, *, in_order: bool
) -> None:
    name = f"{topic_prefix}g"
    async with AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=f"{topic_prefix}shop") as shop:
        for value, kept in ((b"kept", True), (b"rolled back", False)):
            await shop.begin_transaction()
            await shop.send_and_wait(searches, value, partition=0)
            await (shop.commit_transaction() if kept else shop.abort_transaction())
        async with (
            open_group(KafkaConnection(kafka=kafka), [searches], name, in_order=in_order) as group,
            open_lag_reader(KafkaConnection(kafka=kafka)) as lags,
        ):
            found = await take(group, 11)
            await group.commit(found)
            await shop.begin_transaction()
            await shop.send_and_wait(searches, b"open", partition=0)
            # What is open keeps nothing waiting but itself; the broker ends it after a minute
            async with asyncio.timeout(30):
                assert await group.batch(timeout_ms=200, max_records=10) == []
            await shop.abort_transaction()
            async with asyncio.timeout(120):
                while await lags.lag(name, [searches]) != {searches: 0}:
                    assert await group.batch(timeout_ms=200, max_records=10) == []
                    await group.commit_read()
    assert sorted(r.value or b"" for r in found) == sorted([*(str(n).encode() for n in range(10)), b"kept"])
    assert len(await read_all(kafka, searches)) == 11


async def test_a_topic_that_is_made_anew_with_more_partitions_is_read_from_its_beginning(
    kafka: str, searches: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consuming, "METADATA_AGE_MS", 500)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    async with open_group(KafkaConnection(kafka=kafka), [searches], f"{topic_prefix}g") as group:
        await group.commit(await take(group, 10))
        assert group.missing() == []
        await admin.delete_topics([searches])
        async with asyncio.timeout(120):
            while group.missing() != [searches]:
                await group.batch(timeout_ms=200, max_records=10)
        await admin.create_topics([NewTopic(searches, 3, 1)])
        await admin.close()
        async with open_producer(KafkaConnection(kafka=kafka)) as producer:
            await producer.send_all(Outgoing(searches, b"new", partition=n) for n in range(3))
        found: set[tuple[int, int]] = set()
        async with asyncio.timeout(120):  # what was read before the group saw the third comes again
            while len(found) < 3:
                found |= {(r.partition, r.offset) for r in await group.batch(timeout_ms=200, max_records=4)}
        assert found == {(0, 0), (1, 0), (2, 0)}
        assert group.missing() == []


async def test_a_member_without_partitions_has_joined(kafka: str, topic_prefix: str, searches: str) -> None:
    """It stands by: that is all it is there for, so it may call itself ready."""
    async with open_group(KafkaConnection(kafka=kafka), [searches], f"{topic_prefix}g") as first:
        await take(first, 1)
        async with (
            open_group(KafkaConnection(kafka=kafka), [searches], f"{topic_prefix}g") as second,
            open_group(KafkaConnection(kafka=kafka), [searches], f"{topic_prefix}g") as third,
        ):
            members = (first, second, third)
            async with asyncio.timeout(120):  # one learns its new share after the other
                while not (
                    second.joined() and third.joined() and sum(member.assigned() for member in members) == 2
                ):
                    for member in members:
                        await member.batch(timeout_ms=50, max_records=10)


async def test_a_member_that_keeps_shares_a_group_with_one_that_does_not(
    kafka: str, topic_prefix: str, searches: str
) -> None:
    """So an upgrade may be rolling; the one that is left has all."""
    name = f"{topic_prefix}g"
    async with open_group(KafkaConnection(kafka=kafka), [searches], name, keeps=True) as keeps:
        async with (
            open_group(KafkaConnection(kafka=kafka), [searches], name) as earlier,
            asyncio.timeout(120),
        ):
            # one learns its new share after the other
            while not (len(keeps.assignment()) == len(earlier.assignment()) == 1):
                for member in (keeps, earlier):
                    await member.batch(timeout_ms=50, max_records=10)
            assert keeps.assignment().isdisjoint(earlier.assignment())
        async with asyncio.timeout(120):
            while len(keeps.assignment()) < 2:
                await keeps.batch(timeout_ms=50, max_records=10)
