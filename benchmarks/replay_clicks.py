"""Replay a shop's real searches and clicks through the running stack, week by week.

Weeks before the first come with it. After each week: one training run, its verdict, the swap; then the
*served* answers (over ``search-requests``) are scored on the next week's queries, beside ``offline`` (that
release by the code of the evaluation; goal: within .005), the pretrained model and BM25 over the same
catalogue. nDCG@10 per distinct query, gain log2(1 + clicks). Times are sent as they are; old history is
accepted by the setting ``max_event_age``.
"""

import argparse
import asyncio
import hashlib
import json
import tempfile
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from artefacts.located import folders_of, use_store
from benchmarks.harness.report import finish, read_jsonl, say
from benchmarks.learning.judged import read_catalog
from benchmarks.learning.raw_clicks import Click, add_log_options, log_files, read_clicks
from broker.producing import open_producer
from broker.requesting import open_requester
from broker.topics import ensure_topics
from commands.instruments.conservation import Accounts, settled
from commands.instruments.footprint import watch_memory
from commands.instruments.only_asked import ONLY_ASKED
from commands.support.asking import ask
from commands.support.run_request import send_trigger, wait_for_run
from commands.support.topic_state import read_decisions, read_releases
from embedded.supervisor import Supervisor
from retrieval.encoder import Encoder
from retrieval.memory_parts import sources_of
from retrieval.model_folder import resolve_model
from schemas.releases import Release
from schemas.search import SearchRequest
from schemas.settings import BUNDLED_MODEL, Settings, TrainerSettings
from schemas.text import normalise_query
from schemas.training import Trigger
from trainer.evaluation.rankers import Embedded, EvaluationCatalog, bm25, dense, served, words_of_catalog
from trainer.evaluation.ranking_metrics import ndcg

MOST_APART = 0.005  # what is served and what the same release has offline

Qrels = dict[str, dict[str, float]]


@dataclass(frozen=True)
class ClickRecord:
    """A record as the shop sends it."""

    topic_name: str
    key: bytes
    value: bytes


def records_of(clicks: Iterable[Click]) -> list[ClickRecord]:
    """Return the searches and interactions of the clicks, in event-time order.

    One search per (session, query, query_time).
    """
    timed: list[tuple[str, int, ClickRecord]] = []
    searched: set[str] = set()
    for number, c in enumerate(clicks):
        query_id = hashlib.sha256(f"{c.session}|{c.query}|{c.query_time}".encode()).hexdigest()[:32]
        common = {"query_id": query_id, "user_query": c.query, "client_id": c.session}
        if query_id not in searched:
            searched.add(query_id)
            search = common | {"event_id": f"s-{query_id}", "timestamp": c.query_time}
            timed.append(
                (c.query_time, 0, ClickRecord("searches", c.session.encode(), json.dumps(search).encode()))
            )
        click: dict[str, Any] = common | {
            "event_id": f"c-{number}-{query_id}",
            "timestamp": c.click_time,
            "action_name": "click",
        }
        click["event_attributes"] = {"object": {"object_id": c.product_id}}
        timed.append(
            (c.click_time, 1, ClickRecord("interactions", c.session.encode(), json.dumps(click).encode()))
        )
    return [record for _, _, record in sorted(timed, key=lambda t: (t[0], t[1]))]


def qrels_of(clicks: Iterable[Click], known: set[str]) -> Qrels:
    """Return the gains of a week: log2(1 + clicks) per distinct normalised query and known product."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for c in clicks:
        query = normalise_query(c.query)
        if query and c.product_id in known:
            counts[query][c.product_id] += 1
    return {q: {p: float(np.log2(1 + n)) for p, n in by.items()} for q, by in counts.items()}


def mean_ndcg(ranked: dict[str, list[str]], qrels: Qrels, seen: set[str]) -> dict[str, float]:
    """Return mean nDCG@10 over all queries and over those never trained."""
    scores = {q: ndcg(ranked.get(q, []), gains, k=10) for q, gains in qrels.items()}
    unseen = [s for q, s in scores.items() if q not in seen]
    return {
        "all": round(float(np.mean(list(scores.values()))), 4),
        "unseen": round(float(np.mean(unseen)), 4) if unseen else float("nan"),
    }


def offline_rankings(
    catalog: EvaluationCatalog, release: Release, queries: list[str]
) -> dict[str, dict[str, list[str]]]:
    """Rank the catalogue by the release that serves, by the pretrained model, and by BM25."""
    words = words_of_catalog(catalog, TrainerSettings().language)
    base, live = (Encoder.load(model) for model in (resolve_model(BUNDLED_MODEL), release.model))
    sources = sources_of(release.ranking, words, model_sha256=live.fingerprint)
    ranked = {
        "offline": served(Embedded.of(live, queries, catalog), sources, queries, catalog, release.ranking),
        "base": dense(Embedded.of(base, queries, catalog), catalog),
        "bm25": bm25(words, queries),
    }
    return {name: dict(zip(queries, own, strict=True)) for name, own in ranked.items()}


async def served_rankings(
    settings: Settings, queries: list[str]
) -> tuple[dict[str, list[str]], set[int | None], int]:
    """Ask every query over Kafka, 8 in flight.

    Returns rankings, the generations that answered, and failures.
    """
    ranked: dict[str, list[str]] = {}
    generations: set[int | None] = set()
    failed = 0
    gate = asyncio.Semaphore(8)
    async with open_requester(settings, settings.topic("search-responses")) as requester:

        async def one(query: str) -> None:
            nonlocal failed
            async with gate:
                response, _ = await ask(
                    requester,
                    settings,
                    SearchRequest(request_id=uuid.uuid4().hex, user_query=query, k=10, timeout_ms=60_000),
                )
            if response.status != "ok":
                failed += 1
            generations.add(response.generation)
            ranked[query] = [h.product_id for h in response.hits]

        await asyncio.gather(*(one(q) for q in queries))
    return ranked, generations, failed


async def replay(args: argparse.Namespace) -> int:
    """Run the replay; return the exit code."""
    started = time.monotonic()
    first, last = (int(w) for w in args.weeks.split("-"))
    products = list(read_jsonl(args.products))
    known, catalog = {p["product_id"] for p in products}, EvaluationCatalog.of(read_catalog(args.products)[0])
    by_week: dict[int, list[Click]] = defaultdict(list)
    for c in read_clicks(args.clicks):
        by_week[c.week].append(c)
    env = ONLY_ASKED | {
        "SEARCHLOOP_MAX_EVENT_AGE": "P12000D",
        "SEARCHLOOP_ASSUME_UTC": "true",
        "SEARCHLOOP_SEED": str(args.seed),
        "SEARCHLOOP_EMIT_SEARCHES": "false",  # our probes are not shoppers
        "SEARCHLOOP_WEIGHT_CLICK": "1.0",  # the shop has clicks only: they are its metric
        "SEARCHLOOP_TEST_DAYS": "3",  # of a week, so that a candidate has seen the rest of it
        # In three days of 437 products the first query alone has up to .26 of the clicks
        "SEARCHLOOP_GATE_MAX_QUERY_SHARE": "0.4",
    }
    weeks: list[dict[str, Any]] = []
    ok, seen, accounts = True, set[str](), Accounts()
    with tempfile.TemporaryDirectory(prefix="searchloop-replay-") as folder:
        async with (
            Supervisor(data_dir=Path(folder), env=env, quiet=True) as stack,
            watch_memory(Path(folder)) as memory,
        ):
            settings = Settings.load(
                {
                    "SEARCHLOOP_KAFKA": stack.kafka,
                    "SEARCHLOOP_MILVUS": stack.milvus,
                    "SEARCHLOOP_DATA_DIR": folder,
                }
            )
            use_store(folders_of(settings))
            await ensure_topics(settings)
            async with open_producer(settings, linger_ms=20) as producer:
                sent = [
                    ClickRecord("products", p["product_id"].encode(), json.dumps(p).encode())
                    for p in products
                ]
                await accounts.send(producer, settings, sent)
                await stack.ready(180)
                say(f"{len(products)} products, generation 1 serves")
                for week in range(first, last + 1):
                    refused_before = Counter(accounts.refused)
                    new = [
                        click
                        for other in sorted(by_week)
                        if (other <= week if week == first else other == week)
                        for click in by_week[other]
                    ]
                    records = records_of(new)
                    await accounts.send(producer, settings, records)
                    await settled(settings, accounts, quiet_s=300)
                    ok &= accounts.balanced
                    refused = accounts.refused - refused_before
                    seen |= {normalise_query(c.query) for c in new}
                    facts = await turn(settings, args.run_timeout)
                    found = await compared(settings, catalog, qrels_of(by_week[week + 1], known), seen)
                    ok &= (
                        found["failed"] == 0
                        and found["apart"] <= MOST_APART
                        and len(found["generations"]) == 1
                        and facts["state"] in {"deployed", "failed_gate", "inconclusive"}
                    )
                    weeks.append({
                        "week": week,
                        "events": len(records),
                        "accepted": len(records) - refused.total(),
                        "refused": dict(refused),
                        **found,
                        **facts,
                    })  # fmt: skip
                    say(f"week {week}: {json.dumps(weeks[-1])}")
    return finish(
        "replay_clicks", seed=args.seed, started=started, ok=ok, weeks=weeks, stack_rss_mb=memory.peak_mb
    )


async def compared(
    settings: Settings, catalog: EvaluationCatalog, qrels: Qrels, seen: set[str]
) -> dict[str, Any]:
    """Ask all queries over Kafka; return how good the answers are, and how good the others'."""
    queries = sorted(qrels)
    ranked, generations, failed = await served_rankings(settings, queries)
    live, releases = await read_releases(settings)
    release = next(one for one in releases if live and one.generation == live.live.generation)
    offline = await asyncio.to_thread(offline_rankings, catalog, release, queries)
    ndcg10 = {name: mean_ndcg(own, qrels, seen) for name, own in {"live": ranked, **offline}.items()}
    pairs = [(ndcg10["live"][kind], ndcg10["offline"][kind]) for kind in ("all", "unseen")]
    return {
        "generations": sorted(generations, key=str),
        "failed": failed,
        "queries": {"all": len(qrels), "unseen": sum(query not in seen for query in qrels)},
        "ndcg10": ndcg10,
        "apart": round(max((abs(a - b) for a, b in pairs if np.isfinite(a)), default=0.0), 4),
        "coefficients": release.ranking.coefficients,
    }


async def turn(settings: Settings, timeout_s: float) -> dict[str, Any]:
    """Trigger a run, wait for its end and for the swap; return what happened."""
    trigger = Trigger(
        trigger_id=uuid.uuid4().hex, requested_at=datetime.now(UTC), requested_by="replay_clicks"
    )
    asked = time.monotonic()
    await send_trigger(settings, trigger)
    run = await wait_for_run(settings, trigger.trigger_id, quiet_s=timeout_s)
    ended = time.monotonic()
    swapped = await _served_generation(settings, run.generation, deadline_s=60)
    decision = next((d for d in await read_decisions(settings) if d.run_id == run.run_id and d.checks), None)
    return {
        "state": run.state.value,
        "verdict": run.verdict,
        "reasons": decision.reasons if decision else [run.error.message if run.error else run.detail],
        "pairs": run.pairs,
        "train_s": round(ended - asked, 1),
        "swap_s": round(swapped, 2),
    }


async def _served_generation(settings: Settings, wanted: int | None, *, deadline_s: float) -> float:
    """Wait until answers come from the generation; return the seconds waited.

    Without one (no promote) return at once.
    """
    started = time.monotonic()
    live, _ = await read_releases(settings)
    wanted = wanted or (live.live.generation if live else None)
    while time.monotonic() - started < deadline_s:
        _, generations, _ = await served_rankings(settings, ["probe"])
        if generations == {wanted}:
            break
        await asyncio.sleep(0.1)
    return time.monotonic() - started


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_log_options(parser)
    parser.add_argument(
        "--weeks", default="33-36", help="ISO weeks A-B; B + 1 must be in the file for its queries"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--run-timeout", type=float, default=1200)
    args = parser.parse_args()
    args.clicks, args.products = log_files(args)
    return asyncio.run(replay(args))


if __name__ == "__main__":
    raise SystemExit(main())
