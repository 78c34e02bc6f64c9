"""The index from clients to pairs is what a look at every value would find."""

from hypothesis import given
from hypothesis import strategies as st

from stream.aggregation import canonical, clients_in
from stream.holders import MANY, Holders
from tests.stream.builders import contribution, fold

NAMES = "abc"
VALUES = st.none() | st.sets(st.sampled_from(NAMES)).map(lambda names: "".join(sorted(names)).encode())


def letters(value):
    return [value[n : n + 1] for n in range(len(value))]


@given(st.lists(st.tuples(st.integers(0, MANY + 3), VALUES), max_size=120))
def test_after_any_changes_it_holds_what_the_values_hold(changes):
    holders, values = Holders(letters), {}
    for number, new in changes:
        key = b"%d" % number
        holders.replaced(key, values.get(key), new)
        values[key] = new
    for name in (b"a", b"b", b"c"):
        assert sorted(holders.holding(name)) == sorted(
            k for k, v in values.items() if v is not None and name in v
        )
    assert len(holders) == sum(any(v is not None and n.encode() in v for v in values.values()) for n in NAMES)


@given(st.text(max_size=40), st.sets(st.integers(0, 1 << 64).map("{:016x}".format), max_size=5))
def test_the_clients_of_a_stored_pair_are_read_from_its_bytes_whatever_its_query_says(text, clients):
    query = f'mug "clients":{{"no":1}} {text}'
    pair = next(
        iter(
            fold(
                [
                    contribution(query=query, client=c, position=(n, 0, 0))
                    for n, c in enumerate(sorted(clients))
                ]
            ).values()
        ),
        None,
    )
    if pair is not None:
        assert clients_in(canonical(pair)) == [c.encode() for c in sorted(clients)]


def test_who_holds_no_name_is_known_and_values_that_nobody_asks_for_are_not_indexed():
    holders = Holders(letters)
    holders.replaced(b"k", None, b"")
    assert holders.unnamed == {b"k"}
    holders.replaced(b"k", b"", b"a")
    assert holders.unnamed == set()
    holders.replaced(b"k", b"a", b"")
    holders.replaced(b"k", b"", None)
    assert (holders.unnamed, len(holders)) == (set(), 0)
    shoppers = Holders(lambda _: None)
    shoppers.replaced(b"k", None, b"ann")
    assert (shoppers.unnamed, len(shoppers)) == (set(), 0)
