"""Four processes with four data directories share Kafka, Milvus and the store, and nothing else.

The store is a bucket of a real server of the S3 API, which is started for the test; where its package is not
installed, a folder that is reached as a bucket is. ``SEARCHLOOP_TEST_STORE``: the address of another, such as
an empty bucket of yours.
"""

import os
import shutil
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from artefacts.folders import is_stored
from broker.requesting import open_requester
from broker.topics import ensure_topics
from commands.support.asking import ask
from commands.support.topic_state import read_releases
from schemas.releases import Release
from schemas.search import SearchRequest, Status
from schemas.settings import Settings
from schemas.topics import TOPICS
from tests.artefacts.object_storage import BUCKET, PROGRAM, ObjectStorage
from tests.flows.shop_records import JARGON, TARGET, VISITS, products, visits
from tests.flows.turning import ask_for_run, feed
from tests.processes import SearchloopProcess, run_verb
from tests.topics import read_all
from tests.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(900)]

NAMES = ("stream", "indexer", "searcher", "trainer")
Stack = dict[str, SearchloopProcess]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an empty store."""
    if said := os.environ.get("SEARCHLOOP_TEST_STORE"):
        yield said
    elif not PROGRAM.is_file():
        yield f"local://{tmp_path}/store"  # by fsspec, through a cache
    else:
        with ObjectStorage(tmp_path / "weed") as server:
            for name, value in server.environ.items():
                monkeypatch.setenv(name, value)
            yield f"s3://{BUCKET}/apart"


@pytest.fixture
def stack(settings_env: Callable[..., dict[str, str]], store: str, tmp_path: Path) -> Iterator[Stack]:
    with ExitStack() as held:
        yield {
            name: held.enter_context(
                SearchloopProcess(
                    name,
                    settings_env(
                        data_dir=tmp_path / name,
                        artefacts=store,
                        refresh_every="PT5S",
                        max_latency_ratio=1000,
                        http_port=0,
                    ),
                )
            )
            for name in NAMES
        }


async def generations(settings: Settings) -> dict[int, Release]:
    return {r.generation: r for r in (await read_releases(settings))[1]}


async def live_of(settings: Settings) -> Release:
    live, _ = await read_releases(settings)
    assert live is not None
    return live.live


async def answered(settings: Settings) -> tuple[int, list[str]]:
    async with open_requester(settings, settings.topic("search-responses")) as requester:
        request = SearchRequest(request_id=uuid.uuid4().hex, user_query=JARGON, timeout_ms=240_000)
        response, _ = await ask(requester, settings, request)
    assert response.status is Status.OK, response
    return response.generation or 0, [hit.product_id for hit in response.hits]


def named(release: Release) -> list[str]:
    return [release.model, *(name for name, _ in release.ranking.artefacts.values())]


async def topics_with(settings: Settings, text: str) -> set[str]:
    """Return the topics that have a record with the text in it."""
    records = await read_all(settings.kafka, *(settings.topic(topic.name) for topic in TOPICS))
    return {r.topic for r in records if text.encode() in (r.key or b"") + (r.value or b"")}


def page_of(run: dict[str, str]) -> str:
    return Path(run["page"]).read_text()


def files_with(tmp_path: Path, text: str) -> list[Path]:
    """Return the files of the four data directories that have the text in them."""
    found = []
    for path in (path for name in NAMES for path in (tmp_path / name).rglob("*")):
        with suppress(FileNotFoundError):  # a running process takes its own files away
            if path.is_file() and text.encode() in path.read_bytes():
                found += [path]
    return found


def forget_files_of(data_dir: Path) -> None:
    for path in data_dir.iterdir():
        if path.is_dir():
            shutil.rmtree(path)


async def test_what_is_learnt_reaches_a_searcher_that_shares_no_disk(stack: Stack, tmp_path: Path) -> None:
    settings = stack["searcher"].settings
    await ensure_topics(settings)
    for process in stack.values():
        process.start()
    records = [*products(), *visits(datetime.now(UTC), first=0, last=VISITS)]
    await feed(settings, records)

    async def refreshed() -> Release | None:
        found = (await generations(settings)).values()
        return next((r for r in found if r.kind == "refresh" and r.ranking.artefacts), None)

    remembering = await until(refreshed, "a refresh that remembers")
    assert all(is_stored(name) for name in named(remembering)[1:])
    await ask_for_run(settings)

    async def trained() -> Release | None:
        found = [r for r in (await generations(settings)).values() if r.generation > 1 and r.kind == "full"]
        return next((r for r in found if r.state == "released"), None)

    release = await until(trained, "a trained generation")
    assert all(is_stored(name) for name in named(release))
    assert str(tmp_path) not in release.to_json().decode()

    # The trainer's disk is lost, and a searcher begins on a new one
    stack["trainer"].kill()
    forget_files_of(tmp_path / "trainer")
    stack["searcher"].stop(signal.SIGKILL)
    forget_files_of(tmp_path / "searcher")
    stack["searcher"].start()

    live = await live_of(settings)
    generation, hits = await answered(settings)
    assert generation == live.generation
    assert hits[0] == TARGET
    assert (tmp_path / "searcher" / "cache" / live.model.removeprefix("store:")).is_dir()

    assert await topics_with(settings, str(tmp_path)) == set()
    told = run_verb(settings, "explain", release.run_id or "")[0]
    assert (told["rederived"]["agrees"], told["rederived"]["refused"]) == (True, "")
    (run,) = run_verb(settings, "runs", release.run_id or "")
    assert is_stored(run["report"])
    assert page_of(run).startswith("<!doctype html>")

    removed = run_verb(settings, "artefacts", "gc")
    assert removed["removed"] == []
    assert (await answered(settings))[1] == hits

    if secret := os.environ.get("AWS_SECRET_ACCESS_KEY"):
        assert files_with(tmp_path, secret) == []
        assert await topics_with(settings, secret) == set()
