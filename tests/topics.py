"""What tests write to topics, and everything that a topic holds."""

from aiokafka import AIOKafkaProducer

from broker.producing import open_producer
from broker.reading import open_reader
from broker.records import Outgoing, Record
from schemas.connections import KafkaConnection
from schemas.settings import Settings

KeyAndValue = tuple[bytes | None, bytes | None]


async def write(settings: Settings, topic: str, *records: KeyAndValue) -> None:
    async with open_producer(settings, linger_ms=0) as producer:
        await producer.send_all(Outgoing(settings.topic(topic), value, key=key) for key, value in records)


async def write_unpacking(kafka: str, topic: str, size: int, *, key: bytes = b"k") -> None:
    """Write a record of a few kilobytes to partition 0 that unpacks to so many bytes of zeros."""
    async with AIOKafkaProducer(
        bootstrap_servers=kafka,
        compression_type="zstd",
        max_request_size=2 * size,
        request_timeout_ms=120_000,
    ) as producer:
        await producer.send_and_wait(topic, bytes(size), key=key, partition=0)


async def read_all(kafka: str, *topics: str) -> list[Record]:
    """Every record that the topics hold now."""
    async with open_reader(KafkaConnection(kafka=kafka), topics) as reader:
        return [record async for record in reader.until(await reader.end_offsets())]
