"""``search``: one query over Kafka, by text, picture or both, and the answer as a table."""

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from broker.requesting import open_requester
from commands.support.asking import ask
from commands.support.pages import read_page
from commands.support.picture_files import prepared_picture
from commands.support.session import MISUSED, err, find_settings, out, show_json, stop, table
from operations.conditions import ConditionError, condition
from schemas.search import Filter, ScoredHit, SearchRequest, SearchResponse, Status
from schemas.settings import Settings

_FIRST_S = 300.0  # a large catalogue is encoded in minutes; then one asks, and is told that no answer came


def search(
    query: str | None,
    *,
    image: Path | None,
    image_weight: float | None,
    k: int,
    client: str | None,
    timeout_ms: int,
    where: list[str] | None,
    facet: list[str] | None,
    group_by: str | None,
    sort: str | None,
    ranking: str | None,
    explain: bool,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Ask one query; exit code 1 when it ends in anything but ``ok`` or ``partial``."""
    if query is None and image is None:
        stop("what is searched for? Say a text, a picture (--image FILE), or both", code=MISUSED)
    request = _request(
        user_query=query, k=k, client_id=client, timeout_ms=timeout_ms, explain=explain, facets=facet or [],
        group_by=group_by, sort=sort, ranking=ranking, filters=_conditions(where or []),
        image=None if image is None else prepared_picture(image), image_weight=image_weight,
    )  # fmt: skip
    settings = find_settings(data_dir)
    await_first(partial(read_page, settings))
    try:
        response, took_ms = asyncio.run(_search(settings, request))
    except TimeoutError:
        stop(f"no answer within {timeout_ms} ms: is a searcher running and ready? `searchloop status` tells")
    if as_json:
        show_json(response.model_dump(mode="json") | {"round_trip_ms": round(took_ms, 2)})
    else:
        asked = " and ".join(repr(str(one)) for one in (query, image) if one)
        moved = any(_moved_by(h) for h in response.hits)
        rows = [
            (
                h.rank, h.product_id, h.fields.get("title"), h.score, *_parts(h),
                *([_moved_by(h)] if moved else []),
            )
            for h in response.hits
        ]  # fmt: skip
        table(
            f"{asked}: generation {response.generation}, {took_ms:.0f} ms",
            [
                *("rank", "product", "title", "score"),
                *(["made of"] if request.explain else []),
                *(["rule"] if moved else []),
            ],
            rows,
        )
        for one in response.facets:
            table(
                f"{one.field} among the best",
                ["value", "products"],
                [(c.value, c.count) for c in one.counts],
            )
        if response.error:
            out.print(f"{response.status}: {response.error.message}")
    if response.status not in {Status.OK, Status.PARTIAL}:
        raise SystemExit(1)


def await_first(
    page: Callable[[str, str], Mapping[str, object]], *, look_s: float = 0.3, products_within_s: float = 10.0
) -> None:
    """Wait while the searcher of this machine says that no generation was ever built.

    Stops when the indexer knows no product after ``products_within_s``: then none will be.
    """
    begun = time.monotonic()
    said = False
    while page("searcher", "readyz").get("waiting") == "no release yet":
        waited, indexer = time.monotonic() - begun, page("indexer", "readyz")
        if (
            indexer.get("catalog") == 0 and waited > products_within_s
        ):  # None: it reads still, or is elsewhere
            stop("nothing serves yet, since there are no products: `searchloop send products FILE`")
        if waited > _FIRST_S:
            return
        if not said:
            err.print("waiting: the first generation is built from the products that are there")
            said = True
        time.sleep(look_s)


def _conditions(where: list[str]) -> list[Filter]:
    try:
        return [condition(text) for text in where]
    except ConditionError as error:
        stop(str(error), code=2)


def _request(**said: object) -> SearchRequest:
    asked = {name: value for name, value in said.items() if value is not None}
    try:
        return SearchRequest.model_validate({"request_id": uuid.uuid4().hex, **asked})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        stop(f"{first['loc'][0]}: {first['msg']}", code=2)


def _parts(hit: ScoredHit) -> tuple[str, ...]:
    if hit.parts is None:
        return ()
    return (", ".join(f"{name} {value:.3f}" for name, value in hit.parts.items()),)


def _moved_by(hit: ScoredHit) -> str:
    if hit.rule is not None:
        return f"{hit.rule.action} ({hit.rule.rule_id})"
    return "new: shown by lot" if hit.explored is not None else ""


async def _search(settings: Settings, request: SearchRequest) -> tuple[SearchResponse, float]:
    async with open_requester(settings, settings.topic("search-responses")) as requester:
        return await ask(requester, settings, request)
