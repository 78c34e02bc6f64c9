"""Write plain data as YAML, for ``schemas.publish``.

Block style, strings quoted as in JSON, which is YAML too. It knows mappings, lists, text, numbers, booleans
and None, and nothing else of YAML.
"""

import json
import re
from collections.abc import Iterator

Plain = dict[str, "Plain"] | list["Plain"] | str | int | float | bool | None

_BARE = re.compile(r"[A-Za-z_$][A-Za-z0-9_./$-]*")
_RESERVED = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def to_yaml(value: Plain) -> str:
    """Return one YAML document, ending in a newline. Keys keep their order."""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Plain) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _entry(f"{_key(name)}:", inner)
    elif isinstance(value, list) and value:
        for inner in value:
            yield from _entry("-", inner)
    else:
        yield _scalar(value)


def _entry(head: str, value: Plain) -> Iterator[str]:
    if isinstance(value, dict | list) and value:
        yield head
        for line in _lines(value):
            yield f"  {line}"
    else:
        yield f"{head} {_scalar(value)}"


def _key(name: str) -> str:
    bare = _BARE.fullmatch(name) and name.casefold() not in _RESERVED
    return name if bare else json.dumps(name, ensure_ascii=False)


def _scalar(value: Plain) -> str:
    return json.dumps(value, ensure_ascii=False)
