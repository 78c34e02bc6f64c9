"""The health pages answer as the process says, and their port can be found."""

import json
from pathlib import Path

import aiohttp
from prometheus_client import Counter

from process.health import Health, serve_health
from schemas.settings import Settings


async def get(port: int, page: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/{page}") as response:
        return response.status, await response.text()


async def test_a_process_is_ready_when_it_says_so_and_shows_its_detail(tmp_path: Path) -> None:
    health = Health()
    async with serve_health("searcher", Settings(data_dir=tmp_path), health) as port:
        assert (await get(port, "readyz"))[0] == 503
        health.ready, health.detail["generation"] = True, 7
        status, body = await get(port, "readyz")
    assert (status, json.loads(body)) == (200, {"process": "searcher", "ready": True, "generation": 7})


async def test_a_process_is_not_ready_while_what_it_needs_is_silent_and_says_what(tmp_path: Path) -> None:
    said: list[str | None] = [None]
    health = Health(ready=True, faults={"kafka": lambda: said[0]})
    async with serve_health("trainer", Settings(data_dir=tmp_path), health) as port:
        assert (await get(port, "readyz"))[0] == 200
        said[0] = "Kafka has not answered for 12 s"
        status, body = await get(port, "readyz")
    assert (status, json.loads(body)["faults"]) == (503, {"kafka": "Kafka has not answered for 12 s"})


async def test_a_process_lives_as_long_as_it_says(tmp_path: Path) -> None:
    alive = [True]
    async with serve_health("stream", Settings(data_dir=tmp_path), Health(alive=lambda: alive[0])) as port:
        assert (await get(port, "healthz"))[0] == 200
        alive[0] = False
        assert (await get(port, "healthz"))[0] == 503


async def test_metrics_are_those_of_prometheus(tmp_path: Path) -> None:
    Counter("process_test_pages", "Counted by this test.").inc(3)
    async with serve_health("stream", Settings(data_dir=tmp_path), Health()) as port:
        status, body = await get(port, "metrics")
    assert status == 200
    assert "process_test_pages_total 3.0" in body


async def test_the_port_stands_in_the_data_folder(tmp_path: Path) -> None:
    async with serve_health("trainer", Settings(data_dir=tmp_path), Health()) as port:
        facts = json.loads((tmp_path / "run" / "trainer.json").read_text())
    assert (facts["process"], facts["port"]) == ("trainer", port)
