"""``search``: one query over Kafka, and the answer as a table."""

import asyncio
import uuid
from pathlib import Path

from broker.requesting import open_requester
from commands.support.asking import ask
from commands.support.session import find_settings, out, show_json, stop, table
from schemas.search import ScoredHit, SearchRequest, SearchResponse, Status
from schemas.settings import Settings


def search(
    query: str,
    *,
    k: int,
    client: str | None,
    timeout_ms: int,
    explain: bool,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Ask one query; exit code 1 when it ends in anything but ``ok`` or ``partial``."""
    settings = find_settings(data_dir)
    request = SearchRequest(
        request_id=uuid.uuid4().hex,
        user_query=query,
        k=k,
        client_id=client,
        timeout_ms=timeout_ms,
        explain=explain,
    )
    try:
        response, took_ms = asyncio.run(_search(settings, request))
    except TimeoutError:
        stop(f"no answer within {timeout_ms} ms: is a searcher running and ready? `searchloop status` tells")
    if as_json:
        show_json(response.model_dump(mode="json") | {"round_trip_ms": round(took_ms, 2)})
    else:
        moved = any(_moved_by(h) for h in response.hits)
        rows = [
            (
                h.rank, h.product_id, h.fields.get("title"), h.score, *_parts(h),
                *([_moved_by(h)] if moved else []),
            )
            for h in response.hits
        ]  # fmt: skip
        table(
            f"{query!r}: generation {response.generation}, {took_ms:.0f} ms",
            [
                *("rank", "product", "title", "score"),
                *(["made of"] if request.explain else []),
                *(["rule"] if moved else []),
            ],
            rows,
        )
        if response.error:
            out.print(f"{response.status}: {response.error.message}")
    if response.status not in {Status.OK, Status.PARTIAL}:
        raise SystemExit(1)


def _parts(hit: ScoredHit) -> tuple[str, ...]:
    if hit.parts is None:
        return ()
    return (", ".join(f"{name} {value:.3f}" for name, value in hit.parts.items()),)


def _moved_by(hit: ScoredHit) -> str:
    if hit.rule is not None:
        return f"{hit.rule.action} ({hit.rule.rule_id})"
    return "new: shown by lot" if hit.explored is not None else ""


async def _search(settings: Settings, request: SearchRequest) -> tuple[SearchResponse, float]:
    async with open_requester(settings.kafka, settings.topic("search-responses")) as requester:
        return await ask(requester, settings, request)
