"""From a tally to the report: fields, attributes, and findings in their order."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from completeness.among_products import compared
from completeness.catalogue_tally import AttributeCounts, CatalogueTally
from completeness.finding_examples import shortened, with_examples
from completeness.findings import (
    AttributeCompleteness,
    CatalogueReport,
    FieldCompleteness,
    rounded_share,
)
from completeness.product_faults import FIELDS
from completeness.raw_finding import RawFinding

_ATTRIBUTES = 40
_ATTRIBUTE_FINDINGS = 10
_UNKNOWN = 20
_PLAIN = ("absent", "blank", "placeholder", "invalid", "too_long")


def summed_up(
    tally: CatalogueTally, *, source: str, made_at: datetime, deletions: int = 0, refused_lines: int = 0
) -> CatalogueReport:
    """Return the report of a tally that has ended. Raises what the source of pictures does."""
    n = len(tally.spool)
    faulty = tally.columns["faulty"].copy()
    notes: list[str] = []
    found = [_single(tally, name) for name in tally.counts]
    for one, rows in compared(tally, notes):
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
        source=shortened(source),
        made_at=made_at,
        products=n,
        score=rounded_share(float(np.mean([f.share for f in fields]))),
        fields=sorted(fields, key=lambda f: f.share),
        attributes=_attributes(tally.attributes, n),
        findings=with_examples(tally, [one for one in found if one.products], n),
        refused_lines=refused_lines,
        deletions=deletions,
        pictures_looked_at=tally.pictures_looked_at,
        notes=notes,
    )


def _single(tally: CatalogueTally, name: str) -> RawFinding:
    field, _, kind = name.partition(".")
    shown = [((row,), value, 1) for row, value in tally.examples[name]]
    return RawFinding(field, kind, tally.counts[name], shown)


def _of_attributes(attributes: dict[str, AttributeCounts]) -> list[RawFinding]:
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
            mixed.append(RawFinding(f"attributes.{name}", "mixed", others, _mixed_examples(counts)))
        elif counts.types["numbers_as_text"]:
            shown = [((row,), value, 1) for row, value in counts.examples["numbers_as_text"]]
            quoted.append(
                RawFinding(f"attributes.{name}", "numbers_as_text", counts.types["numbers_as_text"], shown)
            )
    return [
        one
        for found in (mixed, quoted)
        for one in sorted(found, key=lambda f: (-f.products, f.field))[:_ATTRIBUTE_FINDINGS]
    ]


def _unknown(tally: CatalogueTally) -> list[RawFinding]:
    most = sorted(tally.unknown.items(), key=lambda item: (-item[1][0], item[0]))[:_UNKNOWN]
    return [
        RawFinding(f"field.{name}", "unknown", count, [((row,), value, 1) for row, value in kept[:2]])
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
        share=rounded_share((n - bad) / n) if n else 0.0,
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
            share=rounded_share(counts.products / n),
            **{kind: counts.types[kind] for kind in kinds},
        )
        for name, counts in most
    ]
