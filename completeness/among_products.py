"""What is found by comparing products: equal and nearly equal texts and pictures, odd prices."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from completeness.catalogue_tally import EXAMPLES, CatalogueTally
from completeness.pictures_alike import alike_pictures
from completeness.price_ranges import odd_prices
from completeness.raw_finding import RawFinding
from completeness.titles_alike import TitleSketches, alike_titles, same_form

REPEATED = 5  # products that share a description: fewer may well be one series
_SHOWN_OF_A_GROUP = 4

Rows = npt.NDArray[np.int64]


def compared(tally: CatalogueTally, notes: list[str]) -> Iterator[tuple[RawFinding, Rows]]:
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
    yield RawFinding("price", "odd", len(odd), examples), np.array([one.row for one in odd], np.int64)


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


def _alike_titles(tally: CatalogueTally, notes: list[str]) -> tuple[RawFinding, Rows]:
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


def _of_groups(field: str, kind: str, groups: Sequence[Rows]) -> RawFinding:
    shown = [(g[:_SHOWN_OF_A_GROUP].tolist(), None, len(g)) for g in groups[:EXAMPLES]]
    return RawFinding(field, kind, sum(map(len, groups)), shown)


def _together(groups: Sequence[Rows]) -> Rows:
    return np.concatenate([np.zeros(0, np.int64), *groups])
