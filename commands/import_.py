"""``import``: other systems' files onto the raw topics.

A line is imported whole or not at all: all its records pass the rules of intake, or the line counts as
refused and none is sent.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from inspect import signature
from itertools import islice
from pathlib import Path

from broker.producing import open_producer
from broker.records import Outgoing, Record
from broker.topics import ensure_topics
from commands.support.hints import after_refusals
from commands.support.lines import ensure_readable, numbered_lines, read_lines
from commands.support.meter import metered
from commands.support.session import err, find_settings, out, own_settings, show_json, stop, table
from inbound.importers import retail
from inbound.importers.formats import CONVERTERS, outgoing
from inbound.importers.outcome import ImportOutcome, Skipped, convert_numbered
from inbound.importers.retail_rows import read_rows
from inbound.importers.tally import Tally
from inbound.validators import VALIDATORS
from schemas.decoding import refuse
from schemas.rejections import Reason, Rejection
from schemas.settings import Settings, StreamSettings

RETAIL = "online-retail"
FORMATS = (*CONVERTERS, RETAIL)
WITH_POSITIONS = frozenset(
    form for form, convert in CONVERTERS.items() if "position_base" in signature(convert).parameters
)
_CHUNK = 500


def outcomes(
    form: str, file: str, *, position_base: int | None, product_field: str | None
) -> Iterator[ImportOutcome]:
    """Yield what becomes of every line of a file.

    Raises ``ValueError`` for a CSV without the needed columns.
    """
    if form == RETAIL:
        yield from retail.convert_rows(read_rows(map(_text, read_lines(file))), {})
        return
    options = {"position_base": position_base, "product_field": product_field}
    yield from convert_numbered(
        numbered_lines(file), partial(CONVERTERS[form], **{k: v for k, v in options.items() if v is not None})
    )


def _text(line: bytes | Rejection) -> str | Rejection:
    """Return a line of CSV.

    UTF-8, or else Windows' form of Latin-1, in which most copies of such ledgers are.
    """
    if isinstance(line, Rejection):
        return line
    try:
        return line.decode("utf-8-sig") + "\n"
    except UnicodeDecodeError:
        pass
    try:
        return line.decode("cp1252") + "\n"
    except UnicodeDecodeError as error:
        return refuse(Reason.UNDECODABLE_TEXT, message=f"neither UTF-8 nor Latin-1 at byte {error.start}")


def judge(
    found: Iterable[ImportOutcome],
    topic_name: Callable[[str], str],
    now: datetime,
    rules: StreamSettings,
    tally: Tally,
) -> Iterator[Outgoing]:
    """Yield the records to send, and count every line in ``tally``."""
    for outcome in found:
        if isinstance(outcome.result, Skipped):
            tally.skip(len(outcome.lines), outcome.result)
            continue
        if isinstance(outcome.result, Rejection):
            tally.refuse(outcome.lines, outcome.result)
            continue
        ready = [outgoing(topic, topic_name(topic), body) for topic, body in outcome.result]
        verdicts = (
            VALIDATORS[topic](Record(o.topic, 0, 0, 0, o.key, o.value), now, rules)
            for (topic, _), o in zip(outcome.result, ready, strict=True)
        )
        refused = next((v for v in verdicts if isinstance(v, Rejection)), None)
        if refused is not None:
            tally.refuse(outcome.lines, refused)
            continue
        tally.accept(len(outcome.lines), outcome.result)
        tally.skip_parts(outcome.skipped)
        yield from ready


def import_file(
    form: str,
    file: str,
    *,
    position_base: int | None,
    product_field: str | None,
    dry_run: bool,
    allow_refused: bool,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Import a file, say where every line went.

    Exit code 1 when anything was refused, unless that is allowed.
    """
    if form not in FORMATS:
        stop(f"unknown format {form!r}: expected one of {', '.join(FORMATS)}", code=2)
    ensure_readable(file)
    if position_base is not None and form not in WITH_POSITIONS:
        stop(f"{form} has no positions; --position-base is for {', '.join(sorted(WITH_POSITIONS))}", code=2)
    if product_field is not None and form != "segment":
        stop("--product-field is for segment", code=2)
    # A dry run needs no broker, so nothing has to run.
    settings, tally = (own_settings if dry_run else find_settings)(data_dir), Tally()
    found = outcomes(form, file, position_base=position_base, product_field=product_field)
    records = judge(found, settings.topic, datetime.now(UTC), StreamSettings.load(os.environ), tally)
    try:
        asyncio.run(_send(settings, f"importing {file}", records, tally, dry_run=dry_run))
    except ValueError as error:
        stop(str(error), code=2)
    if as_json:
        show_json({"format": form, "dry_run": dry_run, **tally.summary()})
    else:
        _show(tally, dry_run=dry_run)
    if (tally.refused or tally.derived_refused) and not allow_refused:
        raise SystemExit(1)


async def _send(
    settings: Settings, title: str, records: Iterable[Outgoing], tally: Tally, *, dry_run: bool
) -> None:
    with metered(title, "lines") as meter:
        if dry_run:
            for _ in records:
                meter.reach(tally.lines)
            return
        await ensure_topics(settings, deadline_s=10)
        async with open_producer(settings, linger_ms=20) as producer:
            while chunk := list(islice(records, _CHUNK)):
                await producer.send_all(chunk)
                meter.reach(tally.lines)


def _show(tally: Tally, *, dry_run: bool) -> None:
    rows: list[tuple[str, str, int]] = [("imported", "", tally.imported)]
    rows += [
        (f"skipped: {why}", _details(tally.details.get(why)), n) for why, n in tally.skipped.most_common()
    ]
    rows += [(f"refused: {reason}", "", n) for reason, n in tally.refused.most_common()]
    table(f"{tally.lines} lines", ["became", "what", "lines"], rows)
    verb = "would send" if dry_run else "sent"
    out.print(f"{verb} " + (", ".join(f"{n} to {topic}" for topic, n in tally.records.items()) or "nothing"))
    if tally.actions:
        out.print(f"interactions: {_details(tally.actions)}")
    if tally.parts_skipped:
        out.print(f"parts of imported lines that say nothing we use: {_details(tally.parts_skipped)}")
    if tally.derived_refused:
        out.print(f"derived records refused: {dict(tally.derived_refused)}")
    for example in (
        *tally.examples,
        *after_refusals(tally.refused, StreamSettings.load(os.environ).max_event_age),
    ):
        err.print(f"  {example}", highlight=False)


def _details(found: Counter[str] | None) -> str:
    return ", ".join(f"{name} {n}" for name, n in found.most_common()) if found else ""
