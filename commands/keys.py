"""``keys create|list|revoke``: who may call the HTTP API, and for what.

A key is a record of the topic ``api-keys``, which every API follows. What is printed as done is acknowledged
by the broker. The key itself is printed once, and kept nowhere.
"""

import asyncio
import getpass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from broker.producing import open_producer
from broker.reading import read_compacted
from broker.records import Outgoing
from broker.topics import ensure_topics
from commands.support.session import find_settings, out, show_json, stop, table
from schemas.bounds import API_KEYS as MOST
from schemas.keys import PUBLIC_BODY_BYTES, PUBLIC_RECORDS_PER_S, ApiKey, digest, id_of, new_key
from schemas.settings import Settings
from schemas.topics import API_KEYS


def create(
    *,
    name: str,
    role: list[str],
    origin: list[str] | None,
    rate: float | None,
    max_body: int | None,
    reason: str,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Make a key and print it."""
    settings, key = find_settings(data_dir), new_key()
    if origin:
        rate, max_body = rate or PUBLIC_RECORDS_PER_S, max_body or PUBLIC_BODY_BYTES
    try:
        made = ApiKey.model_validate(
            {
                "key_id": id_of(key),
                "name": name,
                "roles": list(dict.fromkeys(role)),
                "sha256": digest(key),
                "origins": [one.lower().rstrip("/") for one in origin or []],
                "records_per_s": rate,
                "body_bytes": max_body,
                "actor": getpass.getuser(),
                "reason": reason,
                "made_at": datetime.now(UTC),
            }
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        stop(": ".join([*map(str, first["loc"][:1]), first["msg"].removeprefix("Value error, ")]), code=2)
    found = asyncio.run(_keys(settings))
    if len(found) >= MOST:
        stop(f"there are {len(found)} keys, and the API takes {MOST}: `keys revoke --forget` removes one")
    asyncio.run(_write(settings, made.key_id, made.to_json()))
    if as_json:
        show_json({"key": key, **_shown(made)})
        return
    out.print(f"key {made.key_id} of {made.name} is made: {', '.join(made.roles)}", highlight=False)
    out.print(key, highlight=False, soft_wrap=True)
    out.print("It is shown this once: what is kept is a hash.", highlight=False)


def list_keys(*, data_dir: Path | None, as_json: bool) -> None:
    """List the keys, and under which ids lies what is none."""
    found = asyncio.run(_keys(find_settings(data_dir)))
    keys = sorted((key for key in found.values() if key is not None), key=lambda key: key.made_at)
    broken = sorted(key_id for key_id, key in found.items() if key is None)
    if as_json:
        show_json({"keys": [_shown(key) for key in keys], "no_keys": broken})
        return
    table(
        "keys, the oldest first",
        ["key", "name", "roles", "made", "by", "state", "reason"],
        [
            (
                k.key_id,
                k.name,
                ", ".join(k.roles),
                f"{k.made_at:%Y-%m-%d %H:%M}",
                k.actor,
                _state(k),
                k.reason,
            )
            for k in keys
        ],
    )  # fmt: skip
    for key_id in broken:
        out.print(f"{key_id}: no key, and opens nothing", highlight=False)


def revoke(key_id: str, *, forget: bool, reason: str, data_dir: Path | None, as_json: bool) -> None:
    """Let a key open nothing any more."""
    settings = find_settings(data_dir)
    found = asyncio.run(_keys(settings))
    if key_id not in found:
        stop(f"there is no key {key_id!r}; `searchloop keys list` shows them")
    key, actor = found[key_id], getpass.getuser()
    if key is None and not forget:
        stop(f"what lies under {key_id!r} is no key: --forget removes it")
    ended = None
    if key is not None and not forget:
        change = {"revoked_at": datetime.now(UTC), "actor": actor, "reason": reason}
        ended = key.model_copy(update=change).to_json()
    asyncio.run(_write(settings, key_id, ended, actor, reason))
    if as_json:
        show_json({"revoked": key_id, "forgotten": forget, "actor": actor, "reason": reason})
    else:
        out.print(f"key {key_id} is {'revoked and forgotten' if forget else 'revoked'}", highlight=False)


async def _keys(settings: Settings) -> dict[str, ApiKey | None]:
    """Return what lies under each id of the topic: a key, or None where there is none."""
    await ensure_topics(settings)
    stored = await read_compacted(settings, settings.topic(API_KEYS.name))
    return {
        key.decode(errors="backslashreplace"): _read(record.value or b"")
        for key, record in stored.records.items()
    }


def _read(value: bytes) -> ApiKey | None:
    try:
        return ApiKey.from_json(value)
    except ValidationError:
        return None


async def _write(
    settings: Settings, key_id: str, value: bytes | None, actor: str = "", reason: str = ""
) -> None:
    headers = (("actor", actor.encode()), ("reason", reason.encode(errors="replace"))) if actor else ()
    record = Outgoing(settings.topic(API_KEYS.name), value, key=key_id.encode(), headers=headers)
    async with open_producer(settings, linger_ms=0) as producer:
        await producer.send(record)


def _shown(key: ApiKey) -> dict[str, object]:
    return key.model_dump(mode="json", exclude={"sha256"}) | {"state": _state(key)}


def _state(key: ApiKey) -> str:
    return "holds" if key.revoked_at is None else f"revoked {key.revoked_at:%Y-%m-%d %H:%M}"
