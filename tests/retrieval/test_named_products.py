"""The id of any product finds it, on a real index, as in the evaluation."""
# ruff: noqa: PLC0415 (the encoder's module loads torch)

from collections.abc import Iterator
from typing import Any
from zlib import crc32

import numpy as np
import polars as pl
import pytest

from retrieval.index import Row, VectorStore, collection_name
from retrieval.word_schema import WordDocument
from retrieval.words import WordIndex, analysis_digest
from schemas.connections import MilvusConnection
from schemas.releases import Ranking, Release, ReleaseState
from schemas.search import Filter

pytestmark = pytest.mark.broker
IDS = [f"AB-{n // 100}-{n % 100}" for n in range(1000)]  # AB-1-11 and AB-11-1 are one name but for hyphens
TITLES = {i: f"filter for {IDS[n - 1]} and {IDS[n - 7]}" for n, i in enumerate(IDS)}
DIM = 16
HYBRID = Ranking(
    coefficients={"dense": 1.0, "words": 4.0, "coverage": 4.0, "characters": 4.0},
    language="english",
    analysis_sha256=analysis_digest("english"),
)


class HashedEncoder:
    """Vectors that say nothing: each text has its own."""

    fingerprint, dim, quick = "f" * 64, DIM, False

    def encode_queries(self, texts: list[str]) -> Any:
        made = np.stack([np.random.default_rng(crc32(t.encode())).normal(size=DIM) for t in texts])
        return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)

    encode_documents = encode_queries

    def read_of(self, document: str) -> str:
        return document


@pytest.fixture(scope="module")
def words() -> WordIndex:
    found = WordIndex("english")
    found.change(
        WordDocument(i, TITLES[i], "odd" if n % 2 else "even", identifiers=[f"{4006381333000 + n}"])
        for n, i in enumerate(IDS)
    )
    return found


@pytest.fixture(scope="module")
def store(milvus: str) -> Iterator[VectorStore]:
    with VectorStore(MilvusConnection(milvus=milvus)) as opened:
        yield opened


@pytest.fixture(scope="module")
def release(store: VectorStore) -> Iterator[Release]:
    name = collection_name("named", 1)
    store.create(name, DIM)
    vectors = HashedEncoder().encode_documents(list(TITLES.values()))
    store.upsert(
        name,
        [
            Row(i, v, 1, TITLES[i], brand="odd" if n % 2 else "even")
            for n, (i, v) in enumerate(zip(IDS, vectors, strict=True))
        ],
    )
    store.flush(name)
    store.build_index(name)
    store.load(name)
    yield Release(
        generation=1,
        model="m",
        model_sha256="f" * 64,
        dim=DIM,
        collection=name,
        row_count=len(IDS),
        state=ReleaseState.RELEASED,
    )
    store.drop(name)


# Titles of the same few words are slow to compare by characters
@pytest.mark.parametrize(
    ("ranking", "step"), [(HYBRID, 25), (Ranking(), 1)], ids=["all parts", "the cosine alone"]
)
def test_the_id_and_the_barcode_of_any_product_find_it(
    store: VectorStore, release: Release, words: WordIndex, ranking: Ranking, step: int
) -> None:
    from retrieval.memory_parts import sources_of
    from retrieval.ranking import rank
    from retrieval.release import LoadedRelease
    from trainer.evaluation.rankers import Embedded, EvaluationCatalog, parts_of

    encoder: Any = HashedEncoder()
    served = LoadedRelease.open(
        release.model_copy(update={"ranking": ranking}), store, encoder=encoder, words=words
    )
    wanted = IDS[::step]
    asked = [i.lower() for i in wanted]
    pages = [served.search(asked[at : at + 20], 3).hits for at in range(0, len(asked), 20)]
    answers = [hits for page in pages for hits in page]
    assert [hits[0].product_id for hits in answers] == wanted
    assert {next(iter(hits[0].parts or {})) for hits in answers} == {"identifier"}  # the greatest part
    barcodes = served.search([f"0{4006381333000 + n}" for n in range(10)], 1).hits
    assert [hits[0].product_id for hits in barcodes] == IDS[:10]
    (plain,) = served.search(["filter for"], 3).hits
    assert all("identifier" not in (h.parts or {}) for h in plain)

    sources = sources_of(ranking, words, model_sha256="")
    catalog = EvaluationCatalog.of(
        pl.DataFrame({"product_id": IDS, "title": IDS, "text": list(TITLES.values())})
    )
    some = asked[:20]
    measured = parts_of(Embedded.of(encoder, some, catalog), sources, some, catalog, ranking)
    for parts, hits in zip(measured, answers, strict=False):
        ranked = rank(parts, ranking, 3)
        assert [h.product_id for h in hits] == [product for product, _ in ranked]
        assert [h.score for h in hits] == pytest.approx([score for _, score in ranked], abs=1e-6)


def test_a_named_product_meets_the_filters_and_is_in_the_index_or_is_not_there(
    store: VectorStore, release: Release, words: WordIndex
) -> None:
    from retrieval.release import LoadedRelease

    encoder: Any = HashedEncoder()
    served = LoadedRelease.open(
        release.model_copy(update={"ranking": HYBRID}), store, encoder=encoder, words=words
    )
    (hits,) = served.search(["ab-0-4"], 50, [Filter(field="brand", value="odd")]).hits
    assert {h.fields["brand"] for h in hits} == {"odd"}
    assert all("identifier" not in (h.parts or {}) for h in hits)
    store.delete(release.collection, ["AB-0-4"])
    try:
        (hits,) = served.search(["ab-0-4"], 50).hits
        assert hits[0].product_id != "AB-0-4"
    finally:
        (vector,) = encoder.encode_documents([TITLES["AB-0-4"]])
        store.upsert(release.collection, [Row("AB-0-4", vector, 1, TITLES["AB-0-4"], brand="even")])
