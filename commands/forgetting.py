"""``forget``: ask for a shopper to be forgotten, and wait until nothing that is learnt names it any more."""

import asyncio
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from broker.lag import open_lag_reader
from broker.producing import open_producer
from broker.reading import open_reader
from broker.records import Outgoing
from broker.topics import ensure_topics
from commands.session import err, find_settings, out, show_json, stop
from commands.state import read_all_pairs
from schemas.batches import unpack
from schemas.events import Erasure
from schemas.pairs import client_of
from schemas.settings import Settings
from schemas.topics import CONTRIBUTIONS, ERASURES
from stream.lag import learn_group

Places = dict[tuple[str, int], int]


def forget(
    *,
    client: str | None,
    session: str | None,
    user: str | None,
    wait: bool,
    timeout_s: float,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Write the request; with ``wait`` end with 0 only when both agents are past it and no pair holds the hash."""
    named = [name for name in (client, session, user) if name]
    if len(named) != 1:
        stop("exactly one of --client, --session, --user is expected: what the shopper's events name first, in this order", code=2)
    try:
        wish = Erasure(event_id=str(uuid.uuid4()), timestamp=datetime.now(UTC), client_id=client, session_id=session, user_id=user)
    except ValueError:
        stop(f"{named[0]!r} is no id: text of 1 to 256 characters without control characters is expected", code=2)
    settings, hashed = find_settings(data_dir), client_of(named[0])
    bar = Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=err)
    try:
        with bar:
            bar.add_task("forgetting", total=None)
            pairs = asyncio.run(request_erasure(settings, wish, hashed, deadline_s=timeout_s if wait else None))
    except TimeoutError as error:
        stop(f"{error}; the request stays and is carried out once `searchloop stream` runs")
    facts = {"event_id": wish.event_id, "client": hashed, "pairs_that_named_it": pairs, "state": "forgotten" if wait else "requested"}
    if as_json:
        show_json(facts)
    else:
        out.print(f"{facts['state']}: {hashed} stood in {pairs} pairs; docs/operations.md says what is kept elsewhere, and until when")


async def request_erasure(settings: Settings, wish: Erasure, client: str, *, deadline_s: float | None) -> int:
    """Write a request and return how many pairs named the client before.

    With a deadline it returns once the request has taken effect in every partition, or raises ``TimeoutError``.
    """
    await ensure_topics(settings, deadline_s=10)
    before = await _naming(settings, client)
    async with open_reader(settings.kafka, [settings.topic(CONTRIBUTIONS.name)], start="end", fetch_wait_ms=50) as reader:
        partitions = await reader.positions()
        async with open_producer(settings.kafka, linger_ms=0) as producer:
            await producer.send(Outgoing(settings.topic(ERASURES.name), wish.to_json(), key=client.encode()))
        if deadline_s is None:
            return before
        end = time.monotonic() + deadline_s
        places: Places = {}
        while len(places) < len(partitions):
            for record in await reader.poll(timeout_ms=100):
                if any(b'"erasure"' in fact and client.encode() in fact for _, fact in unpack(record.value or b"")):
                    places.setdefault((record.topic, record.partition), record.offset)
            if time.monotonic() > end:
                raise TimeoutError(f"within {deadline_s:.0f} s the request was not attributed")
    await _applied(settings, places, end)
    if left := await _naming(settings, client):
        raise TimeoutError(f"{left} pairs name the client again: it has shopped since")
    return before


async def _applied(settings: Settings, places: Places, end: float) -> None:
    async with open_lag_reader(settings.kafka) as lags:
        while True:
            done = await lags.committed(learn_group(settings))
            if all(done.get(place, 0) > offset for place, offset in places.items()):
                return
            if time.monotonic() > end:
                raise TimeoutError("the request was attributed and not yet counted")
            await asyncio.sleep(0.2)


async def _naming(settings: Settings, client: str) -> int:
    return sum(client in pair.clients for pair in await read_all_pairs(settings))
