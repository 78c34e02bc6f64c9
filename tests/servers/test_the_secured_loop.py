"""The whole loop on three brokers, one of which is killed while what serves changes.

Each process has a user of its own and the rights that ``searchloop acl`` prints.
"""

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from broker.requesting import open_requester
from commands.instruments.only_asked import ONLY_ASKED
from commands.instruments.traffic import steady_traffic
from commands.support.asking import ask
from commands.support.run_request import wait_for_run
from commands.support.topic_state import read_runs
from schemas.search import SearchRequest, Status
from schemas.settings import PROCESS_SETTINGS, Settings
from schemas.topics import WITH_DEAD_LETTERS
from schemas.training import RunState
from tests.flows.shop_records import JARGON, TARGET, VISITS, products, visits
from tests.flows.turning import ask_for_run, counts_of, feed, pairs_equal
from tests.processes import SearchloopProcess
from tests.servers.certificates import Authority
from tests.servers.conftest import Connect
from tests.servers.three_brokers import ThreeBrokers
from tests.topics import read_all
from tests.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(900)]
MORE = ONLY_ASKED | {"SEARCHLOOP_MAX_STEPS": "60", "SEARCHLOOP_MAX_LATENCY_RATIO": "1000"}
TOKEN = "planted-token-of-milvus"
SIGNING = "planted-key-by-which-decisions-are-signed"


@pytest.fixture
def secure_kafka(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, passwords: dict[str, str]
) -> Iterator[ThreeBrokers]:
    with ThreeBrokers(tmp_path_factory.mktemp("brokers"), authority, passwords) as brokers:
        yield brokers


async def _answer(settings: Settings, query: str) -> tuple[int | None, list[str]]:
    async with open_requester(settings, settings.topic("search-responses")) as requester:
        request = SearchRequest(request_id=uuid.uuid4().hex, user_query=query, timeout_ms=240_000)
        response, _ = await ask(requester, settings, request)
    assert response.status is Status.OK, response
    return response.generation, [h.product_id for h in response.hits]


async def _found_over_http(process: SearchloopProcess) -> int:
    address = str((await process.readyz())["address"])
    async with aiohttp.ClientSession() as session, session.get(f"{address}/v1/search?q={JARGON}") as answer:
        return answer.status


def _texts(folder: Path) -> list[str]:
    return [path.read_bytes().decode(errors="replace") for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def signing_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Beside no file of a process, all of which are looked into."""
    key = tmp_path_factory.mktemp("secrets") / "signing.key"
    key.write_text(SIGNING)
    return key


async def test_the_loop_turns_with_a_user_for_each_process_and_no_secret_is_anywhere(
    allowed: Connect,
    milvus: str,
    secure_kafka: ThreeBrokers,
    passwords: dict[str, str],
    signing_key: Path,
    tmp_path: Path,
) -> None:
    def settings_of(name: str) -> Settings:
        return allowed(name, milvus=milvus, milvus_token=f"root:{TOKEN}", signing_key_file=str(signing_key))

    shop, operator, client = map(settings_of, ("producers", "operators", "clients"))
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(
                SearchloopProcess(name, {**settings_of(name).environ(), **MORE, "SEARCHLOOP_API_PORT": "0"})
            ).start()
            for name in PROCESS_SETTINGS
        }
        catalog = list(products())
        records = list(visits(datetime.now(UTC), first=0, last=VISITS))
        await feed(shop, catalog)
        for process in running.values():
            await process.shows(lambda page: page["ready"])
        generation, before = await _answer(client, JARGON)
        assert (generation, before[0] != TARGET) == (1, True)
        await feed(shop, records)
        right = counts_of(catalog + records)
        await until(lambda: pairs_equal(operator, right), "the pairs of one clean pass")
        waiting = asyncio.create_task(wait_for_run(operator, await ask_for_run(operator), quiet_s=300))

        async def deploying() -> bool:
            return any(run.state is RunState.DEPLOYING for run in await read_runs(operator)) or waiting.done()

        async with (
            open_requester(client, client.topic("search-responses")) as requester,
            steady_traffic(requester, client, [JARGON], per_second=2, timeout_ms=120_000) as traffic,
        ):
            await until(deploying, "a model that is being deployed")
            await secure_kafka.kill_leader(operator.topic("search-requests"))
            run = await waiting
            assert (run.state, run.generation) == (RunState.DEPLOYED, 2), run

            async def swapped() -> bool:
                return (await _answer(client, JARGON))[0] == 2

            await until(swapped, "answers of generation 2")
        assert [a for a in traffic.answers if a.failed] == []
        assert {a.response.generation for a in traffic.answers if a.response} == {1, 2}
        assert TARGET in (await _answer(client, JARGON))[1][:3]
        assert await _found_over_http(running["api"]) == 200
        pages = [await p.page(page) for p in running.values() for page in ("readyz", "metrics")]

    files = _texts(tmp_path)
    assert len(files) > 20
    topics = [operator.topic(topic.name) for topic in WITH_DEAD_LETTERS]
    written = [f"{r.key!r} {r.value!r} {r.headers!r}" for r in await read_all(secure_kafka.address, *topics)]
    assert len(written) > 100
    for secret in (*passwords.values(), TOKEN, SIGNING):
        assert not [text for text in (*pages, *files, *written) if secret in text]
    for name, process in running.items():
        assert "lacks" not in process.log(), name
