"""All parts of the score for an indexed shop: its catalogue on the topic, and a memory of many queries.

Queries are words out of the titles and their vectors are made up (``made_up_memory``), so the memory costs
what a real one does and says nothing true: for time, not for relevance.
"""

from pathlib import Path

from benchmarks.serving.indexed_shop import IndexedShop
from benchmarks.serving.made_up_memory import queries_of, taken_after, vectors_of
from broker.producing import open_producer
from broker.records import Outgoing
from retrieval.encoder import Encoder
from retrieval.query_memory import Taken, write_memory
from retrieval.ranking import MEMORY, PARTS
from retrieval.words import analysis_digest
from schemas.releases import Ranking
from schemas.settings import Settings, TrainerSettings
from schemas.text import normalise_query
from schemas.topics import CATALOG


def all_parts(folder: Path, encoder: Encoder, ground: IndexedShop, queries: int, seed: int) -> Ranking:
    """Write a memory of so many queries into ``folder``; return a ranking that weighs every part alike."""
    language = TrainerSettings().language
    titles = [normalise_query(product.title).split() for product in ground.products]
    numbered = [(number, words) for number, words in enumerate(titles) if words]
    known = queries_of([words for _, words in numbered], queries, seed)
    ids = [ground.products[number].product_id for number, _ in numbered]
    taken = [
        Taken(one.query, ids[int(one.product_id[1:])], one.credit)
        for one in taken_after(known, [words for _, words in numbered], seed)
    ]
    digest = write_memory(folder, taken, known, vectors_of(known, seed), model_sha256=encoder.fingerprint)
    return Ranking(
        coefficients=dict.fromkeys(PARTS, 1.0),
        artefacts={MEMORY: (str(folder), digest)},
        language=language,
        analysis_sha256=analysis_digest(language),
    )


async def publish_catalog(settings: Settings, ground: IndexedShop) -> None:
    """Write the products where searchers read their words from."""
    async with open_producer(settings, linger_ms=50) as producer:
        await producer.send_all(
            Outgoing(settings.topic(CATALOG.name), product.to_json(), key=product.product_id.encode())
            for product in ground.products
        )
