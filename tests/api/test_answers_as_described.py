"""The running API, asked what its description lets one ask, and more: Schemathesis makes the requests."""

import asyncio
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from schemas.search import ScoredHit, SearchRequest, SearchResponse, Status
from tests.api.api_process import ApiProcess, answering
from tests.processes import ROOT

# Of faults that somebody else is the cause of it may say so: a request names its own deadline.
CONFIG = """
hooks = "tests.api.short_waits"

[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "504"]
"""
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_schema_conformance", "response_headers_conformance",
)  # fmt: skip


async def answer(request: SearchRequest, _: object) -> SearchResponse:
    hit = ScoredHit(product_id="p1", rank=1, score=0.75, fields={"title": "Parka"})
    return SearchResponse(request_id=request.request_id, status=Status.OK, hits=[hit], generation=7)


@pytest.mark.broker
@pytest.mark.slow
async def test_no_request_meets_a_fault_and_every_answer_is_one_that_the_description_has(
    settings_env: Callable[..., dict[str, str]], tmp_path: Path
):
    if find_spec("schemathesis") is None:
        pytest.skip("schemathesis is not installed: make setup")
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    async with ApiProcess(settings_env(partitions=1)) as api:
        api.start()
        await api.publish()
        await api.shows(lambda shown: shown.get("as_of"))
        async with answering(api.settings, answer):
            tried = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "schemathesis.cli", "run", f"{await api.address()}/openapi.json",
                "--checks", ",".join(CHECKS), "--phases", "examples,fuzzing", "--max-examples", "10",
                "--seed", "7", "--generation-database", "none", "--no-shrink", "--no-color",
                "--report", "json", "--report-json-path", "found.json",
                cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            said, _ = await tried.communicate()
    assert tried.returncode == 0, said.decode()[-10_000:]
