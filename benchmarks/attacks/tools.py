"""Attacks on the operator's tools and on a shopper's privacy: what is shown, replayed and forgotten."""

import asyncio
import json
import sys
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.attacks.target import AttackRecord, RunningStack
from broker.reading import open_reader, read_compacted

_CLI = str(Path(__file__).absolute().parents[2] / "cli.py")
_LEARNT_S = 120.0
_INTERNAL = ("releases", "decisions", "catalog", "deployment-commands")
_ESCAPE = b"\x1b]52;c;ZXZpbA==\x07\x1b[2J"


async def _cli(stand: RunningStack, *arguments: str) -> tuple[int, bytes]:
    """Run a verb as the operator does. Returns its exit code and all that it printed."""
    command = [sys.executable, _CLI, *arguments, "--data-dir", str(stand.settings.data_dir)]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await process.communicate()
    return process.returncode or 0, printed


async def _ends(stand: RunningStack, topics: Iterable[str]) -> dict[str, int]:
    found = {}
    for topic in topics:
        async with open_reader(stand.settings, [stand.settings.topic(topic)]) as reader:
            found[topic] = sum((await reader.end_offsets()).values())
    return found


async def forged_replay(stand: RunningStack) -> dict[str, Any]:
    """Write refused records that claim to have been replayed, and to come from a topic of ours.

    Then show and replay the dead letters.
    """
    forged = (("dlq.replayed", b"abc"), ("dlq.origin", stand.settings.topic("releases").encode() + b"/0/0"))
    await stand.send(
        [
            AttackRecord(
                topic="interactions",
                value=b"{" + _ESCAPE,
                key=_ESCAPE,
                headers=(*forged, ("trace" + "\x1b[2J", _ESCAPE)),
            )
        ]
    )
    await stand.goes_on("stream")
    before = await _ends(stand, _INTERNAL)
    shown, printed = await _cli(stand, "dlq", "show", "--topic", "interactions")
    replayed, said = await _cli(stand, "dlq", "replay", "--topic", "interactions")
    await stand.goes_on("stream")
    wrote = {
        topic: end - before[topic]
        for topic, end in (await _ends(stand, _INTERNAL)).items()
        if end != before[topic]
    }
    clean = b"\x1b" not in printed + said and b"Traceback" not in printed + said
    held = clean and shown == 0 and replayed in {0, 1} and not wrote
    return {
        "held": held,
        "show": shown,
        "replay": replayed,
        "escapes_or_traceback": not clean,
        "wrote_to_internal": wrote,
    }


async def forgotten_query(stand: RunningStack) -> dict[str, Any]:
    """Let a shopper buy by a query that nobody else has, and forget the shopper.

    Then look for the query in ``pairs``. The row goes with a record that comes later, so others go on
    shopping.
    """
    victim, secret = f"victim-{uuid.uuid4().hex[:8]}", f"secret wish {uuid.uuid4().hex[:8]}"
    await _buy(stand, victim, secret)
    learnt = await _until(stand, secret, there=True)
    code, _ = await _cli(stand, "forget", "--client", victim)
    gone = await _until(stand, secret, there=False)
    return {"held": learnt and gone, "learnt": learnt, "forget": code, "gone_from_pairs": gone}


async def _buy(stand: RunningStack, shopper: str, query: str) -> None:
    """Send a search, a click and a purchase of a shopper."""
    now = datetime.now(UTC)
    search: dict[str, object] = {
        "query_id": shopper,
        "user_query": query,
        "query_response_hit_ids": ["jacket"],
    }
    actions: list[dict[str, object]] = [
        {"action_name": name, "query_id": shopper, "object_id": "jacket"} for name in ("click", "purchase")
    ]
    events: list[tuple[str, dict[str, object]]] = [
        ("searches", search),
        *(("interactions", a) for a in actions),
    ]
    for number, (topic, body) in enumerate(events):
        at = (now - timedelta(seconds=60 - number)).isoformat()
        body |= {"event_id": uuid.uuid4().hex, "timestamp": at, "client_id": shopper}
        await stand.send([AttackRecord(topic=topic, value=json.dumps(body).encode(), key=shopper.encode())])


async def _until(stand: RunningStack, text: str, *, there: bool) -> bool:
    """Wait until a text is in the newest values of ``pairs``, or is not."""
    for _ in range(int(_LEARNT_S)):
        pairs = (await read_compacted(stand.settings, stand.settings.topic("pairs"))).records
        found = any(
            text.encode() in key or text.encode() in (record.value or b"") for key, record in pairs.items()
        )
        if found is there:
            return True
        if not there:
            await _buy(stand, f"other-{uuid.uuid4().hex[:8]}", "jacket")
        await asyncio.sleep(1)
    return False
