"""How far a command is: in words, on a terminal alone, and never on stdout."""

import io

import pytest

from commands.support import meter
from commands.support.meter import metered, told
from commands.support.session import SafeConsole


def test_a_count_is_told_with_its_rate_and_what_is_left():
    assert told(3000, 12000, "records", 2.0) == "3,000 of 12,000 records, 1,500/s, 6 s to go"
    assert told(10, None, "products", 2.0) == "10 products, 5/s"
    assert told(2, 4, "models", 60.0) == "2 of 4 models, 2.0/min, 60 s to go"
    assert told(4, 4, "models", 60.0) == "4 of 4 models, 4.0/min"
    assert [told(0, 5, "records", 1.0), told(5, None, "", 1.0)] == ["", ""]


@pytest.mark.parametrize("terminal", [True, False])
def test_it_is_seen_on_a_terminal_and_leaves_no_line_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, terminal: bool
):
    written = io.StringIO()
    console = SafeConsole(file=written, force_terminal=terminal, width=100, markup=False)
    monkeypatch.setattr(meter, "err", console)
    with metered("reading [letters]", "letters", total=4) as bar:
        for _ in range(4):
            bar.advance()
    seen = written.getvalue()
    assert ("reading [letters]" in seen, "4 of 4 letters" in seen) == (terminal, terminal)
    assert capsys.readouterr().out == ""
    assert terminal or not seen


def test_what_is_begun_later_is_counted_anew(monkeypatch: pytest.MonkeyPatch):
    written = io.StringIO()
    monkeypatch.setattr(meter, "err", SafeConsole(file=written, force_terminal=True, width=100, markup=False))
    with metered("reading", "rows") as bar:
        bar.reach(700)
        bar.begin("writing")
        bar.reach(3)
    last = written.getvalue().rsplit("writing", 1)[1]
    assert "3 rows" in last
    assert "700" not in last
