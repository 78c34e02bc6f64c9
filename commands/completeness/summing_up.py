"""From a tally to the report: what is compared among products, shares, examples, and the order."""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from commands.completeness.advice import said_of
from commands.completeness.catalogue_tally import EXAMPLES, AttributeCounts, CatalogueTally
from commands.completeness.findings import (
    AttributeCompleteness,
    CatalogueReport,
    ExampleProduct,
    FieldCompleteness,
    Finding,
    FindingExample,
)
from commands.completeness.pictures_alike import alike_pictures
from commands.completeness.price_ranges import odd_prices
from commands.completeness.product_faults import FIELDS
from commands.completeness.titles_alike import TitleSketches, alike_titles, same_form
from media.images import thumbnail
from schemas.printable import printable
from schemas.products import Product
from schemas.rejections import Rejection

VALUE_CHARS = 120
REPEATED = 5  # products that share a description: fewer may well be one series
THUMBNAILS, THUMBNAIL_SIDE, THUMBNAIL_BYTES = 80, 96, 8192
_SHOWN_OF_A_GROUP = 4
_ATTRIBUTES = 40
_ATTRIBUTE_FINDINGS = 10
_UNKNOWN = 20
_PLAIN = ("absent", "blank", "placeholder", "invalid", "too_long")

Rows = npt.NDArray[np.int64]


class _Found(NamedTuple):
    """A finding before its examples are looked up: each is rows, what is to be said of them, and how many."""

    field: str
    kind: str
    products: int
    examples: Sequence[tuple[Sequence[int], str | None, int]]


def summed_up(
    tally: CatalogueTally, *, source: str, made_at: datetime, deletions: int = 0, refused_lines: int = 0
) -> CatalogueReport:
    """Return the report of a tally that has ended. Raises what the source of pictures does."""
    n = len(tally.spool)
    faulty = tally.columns["faulty"].copy()
    notes: list[str] = []
    found = [_single(tally, name) for name in tally.counts]
    for one, rows in _compared(tally, notes):
        found.append(one)
        if one.field in FIELDS:
            faulty[rows] |= 1 << FIELDS.index(one.field)
    found += _of_attributes(tally.attributes)
    found += _unknown(tally)
    found.sort(key=lambda one: (-one.products, one.field, one.kind))
    if tally.pictures is not None and tally.pictures_named > tally.pictures_looked_at:
        notes.append(
            f"Of {tally.pictures_named} pictures the first {tally.pictures_looked_at} were looked at "
            "(--most-pictures)."
        )
    if tally.window is None:
        notes.append("Tokens were not counted: the base model is not one whose limit is known here.")
    fields = [_field(tally, name, n, faulty) for name in FIELDS]
    return CatalogueReport(
        source=source,
        made_at=made_at,
        products=n,
        score=_rounded(float(np.mean([f.share for f in fields]))),
        fields=sorted(fields, key=lambda f: f.share),
        attributes=_attributes(tally.attributes, n),
        findings=_with_examples(tally, [one for one in found if one.products], n),
        refused_lines=refused_lines,
        deletions=deletions,
        pictures_looked_at=tally.pictures_looked_at,
        notes=notes,
    )


def shortened(text: str) -> str:
    """Return a text as one short line that can be shown anywhere."""
    line = " ".join(printable(text[: 4 * VALUE_CHARS]).split())
    return line if len(line) <= VALUE_CHARS else line[: VALUE_CHARS - 1] + "…"


def _single(tally: CatalogueTally, name: str) -> _Found:
    field, _, kind = name.partition(".")
    shown = [((row,), value, 1) for row, value in tally.examples[name]]
    return _Found(field, kind, tally.counts[name], shown)


def _compared(tally: CatalogueTally, notes: list[str]) -> Iterator[tuple[_Found, Rows]]:
    """Yield what is found by comparing products, and the rows that it is found of."""
    columns = tally.columns
    owner = columns["owner"]
    own_row = np.arange(len(owner), dtype=np.uint64)
    for field, kind, column, owners, least in (
        ("record", "repeated_id", "product_id", own_row, 2),
        ("record", "same_content", "content", owner, 2),
        ("title", "same", "title", owner, 2),
        ("description", "same", "description", owner, REPEATED),
        ("image", "same", "picture", owner, 2),
    ):
        groups = equal_groups(columns[column], owners, least)
        yield _of_groups(field, kind, groups), _together(groups)
    yield _alike_titles(tally, notes)
    pictures = _alike_pictures(tally)
    yield _of_groups("image", "alike", pictures), _together(pictures)
    odd = odd_prices(columns["price"], columns["price_group"])
    examples = [
        (
            (one.row,),
            f"{columns['price'][one.row]:.2f}; half of its category: {one.low:.2f} to {one.high:.2f}",
            1,
        )
        for one in odd[:EXAMPLES]
    ]
    yield _Found("price", "odd", len(odd), examples), np.array([one.row for one in odd], np.int64)


def equal_groups(values: Any, owners: Any, least: int) -> list[Rows]:
    """Return the rows of each value but 0 that at least so many owners have, the greatest group first.

    >>> [rows.tolist() for rows in equal_groups(np.array([7, 0, 7, 8, 0]), np.array([1, 2, 3, 4, 5]), 2)]
    [[0, 2]]
    """
    there = np.flatnonzero(values)
    rows = there[np.lexsort((there, owners[there], values[there]))]
    if not len(rows):
        return []
    new_value = np.r_[True, values[rows][1:] != values[rows][:-1]]
    new_owner = new_value | np.r_[True, owners[rows][1:] != owners[rows][:-1]]
    starts = np.flatnonzero(new_value)
    enough = np.flatnonzero(np.add.reduceat(new_owner.astype(np.int64), starts) >= least)
    ends = np.r_[starts[1:], len(rows)]
    groups = [np.sort(rows[starts[n] : ends[n]]) for n in enough]
    return sorted(groups, key=lambda group: (-len(group), int(group[0])))


def _alike_titles(tally: CatalogueTally, notes: list[str]) -> tuple[_Found, Rows]:
    """Compare one product of each title, and count all that have it."""
    titles, owner = tally.columns["title"], tally.columns["owner"]
    form_of = lru_cache(10_000)(lambda row: same_form(tally.spool[row].title))
    values, first = np.unique(titles, return_index=True)
    alike = alike_titles(
        TitleSketches(*(tally.columns[name] for name in TitleSketches._fields)),
        np.sort(first[values != 0]),
        lambda one, other: owner[one] != owner[other],
        lambda one, other: tally.sketcher.agreement(form_of(one), form_of(other)),
    )
    if not alike.complete:
        notes.append("Not all titles could be compared: more are nearly the same than is said.")
    grouped = [np.array(group, np.int64) for group in alike.groups]
    rows = np.flatnonzero(np.isin(titles, titles[_together(grouped)]))
    found = _of_groups("title", "alike", sorted(grouped, key=lambda g: (-len(g), int(g[0]))))
    return found._replace(products=len(rows)), rows


def _alike_pictures(tally: CatalogueTally) -> list[Rows]:
    """Return the groups of pictures that are alike and not all the same file, of more than one product."""
    owner, picture = tally.columns["owner"], tally.columns["picture"]
    groups = [
        np.array([tally.printed_rows[n] for n in group], np.int64) for group in alike_pictures(tally.prints)
    ]
    several = [g for g in groups if len(np.unique(owner[g])) > 1 and len(np.unique(picture[g])) > 1]
    return sorted(several, key=lambda g: (-len(g), int(g[0])))


def _of_groups(field: str, kind: str, groups: Sequence[Rows]) -> _Found:
    shown = [(g[:_SHOWN_OF_A_GROUP].tolist(), None, len(g)) for g in groups[:EXAMPLES]]
    return _Found(field, kind, sum(map(len, groups)), shown)


def _together(groups: Sequence[Rows]) -> Rows:
    return np.concatenate([np.zeros(0, np.int64), *groups])


def _of_attributes(attributes: dict[str, AttributeCounts]) -> list[_Found]:
    """Return the names whose values are of several types, or numbers in quotes, the most frequent ones."""
    mixed, quoted = [], []
    for name, counts in attributes.items():
        numbers = counts.types["numbers"] + counts.types["numbers_as_text"]
        by_kind = {
            "numbers": numbers,
            "texts": counts.types["texts"] + counts.types["lists"],
            "flags": counts.types["flags"],
        }
        usual = max(by_kind, key=lambda kind: by_kind[kind])
        if others := sum(by_kind.values()) - by_kind[usual]:
            mixed.append(_Found(f"attributes.{name}", "mixed", others, _mixed_examples(counts)))
        elif counts.types["numbers_as_text"]:
            shown = [((row,), value, 1) for row, value in counts.examples["numbers_as_text"]]
            quoted.append(
                _Found(f"attributes.{name}", "numbers_as_text", counts.types["numbers_as_text"], shown)
            )
    return [
        one
        for found in (mixed, quoted)
        for one in sorted(found, key=lambda f: (-f.products, f.field))[:_ATTRIBUTE_FINDINGS]
    ]


def _unknown(tally: CatalogueTally) -> list[_Found]:
    most = sorted(tally.unknown.items(), key=lambda item: (-item[1][0], item[0]))[:_UNKNOWN]
    return [
        _Found(f"field.{name}", "unknown", count, [((row,), value, 1) for row, value in kept[:2]])
        for name, (count, kept) in most
    ]


def _mixed_examples(counts: AttributeCounts) -> list[tuple[Sequence[int], str | None, int]]:
    """Return two values of each type."""
    return [((row,), value, 1) for own in counts.examples.values() for row, value in own[:2]]


def _field(tally: CatalogueTally, name: str, n: int, faulty: Any) -> FieldCompleteness:
    bad = int(np.count_nonzero(faulty & (1 << FIELDS.index(name))))
    counts = {kind: tally.counts[f"{name}.{kind}"] for kind in _PLAIN}
    return FieldCompleteness(
        field=name,
        complete=n - bad,
        share=_rounded((n - bad) / n) if n else 0.0,
        other=max(0, bad - sum(counts.values())),
        **counts,
    )


def _attributes(attributes: dict[str, AttributeCounts], n: int) -> list[AttributeCompleteness]:
    most = sorted(attributes.items(), key=lambda item: (-item[1].products, item[0]))[:_ATTRIBUTES]
    kinds = ("texts", "numbers", "numbers_as_text", "flags", "lists")
    return [
        AttributeCompleteness(
            name=shortened(name),
            products=counts.products,
            share=_rounded(counts.products / n),
            **{kind: counts.types[kind] for kind in kinds},
        )
        for name, counts in most
    ]


def _with_examples(tally: CatalogueTally, found: Sequence[_Found], n: int) -> list[Finding]:
    """Look the examples up; pictures are shown first where a finding is about them."""
    thumbnails: dict[str, str | None] = {}
    for one in sorted(found, key=lambda f: f.field != "image"):
        for rows, _, _ in one.examples:
            for name in (tally.spool[row].picture for row in rows):
                if name and len(thumbnails) < THUMBNAILS and name not in thumbnails:
                    thumbnails[name] = _thumbnail(tally, name)
    return [
        Finding(
            name=f"{one.field.partition('.')[0]}.{one.kind}",
            field=shortened(one.field),
            what=shortened(_what(one)),
            products=one.products,
            share=_rounded(one.products / n),
            advice=said_of(one.field.partition(".")[0], one.kind)[1],
            examples=[
                FindingExample(
                    products=[_example(tally, row, value, one, thumbnails) for row in rows], count=count
                )
                for rows, value, count in one.examples
            ],
        )
        for one in found
    ]


def _what(one: _Found) -> str:
    field, _, name = one.field.partition(".")
    what, _ = said_of(field, one.kind)
    meant = get_close_matches(name, Product.model_fields, 1) if one.kind == "unknown" else []
    hint = f" (is it `{meant[0]}`?)" if meant else ""
    return f"{field} {name!r}{what.removeprefix(field)}{hint}" if name else what


def _example(
    tally: CatalogueTally, row: int, value: str | None, one: _Found, thumbnails: dict[str, str | None]
) -> ExampleProduct:
    spooled = tally.spool[row]
    shown = value if value is not None else spooled.start if one.field == "description" else ""
    return ExampleProduct(
        product_id=shortened(spooled.product_id),
        title=shortened(spooled.title),
        value="" if shown == spooled.title else shortened(shown),
        thumbnail=thumbnails.get(spooled.picture),
    )


def _thumbnail(tally: CatalogueTally, name: str) -> str | None:
    found = tally.pictures(name) if tally.pictures is not None and tally.most_pictures else None
    if found is None or isinstance(found, Rejection):
        return None
    try:
        small = thumbnail(found, THUMBNAIL_SIDE)
    except ValueError:
        return None
    return f"data:image/webp;base64,{b64encode(small).decode()}" if len(small) <= THUMBNAIL_BYTES else None


def _rounded(share: float) -> float:
    """Return a share that is 0 or 1 only where it is nothing or all."""
    return min(max(round(share, 4), 0.0001 if share else 0.0), 0.9999 if share < 1 else 1.0)
