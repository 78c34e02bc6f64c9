"""One reference, counted."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from retrieval.live import Live, NothingLiveError


class Pair:
    """Two numbers that belong together, as an encoder and its collection do."""

    def __init__(self, n: int) -> None:
        self.left = n
        self.right = n


def test_before_the_first_swap_there_is_nothing_to_lease():
    with pytest.raises(NothingLiveError), Live[str]().lease():
        pass


def test_a_lease_keeps_what_it_took_across_a_swap():
    live: Live[str] = Live()
    assert live.swap("old") is None
    with live.lease() as held:
        assert live.swap("new") == "old"
        assert (held, live.current, live.leases("old")) == ("old", "new", 1)
    assert live.leases("old") == 0


def test_something_else_is_leased_as_long_as_somebody_holds_it_open():
    live, held = Live[str](), dict.fromkeys(["old"], "old")
    live.swap("new")
    with live.lease(lambda: held.get("old")) as other:
        assert (other, live.leases("old"), live.leases("new")) == ("old", 1, 0)
    del held["old"]
    with pytest.raises(NothingLiveError, match="not held open"), live.lease(lambda: held.get("old")):
        pass


def test_a_lease_ends_when_its_block_fails():
    live: Live[str] = Live()
    live.swap("old")
    with pytest.raises(ZeroDivisionError), live.lease():
        raise ZeroDivisionError
    assert live.leases("old") == 0


async def test_drained_waits_for_the_last_lease_and_says_when_the_time_is_over():
    live: Live[str] = Live()
    live.swap("old")
    let_go = threading.Event()
    taken = threading.Event()

    def use() -> None:
        with live.lease():
            taken.set()
            let_go.wait(120)

    user = threading.Thread(target=use)
    user.start()
    assert taken.wait(120)
    live.swap("new")
    assert not await live.drained("old", 0.01)
    let_go.set()
    assert await live.drained("old", 120)
    user.join()


def test_under_constant_swaps_no_lease_sees_two_objects_and_all_leases_end():
    live: Live[Pair] = Live()
    pairs = [Pair(0), Pair(1)]
    live.swap(pairs[0])
    stop = threading.Event()

    def read() -> int:
        mixed = 0
        while not stop.is_set():
            with live.lease() as pair:
                left = pair.left
                mixed += left != pair.right
        return mixed

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        for i in range(2000):
            live.swap(pairs[i % 2])
        stop.set()
    assert [r.result() for r in readers] == [0, 0, 0]
    assert [live.leases(p) for p in pairs] == [0, 0]
