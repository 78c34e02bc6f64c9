"""Decide whether a JSON Schema still takes and says all that an earlier one did.

Pure; knows the keywords that pydantic writes. A break is a sentence: what a message of the earlier version
can hold and the later schema refuses, or what a reader of the earlier one may rely on and finds no more.
Defaults, titles and descriptions are no part of it.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
# Keyword -> whether a greater value is narrower, and its name.
_BOUNDS = {
    "minimum": (True, "the least value"),
    "exclusiveMinimum": (True, "the bound below"),
    "minLength": (True, "the least length"),
    "minItems": (True, "the least number of items"),
    "maximum": (False, "the greatest value"),
    "exclusiveMaximum": (False, "the bound above"),
    "maxLength": (False, "the greatest length"),
    "maxItems": (False, "the greatest number of items"),
}
_FORMS = ("pattern", "format", "multipleOf", "uniqueItems")
_KINDS = ("anyOf", "oneOf")


def breaks(old: Schema, new: Schema, first_bounds: Collection[float] = ()) -> list[str]:
    """Return what breaks from ``old`` to ``new``, in order of appearance; none for compatible schemas.

    ``first_bounds`` are no breaks where ``old`` has no bound at all.
    """
    return list(_compare(old, new, _Roots(old, new, first_bounds), "the message"))


class _Roots:
    """Both documents, for references, and the pairs of references that are being compared.

    So a recursive schema ends.
    """

    def __init__(self, old: Schema, new: Schema, first_bounds: Collection[float]) -> None:
        self.old, self.new = old, new
        self.first_bounds = first_bounds
        self.seen: set[tuple[str, str]] = set()


def _compare(old: Schema, new: Schema, roots: _Roots, path: str) -> Iterator[str]:
    pair = old.get("$ref", ""), new.get("$ref", "")
    if all(pair) and pair in roots.seen:
        return
    roots.seen.add(pair)
    offered = _alternatives(new, roots.new)
    for alternative in _alternatives(old, roots.old):
        tries = [
            (_typed(other) != _typed(alternative), list(_compare_one(alternative, other, roots, path)))
            for other in offered
        ]
        yield from min(tries, key=lambda t: (bool(t[1]), t[0], len(t[1])))[1]
    roots.seen.discard(pair)


def _alternatives(schema: Schema, root: Schema) -> list[Schema]:
    """Return the forms that a value may have, unions flattened.

    What stands beside a union or a reference holds for each form.
    """
    if "$ref" in schema:
        beside = {k: v for k, v in schema.items() if k != "$ref"}
        return _alternatives({**_follow(schema["$ref"], root), **beside}, root)
    for kind in _KINDS:
        if kind in schema:
            beside = {
                k: v
                for k, v in schema.items()
                if k not in {kind, "discriminator", "default", "title", "description"}
            }
            return [form for inner in schema[kind] for form in _alternatives({**beside, **inner}, root)]
    return [schema]


def _follow(reference: str, root: Schema) -> Schema:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found  # type: ignore[no-any-return]


def _compare_one(old: Schema, new: Schema, roots: _Roots, path: str) -> Iterator[str]:
    if (
        "type" in new
        and old.get("type") != new["type"]
        and (old.get("type"), new["type"]) != ("integer", "number")
    ):
        yield f"{path}: {_typed(old)} is no longer taken, only {new['type']}"
        return
    yield from _values(old, new, path)
    yield from _bounds(old, new, roots.first_bounds, path)
    yield from _properties(old, new, roots, path)
    for keyword, name in (("items", "an item"), ("additionalProperties", "an entry")):
        before, now = old.get(keyword, True), new.get(keyword, True)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from _compare(before, now, roots, f"{path}, {name}")
        elif before is not False and now is False:
            yield f"{path}: entries that have no name of ours are no longer taken"
        elif before is True and isinstance(now, Mapping) and "prefixItems" not in old:
            yield f"{path}: {name} could be anything and cannot any more"
    was, is_now = old.get("prefixItems"), new.get("prefixItems")
    if is_now is not None and (was is None or len(was) != len(is_now)):
        yield f"{path}: it has {len(is_now)} parts and had {'any number' if was is None else len(was)}"
    elif is_now is not None:
        for number, (before, now) in enumerate(zip(was, is_now, strict=True)):
            yield from _compare(before, now, roots, f"{path}, part {number}")


def _typed(schema: Schema) -> str:
    return str(schema.get("type", "any type"))


def _values(old: Schema, new: Schema, path: str) -> Iterator[str]:
    before, now = _allowed(old), _allowed(new)
    if now is None:
        return
    if before is None:
        yield f"{path}: any {_typed(old)} was taken, now only {', '.join(map(repr, now))}"
        return
    for value in before:
        if value not in now:
            yield f"{path}: the value {value!r} is gone"


def _allowed(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _bounds(old: Schema, new: Schema, first_bounds: Collection[float], path: str) -> Iterator[str]:
    for keyword, (greater_is_narrower, name) in _BOUNDS.items():
        before, now = old.get(keyword), new.get(keyword)
        if before is None and now in first_bounds:
            continue
        if now is not None and (before is None or (now > before if greater_is_narrower else now < before)):
            yield f"{path}: {name} was {'free' if before is None else before} and is {now}"
    for keyword in _FORMS:
        if keyword in new and new[keyword] != old.get(keyword):
            yield (
                f"{path}: the {keyword} was {old.get(keyword, 'free')!r} and is {new[keyword]!r}, which "
                "cannot be shown to be wider"
            )


def _properties(old: Schema, new: Schema, roots: _Roots, path: str) -> Iterator[str]:
    before, now = old.get("properties", {}), new.get("properties", {})
    for name in before:
        if name not in now:
            yield f"{path}: the field {name} is gone"
        else:
            yield from _compare(
                before[name], now[name], roots, name if path == "the message" else f"{path}, {name}"
            )
    for name in new.get("required", ()):
        if name not in old.get("required", ()):
            yield f"{path}: the field {name} was optional or unknown and is now required"
