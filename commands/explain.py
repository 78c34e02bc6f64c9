"""``explain ID``: the evidence of a run's verdict, or what became of an event.

A record is accepted, refused, ignored or still waits; an event has contributions, or a reason why it has
none.
"""

import asyncio
import os
from pathlib import Path

from artefacts.folders import StoredFolderError
from commands.support.kept_evidence import evidence_folder
from commands.support.meter import metered
from commands.support.serving_evidence import show_decision, show_moment
from commands.support.session import MISUSED, find_settings, out, show_json, stop, table
from commands.support.topic_state import read_decisions
from operations.fate_words import in_a_sentence, line_in_words
from operations.fates import read_fate
from schemas.event_fate import EventFate, EventTold
from schemas.pairs import day_text
from schemas.settings import Settings, SettingsError, StreamSettings
from schemas.training import Decision
from trainer.evaluation.what_works import in_words
from trainer.gate.rederivation import Rederived, rederive


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
    fate = _fate(settings, identifier)
    looked = ", ".join(f"{name} {count}" for name, count in fate.read.items())
    if not fate.found:
        stop(f"neither a run, a decision nor an event is called {identifier!r}; records read: {looked}")
    if as_json:
        show_json(fate.model_dump(mode="json"))
        return
    _show_fate(fate)
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


def _fate(settings: Settings, event_id: str) -> EventFate:
    try:
        rules = StreamSettings.load(dict(os.environ) | settings.environ())
    except SettingsError as error:
        stop(str(error), code=MISUSED)
    with metered("no such run; looking for an event", "records") as meter:
        return asyncio.run(read_fate(rules, event_id, on_read=meter.advance))


def _show_fate(fate: EventFate) -> None:
    out.print(in_a_sentence(fate), highlight=False, soft_wrap=True)
    columns = ["topic", "partition", "offset", "received_at", "outcome", "why"]
    table("records", columns, [[getattr(one, name) for name in columns] for one in fate.raw])
    for letter in fate.dead_letters:
        problems = "; ".join(f"{p.loc} {p.message}" for p in letter.problems)
        out.print(
            f"dead letter {letter.letter_offset} of {letter.topic}: of partition {letter.partition} at "
            f"{letter.offset}: {letter.reason}: {problems}",
            highlight=False,
        )
    for event in fate.events:
        _show_event(event)


def _show_event(event: EventTold) -> None:
    place = "-".join(map(str, event.position))
    at = event.occurred_at.isoformat(timespec="milliseconds")
    out.print(
        f"event {place}: {event.kind} at {at} of client {event.client}: {event.why}",
        highlight=False,
    )
    for one in event.contributions:
        out.print(
            f"  written: {one.credit / 1000:+g} {one.action.value} to {one.query!r}, "
            f"product {one.product_id}, on {day_text(one.day)}",
            highlight=False,
        )
    for line in event.now:
        out.print(f"  now: {line_in_words(line)}", highlight=False, soft_wrap=True)
    for line in event.led_to:
        told = f"  belongs to it: event {line.event_id}: {line_in_words(line)}"
        out.print(told, highlight=False, soft_wrap=True)
