"""What operators change over HTTP: a real API, a real broker and, where it must answer, a real indexer."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.pointer_chain import digest
from schemas.events import Erasure
from schemas.releases import DeploymentCommand, LivePointer
from schemas.rules import MerchandisingRule
from schemas.training import RunState, TrainingRun, Trigger
from tests.api.api_process import ApiProcess, Said
from tests.indexer.indexer_process import IndexerProcess, a_product
from tests.processes import run_verb
from tests.releases import a_release

pytestmark = pytest.mark.broker
WAITING, ENDED = "20260101-120000-1a2b3c4d", "20260102-120000-1a2b3c4d"


@pytest.fixture
async def api(settings_env: Callable[..., dict[str, str]]) -> AsyncIterator[ApiProcess]:
    async with ApiProcess(settings_env(partitions=1)) as opened:
        yield opened


async def started(api: ApiProcess) -> None:
    api.start()
    await api.shows(lambda page: page.get("as_of"))


def as_ann(**fields: object) -> dict[str, object]:
    return {"actor": "ann", **fields}


def error_of(said: Said) -> tuple[int, str]:
    return said.code, said.json["error"]["code"]


async def test_what_is_asked_for_is_on_its_topic_once_and_what_makes_no_sense_is_not(api: ApiProcess):
    """One process takes them all: a start takes seconds."""
    runs = [
        TrainingRun(run_id=WAITING, state=RunState.QUEUED),
        TrainingRun(run_id=ENDED, state=RunState.FAILED),
    ]
    await api.send("training-runs", *((run.run_id.encode(), run.to_json()) for run in runs))
    pointer = LivePointer(sequence=1, live=a_release(3), cause="first")
    await api.send("releases", (b"generation:000003", a_release(3).to_json()), (b"main", pointer.to_json()))
    await started(api)

    async def post(path: str, body: object = None, method: str = "POST") -> Said:
        return await api.call(method, path, body)

    asked = as_ann(trigger_id="t/1", params={"max_steps": 5}, dedup_key="k")
    first, again = await post("/v1/triggers", asked), await post("/v1/triggers", asked)
    for said in (first, again):
        assert (said.code, said.headers["Location"]) == (202, "/v1/triggers/t%2F1")
        assert (said.json["state"], said.json["requested_by"], said.json["params"]) == (
            "requested", "ann", {"max_steps": 5},
        )  # fmt: skip
    assert error_of(await post("/v1/triggers", asked | {"dry_run": True})) == (409, "conflict")
    ended = await post(f"/v1/runs/{WAITING}:cancel", as_ann())
    assert (ended.code, ended.headers["Location"]) == (202, f"/v1/runs/{WAITING}")

    pending = await post("/v1/releases:pin", as_ann(command_id="c1", reason="sale", wait_s=0.2))
    assert (pending.code, pending.json["state"]) == (202, "pending")
    assert (await post(pending.headers["Location"], method="GET")).json["state"] == "pending"
    assert error_of(await post("/v1/releases:unpin", as_ann(command_id="c1"))) == (409, "conflict")

    rule = as_ann(action="pin", query="Mug", product_ids=["p1"])
    put = await post("/v1/rules/top", rule, "PUT")
    assert (put.code, put.json["rule_id"], put.json["replaced"], put.json["state"]) == (
        200, "top", False, "holds",
    )  # fmt: skip
    assert (await post("/v1/rules/top", rule | {"product_ids": ["p2"]}, "PUT")).json["replaced"] is True
    assert (await post("/v1/rules/top", method="GET")).json["product_ids"] == ["p2"]
    made = (await post("/v1/rules", as_ann(action="hide", product_ids=["p3"]))).json["rule_id"]
    assert {r["rule_id"] for r in run_verb(api.settings, "rules", "list")["rules"]} == {"top", made}
    gone = await post("/v1/rules/top?actor=bob&reason=over", method="DELETE")
    assert (gone.code, gone.json) == (200, {"removed": "top", "actor": "bob", "reason": "over"})

    forgotten = await post("/v1/forget", {"client_id": "c9", "event_id": "f1"})
    assert (forgotten.code, forgotten.json) == (202, {"event_id": "f1", "state": "requested"})

    for path, body, code in (
        ("/v1/triggers", {}, 422),
        ("/v1/triggers", as_ann(params={"torch_threads": 99}), 422),
        ("/v1/triggers", as_ann(params={"max_steps": -1}), 422),
        ("/v1/triggers", as_ann(force=True), 422),
        ("/v1/triggers", as_ann(cancels=WAITING), 422),
        ("/v1/triggers", b"[]", 400),
        ("/v1/triggers", b"{", 400),
        ("/v1/triggers", as_ann(trigger_id="x" * 70_000), 413),
        ("/v1/runs/20260103-120000-1a2b3c4d:cancel", as_ann(), 404),
        (f"/v1/runs/{ENDED}:cancel", as_ann(), 409),
        ("/v1/releases/9:promote", as_ann(), 404),
        ("/v1/releases/3:promote", as_ann(force=True), 422),
        ("/v1/releases/3:promote", {"actor": " "}, 422),
        ("/v1/releases:rollback", as_ann(model=True), 409),
        ("/v1/releases:rollback", as_ann(model=True, to=1), 422),
        ("/v1/releases:pin", as_ann(wait_s=61), 422),
        ("/v1/releases:pin", as_ann(force=True), 422),
        ("/v1/rules", as_ann(action="pin", query="x"), 422),
        ("/v1/rules", as_ann(action="hide", query=" ", product_ids=["p1"]), 422),
        ("/v1/rules", as_ann(action="boost", product_ids=["p1"]), 422),
        ("/v1/forget", {}, 422),
        ("/v1/forget", {"client_id": "a", "user_id": "b"}, 422),
        ("/v1/forget", {"client_id": "undefined"}, 422),
    ):  # fmt: skip
        said = await post(path, body)
        assert (said.code, bool(said.json["error"]["message"])) == (code, True), (path, body, said.body)
    other = as_ann(action="hide", product_ids=["p"], rule_id="o")
    assert error_of(await post("/v1/rules/top", other, "PUT")) == (422, "unfit")
    assert error_of(await post(f"/v1/rules/{made}", method="DELETE")) == (422, "unfit")
    assert error_of(await post("/v1/rules/top?actor=bob", method="DELETE")) == (404, "not_found")
    form = await api.call(
        "POST", "/v1/forget", b"client_id=c9", content_type="application/x-www-form-urlencoded"
    )
    assert form.code == 415

    await api.send("releases", (b"generation:000002", a_release(2).to_json()))

    async def back() -> Said | None:
        said = await post("/v1/releases:rollback", as_ann(command_id="c2", model=True))
        return said if said.code == 202 else None

    gone = await api.until(back, "the other model is known")
    assert gone.json["target_generation"] == 2
    later = LivePointer(
        sequence=2, live=a_release(2), cause="rollback", command_id="c2", follows=[digest(pointer.to_json())]
    )
    await api.send("releases", (b"main", later.to_json()))
    await api.shows(lambda page: page.get("generation") == 2)
    again = await post("/v1/releases:rollback", as_ann(command_id="c2", model=True, wait_s=30))
    assert (again.code, again.json["state"]) == (200, "done"), (
        "it goes elsewhere by now, and is the same wish"
    )

    triggers = [Trigger.from_json(r.value or b"") for r in await api.records("training-triggers")]
    assert [(t.trigger_id == "t/1", t.cancels) for t in triggers] == [(True, None), (False, WAITING)]
    commands = [DeploymentCommand.from_json(r.value or b"") for r in await api.records("deployment-commands")]
    assert [(c.command_id, c.action, c.actor, c.reason) for c in commands] == [
        ("c1", "pin", "ann", "sale"), ("c2", "rollback", "ann", ""),
    ]  # fmt: skip
    assert commands[0].expires_at
    rules = await api.records("rules")
    assert [r.key for r in rules] == [b"top", b"top", made.encode(), b"top"]
    assert (rules[3].value, rules[3].header("actor"), rules[3].header("reason")) == (None, b"bob", b"over")
    assert MerchandisingRule.from_json(rules[0].value or b"").actor == "ann"
    (erasure,) = [Erasure.from_json(r.value or b"") for r in await api.records("erasures")]
    assert (erasure.event_id, erasure.client_id) == ("f1", "c9")
    assert erasure.timestamp <= datetime.now(UTC)


@pytest.mark.model
@pytest.mark.slow
async def test_the_indexer_does_or_refuses_what_is_asked_and_who_waits_is_told_which(
    settings_env: Callable[..., dict[str, str]],
):
    environ = settings_env(partitions=1, catalog_settle="PT0.5S", build_batch=8)
    async with ApiProcess(environ) as api:
        with IndexerProcess(environ) as indexer:
            await indexer.put(*(a_product(number) for number in range(8)))
            indexer.start()
            await started(api)
            await api.shows(lambda page: page.get("generation") == 1)

            async def told(path: str, **fields: object) -> Said:
                """The machine may be slow: asked anew under one id until the end is seen."""
                wish: dict[str, Any] = as_ann(wait_s=30, **fields)
                said = await api.call("POST", f"/v1/releases{path}", wish)
                if said.code != 202:
                    return said

                async def over() -> Said | None:
                    again = await api.call(
                        "POST", f"/v1/releases{path}", wish | {"command_id": said.json["command_id"]}
                    )
                    return again if again.code != 202 else None

                return await api.until(over, path)

            pinned = await told(":pin", reason="sale", command_id="c1")
            assert (pinned.code, pinned.json["state"], pinned.json["action"]) == (200, "done", "pin")
            assert (await api.call("GET", "/v1/releases")).json["live"]["pinned"] is True
            again = await told(":pin", reason="sale", command_id="c1")
            assert (again.code, again.json["state"]) == (200, "done")

            refused = await told("/1:promote", reason="why not", command_id="c2")
            assert error_of(refused) == (409, "refused")
            assert "pinned" in refused.json["error"]["message"]
            assert (await told(":unpin")).code == 200
            back = await told(":rollback")
            assert error_of(back) == (409, "refused")

            commands = (await api.call("GET", "/v1/commands")).json["commands"]
            assert [(c["action"], c["state"]) for c in commands] == [
                ("rollback", "refused"), ("unpin", "done"), ("promote", "refused"), ("pin", "done"),
            ]  # fmt: skip
            written = await api.records("deployment-commands")
            assert [json.loads(r.value or b"")["command_id"] for r in written][:2] == ["c1", "c2"]
            assert len(written) == 4
