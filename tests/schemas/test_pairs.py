"""Keys of pairs, and the packing of small facts."""

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.base import Id
from schemas.batches import pack, unpack
from schemas.pairs import pair_key
from schemas.releases import release_key
from schemas.text import normalise_query

ID: TypeAdapter[str] = TypeAdapter(Id)


@given(st.text(max_size=30), st.text(min_size=1, max_size=30))
def test_a_pair_key_is_never_ambiguous(raw_query: str, raw_id: str) -> None:
    try:
        product_id = ID.validate_python(raw_id)
    except ValidationError:
        return
    query = normalise_query(raw_query)
    assert pair_key(query, product_id).decode().split("\t") == [query, product_id]


@given(
    st.lists(
        st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3).map(
            lambda d: TypeAdapter(dict).dump_json(d)
        ),
        max_size=20,
    )
)
def test_packed_facts_come_out_in_order_with_their_index(facts: list[bytes]) -> None:
    assert list(unpack(pack(facts))) == list(enumerate(facts))


def test_release_keys_sort_by_generation() -> None:
    assert sorted(release_key(n) for n in (10, 9, 100)) == [release_key(9), release_key(10), release_key(100)]
