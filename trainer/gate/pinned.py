"""Queries that an operator has pinned.

Products that must stay among the first k answers, whatever else is gained. A file of JSON lines,
``{"query": ..., "products": [...], "k": 10}``. Decides which lines are acceptable and who is missing; ranks
nothing.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.text import normalise_query
from trainer.gate.evidence import Pinned
from trainer.run.folder import write_durably

MAX_K = 50


class PinError(ValueError):
    """A line of the pinned queries that cannot be used; says which and why."""


class Pin(BaseModel):
    """One pinned query, normalised. All ``products`` must be among the first ``k``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    query: Annotated[str, Field(min_length=1, max_length=500)]
    products: Annotated[list[str], Field(min_length=1, max_length=MAX_K)]
    k: Annotated[int, Field(ge=1, le=MAX_K)] = 10


def read_pins(path: Path) -> list[Pin]:
    """Return the pins in the order of the file; no file, no pins.

    Raises ``PinError`` for a line that is none, or a query pinned twice.
    """
    if not path.is_file():
        return []
    pins: dict[str, Pin] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            pin = Pin.model_validate(json.loads(line))
        except (ValidationError, json.JSONDecodeError) as error:
            told = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": str(error)}
            field = ".".join(map(str, told["loc"])) or "the line"
            raise PinError(f"{path.name}, line {number}: {field}: {told['msg']}") from error
        pin = checked(pin)
        if pin.query in pins:
            raise PinError(f"{path.name}, line {number}: {pin.query!r} is pinned twice")
        pins[pin.query] = pin
    return list(pins.values())


def checked(pin: Pin) -> Pin:
    """Return the pin with its query normalised.

    Raises ``PinError`` where nothing is left of it, or more products than places are asked.
    """
    query = normalise_query(pin.query)
    if not query:
        raise PinError(f"{pin.query!r} is no query")
    if len(set(pin.products)) > pin.k:
        raise PinError(f"{query!r}: {len(set(pin.products))} products cannot all be among the first {pin.k}")
    return pin.model_copy(update={"query": query, "products": list(dict.fromkeys(pin.products))})


def write_pins(path: Path, pins: Sequence[Pin]) -> None:
    """Replace the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, "".join(pin.model_dump_json() + "\n" for pin in pins).encode())


def pins_missing(pins: Sequence[Pin], ranked: Mapping[str, Sequence[str]]) -> list[Pinned]:
    """Return for each pin which products its ranking (by query, at least k deep) lacks.

    A query that was not ranked lacks all.
    """
    return [
        Pinned(
            query=p.query,
            k=p.k,
            products=p.products,
            missing=[x for x in p.products if x not in ranked.get(p.query, ())[: p.k]],
        )
        for p in pins
    ]
