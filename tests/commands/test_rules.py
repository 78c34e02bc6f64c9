"""The verbs of ``rules``: what is refused before anything is asked, what is written, on a real broker."""

import asyncio
import json
from collections.abc import Callable

import pytest

from broker.topics import ensure_topics
from schemas.products import CatalogProduct
from schemas.rules import MerchandisingRule
from schemas.settings import Settings
from schemas.topics import CATALOG, RULES
from tests.commands.in_process import given
from tests.topics import read_all, write

FOR = ("--query", "mug")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("pin", "p1"), "--query and --every-query"),
        (("pin", "p1", *FOR, "--every-query"), "--query and --every-query"),
        (("hide", *FOR), "names products"),
        (("hide", "p1", "--query", " "), "nothing to read"),
        (("boost", "p1", "--by", "2", *FOR), "boost"),
        (("boost", "p1", "--by", "0", *FOR), "boost"),
        (("hide", "p1", "--until", "soon", *FOR), "no time"),
        (("hide", "p1", "--from", "2027-01-02", "--until", "2027-01-01", *FOR), "end before"),
        (("bury", "--where", "brand Acme", *FOR), "no condition"),
        (("bury", "--where", "brand < Acme", *FOR), "compared with a number"),
        (("bury", "--where", "price in 1, 2", *FOR), "price"),
        (("pin", *(f"p{n}" for n in range(101)), *FOR), "product_ids"),
    ],
)
def test_what_is_no_rule_is_wrong_usage(arguments: tuple[str, ...], why: str):
    """Nothing is asked of the broker, which is none."""
    done = given("rules", *arguments, SEARCHLOOP_KAFKA="127.0.0.1:1")
    assert (done.code, done.stdout) == (2, "")
    assert why in done.stderr


@pytest.mark.broker
def test_rules_are_written_listed_replaced_and_removed(settings_env: Callable[..., dict[str, str]]):
    env = settings_env(partitions=2)
    settings = Settings.load(env)

    def told(*arguments: str, code: int = 0, **more: str) -> str:
        done = given("rules", *arguments, **env | more)
        assert done.code == code, done
        return done.stdout if code == 0 else done.stderr

    product = CatalogProduct(product_id="p1", title="Mug", version=1)
    asyncio.run(ensure_topics(settings))
    asyncio.run(write(settings, CATALOG.name, (b"p1", product.to_json()), (b"p2", b"{}"), (b"p2", None)))
    said = told("pin", "p2", "p1", "--query", "Red  MUG", "--id", "top", "--until", "2099-01-01")
    assert said == (
        "rule top is written: pin p2, p1 for 'red mug'; holds until 2099-01-01 00:00\n"
        "warning: the catalogue has no p2, for which the rule does nothing\n"
    )
    assert "warning" not in told("bury", "p1", *FOR, "--id", "known")
    assert json.loads(told("pin", "p3", "p1", *FOR, "--id", "known", "--json"))["unknown_products"] == ["p3"]
    told("remove", "known")
    hidden = json.loads(
        told("hide", "--where", "brand == Acme", "--every-query", "--reason", "recall", "--json")
    )
    assert (hidden["action"], hidden["reason"], hidden["replaced"]) == ("hide", "recall", False)
    assert "is replaced: boost by 0.2 p9" in told("boost", "p9", "--by", "0.2", *FOR, "--id", "top")

    other = {"SEARCHLOOP_DEPLOYMENT": "other"}
    assert "deployment 'main'" in told("hide", "p1", *FOR, "--id", "top", code=1, **other)
    assert "deployment 'main'" in told("remove", "top", code=1, **other)
    assert json.loads(told("list", "--json", **other))["rules"] == []
    asyncio.run(_garbage(settings))

    listed = json.loads(told("list", "--json"))
    assert [(r["rule_id"], r["action"], r["state"]) for r in listed["rules"]] == [
        (hidden["rule_id"], "hide", "holds"),
        ("top", "boost", "holds"),
    ]
    assert set(listed["no_rules"]) == {"broken", "\\xff"}
    assert "broken: no rule" in told("list")
    only = json.loads(told("list", "--query", "tea", "--json"))["rules"]
    assert [r["rule_id"] for r in only] == [hidden["rule_id"]]

    assert "no rule 'nothing'" in told("remove", "nothing", code=1)
    assert told("remove", "top", "--reason", "over") == "rule top is removed\n"
    told("remove", "broken")
    assert [r["rule_id"] for r in json.loads(told("list", "--json"))["rules"]] == [hidden["rule_id"]]
    records = asyncio.run(read_all(settings.kafka, settings.topic(RULES.name)))
    assert MerchandisingRule.from_json(records[0].value or b"").product_ids == ["p2", "p1"]
    gone = next(r for r in records if r.key == b"top" and r.value is None)
    assert gone.header("reason") == b"over"
    assert gone.header("actor")


async def _garbage(settings: Settings) -> None:
    await ensure_topics(settings)
    await write(settings, RULES.name, (b"broken", b"{"), (b"\xff", b"x"))
