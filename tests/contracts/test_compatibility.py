"""The published schemas stay compatible with those of every earlier version.

And the check finds every break that is planted.
"""

import copy
import json
from pathlib import Path

import pytest

from schemas import bounds
from schemas.publish import published
from tests.contracts.compatibility import breaks

PUBLISHED = Path(__file__).parent / "published"
FILES = sorted(PUBLISHED.glob("*/*.json"))


@pytest.mark.parametrize("file", FILES, ids=lambda f: f"{f.parent.name}-{f.stem}")
def test_what_an_earlier_version_published_still_holds(file: Path) -> None:
    now = published().get(f"schemas/json/{file.name}")
    assert now is not None, (
        f"the topic {file.stem} of version {file.parent.name} has no published schema any more"
    )
    allowed = FIRST_BOUNDS if file.parent.name in WITHOUT_BOUNDS else ()
    assert breaks(json.loads(file.read_text()), json.loads(now), allowed) == []


# Versions in which numbers and texts had no bounds, or none that were published. What went beyond them ended
# a process, so that a first bound of schemas/bounds.py is no break there; after them it is one.
WITHOUT_BOUNDS = {"0.1.0"}
FIRST_BOUNDS = {v for v in vars(bounds).values() if isinstance(v, int | float)} | {
    0,
    1,
    -bounds.EXACT_INTEGER,
}


def test_a_first_bound_of_ours_is_told_from_others_and_from_a_narrower_one() -> None:
    free, bound = {"type": "integer"}, {"type": "integer", "maximum": bounds.VERSION}
    assert breaks(free, bound, FIRST_BOUNDS) == []
    assert breaks(free, bound) == breaks(free, bound, {5}) != []
    assert breaks({"type": "integer", "maximum": bounds.ID_GREATEST}, bound, FIRST_BOUNDS) != []


def test_every_version_published_something() -> None:
    assert {f.parent.name for f in FILES} == {p.name for p in PUBLISHED.iterdir()} != set()


BEFORE = {
    "type": "object",
    "required": ["id", "action"],
    "$defs": {
        "Action": {"enum": ["click", "view"], "type": "string"},
        "Line": {
            "type": "object",
            "properties": {
                "units": {"type": "integer", "minimum": 1, "maximum": 9},
                "note": {"type": "string"},
            },
        },
        "Tree": {
            "type": "object",
            "properties": {"inner": {"items": {"$ref": "#/$defs/Tree"}, "type": "array"}},
        },
    },
    "properties": {
        "id": {"anyOf": [{"type": "string", "maxLength": 20, "minLength": 1}, {"type": "integer"}]},
        "action": {"$ref": "#/$defs/Action"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}, "maxItems": 5},
        "price": {"anyOf": [{"type": "number"}, {"type": "null"}], "default": None},
        "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
        "place": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "integer"}]},
        "kind": {"const": "a", "type": "string"},
        "code": {"type": "string", "pattern": "^a"},
        "tree": {"$ref": "#/$defs/Tree"},
    },
}


def changed(change):
    after = copy.deepcopy(BEFORE)
    change(after["properties"], after["$defs"], after)
    return after


PLANTED = {
    "the field day was optional or unknown and is now required": lambda p, d, s: (
        s["required"].append("day"),
        p.update(day={}),
    ),
    "the field price was optional": lambda p, d, s: s["required"].append("price"),
    "the field lines is gone": lambda p, d, s: p.pop("lines"),
    "lines, an item: the field note is gone": lambda p, d, s: d["Line"]["properties"].pop("note"),
    "action: the value 'view' is gone": lambda p, d, s: d["Action"]["enum"].remove("view"),
    "kind: the value 'a' is gone": lambda p, d, s: p["kind"].update(const="b"),
    "code: any string was taken": lambda p, d, s: p["code"].update(enum=["a"]),
    "id: integer is no longer taken": lambda p, d, s: p["id"]["anyOf"].pop(),
    "price: null is no longer taken": lambda p, d, s: p["price"]["anyOf"].pop(),
    "price: number is no longer taken": lambda p, d, s: p["price"]["anyOf"].__setitem__(
        0, {"type": "integer"}
    ),
    "id: the greatest length was 20 and is 10": lambda p, d, s: p["id"]["anyOf"][0].update(maxLength=10),
    "lines: the greatest number of items was 5 and is 4": lambda p, d, s: p["lines"].update(maxItems=4),
    "lines, an item, units: the least value was 1 and is 2": lambda p, d, s: d["Line"]["properties"][
        "units"
    ].update(minimum=2),
    "price: the greatest value was free and is 5": lambda p, d, s: p["price"]["anyOf"][0].update(maximum=5),
    "counts, an entry: integer is no longer taken": lambda p, d, s: p["counts"].update(
        additionalProperties={"type": "string"}
    ),
    "the message: entries that have no name": lambda p, d, s: s.update(additionalProperties=False),
    "place: it has 3 parts and had 2": lambda p, d, s: p["place"]["prefixItems"].append({"type": "integer"}),
    "place, part 1: integer is no longer taken": lambda p, d, s: p["place"]["prefixItems"].__setitem__(
        1, {"type": "string"}
    ),
    "code: the pattern was '^a' and is '^b'": lambda p, d, s: p["code"].update(pattern="^b"),
    "tree, inner: array is no longer taken": lambda p, d, s: d["Tree"]["properties"].update(
        inner={"type": "string"}
    ),
}


@pytest.mark.parametrize("sentence", PLANTED)
def test_a_planted_break_is_found_and_said(sentence: str) -> None:
    found = breaks(BEFORE, changed(PLANTED[sentence]))
    assert len(found) == 1
    assert sentence in found[0]


COMPATIBLE = {
    "nothing": lambda p, d, s: None,
    "a new optional field": lambda p, d, s: p.update(day={"type": "integer"}),
    "a new value": lambda p, d, s: d["Action"]["enum"].append("cart"),
    "a required field became optional": lambda p, d, s: s["required"].remove("action"),
    "a wider type": lambda p, d, s: d["Line"]["properties"]["units"].update(type="number"),
    "wider bounds": lambda p, d, s: (d["Line"]["properties"]["units"].update(minimum=0),
                                     p["lines"].pop("maxItems")),
    "one more form": lambda p, d, s: p.update(code={"anyOf": [{"type": "string", "pattern": "^a"},
                                                              {"type": "null"}]}),
    "another default": lambda p, d, s: p["price"].update(default=1),
    "a definition moved in place": lambda p, d, s: p.update(action=d.pop("Action")),
}  # fmt: skip


@pytest.mark.parametrize("name", COMPATIBLE)
def test_a_compatible_change_is_no_break(name: str) -> None:
    assert breaks(BEFORE, changed(COMPATIBLE[name])) == []
