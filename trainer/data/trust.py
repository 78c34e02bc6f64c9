"""How much of a pair's credit is believed, by who its clients are.

Pure; knows no days, no worths and no models. A client is *broad* when it has engaged elsewhere: pairs of
another query and another product. Honest newcomers are not broad either, but they come to a pair beside
others, in about the numbers that are usual in the shop. Clients that were made up for one pair come alone. So
newcomers count in full up to what chance explains, and no further: nobody is held to be a cheat, and what is
usual is the shop's own.
"""

import polars as pl

from schemas.pairs import MAX_CLIENTS

KEYS = ("query", "product_id")
# A newcomer by each of these numbers of other pairs: who gives each made up client a little other activity is
# seen at the next one.
BREADTHS = (1, 2, 4, 8)
# A newcomer's credit for a pair is looked at up to what so many rows of clients have at most
USUAL_CREDIT = 0.99
# Clients by which one pair tells what is usual, so that a pair with hundreds of made up ones does not make
# them usual
MOST = 8
MOSTLY = 0.5
MIN_SEEN = 200  # with fewer rows of clients nothing is usual yet
_HASHES = 1 << 32


def believed(clients: pl.DataFrame, *, deviations: float) -> pl.DataFrame:
    """Return query, product_id, believed, for pairs that somebody gave credit.

    ``believed`` is the share (0 to 1] of each pair's credit that counts. ``clients``: the snapshot's, one row
    per pair and client, credit > 0 is looked at. With a share s of newcomers in the shop, a pair with n broad
    clients is believed (n + 1) s / (1 - s) newcomers and ``deviations`` standard deviations, sqrt((n + 1) s)
    / (1 - s), but one at least: mean and deviation of the newcomers that come before the next broad client
    (negative binomial). The least of ``BREADTHS`` counts, and of one newcomer as much credit as is usual for
    a client. Of more than ``MAX_CLIENTS`` clients the sketch is taken for all. ``deviations`` 0: everybody is
    believed. Sorted by pair.
    """
    seen = clients.filter(pl.col("credit") > 0)
    alone = seen.select(*KEYS).unique().sort(*KEYS).with_columns(believed=pl.lit(1.0))
    if seen.height < MIN_SEEN or not deviations:
        return alone
    elsewhere = _elsewhere(seen).with_columns(scale=_distinct() / pl.len().over(*KEYS))
    most = float(seen["credit"].quantile(USUAL_CREDIT) or 0.0)
    by_breadth = [_counted(elsewhere, breadth, deviations, most) for breadth in BREADTHS]
    return pl.concat([alone, *by_breadth]).group_by(*KEYS).agg(pl.col("believed").min()).sort(*KEYS)


def of_newcomers(clients: pl.DataFrame) -> pl.DataFrame:
    """Return query, product_id of the pairs to which no broad client came, where newcomers are unusual.

    Unusual: less than ``MOSTLY`` of the shop, by any of ``BREADTHS``. However many they are, nobody but
    clients that may be made up for it stands by such a pair. Fewer than ``MIN_SEEN`` rows give none.
    """
    seen = clients.filter(pl.col("credit") > 0)
    if seen.height < MIN_SEEN:
        return seen.clear().select(*KEYS)
    told = _elsewhere(seen)
    found = [seen.clear().select(*KEYS)]
    for breadth in BREADTHS:
        new = pl.col("others") < breadth
        if _usual(told, new) < MOSTLY:
            found.append(told.group_by(*KEYS).agg(new.all().alias("alone")).filter("alone").select(*KEYS))
    return pl.concat(found).unique().sort(*KEYS)


def _elsewhere(seen: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with ``others``, the client's pairs of another query and product, and their weight."""
    return seen.with_columns(
        others=pl.len().over("client")
        - pl.len().over("client", "query")
        - pl.len().over("client", "product_id")
        + 1,
        says=(MOST / pl.len().over(*KEYS)).clip(upper_bound=1.0),
    )


def _usual(told: pl.DataFrame, new: pl.Expr) -> float:
    return float(told.select(pl.col("says").filter(new).sum() / pl.col("says").sum()).item())


def _counted(clients: pl.DataFrame, breadth: int, deviations: float, most: float) -> pl.DataFrame:
    new = pl.col("others") < breadth
    usual = _usual(clients, new)
    if usual >= 1.0:
        return clients.clear().select(*KEYS, believed=pl.lit(1.0))
    ahead = (pl.col("broad") + 1) * usual
    chance = (ahead + deviations * ahead.sqrt()) / (1 - usual)
    share = (pl.max_horizontal(chance, 1.0) / pl.col("new")).clip(upper_bound=1.0)
    summed = clients.group_by(*KEYS).agg(
        new=pl.col("scale").filter(new).sum(),
        broad=pl.col("scale").filter(~new).sum(),
        of_new=pl.col("credit").filter(new).clip(upper_bound=most).sum(),
        of_broad=pl.col("credit").filter(~new).sum(),
        earned=pl.col("credit").sum(),
    )
    counts = pl.when(pl.col("new") > 0).then(share).otherwise(1.0)
    return summed.select(*KEYS, believed=(pl.col("of_broad") + counts * pl.col("of_new")) / pl.col("earned"))


def _distinct() -> pl.Expr:
    """Estimate a pair's distinct clients from the k smallest hashes (Bar-Yossef et al. 2002).

    Fewer are all there.
    """
    rows, greatest = (
        pl.len().over(*KEYS),
        pl.col("client").str.head(8).str.to_integer(base=16, strict=False).max().over(*KEYS),
    )
    guess = (rows - 1) * _HASHES / pl.max_horizontal(greatest, 1)
    return (
        pl.when((rows >= MAX_CLIENTS) & greatest.is_not_null())
        .then(pl.max_horizontal(guess, rows))
        .otherwise(rows)
        .cast(pl.Float64)
    )
