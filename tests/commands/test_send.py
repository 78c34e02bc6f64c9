"""What ``send`` reads, and in which order it sends it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from commands.send import in_order, unknown_fields
from inbound.raw_records import key_of


def lines(path: Path, *times: str) -> str:
    path.write_text("".join(json.dumps({"timestamp": t, "n": i}) + "\n" for i, t in enumerate(times)))
    return str(path)


def test_several_files_go_in_the_order_of_event_time(tmp_path: Path):
    """Epoch and ISO times alike; a line without a time goes with the one before it."""
    searches = lines(tmp_path / "s", "2026-11-01T10:00:00Z", "nonsense", "2026-11-03T10:00:00Z")
    clicks = lines(tmp_path / "c", "2026-11-01T11:00:00Z", "1793703600000", "2026-11-09T00:00:00+02:00")
    found = [
        (topic, number)
        for topic, _, number, _ in in_order([("interactions", clicks), ("searches", searches)])
    ]
    assert found == [
        ("searches", 1), ("searches", 2), ("interactions", 1), ("searches", 3), ("interactions", 2),
        ("interactions", 3),
    ]  # fmt: skip


def test_products_go_first_and_each_file_keeps_its_own_order(tmp_path: Path):
    searches = lines(tmp_path / "s", "2026-11-03T10:00:00Z", "2026-11-01T10:00:00Z")
    products = lines(tmp_path / "p", "2026-11-09T10:00:00Z")
    assert [(t, n) for t, _, n, _ in in_order([("searches", searches), ("products", products)])] == [
        ("products", 1), ("searches", 1), ("searches", 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        "2099-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        0,
        1e300,
        -1,
        "9999-12-31T23:59:59-12:00",
        "0001-01-01T00:00:00Z",
    ],
)
def test_a_time_that_intake_would_refuse_does_not_order(tmp_path: Path, wrong):
    """It goes where it stands, and what comes after it keeps its own time."""
    hour = [(datetime.now(UTC) - timedelta(hours=9 - n)).isoformat() for n in range(6)]
    searches = lines(tmp_path / "s", hour[0], wrong, hour[2], hour[4])
    clicks = lines(tmp_path / "c", hour[1], hour[3], hour[5])
    order = [
        (topic[0], number)
        for topic, _, number, _ in in_order([("searches", searches), ("interactions", clicks)])
    ]
    assert order == [("s", 1), ("s", 2), ("i", 1), ("s", 3), ("i", 2), ("s", 4), ("i", 3)]


def test_a_line_in_an_envelope_is_ordered_by_its_time(tmp_path: Path):
    hour = [(datetime.now(UTC) - timedelta(hours=9 - n)).isoformat() for n in range(3)]
    (tmp_path / "s").write_text(
        json.dumps({"specversion": "1.0", "id": "1", "time": hour[1], "data": {"client_id": "c"}})
    )
    clicks = lines(tmp_path / "c", hour[0], hour[2])
    order = [
        topic[0] for topic, *_ in in_order([("interactions", clicks), ("searches", str(tmp_path / "s"))])
    ]
    assert order == ["i", "s", "i"]


def test_a_key_is_the_product_or_the_shopper():
    assert key_of("products", b'{"product_id": 7}') == b"7"
    assert key_of("searches", b'{"query_id": "q", "client_id": "c"}') == b"c"
    assert key_of("searches", b"[1]") is None
    assert key_of("searches", b'{"client_id": "undefined", "session_id": "", "user_id": "u"}') == b"u"
    assert key_of("searches", b'{"specversion": "1.0", "data": {"client_id": "c"}}') == b"c"


def test_a_field_that_no_contract_has_is_told_and_every_name_of_a_contract_is_known():
    assert unknown_fields(
        "products", b'{"product_id": 1, "title": "x", "colour": "red", "deleted": false}'
    ) == {"colour"}
    assert unknown_fields("interactions", b'{"action_name": "click", "product_id": 1, "client": 2}') == {
        "client"
    }
    assert unknown_fields("searches", b'{"specversion": "1.0", "data": {}}') == set()
    assert unknown_fields("searches", b"[1") == set()
