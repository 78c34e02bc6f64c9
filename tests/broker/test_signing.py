"""What decides who serves is signed where there is a key, and only the key makes the signature."""

from dataclasses import replace
from pathlib import Path

import pytest

from broker.records import Outgoing, Record
from broker.signing import HEADER, Signing
from schemas.connections import KafkaConnection
from schemas.settings import SettingsError

KEY = b"k" * 32
COMMANDS = "shop.deployment-commands"


def read(sent: Outgoing) -> Record:
    return Record(sent.topic, 0, 7, 1, sent.key, sent.value, sent.headers)


def test_a_signed_record_holds_and_every_change_of_it_does_not():
    signing = Signing(KEY)
    record = read(signing.signed(Outgoing(COMMANDS, b"value", key=b"main", headers=(("a", b"b"),))))
    assert record.headers[0] == ("a", b"b")
    assert signing.holds(record)
    assert not Signing(b"other" * 8).holds(record)
    changes = [
        {"value": b"Value"},
        {"value": None},
        {"key": b"mainv", "value": b"alue"},
        {"key": None},
        {"topic": "shop.decisions"},
        {"headers": ()},
        {"headers": ((HEADER, None),)},
        {"headers": ((HEADER, b""),)},
        {"headers": ((HEADER, "ä".encode()),)},
    ]
    for change in changes:
        assert not signing.holds(replace(record, **change)), change


def test_only_what_decides_who_serves_is_signed():
    signing = Signing(KEY)
    for topic, signed in (
        (COMMANDS, True),
        ("decisions", True),
        ("searches", False),
        ("shop.releases", False),
    ):
        assert bool(signing.signed(Outgoing(topic, b"x")).headers) is signed


def test_without_a_file_nothing_is_signed():
    assert Signing.of(KafkaConnection()) is None


@pytest.mark.parametrize("content", [None, b"", b"short", b"x" * 31 + b"\n"])
def test_a_key_that_is_none_is_told(tmp_path: Path, content: bytes | None):
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match="signing_key_file"):
        Signing.of(KafkaConnection(signing_key_file=str(file)))


def test_the_line_break_at_the_end_of_a_file_is_no_part_of_the_key(tmp_path: Path):
    (tmp_path / "key").write_bytes(KEY + b"\n")
    signing = Signing.of(KafkaConnection(signing_key_file=str(tmp_path / "key")))
    assert signing is not None
    assert Signing(KEY).holds(read(signing.signed(Outgoing(COMMANDS, b"x"))))
