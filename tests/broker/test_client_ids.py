"""Every connection of a process says to the broker whose it is."""

import ast
import asyncio
import contextvars
from pathlib import Path

from broker.client_ids import client_id, name_process

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "api",
    "broker",
    "commands",
    "embedded",
    "indexer",
    "process",
    "retrieval",
    "searcher",
    "stream",
    "trainer",
)


def test_the_name_of_a_process_is_that_of_all_its_tasks_and_threads():
    async def named() -> list[str]:
        return [
            client_id(),
            await asyncio.to_thread(client_id),
            await asyncio.create_task(asyncio.to_thread(client_id, "letters")),
        ]

    def process() -> list[str]:
        name_process("stream")
        return asyncio.run(named())

    assert contextvars.copy_context().run(process) == [
        "searchloop-stream",
        "searchloop-stream",
        "searchloop-stream-letters",
    ]
    assert client_id() == "searchloop"


def test_no_connection_is_opened_without_a_client_id():
    nameless = []
    for path in (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                given = {keyword.arg for keyword in node.keywords}
                if called.startswith("AIOKafka") and "client_id" not in given:
                    nameless.append(f"{path.relative_to(ROOT)}:{node.lineno} {called}")
    assert nameless == []
