"""The counting job on bare aiokafka: what Kafka and Python cost before any learning.

``python -m benchmarks.throughput.counting_aiokafka``. Reads N raw events in batches, parses each, counts by
shopper, writes the count to an output topic and to a changelog, commits after the acknowledgements. Prints
events, seconds and CPU seconds from its first batch on. ``counting_quix`` does the same with quixstreams.
"""

import asyncio
import json
import sys
import time
import uuid

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer


async def count(bootstrap: str, topic: str, events: int) -> dict[str, float]:
    """Count until ``events`` have been read; return what it took."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=uuid.uuid4().hex,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 << 20,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", linger_ms=20, max_batch_size=1 << 18, compression_type="lz4"
    )
    await consumer.start()
    await producer.start()
    counts: dict[str, int] = {}
    read, begun, cpu = 0, 0.0, 0.0
    while read < events:
        batches = await consumer.getmany(timeout_ms=500, max_records=1000)
        if not begun and batches:
            begun, cpu = time.monotonic(), time.process_time()
        waiting = []
        for record in (r for records in batches.values() for r in records):
            shopper = json.loads(record.value)["client_id"]
            counts[shopper] = counts.get(shopper, 0) + 1
            value = b"%d" % counts[shopper]
            waiting.append(await producer.send(f"{topic}-counts", value, key=shopper.encode()))
            waiting.append(await producer.send(f"{topic}-changelog", value, key=shopper.encode()))
            read += 1
        await asyncio.gather(*waiting)
        await consumer.commit()
    found = {
        "events": read,
        "seconds": time.monotonic() - begun,
        "cpu_s": time.process_time() - cpu,
        "keys": len(counts),
    }
    await consumer.stop()
    await producer.stop()
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(count(sys.argv[1], sys.argv[2], int(sys.argv[3])))))
