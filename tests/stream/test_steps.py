"""A step on a table in memory: what it writes, and where, before a broker is there."""

from types import SimpleNamespace

from broker.records import partition_of
from schemas.batches import pack, unpack
from schemas.events import Forget
from schemas.pairs import ClientErasure, Contribution, Pair, client_of, pair_key
from schemas.settings import StreamSettings
from stream.contiguity import Contiguity
from stream.steps import AggregateStep, AttributeStep
from tests.stream.builders import T0, act, contribution, search

SETTINGS = StreamSettings(partitions=3)
ANN = client_of("ann")


class Table:
    """A table that keeps bytes, and the partition of the record that each came with."""

    def __init__(self):
        self.rows, self.partitions = {}, {}

    def read(self, key):
        return self.rows.get(key)

    def write(self, key, value, event):
        self.rows[key] = value
        self.partitions[key] = event.message.partition

    def holding(self, text):
        return [key for key, value in self.rows.items() if text in value]

    async def flush(self):
        pass


class Log:
    """A producer that keeps what was sent, in order."""

    def __init__(self):
        self.sent = []

    async def send_all(self, records):
        self.sent += records


def record(topic, partition, offset, facts):
    return SimpleNamespace(message=SimpleNamespace(topic=topic, partition=partition, offset=offset), value=pack(f.to_json() for f in facts))


async def test_forgetting_writes_what_is_taken_back_and_then_an_erasure_to_every_partition():
    log = Log()
    step = AttributeStep(Table(), log, SETTINGS, Contiguity())
    history = [search("q1", "mug", ["p1"]), act("click", "p1", at=1, query_id="q1"), Forget(event_id="f", shopper="ann", at_ms=T0 + 9)]
    await step([record("events", 0, 0, history)])
    by_partition = {p: [fact for r in log.sent if r.partition == p for _, fact in unpack(r.value)] for p in range(3)}
    for partition, facts in by_partition.items():
        erasure = ClientErasure.from_json(facts[-1])
        assert (erasure.client, erasure.position) == (ANN, (0, 2, 1))
        credits_ = [Contribution.from_json(f).credit for f in facts[:-1]]
        assert credits_ == ([1000, -1000] if partition == partition_of("mug", 3) else [])


async def test_an_erasure_reaches_the_pairs_of_its_own_partition_those_of_the_same_batch_included():
    table, queries = Table(), ["mug", "tea", "lamp", "cup", "red", "blue"]
    step = AggregateStep(table, SETTINGS, Contiguity())
    here = partition_of("mug", 3)

    def facts(product, number):
        return [
            (partition_of(q, 3), contribution(query=q, product=product, client=ANN, day=1, position=(number, n, 0)))
            for n, q in enumerate(queries)
        ]

    for number, product in enumerate(["stored", "fresh"]):
        erasure = [ClientErasure(client=ANN, through_day=1, source=0, position=(5, 0, 0))] if product == "fresh" else []
        await step(
            [
                record("contributions", p, number, [f for q, f in facts(product, number) if q == p] + (erasure if p == here else []))
                for p in range(3)
            ]
        )
    for query in queries:
        for product in ("stored", "fresh"):
            key = pair_key(query, product)
            named = ANN in Pair.from_json(table.rows[key]).clients
            assert named == (partition_of(query, 3) != here), (query, product)
            assert table.partitions[key] == partition_of(query, 3)
