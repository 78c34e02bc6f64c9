"""The page about a run, out of the store: shown where it is, harmless; elsewhere one sentence."""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response

from api.bodies import Capacity
from api.console.report_routes import report_routes
from artefacts.folders import StoreAwayError, name_of
from artefacts.located import open_folders
from schemas.training import REPORT, RunState, TrainingRun
from tests.api.test_operator_state import after, record

RUN = "20260301-120000-1a2b3c4d"
PAGE = b"<script>alert(1)</script><p>red mug</p>"
OURS = "ab" * 32


async def asked(local: Callable[[str], Path], report: str | None, of: str = RUN) -> Response:
    """Return what the console says of a run's report; of one run it has a record, which names ``report``."""
    run = TrainingRun(run_id=RUN, state=RunState.DEPLOYED, report=report)
    state = after(record("training-runs", run.to_json(), RUN.encode()))
    app = FastAPI()
    app.include_router(report_routes(state, local, Capacity(1, 0)))
    async with AsyncClient(transport=ASGITransport(app=app), base_url="http://console") as client:
        return await client.get(f"/console/runs/{of}/report")


async def test_a_report_is_shown_and_can_do_nothing(tmp_path: Path) -> None:
    store = open_folders(f"memory://{uuid4()}", tmp_path / "cache", 1 << 30)
    (tmp_path / REPORT).write_bytes(PAGE)
    name = store.put("reports", OURS, tmp_path / REPORT)
    said = await asked(store.local, name)
    assert (said.status_code, said.content) == (200, PAGE)
    assert said.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert said.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "report",
    [None, name_of("reports", OURS), name_of("models", OURS), "/etc", f"{name_of('reports', OURS)}/passwd"],
    ids=["none", "gone", "a-model", "a-path", "a-file"],
)
async def test_what_is_no_report_or_is_gone_is_not_found(report: str | None, tmp_path: Path) -> None:
    store = open_folders(str(tmp_path / "store"), tmp_path / "cache", 1 << 30)
    (tmp_path / REPORT).write_bytes(PAGE)
    store.put("models", OURS, tmp_path / REPORT)
    assert (await asked(store.local, report)).status_code == 404
    assert (await asked(store.local, report, of="20260301-120000-00000000")).status_code == 404


async def test_a_store_that_is_away_is_told_as_that() -> None:
    def away(name: str) -> Path:
        raise StoreAwayError(f"the store does not answer for {name}")

    said = await asked(away, name_of("reports", OURS))
    assert said.status_code == 503
    assert "does not answer" in said.text
