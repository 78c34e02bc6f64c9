"""``forget``: ask for a shopper to be forgotten, and wait until nothing that is learnt names it any more.

What is then gone and what goes later is reported; the files of ended runs on this machine are rewritten,
those of others by ``--files-only`` there.
"""

import asyncio
import os
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from broker.group_lag import open_lag_reader
from broker.producing import open_producer
from broker.reading import open_reader
from broker.records import Outgoing
from broker.topics import ensure_topics
from commands.support.meter import metered
from commands.support.run_request import send_trigger
from commands.support.session import find_settings, out, own_settings, show_json, stop, table
from commands.support.topic_state import read_all_pairs
from schemas.batches import unpack
from schemas.events import Erasure
from schemas.pairs import client_of
from schemas.settings import Settings, SettingsError, StreamSettings
from schemas.stream_groups import learn_group
from schemas.topics import CONTRIBUTIONS, DEAD_LETTERS_KEPT, ERASURES, TOPICS
from schemas.training import Trigger
from trainer.run.redaction import forget_in_runs

# Topics whose records name shoppers, or say what one has searched.
_TELLING = {
    "searches",
    "interactions",
    "erasures",
    "events",
    "contributions",
    "search-requests",
    "search-responses",
}
Places = dict[tuple[str, int], int]


def forget(
    *,
    client: str | None,
    session: str | None,
    user: str | None,
    wait: bool,
    files_only: bool,
    timeout_s: float,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Write the request.

    With ``wait`` end with 0 only when both agents are past it and no pair holds the hash. With ``files_only``
    nothing is asked of Kafka, and only the files of this machine's runs are rewritten.
    """
    named, request = _request_of(client=client, session=session, user=user)
    settings = _of_this_machine(data_dir) if files_only else find_settings(data_dir)
    hashed, *before = _hashes(named)
    hashes = {hashed, *before}
    if files_only:
        _tell(
            {"client": hashed, "state": "forgotten in files"} | _in_files(settings, hashes), as_json=as_json
        )
        return
    pairs = _asked(settings, request, hashed, hashes, deadline_s=timeout_s if wait else None)
    if wait:  # before its pairs do without it, a refresh would too: the trainer begins one when they change
        asyncio.run(_refresh(settings, request))
    facts = {
        "event_id": request.event_id,
        "client": hashed,
        "pairs_that_named_it": pairs,
        "state": "forgotten" if wait else "requested",
    }
    _tell(facts | _in_files(settings, hashes) | {"later": later(waited=wait)}, as_json=as_json)


async def _refresh(settings: Settings, request: Erasure) -> None:
    """Ask that what serves does without the shopper, as its pairs do."""
    await send_trigger(
        settings,
        Trigger(
            trigger_id=f"forget-{request.event_id}",
            requested_by="forget",
            requested_at=datetime.now(UTC),
            refresh=True,
        ),
    )


def _request_of(*, client: str | None, session: str | None, user: str | None) -> tuple[str, Erasure]:
    """Return the id that names the shopper, and the request to forget it."""
    named = [name for name in (client, session, user) if name]
    if len(named) != 1:
        stop(
            (
                "exactly one of --client, --session, --user is expected: what the shopper's events name "
                "first, in this order"
            ),
            code=2,
        )
    try:
        request = Erasure(
            event_id=str(uuid.uuid4()),
            timestamp=datetime.now(UTC),
            client_id=client,
            session_id=session,
            user_id=user,
        )
    except ValueError:
        stop(
            f"{named[0]!r} is no id: text of 1 to 256 characters without control characters is expected",
            code=2,
        )
    return named[0], request


def _asked(
    settings: Settings, request: Erasure, hashed: str, hashes: set[str], *, deadline_s: float | None
) -> int:
    try:
        with metered("forgetting"):
            return asyncio.run(request_erasure(settings, request, hashed, hashes, deadline_s=deadline_s))
    except TimeoutError as error:
        stop(f"{error}; the request stays and is carried out once `searchloop stream` runs")


def later(*, waited: bool = True) -> dict[str, str]:
    """Return what goes by itself after a request, and when; ``waited``: it has been carried out."""
    kept = {t.name: t.retention for t in TOPICS if t.retention and t.name in _TELLING}
    empty = StreamSettings.load(os.environ).empty_pairs_kept
    return {
        "pairs that were this shopper's alone": (
            f"their text, {_told(empty)} after the request or later, with a record of their partition"
        ),
        "shoppers": (
            "the emptied row, when nothing more was heard of it for `max_event_age` and `purchase_window` "
            "together"
        ),
        "older values of compacted topics": "when Kafka compacts their segment (`segment.ms` is a day)",
        **{name: f"its records, {_told(age)} after each was written" for name, age in kept.items()},
        "dead letters": f"{_told(DEAD_LETTERS_KEPT)} after each was written",
        "the memory that serves": (
            f"by the refresh that {'was asked for' if waited else 'follows when its pairs have changed'}; "
            "those of older runs with their folders"
        ),
        "snapshots and reports in the store": (
            "when the trainer sees the request, and for ten minutes more; runs that had read the shopper put "
            "none; copies in a cache with `--files-only` there"
        ),
        "models": "never trained anew for it; the next one from the pretrained model knows nothing of it",
    }


def _hashes(shopper: str) -> list[str]:
    try:
        rules = StreamSettings.load(os.environ)
    except SettingsError as error:
        stop(str(error), code=2)
    return [client_of(shopper, salt) for salt in (rules.client_salt, *rules.salts_before)]


def _told(age: timedelta) -> str:
    return (
        f"{age.days} days"
        if age.days
        else f"{age.seconds // 3600} h"
        if age.seconds >= 3600
        else f"{age.seconds} s"
    )


def _of_this_machine(data_dir: Path | None) -> Settings:
    try:
        return own_settings(data_dir)
    except SettingsError as error:
        stop(str(error), code=2)


def _in_files(settings: Settings, clients: set[str]) -> dict[str, Any]:
    done = forget_in_runs(settings.data_dir, clients, at=datetime.now(UTC))
    return {"runs_rewritten": done.runs, "runs_unfinished": done.unfinished}


def _tell(facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(facts)
        return
    stood = f" stood in {facts['pairs_that_named_it']} pairs;" if "pairs_that_named_it" in facts else ""
    out.print(
        (
            f"{facts['state']}: {facts['client']}{stood} files of {len(facts['runs_rewritten'])} runs were "
            "rewritten"
        ),
    )
    if facts["runs_unfinished"]:
        out.print(
            (
                f"not looked at, since they go on: {', '.join(facts['runs_unfinished'])}; say --files-only "
                "when they have ended"
            ),
        )
    if "later" in facts:
        table("what goes later", ["what", "when"], list(facts["later"].items()))


async def request_erasure(
    settings: Settings, request: Erasure, client: str, hashes: set[str], *, deadline_s: float | None
) -> int:
    """Write a request and return how many pairs named the client before, under any of its hashes.

    With a deadline it returns once the request has taken effect in every partition, or raises
    ``TimeoutError``.
    """
    await ensure_topics(settings, deadline_s=10)
    before = await _naming(settings, hashes)
    async with open_reader(
        settings, [settings.topic(CONTRIBUTIONS.name)], start="end", fetch_wait_ms=50
    ) as reader:
        partitions = await reader.positions()
        async with open_producer(settings, linger_ms=0) as producer:
            await producer.send(
                Outgoing(settings.topic(ERASURES.name), request.to_json(), key=client.encode())
            )
        if deadline_s is None:
            return before
        end = time.monotonic() + deadline_s
        places: Places = {}
        while len(places) < len(partitions):
            for record in await reader.poll(timeout_ms=100):
                if any(
                    b'"erasure"' in fact and client.encode() in fact
                    for _, fact in unpack(record.value or b"")
                ):
                    places.setdefault((record.topic, record.partition), record.offset)
            if time.monotonic() > end:
                raise TimeoutError(
                    f"within {deadline_s:.0f} s the request was not attributed: does `stream` run, with "
                    "the client_salt that is set here?"
                )
    await _applied(settings, places, end)
    if left := await _naming(settings, hashes):
        raise TimeoutError(f"{left} pairs name the client again: it has shopped since")
    return before


async def _applied(settings: Settings, places: Places, end: float) -> None:
    async with open_lag_reader(settings) as lags:
        while True:
            done = await lags.committed(learn_group(settings))
            if all(done.get(place, 0) > offset for place, offset in places.items()):
                return
            if time.monotonic() > end:
                raise TimeoutError("the request was attributed and not yet counted")
            await asyncio.sleep(0.2)


async def _naming(settings: Settings, hashes: set[str]) -> int:
    return sum(not hashes.isdisjoint(pair.clients) for pair in await read_all_pairs(settings))
