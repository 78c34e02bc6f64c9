"""The verbs of ``keys``, on a real broker, and the API that follows them."""

import asyncio
import json
import re
from collections.abc import Callable

import pytest

from schemas.keys import digest, id_of
from schemas.settings import Settings
from schemas.topics import API_KEYS
from tests.commands.in_process import given
from tests.topics import read_all, write


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--name", "shop", "--role", "all"), "roles"),
        (("--name", "", "--role", "search"), "name"),
        (("--name", "shop"), "--role"),
        (("--name", "shop", "--role", "search", "--rate", "0.0001"), "records_per_s"),
        (("--name", "shop", "--role", "search", "--max-body", "5000001"), "body_bytes"),
        (("--name", "shop", "--role", "events", "--origin", "shop.example"), "origins"),
        (("--name", "shop", "--role", "events", "--origin", "https://shop.example/cart"), "origins"),
        (("--name", "shop", "--role", "events", "--origin", "*"), "origins"),
        (("--name", "shop", "--role", "products", "--origin", "https://shop.example"), "events and search"),
    ],
)
def test_what_is_no_key_is_wrong_usage(arguments: tuple[str, ...], why: str):
    """Nothing is asked of the broker, which is none."""
    done = given("keys", "create", *arguments, SEARCHLOOP_KAFKA="127.0.0.1:1")
    assert (done.code, done.stdout) == (2, "")
    assert why in done.stderr


@pytest.mark.broker
def test_a_key_is_shown_once_listed_without_its_secret_revoked_and_forgotten(
    settings_env: Callable[..., dict[str, str]],
):
    env = settings_env(partitions=2)
    settings = Settings.load(env)

    def told(*arguments: str, code: int = 0) -> str:
        done = given("keys", *arguments, **env)
        assert done.code == code, done
        return done.stdout if code == 0 else done.stderr

    printed = told("create", "--name", "shop", "--role", "search", "--role", "events", "--role", "search")
    key = re.search(r"^sl_\w+$", printed, re.MULTILINE)
    assert key is not None
    page = ("--origin", "https://Shop.example/", "--origin", "http://127.0.0.1:3000", "--rate", "5")
    made = json.loads(told("create", "--name", "other", "--role", "events", *page, "--json"))
    assert made["origins"] == ["https://shop.example", "http://127.0.0.1:3000"]
    assert (made["records_per_s"], made["body_bytes"]) == (5, 65_536)
    secrets = [key[0], made.pop("key")]
    stored = asyncio.run(read_all(settings.kafka, settings.topic(API_KEYS.name)))
    assert [json.loads(r.value or b"")["sha256"] for r in stored] == [digest(secret) for secret in secrets]

    def listed() -> list[tuple[str, list[str], str]]:
        shown = json.loads(told("list", "--json"))["keys"]
        assert not {"key", "sha256"} & {name for one in shown for name in one}
        return [(one["key_id"], one["roles"], one["state"][:7]) for one in shown]

    ids = [str(id_of(secret)) for secret in secrets]
    assert made["key_id"] == ids[1]
    assert listed() == [(ids[0], ["search", "events"], "holds"), (ids[1], ["events"], "holds")]

    assert "no key 'ffffffffffff'" in told("revoke", "ffffffffffff", code=1)
    assert told("revoke", ids[0], "--reason", "lost") == f"key {ids[0]} is revoked\n"
    assert [state for *_, state in listed()] == ["revoked", "holds"]
    assert "lost" in told("list")
    told("revoke", ids[1], "--forget")
    assert [key_id for key_id, *_ in listed()] == ids[:1]

    asyncio.run(write(settings, API_KEYS.name, (b"broken", b"{}")))
    assert "broken: no key, and opens nothing" in told("list")
    assert "--forget" in told("revoke", "broken", code=1)
    told("revoke", "broken", "--forget")
    assert json.loads(told("list", "--json"))["no_keys"] == []
    seen = [r.value for r in asyncio.run(read_all(settings.kafka, settings.topic(API_KEYS.name)))]
    assert not [v for v in seen if v and any(s.rpartition("_")[2].encode() in v for s in secrets)]
