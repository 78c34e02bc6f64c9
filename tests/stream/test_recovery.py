from importlib.metadata import version

from stream.contiguity import Contiguity
from stream.recovery import FAUST_VERSION, WRITTEN_FOR


def test_the_overrides_of_faust_are_read_again_before_an_upgrade():
    assert FAUST_VERSION == WRITTEN_FOR
    assert version("mode-streaming") == "0.7.1"
    assert version("aiokafka") == "0.14.0"


def test_missing_offsets_are_counted_and_replays_are_not():
    seen = Contiguity()
    seen.begin_at({("events", 0): 5, ("events", 1): None})
    assert seen.missed("events", 0, 5) == 0
    assert seen.missed("events", 0, 8) == 2
    assert seen.missed("events", 0, 6) == 0
    assert seen.missed("events", 0, 9) == 0
    assert seen.missed("events", 1, 77) == 0
    assert seen.missed("events", 1, 79) == 1
