"""What a fault of Milvus means."""

import pytest
from grpc import StatusCode  # type: ignore[import-untyped] # ships no types

from retrieval.faults import StoreError, meaning
from retrieval.index import while_it_moves


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (1, "wait for loading collection timeout, collection: c_g000007"),
        (1, "wait for flush timeout, collection: c_g000007, flusht_ts: 1"),
        (1, "collection c_g000007 create index vector timeout in 300.0s"),
        (1, "[upsert] Retry run out of 75 retry times, message=not ready"),
        (StatusCode.UNAVAILABLE, "[upsert] Retry timeout: 300.0s, <_InactiveRpcError>"),
        (StatusCode.DEADLINE_EXCEEDED, "no more time"),
    ],
)
def test_what_takes_too_long_is_late_and_not_refused(code: object, text: str) -> None:
    """A load that took more than five minutes ended the generation, as a full disk would."""
    found = meaning(code, text)
    assert (found.late, found.refused, found.retryable) == (True, False, True)


@pytest.mark.parametrize("code", [2, 8, 11])
def test_a_busy_milvus_has_refused_nothing(code: int) -> None:
    assert not meaning(code, "rate limit exceeded").refused


@pytest.mark.parametrize(
    "message", ["No space left on device", "memory quota exceeded", "collection is full"]
)
def test_a_full_disk_is_a_refusal(message: str) -> None:
    found = meaning(5, message)
    assert (found.refused, found.late) == (True, False)


def test_a_collection_that_is_not_there_is_missing() -> None:
    found = meaning(100, "can't find collection")
    assert (found.missing, found.refused, found.retryable) == (True, False, False)


def loading(percents: list[int], ends_after: int) -> int:
    """Load what ends after so many calls, each late, and gets on as told. Returns the number of calls."""
    calls = 0

    def load() -> None:
        nonlocal calls
        calls += 1
        if calls <= ends_after:
            raise StoreError("late", late=True)

    moved = iter(percents)
    while_it_moves(load, lambda: next(moved))
    return calls


def test_a_load_that_gets_on_is_waited_for() -> None:
    assert loading([10, 40, 90], ends_after=3) == 4


def test_a_load_that_stands_still_is_given_up() -> None:
    with pytest.raises(StoreError):
        loading([10, 10], ends_after=9)


def test_a_refusal_is_not_asked_again() -> None:
    def refuse() -> None:
        raise StoreError("full", refused=True)

    with pytest.raises(StoreError, match="full"):
        while_it_moves(refuse, lambda: 50)
