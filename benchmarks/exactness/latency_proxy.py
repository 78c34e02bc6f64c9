"""A slow road to a broker: copies TCP on 127.0.0.1 and holds every byte for a while, each way.

``python -m benchmarks.exactness.latency_proxy LISTEN TARGET RTT_MS``. The broker must advertise LISTEN, or
its clients go past it. Bandwidth is not limited and order is kept; when one side ends, what is under way
still arrives.
"""

import asyncio
import sys
from contextlib import suppress

HOST = "127.0.0.1"
CHUNK = 1 << 16


async def serve(listen: int, target: int, rtt_s: float) -> None:
    """Serve until cancelled."""

    async def accept(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            broker, to_broker = await asyncio.open_connection(HOST, target)
        except OSError:  # it is down; the client sees a connection that ends, as it would without us
            to_client.close()
            return
        await asyncio.gather(_carry(client, to_broker, rtt_s / 2), _carry(broker, to_client, rtt_s / 2))

    async with await asyncio.start_server(accept, HOST, listen) as server:
        await server.serve_forever()


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter, delay_s: float) -> None:
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=1024)

    async def deliver() -> None:
        while True:
            due, chunk = await under_way.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not chunk:
                return
            sink.write(chunk)
            await sink.drain()

    delivering = asyncio.create_task(deliver())
    with suppress(OSError):
        while (chunk := await source.read(CHUNK)) and not delivering.done():
            await under_way.put((loop.time() + delay_s, chunk))
    if not delivering.done():
        await under_way.put((loop.time() + delay_s, b""))
    with suppress(OSError):
        await delivering
    sink.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000))
