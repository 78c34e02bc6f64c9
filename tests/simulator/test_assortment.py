"""The catalogue and its words."""

import re

from schemas.text import clean_text, is_placeholder
from simulator.assortment import generate
from simulator.lexicon import lexicon


def test_the_catalogue_has_the_asked_size_and_no_title_twice():
    products = generate(1)
    assert len(products) == 1500
    assert len({p.product_id for p in products}) == len({clean_text(p.title) for p in products}) == 1500
    assert generate(1, 0) == []


def test_a_seed_is_a_catalogue():
    assert generate(4, 200) == generate(4, 200) != generate(5, 200)


def test_every_product_type_is_on_sale():
    kinds = {kind for department in lexicon().departments for kind in department.types}
    assert len(kinds) == 100
    assert {c for p in generate(1, 100) for c in p.concepts if c.startswith("type:")} == kinds


def test_titles_hold_formal_words_and_never_slang():
    words = lexicon().words
    for product in generate(2, 300):
        title = product.title.lower()
        assert not is_placeholder(product.title)
        for concept in product.concepts:
            assert words[concept].formal.lower() in title
            for slang, _ in words[concept].slang:
                assert not re.search(rf"\b{re.escape(slang)}\b", title), (slang, title)


def test_no_slang_word_means_two_things():
    owners = {}
    for concept, words in lexicon().words.items():
        for slang, _ in words.slang:
            assert owners.setdefault(slang, concept) == concept


def test_some_slang_is_of_later_weeks():
    late = [since for words in lexicon().words.values() for _, since in words.slang if since > 0]
    assert len(late) > 10
    assert max(late) < 4
