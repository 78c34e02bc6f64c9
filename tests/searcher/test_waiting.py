"""Whose turn it is: shares of clients, costs, bounds."""

from dataclasses import replace

from searcher.waiting import Waiting, WaitingRequest
from tests.searcher.asking import NOW_MS, asked


def waiting(*those: WaitingRequest) -> Waiting:
    line = Waiting(1000, 1 << 20)
    for one in those:
        assert line.add(one) == []
    return line


def turns(line: Waiting, batch: int = 1) -> list[str]:
    """Return whose turn comes, to the end."""
    found = []
    while taken := line.take(batch, 2.0 * batch, heavy_too=True):
        found += [one.accepted.request.request_id for one in taken]
    return found


def test_a_client_that_floods_waits_behind_its_own_requests_and_nobody_behind_it():
    flood = [asked(f"flood-{n}", client_id="greedy") for n in range(50)]
    line = waiting(*flood, asked("honest", client_id="other"))
    assert turns(line).index("honest") <= 1


def test_requests_of_one_client_keep_their_order():
    line = waiting(*(asked(str(n), client_id="one") for n in range(9)))
    assert turns(line, 4) == [str(n) for n in range(9)]


def test_what_names_nobody_has_the_share_of_its_key():
    line = waiting(*(asked("same-key") for _ in range(20)), asked("other-key"))
    assert turns(line).index("other-key") <= 1


def test_a_costly_request_waits_for_cheap_ones_that_come_later():
    line = waiting(asked("deep", k=200, offset=1000, client_id="a"), asked("cheap", client_id="b"))
    assert turns(line) == ["cheap", "deep"]


def test_three_hundred_clients_with_one_costly_request_each_keep_no_cheap_one_waiting():
    line = waiting(*(asked(f"deep-{n}", k=200, offset=1000, client_id=f"greedy-{n}") for n in range(300)))
    for n in range(100):
        line.take(1, 2.0, heavy_too=True)
        line.add(asked(f"cheap-{n}", client_id=f"honest-{n}"))
        assert [one.accepted.request.request_id for one in line.take(1, 2.0, heavy_too=True)] == [
            f"cheap-{n}"
        ]


def test_a_costly_request_is_not_kept_waiting_for_ever_by_new_clients():
    line = waiting(
        asked("deep", k=200, offset=1000, client_id="patient"),
        *(asked(str(n), client_id=str(n)) for n in range(5)),
    )
    turn = 0
    while line.take(1, 2.0, heavy_too=True)[0].accepted.request.request_id != "deep":
        # One comes for each that goes: five cheap ones wait always
        line.add(asked(f"cheap-{turn}", client_id=f"new-{turn}"))
        turn += 1
        assert turn < 300, "never its turn"
    assert turn > 100, "it costs as much as thirty of each of five others"


def test_a_costly_request_is_taken_alone_and_waits_while_another_is_searched():
    line = waiting(asked("deep", 30.0, client_id="a"), asked("cheap", 100.0 / 8, client_id="b"))
    assert [len(line.take(8, 16.0, heavy_too=True)) for _ in range(3)] == [1, 1, 0]
    line = waiting(
        asked("deep", 30.0, client_id="a"), *(asked(f"cheap-{n}", 2.0, client_id="b") for n in range(40))
    )
    assert all(one.cost == 2.0 for _ in range(40) for one in line.take(1, 2.0, heavy_too=False))
    assert len(line) == 1


def test_a_batch_has_neither_more_requests_nor_more_cost_than_it_may():
    line = waiting(*(asked(str(n), 2.0) for n in range(20)))
    assert len(line.take(5, 100.0, heavy_too=True)) == 5
    assert len(line.take(5, 7.0, heavy_too=True)) == 3
    assert len(line.take(5, 1.0, heavy_too=True)) == 1, "one goes always"


def test_when_there_is_no_room_the_last_in_line_goes_and_it_is_the_greediest():
    line = Waiting(3, 1 << 20)
    greedy = [asked(f"greedy-{n}", client_id="greedy") for n in range(3)]
    assert [line.add(one) for one in greedy] == [[], [], []]
    assert line.add(asked("honest", client_id="other")) == [greedy[-1]]
    late = asked("one-more", client_id="greedy")
    assert line.add(late) == [late]
    assert len(line) == 3


def test_the_bytes_that_wait_are_bounded():
    one = asked("r", user_query="x" * 500)
    line = Waiting(1000, 3 * one.accepted.bytes)
    assert sum(len(line.add(asked("r", user_query="x" * 500))) for _ in range(10)) == 7
    line.take(1, 2.0, heavy_too=True)
    assert line.add(asked("r", user_query="x" * 500)) == []


def test_a_key_of_megabytes_counts_among_the_bytes_and_costs_no_time():
    small, long = asked("small"), asked("long")
    long = replace(
        long, accepted=replace(long.accepted, record=replace(long.accepted.record, key=b"k" * 4_000_000))
    )
    line = waiting(small)
    assert line.add(long) == [long]
    assert len(long.flow) < 100


def test_what_is_ahead_of_a_request_is_only_what_would_be_taken_before_it():
    line = waiting(*(asked(f"f{n}", 2.0, client_id="greedy") for n in range(10)))
    assert line.ahead(asked("next", 2.0, client_id="greedy")) == 20.0
    assert line.ahead(asked("honest", 1.0, client_id="other")) == 0.0
    line.clear()
    assert line.ahead(asked("next", 2.0, client_id="greedy")) == 0.0


def test_costly_ones_whose_turn_is_next_hold_up_costly_ones_and_no_cheap_one():
    line = waiting(*(asked(f"deep-{n}", k=200, offset=1000, client_id=f"greedy-{n}") for n in range(300)))
    for n in range(1000):  # the shares that the costly ones wait for have passed
        line.add(asked(f"cheap-{n}", client_id="honest"))
        line.take(1, 2.0, heavy_too=False)
    assert line.ahead(asked("cheap", client_id="honest")) == 0
    assert line.ahead(asked("deep", k=200, offset=1000, client_id="other")) > 1000


def test_what_has_waited_too_long_leaves_and_holds_nobody_up():
    line = waiting(
        asked("late", client_id="a", timeout_ms=1000), asked("on time", client_id="b", timeout_ms=9000)
    )
    assert [one.accepted.request.request_id for one in line.late(NOW_MS + 2000)] == ["late"]
    assert line.late(NOW_MS + 2000) == []
    assert turns(line) == ["on time"]


def test_a_client_whose_requests_nobody_served_is_not_kept_behind_them():
    line = waiting(*(asked(str(n), client_id="unlucky", timeout_ms=1000) for n in range(400)))
    for n in range(100):
        line.add(asked(f"other-{n}", client_id="other", timeout_ms=9000))
    assert len(line.late(NOW_MS + 2000)) == 400
    assert line.ahead(asked("again", client_id="unlucky")) <= 2.0
    line.add(asked("again", client_id="unlucky", timeout_ms=9000))
    assert turns(line).index("again") <= 1


def test_what_a_client_has_waiting_moves_up_by_what_was_taken_out_before_it_and_keeps_its_order():
    line = waiting(
        *(asked(f"late-{n}", client_id="one", timeout_ms=1000 if n % 2 else 9000) for n in range(9))
    )
    line.add(asked("other", client_id="other", timeout_ms=9000))
    line.late(NOW_MS + 2000)
    line.add(asked("next", client_id="one", timeout_ms=9000))
    order = [name for name in turns(line) if name != "other"]
    assert order == ["late-0", "late-2", "late-4", "late-6", "late-8", "next"]


def test_a_share_that_a_client_has_had_is_not_given_back():
    line = waiting(
        *(asked(str(n), client_id="greedy", timeout_ms=1000) for n in range(20)),
        asked("other", client_id="other"),
    )
    for _ in range(11):
        line.take(1, 2.0, heavy_too=True)
    line.add(asked("honest", client_id="honest", timeout_ms=9000))
    line.late(NOW_MS + 2000)
    line.add(asked("more", client_id="greedy", timeout_ms=9000))
    assert turns(line)[0] == "honest"
