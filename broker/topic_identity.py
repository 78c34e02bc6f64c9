"""Which topic of its name this is: the id that a broker gives to each topic it makes (KIP-516).

A topic that was removed and made anew, or that stands in another cluster, has another id, and its offsets
mean other records. aiokafka asks for metadata of version 5 at most, which knows no ids, so the request is
written here, by its own building blocks.
"""

from io import BytesIO
from uuid import UUID

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

from broker.connecting import client_options
from broker.denials import start
from schemas.connections import KafkaConnection

_NO_ID = UUID(int=0)


class _Id:
    """The 16 bytes of an id on the wire."""

    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(16))

    @classmethod
    def repr(cls, value: UUID) -> str:
        return str(value)


class _IdentityResponse(Response):  # type: ignore[misc] # ships no types
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString("utf-8")),
                ("topic_id", _Id),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _IdentityRequestStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = _IdentityResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", _Id), ("topic", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _IdentityRequest(Request[_IdentityRequestStruct]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def build(self, request_struct_class: type[_IdentityRequestStruct]) -> _IdentityRequestStruct:
        return request_struct_class([(_NO_ID, self._topic, {})], False, False, False, {})


async def topic_id(connection: KafkaConnection, topic: str) -> UUID | None:
    """Return the id of a topic; None where brokers give none (before Kafka 2.8, or some that are no Kafka).

    Makes no topic. Raises ``KafkaError``, also for a topic that is not there.
    """
    admin = AIOKafkaAdminClient(**client_options(connection))
    await start(admin, connection)
    try:
        found = await admin._send_request(_IdentityRequest(topic))  # noqa: SLF001 (there is no other way)
    except NotImplementedError:  # the broker's metadata is older
        return None
    finally:
        await admin.close()
    code, _, identity, *_ = found.topics[0]
    if code:
        raise for_code(code)(topic)
    return UUID(bytes=identity.bytes) if identity != _NO_ID else None
