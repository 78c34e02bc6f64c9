"""The words of descriptions are a part of the score with a coefficient of its own."""
# ruff: noqa: PLC0415 (pytest collects this file also where torch must not be loaded)

import pytest

from retrieval.document import DESCRIPTION_CHARS_READ, description_of
from retrieval.memory_parts import sources_of
from retrieval.ranking import DENSE, DESCRIPTION, WORDS, contest, rank
from retrieval.word_schema import WordDocument
from retrieval.words import DescriptionSource, WordIndex
from schemas.products import CatalogProduct
from schemas.releases import Ranking
from schemas.search import Filter
from schemas.training import Score

NOWHERE = [0.0]
DESCRIBED = {
    "vest": ("Warm vest", "Filled with goose down, for skiing and for camping."),
    "tent": ("Tent", "For camping in the rain: camping made easy."),
    "lamp": ("Camping lamp", "Bright and small."),
    "mug": ("Mug", ""),
}


def index(described: dict[str, tuple[str, str]]) -> WordIndex:
    words = WordIndex("english")
    words.change(
        WordDocument(i, title, brand="Nike" if i == "tent" else "", description=text)
        for i, (title, text) in described.items()
    )
    return words


def product(description: str) -> CatalogProduct:
    return CatalogProduct(product_id="p", title="Vest", description=description, version=1)


@pytest.fixture(scope="module")
def words() -> WordIndex:
    return index(DESCRIBED)


def test_a_product_is_found_by_a_word_that_only_its_description_has(words):
    assert words.best("skiing", 10) == {}
    assert DescriptionSource(words).ask("skiing").best(10) == {"vest": 1.0}


def test_the_greatest_of_a_query_is_one_and_titles_do_not_count(words):
    found = DescriptionSource(words).ask("camping").values(DESCRIBED)
    assert found.keys() == {"tent", "vest"}
    assert found["tent"] == 1.0
    assert 0 < found["vest"] < 1


def test_a_filter_narrows_who_is_named_and_changes_no_value(words):
    opinion = DescriptionSource(words).ask("camping")
    whole = opinion.best(10)
    only = DescriptionSource(words).ask("camping").best(10, [Filter(field="brand", op="ne", value="Nike")])
    assert only == {"vest": whole["vest"]}


def test_a_change_and_a_deletion_are_seen_at_once():
    words = index(DESCRIBED)
    words.change([WordDocument("mug", "Mug", description="For skiing")], ["vest"])
    assert DescriptionSource(words).ask("skiing").best(10) == {"mug": 1.0}


def test_the_score_of_a_product_counts_its_description(words):
    ranking = Ranking(coefficients={DENSE: 1.0, DESCRIPTION: 0.5}, language="english")
    sources = sources_of(ranking, words, model_sha256="")
    asked = contest("skiing", NOWHERE, {"mug": 0.3}, sources, ranking)
    parts = asked.complete(lambda ids: dict.fromkeys(ids, 0.0))
    assert rank(parts, ranking, 10) == [("vest", pytest.approx(0.5)), ("mug", pytest.approx(0.3))]


@pytest.mark.parametrize("useful", [True, False])
def test_a_shop_whose_descriptions_say_nothing_ends_without_them(useful):
    from trainer.evaluation.fusion import fit

    parts = {
        DENSE: {"a": 0.5, "b": 0.4},
        WORDS: {},
        DESCRIPTION: {"b": 1.0} if useful else {"a": 0.2},
    }
    wanted = {"b": 1.0} if useful else {"a": 1.0}
    found = fit([(parts, wanted)] * 40, [WORDS, DESCRIPTION])
    assert (DESCRIPTION in found.coefficients) is useful


def test_markup_is_not_read_and_the_beginning_is_bounded():
    assert description_of(product("<p class='x'>Warm &amp; <b>light</b></p>")).split() == [
        "Warm",
        "&",
        "light",
    ]
    assert description_of(product("a < b and b > a")) == "a < b and b > a"
    assert len(description_of(product("<" * 20_000))) == DESCRIPTION_CHARS_READ
    assert len(description_of(product("down " * 4_000))) == DESCRIPTION_CHARS_READ
    assert description_of(product("")) == ""


def test_a_report_names_the_part():
    from trainer.evaluation.what_works import in_words

    sure = Score(mean=0.05, ci_low=0.03, ci_high=0.07, n=100)
    assert "Words of the descriptions" in in_words({DESCRIPTION: {"all": sure}})


def test_the_evaluation_of_a_snapshot_reads_what_the_searcher_reads():
    from trainer.data.snapshot import frames
    from trainer.evaluation.rankers import EvaluationCatalog, words_of_catalog

    one = product("<p>Filled with goose down</p>")
    evaluated = words_of_catalog(EvaluationCatalog.of(frames([], [one]).catalog), "english")
    served = WordIndex("english")
    served.change([WordDocument.of(one)])
    for words in (evaluated, served):
        assert DescriptionSource(words).ask("geese goose").best(10) == {"p": 1.0}
        assert DescriptionSource(words).ask("vest").best(10) == {}
