"""``explain ID``: the evidence of a run's verdict, or what became of an event.

A record is accepted, refused, ignored or still waits; an event has contributions, or a reason why it has
none.
"""

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from artefacts.folders import StoredFolderError
from broker.dead_letters import reason_of
from broker.group_lag import open_lag_reader
from broker.records import Record
from commands.support.kept_evidence import evidence_folder
from commands.support.meter import metered
from commands.support.retelling import Told
from commands.support.serving_evidence import show_decision, show_moment
from commands.support.session import find_settings, out, show_json, stop, table
from commands.support.topic_state import read_decisions, readable
from commands.support.tracing import OnRead, Trace, origin, trace_event
from inbound.validation import Ignored
from inbound.validators import EVENT_VALIDATORS
from schemas.bounds import FIRST_EPOCH, LAST_EPOCH
from schemas.events import CleanInteraction
from schemas.pairs import client_of
from schemas.rejections import Problem, Rejection
from schemas.settings import Settings, SettingsError, StreamSettings
from schemas.stream_groups import intake_group
from schemas.training import Decision
from stream.shopper import Fence, Rules
from trainer.evaluation.what_works import in_words
from trainer.gate.rederivation import Rederived, rederive

_PROBLEMS = TypeAdapter(list[Problem])


def explain(identifier: str | None, *, at: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Show the decisions of a run or decision id, derived once more.

    For any other id, what became of the event. With ``at`` instead: the evidence of what served at that
    moment. Exit code 1 when a decision does not agree with its files.
    """
    if at is not None:
        show_moment(at, data_dir=data_dir, as_json=as_json, evidence=True)
        return
    if identifier is None:
        stop("name a run, a decision or an event, or a moment with --at", code=2)
    settings = find_settings(data_dir)
    found = [d for d in asyncio.run(read_decisions(settings)) if identifier in {d.run_id, d.decision_id}]
    if found:
        _show_decisions(settings, found, as_json=as_json)
        return
    with metered("no such run; looking for an event", "records") as meter:
        facts = asyncio.run(explain_event(settings, identifier, meter.advance))
    looked = ", ".join(f"{name} {count}" for name, count in facts["read"].items())
    if not facts["raw"] and not facts["dead_letters"] and not facts["events"]:
        stop(f"neither a run, a decision nor an event is called {identifier!r}; records read: {looked}")
    if as_json:
        show_json(facts)
        return
    _show(facts)
    out.print(f"records read: {looked}", highlight=False)


def _show_decisions(settings: Settings, found: list[Decision], *, as_json: bool) -> None:
    again = {d.decision_id: _rederived(d, settings) for d in found if d.decision_id == d.run_id}
    facts = {
        name: {
            "agrees": r.agrees,
            "refused": r.refused,
            "differences": r.differences,
            "checks": r.checks,
            "verdict": r.verdict,
        }
        for name, r in again.items()
    }
    if as_json:
        show_json(
            [
                d.model_dump(mode="json")
                | {"in_words": in_words(d.part_gains), "rederived": facts.get(d.decision_id)}
                for d in found
            ]
        )
    for decision in found if not as_json else ():
        show_decision(decision)
        told = again.get(decision.decision_id)
        if told is not None:
            agreed = f"derived again from the run's files: {told.checks} checks and the verdict agree"
            text = (
                f"not derived again: {told.refused}"
                if told.refused
                else agreed
                if told.agrees
                else "DIFFERS: " + "; ".join(told.differences)
            )
            out.print(text, highlight=False, soft_wrap=True)
    if any(r.differences for r in again.values()):
        raise SystemExit(1)


def _rederived(decision: Decision, settings: Settings) -> Rederived:
    try:
        return rederive(decision, evidence_folder(decision, settings))
    except StoredFolderError as error:
        return Rederived(refused=str(error))


async def explain_event(
    settings: Settings, event_id: str, on_read: OnRead = lambda _: None
) -> dict[str, Any]:
    """Return what became of an event.

    ``raw``, ``dead_letters``, ``events`` with their contributions, and the records ``read``.
    """
    try:
        rules = StreamSettings.load(os.environ)
    except SettingsError as error:
        stop(str(error), code=2)
    trace = await trace_event(settings, event_id, Rules.of(rules), on_read)
    async with open_lag_reader(settings) as lags:
        taken_in = await lags.committed(intake_group(settings, "events"))
    return {
        "event_id": event_id,
        "raw": [
            _raw_facts(r, settings, rules, trace, taken_in.get((r.topic, r.partition), 0)) for r in trace.raw
        ],
        "dead_letters": [_letter_facts(letter) for letter in trace.letters],
        "events": [
            _event_facts(source, position, event, trace, rules.client_salt)
            for source, position, event in trace.events
        ],
        "read": trace.read,
    }


def _raw_facts(
    record: Record, settings: Settings, rules: StreamSettings, trace: Trace, taken_in: int
) -> dict[str, Any]:
    name = record.topic.removeprefix(settings.topic_prefix)
    outcome, why = _outcome(record, name, rules, trace, taken_in)
    return {
        "topic": name,
        "partition": record.partition,
        "offset": record.offset,
        "received_at": _moment(record.timestamp_ms).isoformat(timespec="milliseconds"),
        "outcome": outcome,
        "why": why,
    }


def _letter_facts(letter: Record) -> dict[str, Any]:
    was = origin(letter)
    problems = [
        problem.model_dump()
        for problem in readable(_PROBLEMS.validate_json, letter.header("dlq.errors")) or []
    ]
    return {
        "topic": was.topic,
        "partition": was.partition,
        "offset": was.offset,
        "reason": reason_of(letter),
        "problems": problems,
    }


def _moment(at_ms: int) -> datetime:
    """Return the time that a record claims, within what a datetime holds."""
    return datetime.fromtimestamp(max(FIRST_EPOCH, min(LAST_EPOCH, at_ms * 10**6)) / 10**9, UTC)


def _outcome(
    record: Record, name: str, rules: StreamSettings, trace: Trace, taken_in: int
) -> tuple[str, str]:
    """Return what became of a raw record and why.

    A reason that no topic tells any more is found by the rules of intake.
    """
    for letter in trace.letters:
        was = origin(letter)
        if (was.topic, was.partition, was.offset) == (record.topic, record.partition, record.offset):
            return "refused", reason_of(letter)
    if record.offset >= taken_in:
        return "waiting", "intake has not come to it"
    judged = EVENT_VALIDATORS[name](record, _moment(record.timestamp_ms), rules)
    if isinstance(judged, Ignored):
        return "ignored", judged.why
    if isinstance(judged, Rejection):
        return "refused", judged.reason.value
    return "accepted", "" if trace.events else "its event is no longer kept"


def _event_facts(source: int, position: Fence, event: Told, trace: Trace, salt: str) -> dict[str, Any]:
    story = trace.stories[source, position]
    found = trace.contributions.get((source, position), {})
    return {
        "position": [source, *position],
        "kind": event.action.value if isinstance(event, CleanInteraction) else event.kind,
        "occurred_at": _moment(event.at_ms).isoformat(timespec="milliseconds"),
        "client": client_of(event.shopper, salt),
        "why": story.why,
        "contributions": [
            {
                "query": c.query,
                "product_id": c.product_id,
                "action": c.action.value,
                "day": c.day,
                "credit": c.credit,
                "units": c.units,
            }
            for _, c in sorted(found.items())
        ],
        "waiting": len(story.contributions) - len(found) if len(story.contributions) > len(found) else 0,
        "now": story.now,
    }


def _show(facts: dict[str, Any]) -> None:
    columns = ["topic", "partition", "offset", "received_at", "outcome", "why"]
    table("records", columns, [[r[c] for c in columns] for r in facts["raw"]])
    for letter in facts["dead_letters"]:
        problems = "; ".join(f"{p['loc']} {p['message']}" for p in letter["problems"])
        out.print(
            (
                f"dead letter of {letter['topic']}-{letter['partition']} at {letter['offset']}: "
                f"{letter['reason']}: {problems}"
            ),
            highlight=False,
        )
    for event in facts["events"]:
        place = "-".join(map(str, event["position"]))
        out.print(
            (
                f"event {place}: {event['kind']} at {event['occurred_at']} of client {event['client']}: "
                f"{event['why']}"
            ),
            highlight=False,
        )
        for c in event["contributions"]:
            out.print(
                f"  {c['credit'] / 1000:+g} {c['action']} to {c['query']!r}, product {c['product_id']}",
                highlight=False,
            )
        for line in event["now"]:
            out.print(
                f"  now: {line['credit'] / 1000:g} of product {line['product_id']} to {line['query']!r}",
                highlight=False,
            )
