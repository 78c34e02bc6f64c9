"""Small models made of texts: the same ones each time. Imports that load torch lie inside the tests."""
# ruff: noqa: PLC0415 (the reason is above)

import pytest

pytestmark = pytest.mark.model
TITLES = [
    f"{colour} {kind} for {whom}"
    for colour in ("red", "blue", "grün")
    for kind in ("shoes", "bags", "caps")
    for whom in ("men", "women", "girls", "boys")
]


def test_the_vocabulary_is_the_same_each_time_and_reads_any_word():
    """The library's trainer breaks ties at random: one seed gave another model in each process."""
    from benchmarks.learning.small_models import Size, _tokenizer

    size = Size(words=50)
    made = [_tokenizer(TITLES, size) for _ in range(5)]
    assert all(one.get_vocab() == made[0].get_vocab() for one in made)
    assert len(made[0]) == size.words
    read = made[0]("Red shoes, sober boys")["input_ids"]
    told = made[0].convert_ids_to_tokens(read)
    assert told == ["[BOS]", "red", "shoes", "[UNK]", "s", "##o", "##b", "##e", "##r", "boys", "[EOS]"]
