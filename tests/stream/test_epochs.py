"""Events count when their topic is made anew or restored elsewhere, and never twice."""

from uuid import UUID

import pytest

from broker.records import Outgoing
from credit.places import SPAN, epoch_of, offset_of
from stream.epochs import EPOCH_KEY, Epochs

CHANGELOG = "t.shoppers"


class Written:
    """Claims that keep what is written."""

    def __init__(self):
        self.records = []

    async def write_all(self, records):
        self.records += records


async def settled(epochs, claims=None, partitions=(0, 1)):
    claims = claims or Written()
    await epochs.settle([(CHANGELOG, p) for p in partitions] + [("t.pairs", 0)], claims)
    return claims.records


def broker_that_says(ids):
    """Return what asks a broker: these ids, one by one."""
    left = iter(ids)

    async def ask():
        return next(left)

    return ask


async def test_places_stay_while_the_topic_is_the_same_and_go_on_rising_when_it_is_another():
    epochs = Epochs(broker_that_says([UUID(int=1), UUID(int=1), UUID(int=2)]), CHANGELOG)
    first = await settled(epochs)
    assert [(r.topic, r.partition, r.key) for r in first] == [
        (CHANGELOG, 0, EPOCH_KEY),
        (CHANGELOG, 1, EPOCH_KEY),
    ]
    assert epochs.place(0, 900) == 900
    assert await settled(epochs) == []
    before = epochs.place(0, SPAN - 1)
    assert len(await settled(epochs)) == 2
    assert epochs.place(0, 0) > before
    assert (offset_of(epochs.place(0, 7)), epoch_of(epochs.place(0, 7))) == (7, 1)


async def test_who_takes_over_goes_on_where_the_one_before_was():
    before = Epochs(broker_that_says([UUID(int=1), UUID(int=2)]), CHANGELOG)
    records = await settled(before) + await settled(before)
    after = Epochs(broker_that_says([UUID(int=2), UUID(int=3)]), CHANGELOG)
    for record in records:
        after.restore(record.topic, record.partition, record.value)
    assert await settled(after) == []
    assert after.place(1, 5) == before.place(1, 5)
    await settled(after, partitions=(1,))
    assert after.place(1, 5) == before.place(1, 5) + SPAN
    assert after.place(0, 5) == before.place(0, 5)  # another's by now


async def test_a_broker_that_gives_no_ids_changes_nothing():
    epochs = Epochs(broker_that_says([UUID(int=1), None, UUID(int=1)]), CHANGELOG)
    await settled(epochs)
    assert await settled(epochs) == []
    assert await settled(epochs) == []
    assert epochs.place(0, 5) == 5


OF_ANOTHER = b'"topic_id": "00000000-0000-0000-0000-000000000009"}'


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b'{"epoch": "x", "topic_id": 1}',
        b"\xff",
        None,
        b'{"epoch": -1, ' + OF_ANOTHER,
        b'{"epoch": 65536, ' + OF_ANOTHER,  # its places would fit into no stored state
    ],
)
async def test_an_epoch_that_cannot_be_read_takes_none_away(value):
    epochs = Epochs(broker_that_says([UUID(int=1), UUID(int=2), UUID(int=2)]), CHANGELOG)
    await settled(epochs)
    await settled(epochs)
    epochs.restore(CHANGELOG, 0, value)
    assert await settled(epochs) == []
    assert epochs.place(0, 5) == SPAN + 5


async def test_the_changelog_of_another_table_has_no_epochs():
    epochs = Epochs(broker_that_says([UUID(int=1)]), CHANGELOG)
    epochs.restore("t.pairs", 0, b'{"epoch": 9, "topic_id": "00000000-0000-0000-0000-000000000009"}')
    assert epochs.place(0, 5) == 5
    assert await settled(epochs, partitions=()) == []


async def test_nothing_is_written_for_partitions_that_are_settled():
    epochs = Epochs(broker_that_says([UUID(int=1)] * 2), CHANGELOG)
    claims = Written()
    await settled(epochs, claims, (0,))
    await settled(epochs, claims, (0, 1))
    assert [r.partition for r in claims.records] == [0, 1]
    assert all(isinstance(r, Outgoing) for r in claims.records)


@pytest.mark.parametrize("value", [b"{", b'"\xff"', b'{"deep": ' + b"[" * 5000], ids=["cut", "bytes", "deep"])
async def test_an_epoch_that_cannot_be_read_is_skipped(value):
    epochs = Epochs(broker_that_says([UUID(int=1)]), CHANGELOG)
    epochs.restore(CHANGELOG, 0, value)
    assert len(await settled(epochs)) == 2
