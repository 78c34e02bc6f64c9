"""Every connection of a process says to the broker whose it is."""

import asyncio
import contextvars

from broker.client_ids import client_id, name_process


def test_the_name_of_a_process_is_that_of_all_its_tasks_and_threads():
    async def named() -> list[str]:
        return [
            client_id("searchloop"),
            await asyncio.to_thread(client_id, "shop"),
            await asyncio.create_task(asyncio.to_thread(client_id, "searchloop", "letters")),
        ]

    def process() -> list[str]:
        name_process("stream")
        return asyncio.run(named())

    assert contextvars.copy_context().run(process) == [
        "searchloop-stream",
        "shop-stream",
        "searchloop-stream-letters",
    ]
    assert client_id("searchloop") == "searchloop"
