"""What the memory of earlier queries is made of: pairs with the credit that counts. Pure.

The credit is that of training, decayed and with what is not believed of newcomers left out (``weights``,
``trust``). Besides, no client counts for more than all others of a pair together, and a pair that one client
alone made says whose it is: alone it moves nothing (``retrieval.query_memory``). Nor can it crowd out what
others did after queries like its own: of one client's such pairs only some are kept.
"""

from dataclasses import replace

import polars as pl

from trainer.data.trust import of_newcomers
from trainer.data.weights import Weighting, weigh

NEWCOMERS = "newcomers"  # no client's hash: those who did nothing else, where that is not usual, are as one
MAX_ALONE = 20  # pairs that one client made alone: those with the most credit


def remembered(
    rows: pl.DataFrame, clients: pl.DataFrame, weighting: Weighting, *, newest_day: int
) -> pl.DataFrame:
    """Return query, product_id, credit (> 0), client, sorted by pair.

    ``rows`` and ``clients`` are the snapshot's, up to the day from which nothing may be known. ``client`` is
    None where several made the pair, and where nobody knows who did: such a pair counts as it is; it is
    ``NEWCOMERS`` where several made it of whom none did anything else (``trust.of_newcomers``). Who shall be
    forgotten is left out of both frames. Empty in, empty out.
    """
    # How much a client did is known of all days together: who may have made all of what was before made it
    before = rows.group_by("query", "product_id").agg(before=pl.col("credit").sum())
    own = clients.filter(pl.col("credit") > 0).group_by("query", "product_id")
    most = own.agg(pl.col("client", "credit").sort_by("credit", "client", descending=[True, False]).first())
    others = pl.when(pl.col("before") > 0).then(1 - pl.col("credit") / pl.col("before")).otherwise(0.0)
    who = (
        most.join(before, on=["query", "product_id"], how="left")
        .with_columns(others=others.clip(lower_bound=0.0))
        .join(_newcomers(clients, weighting), on=["query", "product_id"], how="left")
        .with_columns(
            client=pl.when(pl.col("others") == 0).then(pl.col("client")).otherwise(pl.col("newcomers"))
        )
        .select("query", "product_id", "others", "client")
    )
    weighted = weigh(rows, clients, replace(weighting, max_client_share=1.0), newest_day=newest_day)
    several = pl.col("client").is_null() | (pl.col("client") == NEWCOMERS)
    limit = pl.when(several).then((2 * pl.col("others")).clip(upper_bound=1.0))
    return (
        weighted.join(who, on=["query", "product_id"], how="left", maintain_order="left")
        .with_columns(credit=pl.col("credit") * limit.fill_null(1.0))
        .filter(pl.col("credit") > 0)
        .filter(several | (_place_among_own() < MAX_ALONE))
        .select("query", "product_id", "credit", "client")
    )


def _newcomers(clients: pl.DataFrame, weighting: Weighting) -> pl.DataFrame:
    """Return the pairs that newcomers made alone, marked; none where everybody is believed."""
    found = of_newcomers(clients if weighting.newcomer_deviations else clients.clear())
    return found.with_columns(newcomers=pl.lit(NEWCOMERS))


def _place_among_own() -> pl.Expr:
    """Return the place of a pair among those of its client, the most credit first, ties by pair."""
    return pl.struct(-pl.col("credit"), pl.int_range(pl.len())).rank("ordinal").over("client") - 1
