"""What ``send`` reads, and in which order it sends it."""

import gzip
import json
from pathlib import Path

from commands.feeding import in_order, key_of, numbered_lines, unknown_fields


def lines(path: Path, *times: str) -> str:
    path.write_text("".join(json.dumps({"timestamp": t, "n": i}) + "\n" for i, t in enumerate(times)))
    return str(path)


def test_several_files_go_in_the_order_of_event_time(tmp_path: Path):
    """Epoch and ISO times alike; a line without a time goes with the one before it."""
    searches = lines(tmp_path / "s", "2026-11-01T10:00:00Z", "nonsense", "2026-11-03T10:00:00Z")
    clicks = lines(tmp_path / "c", "2026-11-01T11:00:00Z", "1793703600000", "2026-11-09T00:00:00+02:00")
    found = [(topic, number) for topic, _, number, _ in in_order([("interactions", clicks), ("searches", searches)])]
    assert found == [
        ("searches", 1), ("searches", 2), ("interactions", 1), ("searches", 3), ("interactions", 2), ("interactions", 3),
    ]  # fmt: skip


def test_products_go_first_and_each_file_keeps_its_own_order(tmp_path: Path):
    searches = lines(tmp_path / "s", "2026-11-03T10:00:00Z", "2026-11-01T10:00:00Z")
    products = lines(tmp_path / "p", "2026-11-09T10:00:00Z")
    assert [(t, n) for t, _, n, _ in in_order([("searches", searches), ("products", products)])] == [
        ("products", 1), ("searches", 1), ("searches", 2),
    ]  # fmt: skip


def test_line_numbers_are_those_of_the_file_and_gzip_is_read(tmp_path: Path):
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(b"one\n\n  \ntwo\n"))
    assert list(numbered_lines(str(path))) == [(1, b"one"), (4, b"two")]


def test_a_key_is_the_product_or_the_shopper():
    assert key_of("products", b'{"product_id": 7}') == b"7"
    assert key_of("searches", b'{"query_id": "q", "client_id": "c"}') == b"c"
    assert key_of("searches", b"[1]") is None


def test_a_field_that_no_contract_has_is_told_and_every_name_of_a_contract_is_known():
    assert unknown_fields("products", b'{"product_id": 1, "title": "x", "colour": "red", "deleted": false}') == {"colour"}
    assert unknown_fields("interactions", b'{"action_name": "click", "product_id": 1, "client": 2}') == {"client"}
    assert unknown_fields("searches", b'{"specversion": "1.0", "data": {}}') == set()
    assert unknown_fields("searches", b"[1") == set()
