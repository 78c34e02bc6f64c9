"""What works in a shop, in words that follow from the figures."""

import pytest

from schemas.training import Score
from trainer.evaluation.what_works import in_words

SURE, UNSURE, LOSS, NOTHING = (0.05, 0.03, 0.07), (0.002, -0.004, 0.008), (-0.02, -0.03, -0.01), (0, 0, 0)


def _by(mean, low, high, n=400, **groups):
    own = {"all": (mean, low, high, n), **groups}
    return {g: Score(mean=m, ci_low=a, ci_high=b, n=n) for g, (m, a, b, n) in own.items()}


def test_the_part_that_is_missed_most_comes_first_and_what_weighs_nothing_last():
    said = in_words(
        {
            "dense": _by(*SURE),
            "words": _by(0.09, 0.07, 0.11),
            "memory": _by(*SURE, repeated=(0.061, 0.04, 0.08, 300), unseen=(0.001, -0.004, 0.006, 100)),
            "prior": _by(*UNSURE),
            "training": _by(0.02, 0.01, 0.03),
        }
    )
    assert said == (
        "Measured on 400 test queries. "
        "Words carry most: without them nDCG@10 falls by 0.090 (0.070 to 0.110). "
        "Vectors add 0.050 (0.030 to 0.070). "
        "The memory of earlier queries adds 0.050 (0.030 to 0.070); "
        "0.061 (0.040 to 0.080) on queries that were asked before "
        "and nothing sure (+0.001, -0.004 to +0.006) on new ones. "
        "Not sure to add anything: popularity (+0.002, -0.004 to +0.008). "
        "Not used: coverage of query words, words of the descriptions, characters and a ranker. "
        "Training adds 0.020 (0.010 to 0.030) to the pretrained model, each with its own parts."
    )


def test_a_part_that_costs_is_told():
    said = in_words({"dense": _by(*SURE), "memory": _by(*LOSS)})
    assert "The memory of earlier queries costs 0.020 (0.010 to 0.030)." in said
    assert said.startswith("Measured on 400 test queries. Vectors carry most")


def test_a_shop_in_which_nothing_is_sure_is_told_so():
    said = in_words({"words": _by(*UNSURE), "dense": _by(*UNSURE)})
    assert "No part of the score is surely missed." in said
    assert "Not sure to add anything: vectors (+0.002, -0.004 to +0.008) and words (" in said


def test_vectors_that_stand_alone_carry_no_more_than_others():
    said = in_words({"dense": _by(*SURE)})
    assert said == (
        "Measured on 400 test queries. Vectors add 0.050 (0.030 to 0.070). Not used: words, "
        "coverage of query words, words of the descriptions, characters, the memory of earlier queries, "
        "popularity and a ranker."
    )


@pytest.mark.parametrize(
    ("gain", "told"),
    [
        (NOTHING, "ranks as the pretrained one does"),
        (UNSURE, "Training is not sure to add anything"),
        (LOSS, "Training costs 0.020 (0.010 to 0.030) against the pretrained model"),
    ],
)
def test_what_training_adds_is_told_as_it_is(gain, told):
    assert told in in_words({"dense": _by(*SURE), "training": _by(*gain)})


def test_of_few_queries_of_a_group_nothing_is_said():
    said = in_words({"memory": _by(*SURE, repeated=(0.061, 0.04, 0.08, 29))})
    assert "asked before" not in said


@pytest.mark.parametrize("gains", [{}, {"training": _by(*SURE)}, {"words": {}}, {"unheard of": _by(*SURE)}])
def test_nothing_measured_gives_no_words(gains):
    assert in_words(gains) == ""
