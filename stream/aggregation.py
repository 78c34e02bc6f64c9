"""Sum contributions per query and product. The order of contributions does not matter, and a replayed one counts nothing.

Weights, decay and caps are not decided here: the trainer weighs, from these integers.
"""

from msgspec.structs import replace

from schemas.events import Action
from schemas.pairs import MAX_CLIENTS, Contribution, Counts, Pair

_ZERO: Counts = (0, 0, 0)


def aggregate(pair: Pair, contribution: Contribution) -> Pair:
    """Return the pair with the contribution in it, or the same pair when its fence has passed the contribution's position.

    Rows and clients whose net is zero are left out, so that what was taken back leaves no trace. The client sketch keeps the
    ``MAX_CLIENTS`` smallest hashes: exact up to that number of distinct clients.
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
    return after


def _with_client(clients: dict[str, int], c: Contribution) -> dict[str, int]:
    credit = clients.get(c.client, 0) + c.credit
    after = {**clients, c.client: credit}
    if credit == 0:
        del after[c.client]
    elif len(after) > MAX_CLIENTS:
        del after[max(after)]
    return after


def canonical(pair: Pair) -> bytes:
    """Return the bytes of a pair as it is stored: days, actions and clients in order, so that equal pairs are equal bytes."""
    days = {day: dict(sorted(pair.days[day].items())) for day in sorted(pair.days)}
    return replace(pair, days=days, clients=dict(sorted(pair.clients.items())), fence=dict(sorted(pair.fence.items()))).to_json()


def supersedes(new: bytes, old: bytes) -> bool:
    """Say whether ``new`` may replace ``old`` in recovery: it has seen at least as far in every source."""
    if new == old:
        return True
    reached, before = Pair.from_json(new).fence, Pair.from_json(old).fence
    return all(source in reached and reached[source] >= position for source, position in before.items())
