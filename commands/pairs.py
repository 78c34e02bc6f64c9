"""``pairs``: what was learnt for one query, and what it weighs in training under the settings of now.

The stream counts, the trainer weighs: the weights here are the trainer's own, as if every day were trained;
over the pairs of the query's partition, which are a random part of all, or over all pairs.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec import to_builtins
from msgspec.structs import asdict

from commands.support.session import find_settings, out, show_json, stop, table
from commands.support.topic_state import read_pairs
from schemas.pairs import Pair, credit_of, day_text
from schemas.settings import SettingsError, TrainerSettings
from schemas.text import normalise_query
from trainer.data.snapshot import frames, last_day
from trainer.data.splits import held_out
from trainer.data.weights import Weighting, weigh

# Decayed credit in whole credits, and the weight relative to the mean of the pairs that were read, which is
# 1.
Weighed = tuple[float, float]


def pairs(query: str, *, days: bool, whole: bool, data_dir: Path | None, as_json: bool) -> None:
    """Show the products of a query with credits, clients and weight.

    With ``days`` also the counts of every day. Reads the query's partition; with ``whole`` all of them, so
    that 1 is the mean weight of all pairs.
    """
    wanted, settings = normalise_query(query), find_settings(data_dir)
    try:
        trainer = TrainerSettings.load(os.environ)
    except SettingsError as error:
        stop(str(error), code=2)
    every = asyncio.run(read_pairs(settings, near=None if whole else wanted))
    weights = weights_of(every, trainer)
    found = sorted((p for p in every if p.query == wanted), key=lambda p: (-credit_of(p), p.product_id))
    never = held_out(wanted, trainer.heldout_share)
    if as_json:
        show_json(
            [
                {**to_builtins(asdict(p), str_keys=True), **_weight_facts(p, weights), "held_out": never}
                for p in found
            ]
        )
        return
    if not found:
        stop(f"nothing was learnt for {wanted!r} yet")
    columns = ["product", "credit", "by action", "clients", "rows", "decayed", "weight"]
    among = (
        f"all {len(weights)} weighed pairs" if whole else f"the {len(weights)} weighed pairs of its partition"
    )
    table(f"pairs of {wanted!r}, mean weight of {among}: 1", columns, [_row(p, weights) for p in found])
    if days:
        table(
            "by day",
            ["product", "day", "action", "credit", "units", "revenue"],
            [row for p in found for row in day_rows(p)],
        )
    if never:
        out.print(
            "this query is held out: it is never trained, so that it can show how training generalises to "
            "unseen queries"
        )


def weights_of(every: Iterable[Pair], settings: TrainerSettings) -> dict[tuple[str, str], Weighed]:
    """Return decayed credit and weight by (query, product).

    A pair that training would leave out is not there; no pairs give ``{}``. Age counts from the newest event
    day of all pairs, as in a run without test days.
    """
    snapshot = frames(every, [], until=last_day(datetime.now(UTC)))
    if snapshot.pairs.is_empty():
        return {}
    newest = max(snapshot.pairs["day"].to_list())
    weighed = weigh(snapshot.pairs, snapshot.clients, Weighting.of(settings), newest_day=newest)
    return {
        (query, product): (credit, weight)
        for query, product, credit, _last_day, weight in weighed.iter_rows()
    }


def day_rows(pair: Pair) -> list[tuple[str, str, str, float, int, float]]:
    """Return (product, date, action, credit, units, revenue) of every day and action, newest first.

    Credit and revenue in whole units.
    """
    return [
        (pair.product_id, day_text(day), action.value, credit / 1000, units, revenue / 100)
        for day in sorted(pair.days, reverse=True)
        for action, (credit, units, revenue) in sorted(pair.days[day].items())
    ]


def _row(pair: Pair, weights: dict[tuple[str, str], Weighed]) -> Sequence[object]:
    sums = Counter[str]()
    for actions in pair.days.values():
        for action, (credit, _units, _revenue) in actions.items():
            sums[action.value] += credit
    by_action = ", ".join(f"{a} {c / 1000:g}" for a, c in sorted(sums.items()))
    decayed, weight = weights.get((pair.query, pair.product_id), (None, "left out"))
    return pair.product_id, credit_of(pair), by_action, len(pair.clients), len(pair.days), decayed, weight


def _weight_facts(pair: Pair, weights: dict[tuple[str, str], Weighed]) -> dict[str, float | None]:
    decayed, weight = weights.get((pair.query, pair.product_id), (None, None))
    return {"decayed_credit": decayed, "weight": weight}
