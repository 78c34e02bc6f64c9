"""A page of the console: a template with what it shows. No page loads anything from elsewhere."""

import json
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from starlette.responses import Response

from pages.templates import LOOK, templates

_HERE = Path(__file__).parent
STATIC = {
    LOOK.name: (LOOK, "text/css"),
    "console.css": (_HERE / "static" / "console.css", "text/css"),
    "console.js": (_HERE / "static" / "console.js", "text/javascript"),
    "judge.js": (_HERE / "static" / "judge.js", "text/javascript"),
}
# A form's page must say where it comes from, or it is taken for another site's.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
}
SECTIONS: Sequence[tuple[str, str]] = (
    ("/console", "Overview"),
    ("/console/search", "Search"),
    ("/console/runs", "Runs"),
    ("/console/releases", "Releases"),
    ("/console/data", "Data"),
    ("/console/queries", "Queries"),
    ("/console/producers", "Producers"),
    ("/console/judge", "Judge"),
)


def page(
    template: str,
    *,
    section: str,
    status: int = 200,
    files: Sequence[tuple[str, str]] = (),
    **shown: object,
) -> Response:
    """Return a page.

    ``section`` is the address of the part of the console that it belongs to; ``files`` are names and
    addresses of its table as a file.
    """
    text = _TEMPLATES.get_template(template).render(
        section=section, sections=SECTIONS, now=datetime.now(UTC), files=files, **shown
    )
    return Response(text, status, headers=_HEADERS, media_type="text/html")


def static_file(name: str) -> Response | None:
    """Return a file that every page uses, None where there is none of this name."""
    if name not in STATIC:
        return None
    path, kind = STATIC[name]
    return Response(path.read_bytes(), media_type=kind)


def ago(at: datetime, now: datetime) -> str:
    """Return how long ago a time was, in one unit.

    >>> start = datetime(2026, 1, 1, tzinfo=UTC)
    >>> [ago(start, start + timedelta(seconds=s)) for s in (0.4, 75, 7200, 200_000)]
    ['now', '1 min ago', '2 h ago', '2 days ago']
    """
    passed = now - at
    return "now" if passed < timedelta(seconds=1) else f"{lasting(passed)} ago"


def lasting(passed: timedelta) -> str:
    """Return a length of time in one unit."""
    seconds = int(passed.total_seconds())
    for unit, length in ((" days", 86_400), (" h", 3600), (" min", 60)):
        if seconds >= 2 * length or (seconds >= length and unit != " days"):
            return f"{seconds // length}{unit}"
    return f"{seconds} s"


def moment_shown(at: datetime) -> str:
    """Return a time as a person reads it, to the second, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def number_shown(value: float | None, digits: int = 3) -> str:
    """Return a number with so many digits behind the point, a dash for none."""
    return "-" if value is None else f"{value:.{digits}f}"


def shell_word(word: str) -> str:
    r"""Return a word of a command line to be copied, for bash; no character in it is unprintable.

    Such a character stands as its bytes in octal; NUL, which no word can hold, is left out.

    >>> print(shell_word("red shoes"), shell_word("it's\x03\n"))
    'red shoes' $'it\'s\003\012'
    """
    word = word.replace("\0", "")
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(_in_dollar_quotes(one) for one in word) + "'"


def _in_dollar_quotes(character: str) -> str:
    if character in "\\'":
        return "\\" + character
    if character.isprintable():
        return character
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogatepass"))


_TEMPLATES = templates(
    _HERE / "templates",
    json_text=partial(json.dumps, ensure_ascii=False),
    shell=shell_word,  # a word of a command line that is copied, whatever stands in it
    ago=ago,
    lasting=lasting,
    moment=moment_shown,
    number=number_shown,
)
