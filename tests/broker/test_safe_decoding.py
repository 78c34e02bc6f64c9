"""Whatever is written to a topic can be read from it.

Odd header names, and batches that unpack to more than memory.
"""

import asyncio
import gzip
import random
import resource
import struct

import aiokafka
import cramjam
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.codec import snappy_encode
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import CorruptRecordException
from aiokafka.producer import message_accumulator
from aiokafka.producer import producer as producing
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition

from benchmarks.intake.odd_names import OddName
from broker import safe_decoding as decoding
from broker.consuming import open_group
from broker.producing import open_producer
from broker.reading import open_reader
from broker.records import Outgoing, Record
from broker.topics import ensure_topics
from schemas.connections import KafkaConnection
from schemas.settings import Settings
from tests.topics import read_all

NAME_BYTES = [b"\xff\xfe", b"\xed\xa0\x80", b"", "ж".encode(), b"plain"]


# Of a batch, before its records; the checksum is over all behind itself.
BATCH_HEADER_BYTES, SUM_AT = 61, 17


def signed(raw: bytes) -> bytes:
    """Return a batch with the length and the checksum that fit it."""
    raw = raw[:8] + struct.pack("!i", len(raw) - 12) + raw[12:]
    return raw[:SUM_AT] + struct.pack("!I", calc_crc32c(raw[SUM_AT + 4 :])) + raw[SUM_AT + 4 :]


def batch_of(headers: list[list[tuple[object, bytes | None]]], codec: int = 0, base: int = 0) -> bytes:
    """Return a batch as a producer of another make could send it."""
    builder = _DefaultRecordBatchBuilderPy(2, codec, 0, -1, -1, -1, 1 << 20)
    for offset, pairs in enumerate(headers):
        assert builder.append(offset, offset + 1000, b"k", b"v%d" % offset, pairs) is not None
    return struct.pack("!q", base) + bytes(builder.build())[8:]  # the sum is not over this


def records_in(raw: bytes, start: int = 0) -> list[tuple[int, bytes, tuple[tuple[str, bytes | None], ...]]]:
    records = decoding.Records(
        TopicPartition("t", 0), decoding.Batches(raw), None, start, None, None, True, 0
    )
    return [(r.offset, r.value, r.headers) for r in records]


def test_this_was_written_for_the_aiokafka_that_is_installed() -> None:
    assert aiokafka.__version__.startswith(decoding.WRITTEN_FOR)


@pytest.mark.parametrize("codec", [0, 1, 2, 3, 4], ids=["none", "gzip", "snappy", "lz4", "zstd"])
def test_header_names_of_any_bytes_are_read_and_nothing_beside_them_is_lost_or_repeated(codec: int) -> None:
    decoding.install()
    pairs = [[("a", b"1"), ("b", None)], *[[(OddName(name), b"x")] for name in NAME_BYTES], [("z", b"2")]]
    found = records_in(batch_of(pairs, codec))
    assert [offset for offset, _, _ in found] == list(range(len(pairs)))
    assert found[0][2] == (("a", b"1"), ("b", None))
    assert [headers[0][0] for _, _, headers in found[1:-1]] == [
        "\\xff\\xfe",
        "\\xed\\xa0\\x80",
        "",
        "ж",
        "plain",
    ]
    assert records_in(batch_of(pairs, codec), start=3) == found[3:]


@pytest.mark.parametrize(
    ("name", "packed"),
    [
        ("zstd_decode", lambda data: bytes(cramjam.zstd.compress(data))),
        ("lz4_decode", lambda data: bytes(cramjam.lz4.compress(data))),
        ("gzip_decode", gzip.compress),
        ("snappy_decode", lambda data: bytes(cramjam.snappy.compress_raw(data))),
    ],
)
def test_a_batch_is_unpacked_up_to_its_bound_and_not_a_byte_further(name: str, packed) -> None:
    unpack = decoding._UNPACKERS[name]
    assert len(unpack(packed(bytes(decoding.MAX_BATCH_BYTES)))) == decoding.MAX_BATCH_BYTES
    with pytest.raises(decoding.OversizedBatchError):
        unpack(packed(bytes(decoding.MAX_BATCH_BYTES + 1)))
    with pytest.raises(decoding.OversizedBatchError):
        unpack(b"\x00 no such thing")


@pytest.mark.parametrize("codec", [1, 2, 3, 4], ids=["gzip", "snappy", "lz4", "zstd"])
def test_a_batch_that_is_damaged_by_its_writer_is_read_as_far_as_it_goes_and_never_ends_a_reader(
    codec: int,
) -> None:
    decoding.install()
    whole, dice = batch_of([[("a", b"1")]] * 20, codec), random.Random(codec)
    for _ in range(2000):
        raw = bytearray(whole)
        body = raw[BATCH_HEADER_BYTES:]
        for _ in range(dice.randrange(1, 4)):
            at = dice.randrange(len(body))
            body[at : at + dice.choice([0, 1])] = dice.choice([b"", bytes([dice.randrange(256)])])
        if dice.random() < 0.3:
            body = body[: dice.randrange(1, len(body))] + dice.randbytes(dice.randrange(4))
        found = records_in(
            signed(bytes(raw[:BATCH_HEADER_BYTES] + body)) + batch_of([[("next", b"2")]], codec, base=20)
        )
        assert (found[-1][0], found[-1][2]) == (20, (("next", b"2"),))


def test_a_batch_that_the_disk_has_damaged_is_a_fault() -> None:
    decoding.install()
    raw = bytearray(batch_of([[]], codec=0))
    raw[-2] ^= 1
    with pytest.raises(CorruptRecordException):
        records_in(bytes(raw))


def test_bytes_behind_the_last_snappy_block_are_ignored_and_a_block_without_length_is_refused() -> None:
    packed = snappy_encode(b"x" * 100_000)
    for n in range(4):
        assert decoding._unpack_snappy(packed + bytes(n)) == b"x" * 100_000
    for length in (0, -1, -20, -(2**31)):
        with pytest.raises(decoding.OversizedBatchError):
            decoding._unpack_snappy(packed + struct.pack("!i", length) + b"more")


@pytest.mark.parametrize("most", [None, 1, 2, 500])
async def test_no_consumer_is_given_what_an_operator_has_skipped(
    most: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "SKIPPED_PLACES", {("t", 0, 0), ("t", 0, 3), ("t", 0, 4), ("t", 1, 2)})
    place = TopicPartition("t", 0)
    records = decoding.Records(place, decoding.Batches(batch_of([[]] * 5)), None, 0, None, None, True, 0)
    subscription = SubscriptionState()
    subscription.assign_from_user([place])
    assignment = subscription.subscription.assignment
    assignment.state_value(place).seek(0)
    handout = decoding.Handout(place, assignment=assignment, partition_records=records, backoff=0)
    found: list[int] = []
    while handout.has_more():
        found += [r.offset for r in handout.getall(most)]
    assert found == [1, 2]
    assert assignment.state_value(place).position == 5


@pytest.fixture
async def topic(kafka: str, topic_prefix: str) -> str:
    settings = Settings(kafka=kafka, topic_prefix=topic_prefix, partitions=1)
    await ensure_topics(settings)
    return settings.topic("searches")


@pytest.mark.broker
async def test_a_running_consumer_goes_past_odd_names_and_bombs(
    kafka: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (message_accumulator, producing):
        # Writes any name
        monkeypatch.setattr(module, "DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy)
    async with AIOKafkaProducer(
        bootstrap_servers=kafka, compression_type="zstd", max_request_size=1 << 30, max_batch_size=1 << 16
    ) as producer:
        await producer.send_and_wait(topic, b"first", headers=[(OddName(b"\xff"), b"1")])
        for _ in range(4):
            await producer.send_and_wait(topic, bytes(300 << 20))
        await producer.send_and_wait(topic, b"last", headers=[("n", None)])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with open_group(KafkaConnection(kafka=kafka), [topic], topic) as group:
        found: list[Record] = []
        async with asyncio.timeout(240):
            while len(found) < 6:
                found += await group.batch(timeout_ms=200, max_records=100)
        await group.commit(found)
    assert (found[0].value, found[0].headers) == (b"first", (("\\xff", b"1"),))
    assert [(r.value, r.headers[0][0]) for r in found[1:-1]] == [(None, decoding.OVERSIZED)] * 4
    assert (found[-1].value, found[-1].headers) == (b"last", (("n", None),))
    assert [r.offset for r in found] == list(range(6))
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10 < 200
    assert found == await read_all(kafka, topic)


@pytest.mark.broker
async def test_large_records_are_handed_out_a_few_at_a_time_and_all_of_them(kafka: str, topic: str) -> None:
    async with open_producer(KafkaConnection(kafka=kafka)) as producer:
        await producer.send_all(
            Outgoing(topic, bytes(1 << 20), headers=(("n", b"%d" % n),)) for n in range(40)
        )
    async with open_reader(KafkaConnection(kafka=kafka), [topic]) as reader:
        polls: list[list[Record]] = []
        async with asyncio.timeout(240):
            while sum(map(len, polls)) < 40:
                polls.append(await reader.poll())
    assert max(map(len, polls)) <= decoding.MAX_POLL_BYTES >> 20
    assert [r.offset for poll in polls for r in poll] == list(range(40))
