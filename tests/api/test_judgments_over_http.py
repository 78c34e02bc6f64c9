"""Judgment sets over HTTP, and the verbs that tell the same: a real API and a real broker."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from schemas.judged_queries import RatedQuery
from tests.api.api_process import ApiProcess, Said
from tests.processes import run_cli, run_verb

pytestmark = pytest.mark.broker


@pytest.fixture
async def api(settings_env: Callable[..., dict[str, str]]) -> AsyncIterator[ApiProcess]:
    async with ApiProcess(settings_env(partitions=1)) as opened:
        opened.start()
        await opened.shows(lambda page: page.get("as_of"))
        yield opened


def rated(query: str, product: str, relevance: float | None) -> dict[str, object]:
    return {"query": query, "product_id": product, "relevance": relevance}


async def test_sets_are_rated_read_exported_and_imported(api: ApiProcess, tmp_path: Path):
    """One process takes them all: a start takes seconds."""

    async def rate(*judgments: dict[str, object], **fields: object) -> Said:
        body = {"actor": "ann", "name": "house", "judgments": judgments} | fields
        return await api.call("POST", "/v1/judgments", body)

    first = rated("Red MUG", "p1", 3), rated("red mug", "p2", 0), rated("cup", "p1", 1)
    said = await rate(*first)
    assert (said.code, said.json) == (
        200, {"name": "house", "written": 2, "removed": 0, "queries": 2, "ratings": 3},
    )  # fmt: skip
    assert (await rate(*first)).json["written"] == 0
    changed = await rate(rated("red mug", "p2", 2), rated("cup", "p1", None))
    assert changed.json == {"name": "house", "written": 1, "removed": 1, "queries": 1, "ratings": 2}
    records = await api.records("judgments")
    assert [r.value is None for r in records] == [False, False, False, True]
    assert RatedQuery.from_json(records[2].value or b"").ratings == {"p1": 3, "p2": 2}

    (listed,) = (await api.call("GET", "/v1/judgments")).json["judgments"]
    assert (listed["name"], listed["queries"], listed["ratings"], listed["actor"]) == ("house", 1, 2, "ann")
    told = await api.call("GET", "/v1/judgments/house?limit=1")
    assert [(one["query"], one["ratings"]) for one in told.json["queries"]] == [
        ("red mug", {"p1": 3, "p2": 2})
    ]
    assert (await api.call("GET", "/v1/judgments/none")).code == 404

    assert (await rate(rated("x", "p1", 1), name="../x")).code == 422
    assert (await rate(rated(" ", "p1", 1))).code == 422
    assert (await rate(rated("x", "p1", 1001))).code == 422
    assert (await rate()).code == 422
    assert (await rate(rated("x", "p1", 1), actor=" ")).code == 422

    file = tmp_path / "house.csv"
    settings = api.settings.environ()
    assert run_cli("judgments", "export", "house", str(file), **settings).returncode == 0
    assert file.read_text() == "query,product_id,relevance\nred mug,p1,3.0\nred mug,p2,2.0\n"
    file.write_text("query,product_id,relevance\ncup,p4,1\n")
    assert run_verb(api.settings, "judgments", "import", "house", str(file)) == {
        "name": "house", "queries": 1, "ratings": 1,
    }  # fmt: skip

    async def replaced() -> bool:
        queries = (await api.call("GET", "/v1/judgments/house")).json["queries"]
        return [(one["query"], one["ratings"]) for one in queries] == [("cup", {"p4": 1})]

    await api.until(replaced, "the API shows what was imported")
    (row,) = run_verb(api.settings, "judgments", "list")
    assert (row["name"], row["queries"], row["ratings"]) == ("house", 1, 1)
    assert run_verb(api.settings, "judgments", "remove", "house") == {"removed": "house", "queries": 1}
    assert run_verb(api.settings, "judgments", "list") == []
    assert "no judgment set 'house'" in run_verb(api.settings, "judgments", "remove", "house", code=1)
