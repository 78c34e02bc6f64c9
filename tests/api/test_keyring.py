"""Which key opens the API."""

from base64 import b64encode
from datetime import UTC, datetime

import pytest

from api.credentials import key_in_address, key_shown
from api.keyring import Keyring
from broker.records import Record
from schemas.bounds import API_KEYS
from schemas.keys import ApiKey, Role, digest, id_of, new_key

AT = datetime(2026, 11, 30, tzinfo=UTC)
KEY = "sl_0123456789ab_" + 64 * "0"


def record(key: str, value: bytes | None) -> Record:
    return Record("api-keys", 0, 0, 0, key.encode(), value)


def kept(key: str, **fields: object) -> Record:
    values = {"key_id": id_of(key), "name": "n", "roles": [Role.SEARCH], "sha256": digest(key), "made_at": AT}
    return record(str(id_of(key)), ApiKey.model_validate(values | fields).to_json())


def ring(*records: Record) -> Keyring:
    keys = Keyring()
    for one in records:
        keys.take(one)
    return keys


def test_a_key_opens_until_it_is_revoked_or_forgotten():
    key = new_key()
    found = ring(kept(key)).holder(key, 0)
    assert found is not None
    assert found.key is not None
    assert found.key.roles == [Role.SEARCH]
    revoked = ring(kept(key), kept(key, revoked_at=AT))
    assert (revoked.holder(key, 0), len(revoked)) == (None, 1)
    forgotten = ring(kept(key), record(str(id_of(key)), None))
    assert (forgotten.holder(key, 0), len(forgotten)) == (None, 0)


@pytest.mark.parametrize(
    "shown",
    ["", "sl_", KEY[:-1], KEY + "0", KEY[:-1] + "1", KEY.upper(), "sl_0123456789ab", digest(KEY),
     KEY.replace("0123456789ab", "0123456789ac"), KEY + "\n", "\u0660" * 80, 1_000_000 * "0"],
    ids=range(12),
)  # fmt: skip
def test_nothing_but_the_key_opens(shown: str):
    assert ring(kept(KEY)).holder(KEY, 0)
    assert ring(kept(KEY)).holder(shown, 0) is None


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff", kept(new_key()).value])
def test_what_is_no_key_opens_nothing_and_keeps_the_door_closed(value: bytes):
    keys = ring(kept(KEY), record("0123456789ab", value))
    assert (keys.holder(KEY, 0), len(keys)) == (None, 1)


def test_keys_are_bounded_and_those_that_are_there_can_still_be_revoked():
    keys = ring(kept(KEY), *(record(f"{n:012x}", b"") for n in range(API_KEYS + 10)))
    assert len(keys) == API_KEYS
    keys.take(kept(KEY, revoked_at=AT))
    assert keys.holder(KEY, 0) is None


def test_no_two_keys_are_alike_and_what_is_kept_does_not_hold_the_secret():
    made = {new_key() for _ in range(100)}
    assert len({id_of(key) for key in made}) == 100
    assert all(key.rpartition("_")[2].encode() not in (kept(key).value or b"") for key in made)


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({}, None),
        ({"authorization": "Bearer k"}, "k"),
        ({"authorization": "bearer  k ", "x-api-key": "other"}, "k"),
        ({"authorization": "Basic " + b64encode(b"anybody:k").decode()}, "k"),
        ({"authorization": "Basic " + b64encode(b"k:").decode()}, "k"),
        ({"authorization": "Basic \xff"}, ""),
        ({"authorization": "Basic " + b64encode(b"\xff").decode()}, ""),
        ({"authorization": "Negotiate x"}, None),
        ({"authorization": "Negotiate x", "x-api-key": "k"}, "k"),
        ({"authorization": "Bearer"}, ""),
        ({"x-algolia-api-key": "k"}, "k"),
        ({"x-algolia-api-key": "other", "x-api-key": "k"}, "k"),
    ],
)
def test_a_key_is_shown_in_three_ways(headers: dict[str, str], key: str | None):
    assert key_shown(headers) == key


@pytest.mark.parametrize(
    ("query", "key"),
    [(b"", None), (b"key=k", "k"), (b"format=ubi&key=k", "k"), (b"monkey=k", None), (b"key=", None),
     (b"key=k&key=l", "k"), (b"key=%FF", "\ufffd"), (b"\xff&key=k", "k"), (b";key=k", None),
     (b"X-Algolia-Agent=a&X-Algolia-API-Key=k", "k"), (b"x-algolia-api-key=k", "k")],
)  # fmt: skip
def test_a_key_may_stand_in_the_address(query: bytes, key: str | None):
    assert key_in_address(query) == key


def test_the_origins_are_those_of_the_keys_that_hold():
    keys = ring(kept(KEY, roles=[Role.EVENTS], origins=["https://shop.example"]))
    assert keys.origins == {"https://shop.example"}
    other = new_key()
    keys.take(kept(other, roles=[Role.SEARCH], origins=["https://shop.example", "http://127.0.0.1:3000"]))
    keys.take(kept(KEY, roles=[Role.EVENTS], origins=["https://shop.example"], revoked_at=AT))
    assert keys.origins == {"https://shop.example", "http://127.0.0.1:3000"}
    keys.take(record(str(id_of(other)), None))
    assert keys.origins == set()


def test_wrong_keys_leave_nothing_behind_and_what_a_key_has_had_is_kept_for_it():
    keys = ring(kept(KEY, records_per_s=2))
    for _ in range(1000):
        assert keys.holder(new_key(), 0) is None
        assert keys.holder(KEY[:-1] + "1", 0) is None
    assert not keys._allowances
    first, second = keys.holder(KEY, 0), keys.holder(KEY, 0)
    assert first is not None
    assert second is not None
    assert [caller.too_much(0) is None for caller in (first, second, first)] == [True, True, False]
    keys.take(kept(KEY, records_per_s=2, name="renamed"))
    again = keys.holder(KEY, 0)
    assert again is not None
    assert again.too_much(0) is not None
    keys.take(record(str(id_of(KEY)), None))
    assert not keys._allowances
