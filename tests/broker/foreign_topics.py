"""Topics as others make them: with bounds of their own."""

import asyncio

from aiokafka.admin import AIOKafkaAdminClient, NewTopic


async def make_topic(kafka: str, name: str, *, max_bytes: int, partitions: int = 1) -> None:
    """Make a topic that takes records of ``max_bytes``.

    Returns once the broker shows it, which is a moment after it is made.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    try:
        await admin.start()
        await admin.create_topics(
            [NewTopic(name, partitions, 1, topic_configs={"max.message.bytes": str(max_bytes)})]
        )
        async with asyncio.timeout(120):
            while not any(t["topic"] == name and t["partitions"] for t in await admin.describe_topics()):  # noqa: ASYNC110 (the broker fulfils it)
                await asyncio.sleep(0.05)
    finally:
        await admin.close()
