"""Results are shown as they are: what shops write is never taken for markup."""

import pytest

from commands.session import stop, table


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
