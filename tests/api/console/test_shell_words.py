"""A word in a command line of the console comes back from a real shell as it went in."""

import subprocess

import pytest

from api.console.console_pages import shell_word

_WORDS = {
    "empty": "",
    "option": "-x",
    "quotes": 'it\'s "so"',
    "backslash": "a\\b\\003",
    "dollar": "$(id) `id` $HOME",
    "controls": "-x\x03\ntouch",
    "escape": "\x1b]52;c;aGk=\x07'\\",
    "digits": "\x01234",
    "bidi": "a\u202eb",
    "c1": "\x9b2J",
    "letters": "größe 靴",
    "tab": "a\tb",
}


@pytest.mark.parametrize("word", _WORDS.values(), ids=_WORDS.keys())
def test_a_word_comes_back_from_bash(word: str) -> None:
    quoted = shell_word(word)
    assert quoted.isprintable()
    told = subprocess.run(["bash", "-c", f"printf %s {quoted}"], capture_output=True, check=True, timeout=20)
    assert told.stdout.decode() == word


def test_nul_is_left_out() -> None:
    assert shell_word("a\0b") == "ab"
