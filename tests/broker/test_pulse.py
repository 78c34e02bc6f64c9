"""Whether brokers answer is known without them."""

import asyncio

import pytest

from broker.pulse import SILENT_S, Pulse, watch_brokers


def test_brokers_that_are_silent_for_too_long_are_a_fault_until_they_answer() -> None:
    now = [100.0]
    pulse = Pulse(clock=lambda: now[0])
    assert pulse.fault() is None
    now[0] += SILENT_S + 2
    assert pulse.fault() == "Kafka has not answered for 12 s"
    pulse.beat()
    assert pulse.fault() is None


@pytest.mark.broker
async def test_a_broker_that_answers_is_heard(kafka: str) -> None:
    now = [0.0]
    pulse = Pulse(clock=lambda: now[0])
    now[0] = 60.0
    watching = asyncio.create_task(watch_brokers(kafka, pulse))
    async with asyncio.timeout(30):
        while pulse.fault():  # noqa: ASYNC110 (a pulse is asked, it calls nobody)
            await asyncio.sleep(0.05)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_a_broker_that_takes_connections_and_says_nothing_is_a_fault_and_no_crash() -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    now = [0.0]
    pulse = Pulse(clock=lambda: now[0])
    watching = asyncio.create_task(watch_brokers(f"127.0.0.1:{port}", pulse))
    try:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(watching), 5)
        now[0] = 60.0
        assert pulse.fault()
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        server.close()
