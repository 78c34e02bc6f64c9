"""A pair in which nobody stands any more leaves the table.

Nothing that may come again counts for that.
"""

from credit.erasure import ClientErasure, erase_client
from schemas.pairs import Pair, pair_key
from schemas.settings import StreamSettings
from stream.dropping import Dropping, is_nobodys
from tests.stream.builders import contribution, fold
from tests.stream.tables import Table, record

KEPT = StreamSettings.model_fields["empty_pairs_kept"].default
GRACE_S = KEPT.total_seconds()
KEY = pair_key("sore back", "p1")
PLACES = {("events", 0): 8, ("events", 2): 1, ("contributions", 1): 5}


class Shop:
    """A table of pairs, a clock and what is committed."""

    def __init__(self):
        self.table, self.now, self.done = Table(), 0.0, dict(PLACES)
        self.dropping = Dropping(
            self.table,
            self.committed,
            events="events",
            contributions="contributions",
            kept=KEPT,
            clock=lambda: self.now,
        )

    async def committed(self):
        return self.done

    async def store(self, pair):
        self.table.write(KEY, pair.to_json(), record("contributions", 1, 4, []))

    async def later(self, seconds, offset=9):
        self.now += seconds
        return await self.dropping.run([record("contributions", 1, offset, [])])


def erased():
    [pair] = fold([contribution(query="sore back", client="a" * 16, position=(7, 0, 0))]).values()
    return erase_client(pair, ClientErasure(client="a" * 16, through_day=9, source=0, position=(7, 1, 0)))


async def test_a_pair_that_has_lost_its_last_client_goes_an_hour_after_both_agents_have_committed_all_of_it():
    shop = Shop()
    await shop.store(erased())
    assert await shop.later(0, offset=4) == []
    assert await shop.later(GRACE_S - 1) == []
    shop.done["contributions", 1] = 4
    assert await shop.later(60) == []
    shop.done |= {("contributions", 1): 5, ("events", 0): 7}
    assert await shop.later(60) == []
    shop.done["events", 0] = 8
    assert await shop.later(60) == [KEY]
    assert shop.table.rows == {}
    assert await shop.later(60) == []


async def test_a_change_begins_the_hour_anew_and_a_client_keeps_the_pair():
    shop = Shop()
    await shop.store(erased())
    await shop.later(0, offset=4)
    shop.now += GRACE_S
    await shop.store(erased())
    assert await shop.later(60, offset=4) == []
    [bought] = fold([contribution(query="sore back")]).values()
    await shop.store(bought)
    assert await shop.later(GRACE_S * 2) == []
    assert KEY in shop.table.rows


async def test_when_the_broker_cannot_tell_nothing_goes():
    shop = Shop()
    shop.done = {}
    await shop.store(erased())
    assert [await shop.later(GRACE_S * 2) for _ in range(3)] == [[], [], []]


def test_credit_without_a_name_is_somebodys():
    assert is_nobodys(Pair(query="q", product_id="p"))
    assert is_nobodys(Pair.from_json(b'{"query":"q","product_id":"p","days":{"3":{"click":[-100,0,0]}}}'))
    assert not is_nobodys(Pair.from_json(b'{"query":"q","product_id":"p","days":{"3":{"click":[100,0,0]}}}'))
    assert not is_nobodys(Pair(query="q", product_id="p", clients={"a" * 16: 1}))
