"""The completeness report of four catalogues: what it finds, and the time and memory that it takes.

A feed with descriptions, prices and ratings; products with pictures, whose attributes get names; both of them
from a topic and an artefact store; and products made up in any number, in which faults are planted and must
be found: those of one product exactly, nearly equal titles to 95 %. Each is a run of the verb in a process of
its own, report page included.
"""

import argparse
import asyncio
import hashlib
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from artefacts.store import ArtefactStore
from benchmarks.harness.report import data_folder, finish, read_jsonl, say
from broker.producing import open_producer
from broker.records import Outgoing
from broker.topics import ensure_topics
from completeness.findings import CatalogueReport
from completeness.local_pictures import LocalPictures
from embedded.kafka import EmbeddedKafka
from media.preparation import picture_key
from schemas.products import CatalogProduct
from schemas.settings import Settings
from schemas.topics import CATALOG

ROOT = Path(__file__).parents[1]
TOLD = ("department", "group", "article", "colour", "usage")
SYLLABLES = (
    "ka",
    "lo",
    "mi",
    "ter",
    "ron",
    "bel",
    "sta",
    "vi",
    "gru",
    "pon",
    "del",
    "har",
    "zu",
    "fen",
    "ost",
    "ly",
)
LEAST_ALIKE = 0.95
# Of how many products each has one; a prime, so that they meet.
PLANTED = {
    "title.placeholder": 101,
    "description.absent": 7,
    "description.placeholder": 103,
    "brand.blank": 11,
    "brand.placeholder": 107,
    "category_path.absent": 13,
    "price.zero": 109,
    "price.absent": 17,
    "price.odd": 1009,
    "attributes.placeholder": 19,
    "image.absent": 5,
    "title.same": 211,
    "title.alike": 223,
}


def feed(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the products of the feed as `products` takes them; stock and rating become attributes."""
    for row in read_jsonl(path):
        yield {
            "product_id": row["product_id"],
            "title": row["title"],
            "description": row.get("description"),
            "category_path": [row["category"]] if row.get("category") else [],
            "price": row["price_cents"] / 100 if row.get("price_cents") is not None else None,
            "attributes": {n: row[n] for n in ("stock", "average_rating") if row.get(n) is not None},
        }


def pictured(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the products with pictures; their attributes are a list, and get names by its order."""
    for row in read_jsonl(path):
        told = dict(zip(TOLD, str(row.get("attributes", "")).split(" - "), strict=False))
        yield {
            "product_id": row["product_id"],
            "title": row["title"],
            "category_path": [row["category"]] if row.get("category") else [],
            "attributes": {name: value for name, value in told.items() if value},
            "image": {"uri": row["image"]} if row.get("image") else None,
        }


def made_up(n: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield so many products with planted faults: each has those whose number divides its own."""
    drawn = random.Random(seed)
    last = ""
    for number in range(1, n + 1):
        words = ["".join(drawn.choices(SYLLABLES, k=drawn.randint(2, 4))) for _ in range(6)]
        title = f"{' '.join(words).capitalize()} {drawn.randrange(1000)}"
        has = {name for name, every in PLANTED.items() if number % every == 0}
        if "title.same" in has:
            title = last
        elif "title.alike" in has:
            title = f"{last}s"
        last = title
        yield {
            "product_id": f"p{number}",
            "title": "TBD" if "title.placeholder" in has else title,
            "description": None
            if "description.absent" in has
            else "Lorem ipsum dolor sit amet"
            if "description.placeholder" in has
            else f"{' '.join(reversed(words))}, number {number}. {'All about it. ' * drawn.randint(5, 25)}",
            "brand": " " if "brand.blank" in has else "n/a" if "brand.placeholder" in has else words[0],
            "category_path": [] if "category_path.absent" in has else ["Shop", f"Kind {number % 7}"],
            "price": None
            if "price.absent" in has
            else 0
            if "price.zero" in has
            else 250_000.5
            if "price.odd" in has
            else round(drawn.uniform(10, 40), 2),
            "currency": "EUR",
            "availability": "in_stock",
            "attributes": {
                "colour": "-" if "attributes.placeholder" in has else words[1],
                "weight": number % 50,
            },
            "image": None if "image.absent" in has else {"uri": f"https://cdn.shop.example/{number}.jpg"},
        }


def expected(n: int) -> dict[str, int]:
    """Return how many products have each planted fault; of two for one field the stronger one shows."""
    hidden = {
        "description.placeholder": "description.absent",
        "brand.placeholder": "brand.blank",
        "price.zero": "price.absent",
    }
    found = {
        name: sum(
            number % PLANTED[hidden[name]] != 0 if name in hidden else 1
            for number in range(every, n + 1, every)
        )
        for name, every in PLANTED.items()
        if name not in {"title.same", "title.alike", "price.odd"}
    }
    shown = (number for number in range(PLANTED["price.odd"], n + 1, PLANTED["price.odd"]))
    found["price.odd"] = sum(
        all(number % PLANTED[f] for f in ("price.absent", "price.zero", "category_path.absent"))
        for number in shown
    )
    return found


def planted_pairs(n: int) -> int:
    """Return how many pairs of nearly equal titles are there, both of them shown."""
    every, same, hidden = PLANTED["title.alike"], PLANTED["title.same"], PLANTED["title.placeholder"]
    return sum(
        bool(number % same and number % hidden and (number - 1) % hidden)
        for number in range(every, n + 1, every)
    )


def judged(
    rows: Iterable[dict[str, Any]], folder: Path, *options: str
) -> tuple[dict[str, Any], CatalogueReport]:
    """Write the products to a file and run the verb over it. Returns what it took and its report."""
    file = folder / "products.jsonl"
    with file.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps({k: v for k, v in row.items() if v is not None}) + "\n" for row in rows)
    took, report = run_verb(folder, "--products", str(file), *options)
    return {"file_mb": round(file.stat().st_size / 2**20, 1), **took}, report


def run_verb(
    folder: Path, *options: str, environ: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], CatalogueReport]:
    """Run the verb in a process of its own. Returns what it took and its report."""
    page, kept = folder / "report.html", folder / "report.json"
    command = [sys.executable, str(ROOT / "cli.py"), "doctor", "catalog", *options]
    began = time.monotonic()
    process = subprocess.Popen(
        [*command, "--out", str(page), "--out", str(kept)], stdout=subprocess.DEVNULL, env=environ
    )
    peak_kb = 0
    while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
        peak_kb = max(peak_kb, _peak_kb(process.pid))
        time.sleep(0.02)
    _, status, used = ended
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    report = CatalogueReport.model_validate_json(kept.read_bytes())
    took = {
        "products": report.products,
        "wall_s": round(time.monotonic() - began, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": round(peak_kb / 1024),
        "page_kb": round(page.stat().st_size / 1024),
        "score": report.score,
        "pictures": report.pictures_looked_at,
        "findings": {
            f"{f.name} {f.field}" if f.field.count(".") else f.name: f.products for f in report.findings
        },
    }
    return took, report


def _peak_kb(pid: int) -> int:
    """Return the most that a process has held so far; ``ru_maxrss`` may be what its parent held."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)


def of_a_stack(folder: Path, rows: Iterable[dict[str, Any]], images: LocalPictures) -> dict[str, Any]:
    """Put products on a topic and their pictures into a store, as intake does, and run the verb over both."""
    store = ArtefactStore(str(folder / "artefacts"))
    with EmbeddedKafka(folder / "kafka") as kafka:
        environ = {"SEARCHLOOP_KAFKA": kafka.address, "SEARCHLOOP_DATA_DIR": str(folder)}
        settings = Settings.load(environ)
        asyncio.run(_fill(settings, [clean(row, images, store) for row in rows]))
        took, _ = run_verb(folder, environ=os.environ | environ)
    return took


async def _fill(settings: Settings, products: Iterable[CatalogProduct]) -> None:
    await ensure_topics(settings, deadline_s=60)
    topic = settings.topic(CATALOG.name)
    async with open_producer(settings, linger_ms=20) as producer:
        await producer.send_all(Outgoing(topic, p.to_json(), key=p.product_id.encode()) for p in products)


def clean(row: dict[str, Any], images: LocalPictures, store: ArtefactStore) -> CatalogProduct:
    """Return the product as intake writes it, its picture kept in the store."""
    told = {name: value for name, value in row.items() if value is not None}
    title = told["title"] if told["title"].strip() else "?"
    product = CatalogProduct(version=1, **(told | {"title": title}))
    prepared = images(product.image.uri) if product.image else None
    if not isinstance(prepared, bytes):
        return product
    key = picture_key(hashlib.sha256(prepared).hexdigest())
    store.put(key, prepared)
    return product.model_copy(update={"image_key": key})


def main() -> int:
    """Run it; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--feed", type=Path, default=None)
    parser.add_argument("--pictured", type=Path, default=None)
    parser.add_argument("--images", type=Path, default=None)
    parser.add_argument("--made-up", type=int, default=1_000_000)
    parser.add_argument("--without-stack", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    args, started = parser.parse_args(), time.monotonic()
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="searchloop-catalog-") as scratch:
        folder = Path(scratch)
        shop = args.feed or data_folder() / "vespa_products.jsonl.gz"
        found["feed"], _ = judged(feed(shop), folder)
        say(f"the feed: {found['feed']}")
        images = args.images or data_folder() / "fashion2k_images.tar"
        products = args.pictured or data_folder() / "fashion2k_products.jsonl.gz"
        found["pictured"], _ = judged(pictured(products), folder, "--pictures", str(images))
        say(f"with pictures: {found['pictured']}")
        if not args.without_stack:
            both = itertools.chain(feed(shop), pictured(products))
            found["of_a_stack"] = of_a_stack(folder, both, LocalPictures(images))
            say(f"of a stack: {found['of_a_stack']}")
        found["made_up"], _ = judged(made_up(args.made_up, args.seed), folder)
        say(f"made up: {found['made_up']}")
    wanted, got = expected(args.made_up), found["made_up"]["findings"]
    wrong = {name: (got.get(name, 0), count) for name, count in wanted.items() if got.get(name, 0) != count}
    alike = planted_pairs(args.made_up)
    return finish(
        "catalog_report",
        seed=args.seed,
        started=started,
        ok=not wrong and got.get("title.alike", 0) >= 2 * LEAST_ALIKE * alike,
        catalogues=found,
        planted=wanted,
        found_otherwise=wrong,
        planted_alike=2 * alike,
    )


if __name__ == "__main__":
    raise SystemExit(main())
