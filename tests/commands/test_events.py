"""``doctor events`` on a real broker, and the console's page of the same."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from broker.dead_letters import dead_letter
from broker.producing import open_producer
from broker.records import Record
from inbound.producer_reading import read_producers
from schemas.rejections import Reason, Rejection
from schemas.settings import StreamSettings
from tests.api.api_process import ApiProcess
from tests.processes import run_cli, run_verb

pytestmark = pytest.mark.broker


def _cells(table: str, place: int) -> str:
    """Return a column of the only row of a table, whose lines are those of one cell."""
    rows = [line.split("│") for line in table.splitlines() if line.startswith("│")]
    return " ".join(row[place] for row in rows)


async def test_producers_are_told_with_a_sample_of_each_fault(settings_env: Callable[..., dict[str, str]]):
    now = datetime.now(UTC)

    def sent(at: datetime, **fields: object) -> tuple[bytes, bytes]:
        return b"k", json.dumps(
            {"timestamp": at.timestamp(), "client_id": "c", "application": "shop"} | fields
        ).encode()

    async with ApiProcess(settings_env(partitions=2)) as api:
        await api.send("searches", sent(now, query_id="q1", user_query="mug"))
        click = {"action_name": "click", "object_id": "p1"}
        bad = sent(now, **click, query_id="<gone>")
        await api.send("interactions", sent(now, **click, query_id="q1"), bad)
        topic = api.settings.topic("interactions")
        refused = Record(topic, 0, 0, int(now.timestamp() * 1000), *bad)
        async with open_producer(api.settings, linger_ms=0) as producer:
            await producer.send(
                dead_letter(refused, Rejection(reason=Reason.UNKNOWN_PRODUCT), stage="intake")
            )

        rules, seen = StreamSettings.load(settings_env(partitions=2)), list[int]()
        found = await read_producers(rules, most=100, days=timedelta(days=1), on_read=lambda: seen.append(1))
        assert len(seen) == found.records == 4, "progress is told of each"

        (one,) = run_verb(api.settings, "doctor", "events")["producers"]
        assert (one["producer"], one["joined"], one["stale"], one["join_rate"]) == ("shop", 1, 1, 0.5)
        assert (one["clicks"], one["without_position"], one["unknown_products"]) == (2, 2, 1)
        assert "<gone>" in one["samples"]["stale"]["value"]
        told = run_cli("doctor", "events", **api.settings.environ(), COLUMNS="100")
        row = next(line for line in told.stdout.splitlines() if "shop" in line)
        assert [cell.strip() for cell in row.split("│")[1:5]] == ["shop", now.date().isoformat(), "3", "50%"]
        words = "1 stale ids, 2 of 2 clicks without position, 1 refused (1 for unknown products)"
        assert words.split() == [word for word in _cells(told.stdout, 6).split() if word]
        assert (told.returncode, "50%" in told.stdout, "no search has the query id" in told.stdout) == (
            0,
            True,
            True,
        )

        api.start()
        await api.shows(lambda page: page.get("as_of"))
        page = (await api.call("GET", "/console/producers")).body.decode()
        assert "<td>shop</td>" in page
        assert "no search has the query id &lt;gone&gt;" in page
        assert (await api.call("GET", "/v1/producers")).json["producers"][0]["stale"] == 1
        table = (await api.call("GET", "/console/producers?as=csv")).body.decode().splitlines()
        assert table[1].startswith("shop,")
