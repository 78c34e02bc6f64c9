"""``rules list|pin|bury|boost|hide|remove``: what operators want of products, whatever their score.

A rule is written to the topic ``rules``, from which every searcher of the deployment takes it within a
second. What is printed as done is acknowledged by the broker.
"""

import asyncio
import getpass
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from broker.errors import BrokerError
from broker.producing import open_producer
from broker.reading import open_reader, read_compacted
from broker.records import Outgoing, partition_of
from broker.topics import ensure_topics
from commands.support.session import find_settings, out, show_json, stop, table
from operations.conditions import ConditionError, condition
from operations.moments import MomentError, moment
from operations.rule_book import foreign, no_rules, own_rules, refusal, senseless, under
from operations.rule_words import about, does, state
from schemas.rules import MerchandisingRule
from schemas.search import RuleAction
from schemas.settings import Settings
from schemas.text import normalise_query
from schemas.topics import CATALOG
from schemas.topics import RULES as TOPIC


def list_rules(*, query: str | None, data_dir: Path | None, as_json: bool) -> None:
    """List the rules of the deployment, and under which keys lies what is none."""
    settings, now = find_settings(data_dir), datetime.now(UTC)
    found = asyncio.run(read_rules(settings))
    rules, broken = own_rules(found, settings.deployment, query), no_rules(found)
    if as_json:
        told = [r.model_dump(mode="json") | {"state": state(r, now)} for r in rules]
        show_json({"rules": told, "no_rules": broken})
        return
    table(
        "rules, the strongest first",
        ["rule", "does", "for", "about", "state", "by", "reason"],
        [
            (r.rule_id, does(r), "every query" if r.query is None else repr(r.query), about(r),
             state(r, now), r.actor, r.reason)
            for r in rules
        ],
    )  # fmt: skip
    for key, why in broken.items():
        out.print(f"{key}: no rule: {why}", highlight=False)


def pin(
    products: list[str],
    *,
    where: list[str] | None,
    query: str | None,
    every_query: bool,
    since: str | None,
    until: str | None,
    rule_id: str | None,
    reason: str,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Put products on top, in this order."""
    said = _said(products, where, query, every_query=every_query, since=since, until=until, reason=reason)
    _write(RuleAction.PIN, said, rule_id, data_dir=data_dir, as_json=as_json)


def bury(
    products: list[str] | None,
    *,
    where: list[str] | None,
    query: str | None,
    every_query: bool,
    since: str | None,
    until: str | None,
    rule_id: str | None,
    reason: str,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Put products behind all others."""
    said = _said(products, where, query, every_query=every_query, since=since, until=until, reason=reason)
    _write(RuleAction.BURY, said, rule_id, data_dir=data_dir, as_json=as_json)


def boost(
    products: list[str] | None,
    *,
    by: float,
    where: list[str] | None,
    query: str | None,
    every_query: bool,
    since: str | None,
    until: str | None,
    rule_id: str | None,
    reason: str,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Add to the score of products."""
    said = _said(products, where, query, every_query=every_query, since=since, until=until, reason=reason)
    _write(RuleAction.BOOST, said | {"boost": by}, rule_id, data_dir=data_dir, as_json=as_json)


def hide(
    products: list[str] | None,
    *,
    where: list[str] | None,
    query: str | None,
    every_query: bool,
    since: str | None,
    until: str | None,
    rule_id: str | None,
    reason: str,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Leave products out of answers."""
    said = _said(products, where, query, every_query=every_query, since=since, until=until, reason=reason)
    _write(RuleAction.HIDE, said, rule_id, data_dir=data_dir, as_json=as_json)


def remove(rule_id: str, *, reason: str, data_dir: Path | None, as_json: bool) -> None:
    """Take a rule out; who did it and why stands in the headers of the record that does it."""
    settings = find_settings(data_dir)
    found = asyncio.run(read_rules(settings))
    if rule_id not in found:
        stop(f"there is no rule {rule_id!r}; `searchloop rules list` shows them")
    if (why := foreign(found[rule_id], settings.deployment)) is not None:
        stop(why)
    actor = getpass.getuser()
    headers = (("actor", actor.encode()), ("reason", reason.encode(errors="replace")))
    asyncio.run(
        _send(settings, Outgoing(settings.topic(TOPIC.name), None, key=rule_id.encode(), headers=headers))
    )
    if as_json:
        show_json({"removed": rule_id, "actor": actor, "reason": reason})
    else:
        out.print(f"rule {rule_id} is removed", highlight=False)


async def read_rules(settings: Settings) -> dict[str, MerchandisingRule | str]:
    """Return what lies under each key of the topic: a rule of some deployment, or why there is none."""
    await ensure_topics(settings)
    stored = await read_compacted(settings, settings.topic(TOPIC.name))
    return dict(under(key, record.value or b"") for key, record in sorted(stored.records.items()))


def _said(
    products: list[str] | None,
    where: list[str] | None,
    query: str | None,
    *,
    every_query: bool,
    since: str | None,
    until: str | None,
    reason: str,
) -> dict[str, Any]:
    """Return the fields of a rule that the options say."""
    if (query is not None) == every_query:
        stop("one of --query and --every-query is expected", code=2)
    try:
        return {
            "query": query,
            "product_ids": products or [],
            "filters": [condition(text) for text in where or []],
            "since": moment(since) if since is not None else None,
            "until": moment(until) if until is not None else None,
            "reason": reason,
        }
    except (ConditionError, MomentError) as error:
        stop(str(error), code=2)


def _write(
    action: RuleAction, said: Mapping[str, Any], rule_id: str | None, *, data_dir: Path | None, as_json: bool
) -> None:
    settings = find_settings(data_dir)
    try:
        rule = MerchandisingRule(
            rule_id=rule_id or f"{action.value}-{uuid.uuid4().hex[:8]}", deployment=settings.deployment,
            action=action, actor=getpass.getuser(), **said,
        )  # fmt: skip
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        stop(": ".join([*map(str, first["loc"][:1]), first["msg"].removeprefix("Value error, ")]), code=2)
    if (why := senseless(rule)) is not None:
        stop(why, code=2)
    found = asyncio.run(read_rules(settings))
    if (why := refusal(rule, found)) is not None:
        stop(why)
    replaced = rule.rule_id in found
    asyncio.run(
        _send(settings, Outgoing(settings.topic(TOPIC.name), rule.to_json(), key=rule.rule_id.encode()))
    )
    if as_json:
        told = {"replaced": replaced, "unknown_products": _unknown(settings, rule.product_ids)}
        show_json(rule.model_dump(mode="json") | told)
        return
    holds = state(rule, datetime.now(UTC))
    words = "every query" if rule.query is None else repr(normalise_query(rule.query))
    out.print(
        f"rule {rule.rule_id} is {'replaced' if replaced else 'written'}: {does(rule)} {about(rule)} for "
        f"{words}; {holds}",
        highlight=False,
    )
    unknown = _unknown(settings, rule.product_ids)
    if unknown is None:
        out.print("warning: whether the catalogue has its products is not known", highlight=False)
    elif unknown:
        out.print(
            f"warning: the catalogue has no {', '.join(unknown)}, for which the rule does nothing",
            highlight=False,
        )


def _unknown(settings: Settings, product_ids: Sequence[str]) -> list[str] | None:
    """Return those that the catalogue has not now; None where the broker does not say: the rule stands."""
    try:
        return asyncio.run(_not_in_catalogue(settings, product_ids)) if product_ids else []
    except (BrokerError, OSError, TimeoutError):
        return None


async def _not_in_catalogue(settings: Settings, product_ids: Sequence[str]) -> list[str]:
    """Return those that the catalogue has not now; of each only the partition where it would lie is read."""
    topic, wanted = settings.topic(CATALOG.name), {one.encode(): one for one in product_ids}
    there: set[bytes] = set()
    async with open_reader(settings, [topic]) as reader:
        parts = len(await reader.positions())
    only = {(topic, partition_of(one, parts)) for one in product_ids}
    async with open_reader(settings, [topic], only=only) as reader:
        async for record in reader.until(await reader.end_offsets()):
            if record.key in wanted and record.key is not None:
                (there.discard if record.value is None else there.add)(record.key)
    return [one for key, one in wanted.items() if key not in there]


async def _send(settings: Settings, record: Outgoing) -> None:
    async with open_producer(settings, linger_ms=0) as producer:
        await producer.send(record)
