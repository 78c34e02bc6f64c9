"""``demo``: the whole loop once, on a simulated shop and real servers, with every promise checked.

Each step adds to one report; a check that does not hold is named, and the exit code is then 1.
"""

import asyncio
import shutil
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from rich.text import Text

from artefacts.located import folders_of, use_store
from broker.producing import open_producer
from broker.requesting import open_requester
from broker.topics import ensure_topics
from commands.instruments.conservation import Accounts, settled
from commands.instruments.demo_report import Report, Stage
from commands.instruments.demo_shop import keep_shop
from commands.instruments.demo_steps import (
    PER_SECOND,
    QUIET_S,
    delete,
    deploy,
    judge_traffic,
    limit_s,
    ready,
    refuse_shuffled,
    roll_back,
    titles,
)
from commands.instruments.footprint import watch_memory
from commands.instruments.only_asked import ONLY_ASKED
from commands.instruments.traffic import steady_traffic
from commands.support.session import err, out, show_json, stop, table
from commands.support.topic_state import read_pairs
from embedded.errors import EmbeddedError
from embedded.supervisor import LOOP, Supervisor
from schemas.settings import Settings
from simulator.shop import Shop

MAX_STEPS = 50  # by default about twice as many; the demo has eight minutes
TIMEOUT_MS = 120_000
MOST_FLYING = 100


def demo(*, data_dir: Path | None, seed: int, keep: bool, shop: bool) -> None:
    """Run the demo, and end with 0 only if every promise held; or keep a shop for the browser."""
    if shop:
        _keep_shop(data_dir, seed=seed, keep=keep)
        return
    raise SystemExit(asyncio.run(run_demo(data_dir, seed=seed, keep=keep)))


def _keep_shop(data_dir: Path | None, *, seed: int, keep: bool) -> None:
    folder = data_dir or Path(tempfile.mkdtemp(prefix="searchloop-shop-"))
    try:
        asyncio.run(keep_shop(folder, seed=seed))
    except (TimeoutError, EmbeddedError) as error:
        stop(f"{error or type(error).__name__}; the logs are in {folder / 'logs'}")
    finally:
        if not keep and data_dir is None:
            shutil.rmtree(folder, ignore_errors=True)


async def run_demo(data_dir: Path | None, *, seed: int, keep: bool) -> int:
    """Run the demo; return the exit code: 0 only if every promise held."""
    folder = data_dir or Path(tempfile.mkdtemp(prefix="searchloop-demo-"))
    report = Report()
    started = time.monotonic()
    env = ONLY_ASKED | {
        "SEARCHLOOP_SEED": str(seed),
        "SEARCHLOOP_EMIT_SEARCHES": "true",
        "SEARCHLOOP_MAX_STEPS": str(MAX_STEPS),
    }
    try:
        async with AsyncExitStack() as stack:
            with Stage("start Kafka, Milvus and the four processes of the loop"):
                servers = await stack.enter_async_context(
                    Supervisor(data_dir=folder, env=env, processes=LOOP, quiet=True)
                )
            memory = await stack.enter_async_context(watch_memory(folder))
            settings = Settings.load(
                {
                    "SEARCHLOOP_KAFKA": servers.kafka,
                    "SEARCHLOOP_MILVUS": servers.milvus,
                    "SEARCHLOOP_DATA_DIR": str(folder),
                }
            )
            use_store(folders_of(settings))
            await ensure_topics(settings)
            await _turn(settings, servers, Shop(seed=seed, end=datetime.now(UTC)), report)
            report.facts["stack_rss_mb"] = memory.peak_mb
            report.check(
                memory.peak_mb <= 4096,
                f"the whole loop takes at most 4 GB, training included ({memory.peak_mb} MB)",
            )
            report.facts["restarts"] = {name: servers.restarts(name) for name in LOOP}
            report.check(not any(report.facts["restarts"].values()), "no process crashed")
    except (TimeoutError, EmbeddedError) as error:
        report.check(
            False, f"every step ends ({error or type(error).__name__}); the logs are in {folder / 'logs'}"
        )
        keep = True
    finally:
        if not keep and data_dir is None:
            shutil.rmtree(folder, ignore_errors=True)
    for fault in report.faults:
        err.print(Text.assemble(("failed:", "bold red"), f" {fault}"))
    show_json(
        {
            "benchmark": "demo",
            "seed": seed,
            "duration_s": round(time.monotonic() - started, 1),
            "ok": not report.faults,
            **report.facts,
            "faults": report.faults,
        }
    )
    return 1 if report.faults else 0


def _judge_intake(accounts: Accounts, shop: Shop, pairs: int, report: Report) -> None:
    """Hold what was accepted, refused and learnt against what the shop has sent and planted."""
    report.facts |= {"events": accounts.facts(), "pairs": pairs}
    table("refused", ["reason", "records"], sorted(accounts.refused.items()))
    out.print(
        f"sent {accounts.sent}, accepted {accounts.accepted}, refused {accounts.refused.total()}, "
        f"ignored {accounts.ignored}; {pairs} pairs learnt"
    )
    report.check(accounts.balanced, "sent = accepted + refused + ignored")
    planted = sum((shop.expected(week) for week in range(shop.weeks)), Counter())
    expected = Counter[str]()
    for (_, _, reason), n in planted.items():
        if reason is not None:
            expected[reason.value] += n
    missed = {r: (n, accounts.refused[r]) for r, n in expected.items() if accounts.refused[r] < n}
    report.check(not missed, f"every planted fault was refused for its reason {missed or ''}")
    report.check(pairs > 0, "pairs were learnt")


async def _turn(settings: Settings, servers: Supervisor, shop: Shop, report: Report) -> None:
    accounts = Accounts()
    async with (
        open_producer(settings, linger_ms=20) as producer,
        open_requester(settings, settings.topic("search-responses")) as requester,
    ):
        with Stage("the catalogue goes in; generation 1 is built from the pretrained model"):
            await accounts.send(producer, settings, shop.products())
            await ready(settings, servers)
        with Stage("shoppers search, click, buy and return things for four weeks") as stage:
            for week in range(shop.weeks):
                await accounts.send(producer, settings, shop.events(week))
                stage.say(f"week {week + 1}")
            await settled(settings, accounts, quiet_s=QUIET_S)
        _judge_intake(accounts, shop, len(await read_pairs(settings)), report)
        asked = shop.queries(shop.weeks - 1, 300)
        taught = [q.text for q in shop.examples(3)]
        examples = list(dict.fromkeys(taught + [q.text for q in asked if not q.seen and q.gains]))[:5]
        before = {q: await titles(requester, settings, q) for q in examples}
        queries = [q.text for q in asked]
        asking = steady_traffic(
            requester,
            settings,
            queries,
            per_second=PER_SECOND,
            timeout_ms=TIMEOUT_MS,
            most_flying=MOST_FLYING,
        )
        async with asking as traffic:
            await deploy(settings, traffic, report)
            after = {q: await titles(requester, settings, q) for q in examples}
            for query in examples:
                table(
                    f"{query!r}",
                    ["pretrained", "trained"],
                    list(zip(before[query], after[query], strict=False)),
                )
            await refuse_shuffled(settings, traffic, report)
            await roll_back(settings, traffic, report)
            await delete(settings, producer, requester, examples, report, within_s=limit_s(traffic, 10.0))
        await judge_traffic(settings, traffic, report)
