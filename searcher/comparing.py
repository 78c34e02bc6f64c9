"""Which release answers a request: what serves, or for comparison something else that is in memory anyway.

Nothing is loaded for a comparison. What served before stays open for a rollback, the pretrained model as long
as a generation of it does; the encoder alone and the words alone are parts of what serves.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from retrieval.live import Live, NothingLiveError
from retrieval.ranking import DENSE, WORDS
from retrieval.release import LoadedRelease
from schemas.search import RankingAsked, SearchError, SearchRequest, SearchResponse, Status

# Returns a release that is open besides what serves, None where there is none. From any thread.
Held = Callable[[RankingAsked], LoadedRelease | None]
_ALONE: Mapping[RankingAsked, str] = {"dense": DENSE, "words": WORDS, "base": DENSE}
_OPENED: frozenset[RankingAsked] = frozenset({"previous", "base"})
_LACKING: Mapping[RankingAsked, str] = {
    "previous": "no previous generation is open here: none served before, or it is still being loaded",
    "base": "no generation of the pretrained model is open here: it does not serve, no rollback goes to it",
    "words": "the generation that serves reads no words, so that there is no BM25 of the catalogue",
}


def nothing_else(_: RankingAsked) -> LoadedRelease | None:
    """Return nothing: for who serves one release."""
    return None


@contextmanager
def leased(live: Live[LoadedRelease], held: Held, ranking: RankingAsked) -> Iterator[LoadedRelease | None]:
    """Lease the release that a ranking asks for; None where it is not open, or has not that part.

    Raises ``NothingLiveError`` before anything serves.
    """
    with ExitStack() as lease:
        try:
            release = lease.enter_context(live.lease((lambda: held(ranking)) if ranking in _OPENED else None))
        except NothingLiveError:
            if ranking not in _OPENED:
                raise
            yield None
        else:
            yield release.alone(_ALONE[ranking]) if ranking in _ALONE else release


def not_held(request: SearchRequest) -> SearchResponse:
    """Return the answer to a request for something that cannot be asked here."""
    message = _LACKING.get(request.ranking, "it cannot be asked here")
    return SearchResponse(
        request_id=request.request_id,
        query_id=request.query_id,
        status=Status.REJECTED,
        error=SearchError(code="ranking_unavailable", message=message),
    )
