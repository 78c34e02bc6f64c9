"""Topics as others make them: with bounds of their own."""

from aiokafka.admin import AIOKafkaAdminClient, NewTopic


async def make_topic(kafka: str, name: str, *, max_bytes: int, partitions: int = 1) -> None:
    """Make a topic that takes records of ``max_bytes``."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    try:
        await admin.start()
        await admin.create_topics([NewTopic(name, partitions, 1, topic_configs={"max.message.bytes": str(max_bytes)})])
    finally:
        await admin.close()
