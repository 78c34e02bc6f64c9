"""What a shop would write itself in place of the API: one FastAPI handler that produces to Kafka.

``python -m benchmarks.serving.bare_http KAFKA TOPIC`` prints its port and serves until it is ended. It judges
nothing: what it is sent is written, and a request is answered when the broker has it (acks all).
"""

import asyncio
import json
import socket
import sys
from typing import Any

import uvicorn
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI

from embedded.ports import HOST


async def serve(kafka: str, topic: str) -> None:
    """Serve until the process is ended."""
    app = FastAPI()
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka, acks="all", enable_idempotence=True, compression_type="zstd", linger_ms=5
    )
    await producer.start()

    @app.post("/v1/events", status_code=202)
    async def events(found: list[dict[str, Any]]) -> dict[str, int]:
        waiting = [
            await producer.send(topic, json.dumps(event).encode(), key=event["client_id"].encode())
            for event in found
        ]
        await asyncio.gather(*waiting)
        return {"accepted": len(waiting)}

    listening = socket.create_server((HOST, 0))
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(app, http="h11", ws="none", lifespan="off", log_config=None, access_log=False)
    await uvicorn.Server(config).serve(sockets=[listening])


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:3]))
