"""Sum contributions per query and product.

The order of contributions does not matter, and a replayed one counts nothing. Weights, decay and caps are not
decided here: the trainer weighs, from these integers.
"""

import re
from heapq import nsmallest

from msgspec import DecodeError
from msgspec.structs import replace

from schemas.bounds import PAIR_DAYS
from schemas.events import Action
from schemas.pairs import MAX_CLIENTS, Contribution, Counts, Pair

# What is no single day any more is summed by the quarter, and two years later by two years, so that a pair
# stops growing: (age of a block's end, its length, where its sum stands), in days. A sum stands in the
# middle, to be exact in that of a quarter, so that it stays there.
BLOCKS = ((728, 728, 409), (0, 91, 45))
_ZERO: Counts = (0, 0, 0)
# No text of a pair holds a quotation mark that is not escaped, and nothing else maps a number to an object.
_DAY_OF = re.compile(rb'"(\d+)":\{')
_CLIENTS = b'"clients":{'


def aggregate(pair: Pair, contribution: Contribution) -> Pair:
    """Return the pair with the contribution in it.

    Or the same pair when its fence has passed the contribution's position. Rows and clients whose net is zero
    are left out, so that what was taken back leaves no trace. The client sketch keeps the ``MAX_CLIENTS``
    smallest hashes: exact up to that number of distinct clients. Beyond ``PAIR_DAYS`` days, which no clock
    but that of an import reaches between two folds, the two oldest are summed under the older.
    """
    passed = pair.fence.get(contribution.source)
    if passed is not None and contribution.position <= passed:
        return pair
    return Pair(
        query=pair.query,
        product_id=pair.product_id,
        days=_with_counts(pair.days, contribution),
        clients=_with_client(pair.clients, contribution),
        fence={**pair.fence, contribution.source: contribution.position},
        revision=pair.revision + 1,
    )


def _with_counts(days: dict[int, dict[Action, Counts]], c: Contribution) -> dict[int, dict[Action, Counts]]:
    row = dict(days.get(c.day, {}))
    credit, units, revenue = row.get(c.action, _ZERO)
    counts = (credit + c.credit, units + c.units, revenue + c.revenue_minor)
    if counts == _ZERO:
        row.pop(c.action, None)
    else:
        row[c.action] = counts
    after = {**days, c.day: row}
    if not row:
        del after[c.day]
    if len(after) > PAIR_DAYS:
        oldest, next_oldest = nsmallest(2, after)
        after[oldest] = _summed(after[oldest], after.pop(next_oldest))
        if not after[oldest]:
            del after[oldest]
    return after


def _with_client(clients: dict[str, int], c: Contribution) -> dict[str, int]:
    credit = clients.get(c.client, 0) + c.credit
    after = {**clients, c.client: credit}
    if credit == 0:
        del after[c.client]
    elif len(after) > MAX_CLIENTS:
        del after[max(after)]
    return after


def fold_days(pair: Pair, through_day: int) -> Pair:
    """Return the pair with its days summed in those ``BLOCKS`` that lie wholly before ``through_day``.

    The same pair when none is. A sum is kept under a day in the middle of its block: the decay of old credit
    errs to neither side. No credit, unit or revenue is lost, and what comes for a folded day later is folded
    at the next look, into the same sum.
    """
    days: dict[int, dict[Action, Counts]] = {}
    for day, row in pair.days.items():
        into = _folded(day, through_day)
        days[into] = _summed(days.get(into, {}), row)
    if days.keys() == pair.days.keys():
        return pair
    return replace(pair, days={day: row for day, row in days.items() if row}, revision=pair.revision + 1)


def _summed(one: dict[Action, Counts], other: dict[Action, Counts]) -> dict[Action, Counts]:
    both = dict(one)
    for action, (credit, units, revenue) in other.items():
        before = both.get(action, _ZERO)
        both[action] = (before[0] + credit, before[1] + units, before[2] + revenue)
    return {action: counts for action, counts in both.items() if counts != _ZERO}


def has_days_to_fold(stored: bytes, through_day: int) -> bool:
    """Say whether ``fold_days`` would change a stored pair, without parsing it.

    Its days are in order, so the first ones tell.
    """
    for found in _DAY_OF.finditer(stored):
        day = int(found[1])
        if day >= through_day:
            return False
        if _folded(day, through_day) != day:
            return True
    return False


def _folded(day: int, through_day: int) -> int:
    for age, length, middle in BLOCKS:
        first = day - day % length
        if first + length <= through_day - age:
            return first + middle
    return day


def canonical(pair: Pair) -> bytes:
    """Return the bytes of a pair as it is stored.

    Days, actions and clients in order, so that equal pairs are equal bytes.
    """
    days = {day: dict(sorted(pair.days[day].items())) for day in sorted(pair.days)}
    return replace(
        pair, days=days, clients=dict(sorted(pair.clients.items())), fence=dict(sorted(pair.fence.items()))
    ).to_json()


def clients_in(stored: bytes) -> list[bytes]:
    """Return the hashes of the clients that a stored pair names, in order, without parsing it."""
    begin = stored.rfind(_CLIENTS)
    return stored[begin : stored.index(b"}", begin)].split(b'"')[3::2] if begin >= 0 else []


def is_readable(stored: bytes) -> bool:
    """Say whether bytes are a stored pair, of which the functions here can read all they ask for."""
    try:
        Pair.from_json(stored)
    except DecodeError:
        return False
    return True


def supersedes(new: bytes, old: bytes) -> bool:
    """Say whether ``new`` may replace ``old`` in recovery: it has seen at least as far in every source."""
    if new == old:
        return True
    reached, before = Pair.from_json(new).fence, Pair.from_json(old).fence
    return all(source in reached and reached[source] >= position for source, position in before.items())
