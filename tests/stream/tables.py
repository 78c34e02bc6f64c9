"""A table and a log in memory, and the records that a step is given."""

from types import SimpleNamespace

from schemas.batches import pack
from schemas.settings import StreamSettings
from stream.aggregation import clients_in
from stream.epochs import Epochs

SETTINGS = StreamSettings(partitions=3)


class Table:
    """A table that keeps bytes, and the partition of the record that each came with."""

    def __init__(self):
        self.rows, self.partitions = {}, {}

    def read(self, key):
        return self.rows.get(key)

    def write(self, key, value, event):
        self.rows[key] = value
        self.partitions[key] = event.message.partition

    def remove(self, key, event):
        assert event.message.partition == self.partitions.pop(key)
        del self.rows[key]

    def keys_of(self, partition):
        return [key for key, at in self.partitions.items() if at == partition]

    def holding(self, partition, name):
        return [
            key for key, value in self.rows.items() if name in value and self.partitions[key] == partition
        ]

    def unnamed(self, partition):
        return [
            key
            for key, value in self.rows.items()
            if not clients_in(value) and self.partitions[key] == partition
        ]

    async def flush(self):
        pass


class Log:
    """A producer that keeps what was sent, in order."""

    def __init__(self):
        self.sent = []

    async def send_all(self, records):
        self.sent += records


# The broker's time of a record, in seconds: years behind all events of the tests, which are not about it.
LATER_S = 4e9


def packed(topic, partition, offset, value, at_s=LATER_S):
    return SimpleNamespace(
        message=SimpleNamespace(topic=topic, partition=partition, offset=offset, timestamp=at_s), value=value
    )


def record(topic, partition, offset, facts, at_s=LATER_S):
    return packed(topic, partition, offset, pack(f.to_json() for f in facts), at_s)


async def nothing_committed():
    """Return what is committed when the broker cannot tell."""
    return {}


def all_of_it(partition):
    """Return what is committed of a partition: more than any test writes."""
    return 1 << 40


def first_epoch():
    """Return epochs of a broker that gives topics no ids: nothing ever begins anew."""
    return Epochs(nobody_knows, "shoppers")


async def nobody_knows():
    """Return no id."""
