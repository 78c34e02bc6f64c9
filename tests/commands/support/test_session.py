"""Results are shown as they are: what shops write is never taken for markup."""

import io
import json
import re
from pathlib import Path

import pytest
from rich.text import Text

from artefacts.located import local, open_folders
from commands.instruments.demo_report import Report
from commands.support.session import SafeConsole, find_settings, out, show_json, stop, table
from schemas.printable import printable


def test_brackets_in_data_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]):
    table("[/nope]", ["title"], [("[sale] jacket [/b]",)])
    shown = capsys.readouterr().out
    assert "[/nope]" in shown
    assert "[sale] jacket [/b]" in shown


def test_brackets_in_a_reason_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        stop("no run '[/x]'")
    assert ended.value.code == 1
    assert "no run '[/x]'" in capsys.readouterr().err


@pytest.mark.parametrize("data", ["[/nope]", "[link=http://evil]sale", "[red]x", "[@click=f]"])
def test_text_that_looks_like_markup_is_printed_as_it_is(
    data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run's detail, a refusal or a title with a bracket ended a command in a traceback."""
    out.print(f"detail: {data}")
    Report().check(True, data)
    assert capsys.readouterr().out.count(data) == 2


ATTACKS = [
    "\x1b]0;owned\x07",
    "\x1b[2J\x1b[H",
    "\x9b31m",
    "\x1b]52;c;cm0gLXJm\x07",
    "\x1b]8;;http://evil\x1b\\x",
    "abc\rxyz\x08",
    "\u202egpj.exe",
    "\x7f\x00",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_output_of_a_command_carries_a_terminal_escape_from_data(
    attack: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tables, text, reasons and JSON alike: on a terminal with colours, and into a file."""
    table(attack, [attack], [(attack,), (f"[bold]{attack}",)])
    out.print(attack)
    out.print(attack, markup=False, highlight=False, soft_wrap=True)
    out.print(Text(attack))
    with pytest.raises(SystemExit):
        stop(attack)
    show_json({attack: [attack]})
    captured = capsys.readouterr()
    for shown in (captured.out, captured.err):
        assert printable(shown) == shown
    assert json.loads(captured.out.splitlines()[-1]) == {attack: [attack]}


@pytest.mark.parametrize("attack", ATTACKS)
def test_on_a_terminal_only_our_own_colours_remain(attack: str) -> None:
    file = io.StringIO()
    console = SafeConsole(file=file, force_terminal=True, color_system="standard", width=80)
    console.print(Text(f"{attack}x", style="bold"))
    left = re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue())
    assert printable(left) == left
    assert "\x1b[1m" in file.getvalue()


def test_what_is_fetched_from_the_store_is_told_beside_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a").write_bytes(b"a")
    store = open_folders(f"local://{tmp_path}/store/releases/searchloop./main", tmp_path / "c", 1 << 30)
    name = store.put("reports", "ab" * 32, tmp_path / "run")
    monkeypatch.setenv("SEARCHLOOP_ARTEFACTS", f"local://{tmp_path}/store")
    monkeypatch.setenv("SEARCHLOOP_KAFKA", "127.0.0.1:1")
    monkeypatch.setenv("SEARCHLOOP_MILVUS", "http://127.0.0.1:1")
    find_settings(tmp_path)
    local(name)
    said = capsys.readouterr()
    assert said.out == ""
    assert "fetched from the store" in said.err
