"""How lines of files are read: what is damaged is told with its line, and the rest is taken."""

import gzip
import json
import resource
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import command_line
from commands.send import judge_line
from commands.support.lines import numbered_lines, read_lines
from schemas.bounds import LINE_BYTES
from schemas.events import Interaction
from schemas.rejections import Rejection
from schemas.settings import StreamSettings


def reasons(path: Path) -> dict[int, str]:
    return {
        number: line.reason.value for number, line in numbered_lines(str(path)) if isinstance(line, Rejection)
    }


def test_gzip_is_known_by_its_first_bytes_and_blank_lines_count_but_are_not_read(tmp_path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(gzip.compress(b"one\r\n\n  \ntwo"))
    assert list(numbered_lines(str(path))) == [(1, b"one"), (4, b"two")]
    assert list(read_lines(str(path))) == [b"one", b"", b"", b"two"]


def damaged(kind: str) -> bytes:
    packed = bytearray(
        gzip.compress(b"".join(b"%d %s\n" % (n, b"%x" % hash(n * 7919)) for n in range(20_000)))
    )
    if kind == "cut off":
        return bytes(packed[: len(packed) // 2])
    if kind == "a wrong checksum":
        packed[-8] ^= 1
        return bytes(packed)
    if kind == "a broken block":
        packed[len(packed) // 2 : len(packed) // 2 + 40] = b"\xff" * 40
        return bytes(packed)
    return bytes(packed) + b"what follows is no gzip"


@pytest.mark.parametrize(
    "kind", ["cut off", "a wrong checksum", "a broken block", "something behind the end"]
)
def test_a_damaged_gzip_file_gives_its_sound_lines_and_then_one_rejection(tmp_path, kind) -> None:
    path = tmp_path / "events.jsonl.gz"
    path.write_bytes(damaged(kind))
    *sound, (last, rejection) = numbered_lines(str(path))
    assert [number for number, _ in sound] == list(range(1, last))
    assert len(sound) > 1000
    assert rejection.reason == "undecodable_text"
    assert "damaged or ends too early" in rejection.problems[0].message


def test_a_file_that_is_called_gz_and_is_none_is_one_rejection(tmp_path) -> None:
    path = tmp_path / "events.gz"
    path.write_bytes(b"<html>not found</html>\n")
    assert reasons(path) == {1: "undecodable_text"}


@pytest.mark.parametrize("more", [0, 1])
def test_a_line_may_have_the_bytes_of_the_bound_and_none_more(tmp_path, more) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"a\n" + b"x" * (LINE_BYTES + more) + b"\nb")
    found = list(numbered_lines(str(path)))
    assert [number for number, _ in found] == [1, 2, 3]
    assert reasons(path) == ({2: "too_large"} if more else {})


def test_memory_does_not_follow_what_a_small_file_decompresses_to(tmp_path) -> None:
    path = tmp_path / "zeros.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(400):
            file.write(bytes(1 << 20))
        file.write(b"\nsound\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = list(numbered_lines(str(path)))
    assert found[1] == (2, b"sound")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_a_line_that_cannot_be_read_is_refused_and_the_lines_around_it_are_taken(tmp_path) -> None:
    click = {"action_name": "click", "client_id": "c", "event_attributes": {"object": {"object_id": "p"}}}
    sound = json.dumps(click | {"timestamp": datetime.now(UTC).isoformat()}).encode()
    half = sound.replace(b'"c"', rb'"\ud800"')
    path = tmp_path / "clicks.jsonl"
    path.write_bytes(
        b"\n".join(
            [sound, half, b"[" * 3000, b"\xff", b"{", sound.replace(b'"p"', b"12345.0"), b"\x00", sound]
        )
    )
    found = [
        judge_line("interactions", number, line, StreamSettings())
        for number, line in numbered_lines(str(path))
    ]
    assert [f.reason.value if isinstance(f, Rejection) else None for f in found] == [
        None, "undecodable_text", "json_decode", "undecodable_text", "json_decode", "schema", "json_decode",
        None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "verb", [["send", "searches"], ["import", "ubi-queries"], ["evaluate", "--judgments"]]
)
def test_a_folder_or_no_file_at_all_is_said_and_ends_with_two(tmp_path, verb) -> None:
    for path in (tmp_path, tmp_path / "none"):
        result = CliRunner().invoke(command_line([])[0], [*verb, str(path)])
        assert result.exit_code == 2, result.output
        assert path.name in result.output.replace("\n", "")


def test_an_import_of_a_truncated_file_says_so_and_ends_with_one(tmp_path) -> None:
    click = {"action_name": "click", "client_id": "c", "event_attributes": {"object": {"object_id": "p"}}}
    lines = [
        Interaction.model_validate(click | {"timestamp": datetime.now(UTC), "event_id": f"{n}"}).to_json()
        for n in range(5000)
    ]
    path = tmp_path / "events.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n".join(lines))[:-5000])
    result = CliRunner().invoke(
        command_line([])[0], ["import", "ubi-events", str(path), "--dry-run", "--json"]
    )
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert found["refused"] == {"undecodable_text": 1}
    assert found["imported"] + 1 == found["lines"] > 100


def test_judgments_in_a_damaged_file_are_told_by_line_and_none_is_kept(tmp_path) -> None:
    path = tmp_path / "judged.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"query": "a", "product_id": "1", "relevance": 1}\n' * 3000)[:-30])
    result = CliRunner().invoke(command_line([])[0], ["evaluate", "--judgments", str(path)])
    assert result.exit_code == 2, result.output
    assert "damaged or ends too early" in result.output.replace("\n", " ")
