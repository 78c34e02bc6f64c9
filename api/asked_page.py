"""Which part of a list is asked for, by the parameters of its address. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from api.bodies import HttpFault
from api.newest import LONGEST_PAGE, PAGE


@dataclass(frozen=True)
class AskedPage:
    """How many, behind which, and what else a route takes by name."""

    limit: int
    after: str | None
    others: dict[str, str]


def asked_page(
    parameters: Sequence[tuple[str, str]], others: Collection[str] = (), *, limit: int = PAGE
) -> AskedPage | HttpFault:
    """Return what is asked for; ``limit`` is what holds where none is said.

    >>> asked_page([("limit", "2"), ("after", "r7")])
    AskedPage(limit=2, after='r7', others={})
    """
    said: dict[str, str] = {}
    for name, text in parameters:
        if name not in {"limit", "after", *others}:
            return _bad(f"{name[:100]!r} is no parameter of this list")
        if name in said:
            return _bad(f"{name}: it is said twice")
        said[name] = text
    most = said.pop("limit", str(limit))
    if not (most.isascii() and most.isdecimal() and len(most) <= 4 and 1 <= int(most) <= LONGEST_PAGE):
        return _bad(f"limit: a number from 1 to {LONGEST_PAGE} is expected")
    return AskedPage(int(most), said.pop("after", None), said)


def _bad(message: str) -> HttpFault:
    return HttpFault(400, "invalid_request", message)
