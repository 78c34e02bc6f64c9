"""``releases``: the generations, and which one serves or served."""

import asyncio
from pathlib import Path

from commands.support.serving_evidence import show_moment
from commands.support.session import find_settings, show_json, table
from commands.support.topic_state import read_releases
from operations.release_words import kind_in_words
from schemas.releases import ReleaseState

STANDING = frozenset({ReleaseState.RELEASED, ReleaseState.RETIRED})


def releases(*, at: str | None, data_dir: Path | None, as_json: bool) -> None:
    """List the generations and say which one is live, or which one was at a moment.

    Of refreshes only those that can serve.
    """
    if at is not None:
        show_moment(at, data_dir=data_dir, as_json=as_json, evidence=False)
        return
    live, found = asyncio.run(read_releases(find_settings(data_dir)))
    if as_json:
        show_json(
            {
                "live": live.model_dump(mode="json") if live else None,
                "releases": [r.model_dump(mode="json") for r in found],
            }
        )
        return
    serving = (
        {live.live.generation: "live", **({live.previous.generation: "previous"} if live.previous else {})}
        if live
        else {}
    )
    rows = [
        (
            r.generation,
            kind_in_words(r),
            r.state.value,
            serving.get(r.generation, ""),
            r.row_count,
            r.model_sha256[:12],
            r.run_id,
            str(r.at)[:19],
        )
        for r in found
        if r.kind == "full" or r.state in STANDING
    ]
    table(
        "releases",
        ["generation", "kind", "state", "serves", "products at build", "model", "run", "since"],
        rows,
    )
