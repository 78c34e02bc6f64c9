"""A merchandising rule in words: what it does, of what, and whether it holds. Pure."""

from collections.abc import Sequence
from datetime import datetime

from operations.conditions import shown
from schemas.rules import MerchandisingRule

_SHOWN = 5  # product ids in words; --json has all


def does(rule: MerchandisingRule) -> str:
    """Return what it does, and how much."""
    return f"boost by {rule.boost:g}" if rule.boost else rule.action.value


def about(rule: MerchandisingRule) -> str:
    """Return which products it is about."""
    named: Sequence[str] = rule.product_ids[:_SHOWN]
    more = len(rule.product_ids) - len(named)
    products = ", ".join(named) + (f" and {more} more" if more else "")
    return " where ".join(part for part in (products, " and ".join(map(shown, rule.filters))) if part)


def state(rule: MerchandisingRule, now: datetime) -> str:
    """Return whether it holds, and until when; or when it begins, or has ended."""
    if rule.until is not None and now >= rule.until:
        return f"ended {rule.until:%Y-%m-%d %H:%M}"
    if rule.since is not None and now < rule.since:
        return f"begins {rule.since:%Y-%m-%d %H:%M}"
    return "holds" if rule.until is None else f"holds until {rule.until:%Y-%m-%d %H:%M}"
