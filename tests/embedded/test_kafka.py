"""The embedded broker, on a real one."""

import json
import socket
from pathlib import Path

import pytest

from broker.producing import open_producer
from broker.reading import read_compacted
from broker.records import Outgoing
from broker.topics import ensure_topics
from embedded.errors import AlreadyRunningError, PortTakenError
from embedded.kafka import EmbeddedKafka
from embedded.ports import free_port
from schemas.connections import KafkaConnection
from schemas.settings import Settings

pytestmark = pytest.mark.broker


async def test_the_same_folder_gives_the_same_cluster_after_a_stop_and_after_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also: no `java` on the PATH is needed."""
    monkeypatch.setenv("PATH", "/nowhere")
    broker = EmbeddedKafka(tmp_path / "kafka")
    assert broker.pid is None
    with broker:
        identity = (broker.cluster_id, broker.address)
        await ensure_topics(Settings(kafka=broker.address, partitions=1))
        async with open_producer(KafkaConnection(kafka=broker.address)) as producer:
            await producer.send(Outgoing("searchloop.pairs", b"one", key=b"a"))
    assert broker.pid is None

    again = EmbeddedKafka(tmp_path / "kafka")
    with again:
        assert (again.cluster_id, again.address) == identity
        async with open_producer(KafkaConnection(kafka=again.address)) as producer:
            await producer.send(Outgoing("searchloop.pairs", b"two", key=b"b"))
        again.kill()
        assert not again.answers()
        again.start()
        found = await read_compacted(KafkaConnection(kafka=again.address), "searchloop.pairs")
        assert {key: r.value for key, r in found.records.items()} == {b"a": b"one", b"b": b"two"}


def test_a_taken_port_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as other:
        broker = EmbeddedKafka(tmp_path, other.getsockname()[1])
        with pytest.raises(PortTakenError, match="Kafka needs it"):
            broker.start()
        assert broker.pid is None


def test_a_foreign_broker_on_the_port_is_not_taken_for_ours(
    embedded_kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    """A folder whose last port now belongs to another cluster.

    It is not ours that answers, and another port is taken.
    """
    foreign = int(embedded_kafka.address.rsplit(":", 1)[1])
    (tmp_path / "node.json").write_text(json.dumps({"cluster_id": "another-cluster-id-000", "port": foreign}))
    ours = EmbeddedKafka(tmp_path)
    ours.prepare()
    assert ours.address != embedded_kafka.address
    assert not ours.answers()


def test_a_second_broker_on_the_same_folder_is_refused_and_the_first_goes_on(
    embedded_kafka: EmbeddedKafka,
) -> None:
    second = EmbeddedKafka(embedded_kafka.data_dir)
    with pytest.raises(AlreadyRunningError, match=f"already runs on .* at {embedded_kafka.address}"):
        second.start()
    assert second.pid is None
    assert embedded_kafka.answers()
