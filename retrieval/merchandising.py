"""Which merchandising rule changes which product of a query, and the order that results. Pure.

One rule changes a product: hide before pin before bury before boost, of one action a rule for this query
before one for every query, then the smaller rule_id. So neither the order of the topic nor the time of
writing matters. The clock is an argument. It knows no index and no Kafka.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Self

from retrieval.filters import TEXTS, Condition, FilterError, forms, meets, parsed
from retrieval.traits import NO_TRAITS, Traits
from schemas.bounds import LOOSE_RULES, PINNED, RULES
from schemas.rules import MerchandisingRule
from schemas.search import HitRule, RuleAction, ScoredHit
from schemas.text import normalise_query

_STRENGTH = {action: place for place, action in enumerate(RuleAction)}
_TEXTS = ("product_id", *TEXTS)


class RuleError(ValueError):
    """A rule that makes no sense: says why."""


@dataclass(frozen=True)
class SetRule:
    """A rule as it is applied. Times are epoch seconds; ``query`` is normalised, None for every query."""

    rule_id: str
    action: RuleAction
    query: str | None
    product_ids: tuple[str, ...]
    conditions: tuple[Condition, ...]
    boost: float
    since: float
    until: float

    @classmethod
    def of(cls, rule: MerchandisingRule) -> Self:
        """Take a rule in. Raises ``RuleError``."""
        query = None if rule.query is None else normalise_query(rule.query)
        if query == "":
            raise RuleError("its query holds nothing to read; leave it out for every query")
        try:
            conditions = tuple(parsed(rule.filters))
        except FilterError as error:
            raise RuleError(str(error)) from error
        return cls(
            rule.rule_id,
            rule.action,
            query,
            tuple(dict.fromkeys(rule.product_ids)),
            conditions,
            rule.boost or 0.0,
            -inf if rule.since is None else rule.since.timestamp(),
            inf if rule.until is None else rule.until.timestamp(),
        )

    @property
    def order(self) -> tuple[int, bool, str]:
        """What decides between two rules for one product: the smaller one counts."""
        return _STRENGTH[self.action], self.query is None, self.rule_id

    @property
    def loose(self) -> bool:
        """Whether nothing but a look at every product says which it is about."""
        return not self.product_ids and self._anchor() is None

    def places(self) -> list[tuple[str, str]]:
        """Return the (field, text) of which every product it is about has one; none for a loose rule."""
        if self.product_ids:
            return [("product_id", one) for one in self.product_ids]
        anchor = self._anchor()
        return [] if anchor is None else [(anchor.field, text) for text in anchor.values]

    def _anchor(self) -> Condition | None:
        return next((c for c in self.conditions if c.field in _TEXTS and not c.negated), None)


@dataclass(frozen=True)
class _Shelf:
    """The rules of one query, or of every query, by field and text; each list in order."""

    by_text: Mapping[str, Mapping[str, Sequence[SetRule]]]
    loose: Sequence[SetRule]
    pins: Sequence[SetRule]
    boosts: tuple[float, float]  # from the first to the last moment of any
    reads_traits: bool

    @classmethod
    def of(cls, rules: Iterable[SetRule]) -> Self:
        ordered = sorted(rules, key=lambda one: one.order)
        by_text: defaultdict[str, defaultdict[str, list[SetRule]]] = defaultdict(lambda: defaultdict(list))
        for one in ordered:
            for name, text in one.places():
                by_text[name][text].append(one)
        return cls(
            {name: dict(own) for name, own in by_text.items()},
            [one for one in ordered if one.loose][:LOOSE_RULES],
            [one for one in ordered if one.action is RuleAction.PIN],
            (
                min((one.since for one in ordered if one.boost), default=inf),
                max((one.until for one in ordered if one.boost), default=-inf),
            ),
            any(c.of_trait for one in ordered for c in one.conditions),
        )

    def about(self, product_id: str, fields: Mapping[str, Any]) -> list[Sequence[SetRule]]:
        """Return lists that together hold every rule which may be about the product."""
        found: list[Sequence[SetRule]] = [self.loose] if self.loose else []
        for name, own in self.by_text.items():
            text = product_id if name == "product_id" else fields.get(name) or ""
            found += [rules for form in forms(name, text) if (rules := own.get(form))]
        return found


class RuleSet:
    """The rules of one deployment. One writer; any thread may ask meanwhile."""

    def __init__(self) -> None:
        self._rules: dict[str, SetRule] = {}
        self._shelves: dict[str | None, _Shelf] = {}

    def __len__(self) -> int:
        return len(self._rules)

    def change(self, changes: Mapping[str, SetRule | None]) -> int:
        """Put rules in place of what has their ids; None takes out.

        Returns how many were not taken, because there are ``RULES`` already.
        """
        left, touched = 0, set()
        for rule_id, rule in changes.items():
            before = self._rules.pop(rule_id, None)
            if before is not None:
                touched.add(before.query)
            if rule is not None and len(self._rules) < RULES:
                self._rules[rule_id] = rule
                touched.add(rule.query)
            left += rule is not None and rule_id not in self._rules
        held: dict[str | None, list[SetRule]] = {query: [] for query in touched}
        for rule in self._rules.values():
            if rule.query in held:
                held[rule.query].append(rule)
        for query, rules in held.items():
            if rules:
                self._shelves[query] = _Shelf.of(rules)
            else:
                self._shelves.pop(query, None)
        return left

    def of(self, query: str, *, now: float) -> "QueryRules | None":
        """Return the rules for a query in any spelling, at a moment (epoch seconds); None without any."""
        if not self._shelves:
            return None
        found = [self._shelves.get(normalise_query(query)), self._shelves.get(None)]
        shelves = [shelf for shelf in found if shelf is not None]
        return QueryRules(shelves, now) if shelves else None


class QueryRules:
    """The rules for one query at one moment; without shelves there are none."""

    def __init__(self, shelves: Sequence[_Shelf] = (), now: float = 0.0) -> None:
        self._shelves = shelves
        self._now = now

    def of(self, product_id: str, fields: Mapping[str, Any], traits: Traits = NO_TRAITS) -> SetRule | None:
        """Return the one rule that changes a product."""
        best: SetRule | None = None
        for shelf in self._shelves:
            for rules in shelf.about(product_id, fields):
                for rule in rules:
                    if best is not None and best.order <= rule.order:
                        break
                    if self._holds(rule) and meets(rule.conditions, product_id, fields, traits):
                        best = rule
                        break
        return best

    def pinned(self) -> list[str]:
        """Return the products that some pin names, in the order of the pins, at most ``PINNED``."""
        named: dict[str, None] = {}
        for shelf in self._shelves:
            for rule in shelf.pins:
                if self._holds(rule):
                    named |= dict.fromkeys(rule.product_ids)
                if len(named) >= PINNED:
                    return list(named)[:PINNED]
        return list(named)

    @property
    def boosts(self) -> bool:
        """Whether a boost may hold, so that every product that competes must be looked at."""
        return any(since <= self._now < until for since, until in (s.boosts for s in self._shelves))

    @property
    def reads_traits(self) -> bool:
        """Whether a rule has a condition on traits, so that those of the hits must be known."""
        return any(shelf.reads_traits for shelf in self._shelves)

    def _holds(self, rule: SetRule) -> bool:
        return rule.since <= self._now < rule.until


@dataclass(frozen=True)
class Arranged:
    """Hits in their order: what stands in front, and what was buried, which comes after all others."""

    front: list[ScoredHit]
    buried: list[ScoredHit]


def arranged(
    rules: QueryRules,
    ranked: Sequence[ScoredHit],
    contenders: int,
    named: Mapping[str, ScoredHit],
    traits: Mapping[str, Traits],
) -> Arranged:
    """Return the hits as the rules want them; each that one of them changed names it. Ranks are not set.

    ``ranked``: by score; where ``rules.boosts``, all that compete, which are the first ``contenders``
    whatever page is asked for. A boost changes no others, so that pages fit together. ``named``: of
    ``rules.pinned()`` those that are there and meet the request's filters, but were not ranked. ``traits``:
    those of the hits, where ``rules.reads_traits``.
    """
    hits = {**named, **{h.product_id: h for h in ranked}}  # where both are, that with its whole score
    decided = {i: rules.of(i, h.fields, traits.get(i, NO_TRAITS)) for i, h in hits.items()}
    pinned = [hits[i] for i in rules.pinned() if i in hits and _is(decided[i], RuleAction.PIN)]
    pinned.sort(key=lambda h: decided[h.product_id].order)  # type: ignore[union-attr] # stable: in the rule's order
    above_all = {h.product_id for h in pinned}
    free = [
        h
        for h in ranked
        if h.product_id not in above_all and not _is(decided[h.product_id], RuleAction.HIDE, RuleAction.BURY)
    ]
    competing = {h.product_id for h in ranked[:contenders]}
    first = [h for h in free if h.product_id in competing]
    boosted = _boosted(first, decided)
    buried = [h for h in ranked if _is(decided[h.product_id], RuleAction.BURY)]
    return Arranged(
        [
            *(_marked(h, decided[h.product_id], placed=True) for h in pinned),
            *boosted,
            *(h for h in free if h.product_id not in competing),
        ],
        [_marked(h, decided[h.product_id]) for h in buried],
    )


def allowed(rules: QueryRules, hits: Sequence[ScoredHit], traits: Mapping[str, Traits]) -> Arranged:
    """Return the hits in their own order, for a request that asks for another than that of the score.

    What is hidden is out and what is buried comes last; nothing is pinned or boosted.
    """
    decided = {
        h.product_id: rules.of(h.product_id, h.fields, traits.get(h.product_id, NO_TRAITS)) for h in hits
    }
    front = [h for h in hits if not _is(decided[h.product_id], RuleAction.HIDE, RuleAction.BURY)]
    buried = [h for h in hits if _is(decided[h.product_id], RuleAction.BURY)]
    return Arranged(front, [_marked(h, decided[h.product_id]) for h in buried])


def _boosted(hits: Sequence[ScoredHit], decided: Mapping[str, SetRule | None]) -> list[ScoredHit]:
    """Return hits by their score and what is added to it, ties by id, as ``ranking.rank`` orders them."""
    added = {h.product_id: r.boost for h in hits if (r := decided[h.product_id]) is not None and r.boost}
    if not added:
        return list(hits)
    before = {h.product_id: place for place, h in enumerate(hits)}
    after = sorted(hits, key=lambda h: (-round(h.score + added.get(h.product_id, 0.0), 6), h.product_id))
    return [
        _marked(h, decided[h.product_id], placed=place < before[h.product_id]) if h.product_id in added else h
        for place, h in enumerate(after)
    ]


def _is(rule: SetRule | None, *actions: RuleAction) -> bool:
    return rule is not None and rule.action in actions


def _marked(hit: ScoredHit, rule: SetRule | None, *, placed: bool = False) -> ScoredHit:
    assert rule is not None
    change: dict[str, Any] = {"rule": HitRule(rule_id=rule.rule_id, action=rule.action, placed=placed)}
    if rule.boost:
        change["score"] = hit.score + rule.boost
        parts = {} if hit.parts is None else {**hit.parts, "boost": rule.boost}
        change["parts"] = dict(sorted(parts.items(), key=lambda one: (-abs(one[1]), one[0]))) or None
    return hit.model_copy(update=change)
