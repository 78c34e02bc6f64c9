"""Whether brokers answer is known without them."""

import asyncio

import pytest

from broker import pulse as pulse_of
from broker.pulse import SILENT_S, Pulse, watch_brokers, watch_server
from schemas.connections import KafkaConnection


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
    watching = asyncio.create_task(watch_brokers(KafkaConnection(kafka=kafka), pulse))
    async with asyncio.timeout(120):
        while pulse.fault():  # noqa: ASYNC110 (a pulse is asked, it calls nobody)
            await asyncio.sleep(0.05)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_a_server_that_stops_answering_is_a_fault_by_its_name_until_it_answers_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pulse_of, "ASK_S", 0.0)
    now, answers = [0.0], [True]
    pulse = Pulse("Milvus", clock=lambda: now[0])

    async def asked() -> bool:
        now[0] += 1
        return answers[0]

    async def until(*, fault: bool) -> None:
        async with asyncio.timeout(120):
            while bool(pulse.fault()) != fault:  # noqa: ASYNC110 (a pulse is asked, it calls nobody)
                await asyncio.sleep(0)

    watching = asyncio.create_task(watch_server(asked, pulse))
    try:
        while now[0] < 3 * SILENT_S:  # noqa: ASYNC110 (the same)
            await asyncio.sleep(0)
        assert pulse.fault() is None
        answers[0] = False
        await until(fault=True)
        assert (pulse.fault() or "").startswith("Milvus has not answered for ")
        answers[0] = True
        await until(fault=False)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_a_broker_that_takes_connections_and_says_nothing_is_a_fault_and_no_crash() -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    now = [0.0]
    pulse = Pulse(clock=lambda: now[0])
    watching = asyncio.create_task(watch_brokers(KafkaConnection(kafka=f"127.0.0.1:{port}"), pulse))
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.shield(watching)
        now[0] = 60.0
        assert pulse.fault()
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        server.close()
