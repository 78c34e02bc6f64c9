"""What may be trained and what is the test: by event day and by query. Pure.

The newest days are the test. A stable share of queries, chosen by hash, is never trained at all. Gains are
log2(1 + credit in the test window), credit without decay. Distinct clients are counted over all days by the
stream, so ``min_clients`` looks a little ahead of the cut.
"""

from collections.abc import Collection
from dataclasses import dataclass
from hashlib import blake2b

import polars as pl

from schemas.settings import TrainerSettings
from schemas.text import normalise_query
from trainer.data.popularity import Popularity
from trainer.data.snapshot import Snapshot

SALT = "searchloop"


class LeakError(AssertionError):
    """A row of the test would have been trained: a fault of the program."""


@dataclass(frozen=True)
class Split:
    """The two sides.

    ``train`` has the columns of the snapshot's pairs; ``qrels`` has query, product_id, credit, gain, unseen.
    ``inner`` has the columns of ``qrels``: what held-out queries earned before the cut. It is neither trained
    nor tested, so settings of a trained model may be fitted on it; empty when the held-out queries are the
    test. ``before`` has the rows of ``train`` and those that ``inner`` sums up. ``cut_day`` is the first day
    that is not trained (days since 1970-01-01). ``test_days`` 0: the history is a single day, so the test is
    the held-out queries alone. Frames are sorted by query and product.
    """

    train: pl.DataFrame
    qrels: pl.DataFrame
    inner: pl.DataFrame
    before: pl.DataFrame
    newest_day: int
    cut_day: int
    test_days: int

    @property
    def untaught(self) -> pl.DataFrame:
        """The rows that ``inner`` sums up."""
        return self.before.join(self.inner, on="query", how="semi", maintain_order="left")


def held_out(query: str, share: float, salt: str = SALT) -> bool:
    """Say whether a query is never trained: the same answer on every machine, for ever.

    >>> [held_out("xbox", share) for share in (0.0, 1.0)]
    [False, True]
    """
    digest = blake2b(normalise_query(query).encode(), digest_size=8, salt=salt.encode()[:16]).digest()
    return int.from_bytes(digest) < share * 2**64


def window(oldest_day: int, newest_day: int, test_days: int) -> int:
    """Return how many of the newest days are the test.

    ``test_days``, or half of a history shorter than twice that; 0 for a single day.
    """
    return min(test_days, (newest_day - oldest_day + 1) // 2)


def split_by(settings: TrainerSettings, snapshot: Snapshot) -> Split:
    """Divide a snapshot as ``split`` does, by the settings of worth, test days and held-out queries."""
    return split(
        snapshot.pairs,
        snapshot.catalog["product_id"].to_list(),
        worth=Popularity.of(settings),
        test_days=settings.test_days,
        heldout_share=settings.heldout_share,
    )


def split(
    pairs: pl.DataFrame,
    products: Collection[str],
    *,
    worth: Popularity,
    test_days: int,
    heldout_share: float,
    salt: str = SALT,
) -> Split:
    """Divide the rows of known products whose action can earn credit.

    Days count from the newest of them, not from a clock. Raises ``LeakError`` when a trained row lies in the
    test, which the tests of this module rule out.
    """
    used = pairs.filter(pl.col("product_id").is_in(list(products)), pl.col("action").is_in(worth.actions))
    if used.is_empty():
        nothing = _qrels(used, worth, set())
        return Split(used, nothing, nothing, used, newest_day=0, cut_day=0, test_days=0)
    oldest, newest = _day(used, newest=False), _day(used, newest=True)
    days = window(oldest, newest, test_days)
    cut = newest - days + 1
    never = [query for query in used["query"].unique().to_list() if held_out(query, heldout_share, salt)]
    earlier, untaught = pl.col("day") < cut, pl.col("query").is_in(never)
    train = used.filter(earlier, ~untaught)
    test = used.filter(~earlier) if days else used.filter(untaught)
    before = used.filter(earlier) if days else train
    assert_no_leak(train, cut_day=cut, heldout_share=heldout_share, salt=salt)
    trained = set(train["query"].unique().to_list())
    return Split(
        train,
        _qrels(test, worth, trained),
        _qrels(before.filter(untaught), worth, trained),
        before,
        newest_day=newest,
        cut_day=cut,
        test_days=days,
    )


def assert_no_leak(train: pl.DataFrame, *, cut_day: int, heldout_share: float, salt: str = SALT) -> None:
    """Raise ``LeakError`` when a row of ``train`` is of the test window or of a held-out query."""
    if train.is_empty():
        return
    if _day(train, newest=True) >= cut_day:
        raise LeakError(f"training rows reach day {_day(train, newest=True)}, the test begins at {cut_day}")
    leaked = [q for q in train["query"].unique().to_list() if held_out(q, heldout_share, salt)]
    if leaked:
        raise LeakError(f"{len(leaked)} held-out queries are in training, for instance {leaked[0]!r}")


def _qrels(rows: pl.DataFrame, worth: Popularity, trained: set[str]) -> pl.DataFrame:
    return (
        worth.credits_by_pair(rows)
        .drop("last_day")
        .with_columns(gain=(1 + pl.col("credit")).log(2), unseen=~pl.col("query").is_in(list(trained)))
    )


def _day(rows: pl.DataFrame, *, newest: bool) -> int:
    day = rows["day"].max() if newest else rows["day"].min()
    assert isinstance(day, int)
    return day
