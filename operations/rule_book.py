"""The merchandising rules of a deployment: which there are, and whether one more may be written. Pure."""

from collections.abc import Mapping

from retrieval.merchandising import RuleError, SetRule
from retrieval.rule_record import read_rule
from schemas.bounds import LOOSE_RULES, RULES
from schemas.rules import MerchandisingRule
from schemas.text import normalise_query

# What lies under each key of the topic: a rule of any deployment, or why there is none.
Found = Mapping[str, MerchandisingRule | str]


def under(key: bytes | None, value: bytes) -> tuple[str, MerchandisingRule | str]:
    """Return the id that a record of the topic is about, and its rule or why there is none."""
    rule_id = (key or b"").decode(errors="backslashreplace")
    return rule_id, read_rule(rule_id, value)


def own_rules(found: Found, deployment: str, query: str | None = None) -> list[MerchandisingRule]:
    """Return the rules of a deployment, the strongest first.

    ``query``: only those for it, and those for every query.
    """
    wanted = None if query is None else {None, normalise_query(query)}
    own = [
        (applied.order, rule)
        for rule in found.values()
        if isinstance(rule, MerchandisingRule) and rule.deployment == deployment
        for applied in (SetRule.of(rule),)
        if wanted is None or applied.query in wanted
    ]
    return [rule for _, rule in sorted(own, key=lambda both: both[0])]


def no_rules(found: Found) -> dict[str, str]:
    """Return under which keys lies what is no rule, and why."""
    return {key: why for key, why in sorted(found.items()) if isinstance(why, str)}


def foreign(there: MerchandisingRule | str | None, deployment: str) -> str | None:
    """Return why what lies under an id may not be replaced or removed: it is another deployment's."""
    if isinstance(there, MerchandisingRule) and there.deployment != deployment:
        return f"rule {there.rule_id!r} is one of deployment {there.deployment!r}: choose another id"
    return None


def senseless(rule: MerchandisingRule) -> str | None:
    """Return why a rule makes no sense by itself, or None."""
    try:
        SetRule.of(rule)
    except RuleError as error:
        return str(error)
    return None


def refusal(rule: MerchandisingRule, found: Found) -> str | None:
    """Return why a rule may not be written beside those that are there, or None.

    One that makes sense by itself is expected: raises ``RuleError``.
    """
    if (why := foreign(found.get(rule.rule_id), rule.deployment)) is not None:
        return why
    applied = SetRule.of(rule)
    own = [other for other in own_rules(found, rule.deployment) if other.rule_id != rule.rule_id]
    if len(own) >= RULES:
        return f"there are {len(own)} rules, and searchers take {RULES}: remove some"
    beside = sum(one.loose and one.query == applied.query for one in map(SetRule.of, own))
    if applied.loose and beside >= LOOSE_RULES:
        return (
            f"there are {LOOSE_RULES} rules for this query that name neither a product nor a brand, category "
            "or availability, and searchers take no more"
        )
    return None
