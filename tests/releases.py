"""A release as tests need one: only what a case is about has to be said."""

from datetime import UTC, datetime
from typing import Any

from schemas.releases import Release, ReleaseState

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_release(generation: int, state: ReleaseState = ReleaseState.RELEASED, **fields: Any) -> Release:
    values = {
        "model": f"m{generation}",
        "model_sha256": f"sha{generation}",
        "dim": 4,
        "collection": f"p_g{generation:06d}",
        "at": NOW,
    }
    return Release(generation=generation, state=state, **{**values, **fields})
