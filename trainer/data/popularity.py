"""What counts as popular: a formula over what shoppers did with a pair, and the credit that follows. Pure.

Sums come first, the formula after: credits are decayed and added up per pair and metric, then the formula is
applied to the sums. A result that is not a positive number is no credit.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import polars as pl

from schemas.events import Action
from schemas.formula import Call, Formula, Name, Number, names_in, parse
from schemas.settings import METRICS, TrainerSettings

# metric: the column that is summed, over which actions. Reversals carry negative numbers.
_SOURCES: dict[str, tuple[str, float, tuple[Action, ...]]] = {
    "clicks": ("credit", 1000, (Action.CLICK,)),
    "views": ("credit", 1000, (Action.VIEW,)),
    "carts": ("credit", 1000, (Action.ADD_TO_CART, Action.REMOVE_FROM_CART)),
    "purchases": ("credit", 1000, (Action.PURCHASE, Action.REFUND)),
    "units": ("units", 1, (Action.PURCHASE, Action.REFUND)),
    "revenue": ("revenue_minor", 100, (Action.PURCHASE, Action.REFUND)),
}
assert _SOURCES.keys() == set(METRICS)
KEYS = ("query", "product_id")


@dataclass(frozen=True)
class Popularity:
    """A parsed formula over ``METRICS``."""

    formula: Formula

    @classmethod
    def of(cls, settings: TrainerSettings) -> Self:
        """Take the setting ``popularity``; without one, the sum of the actions at their worths."""
        if settings.popularity:
            return cls(parse(settings.popularity, METRICS))
        worths = {
            "clicks": settings.weight_click,
            "views": settings.weight_view,
            "carts": settings.weight_add_to_cart,
            "purchases": settings.weight_purchase,
        }
        return cls(
            parse(
                " + ".join(f"{worth!r} * {name}" for name, worth in worths.items() if worth > 0) or "0",
                METRICS,
            )
        )

    @property
    def actions(self) -> list[str]:
        """The actions that can change the credit of a pair."""
        return sorted({action.value for name in names_in(self.formula) for action in _SOURCES[name][2]})

    def credits_by_pair(self, rows: pl.DataFrame, *, factor: pl.Expr | None = None) -> pl.DataFrame:
        """Return query, product_id, credit (> 0) and last_day of the snapshot's ``rows``, sorted by pair.

        Empty in, empty out. ``factor`` weighs each row before the sums: the decay. Credits and units are in
        pieces, revenue in whole units of money.
        """
        weight = pl.lit(1.0) if factor is None else factor
        sums = [
            (pl.when(pl.col("action").is_in(list(actions))).then(pl.col(column)).otherwise(0) / unit * weight)
            .sum()
            .alias(name)
            for name, (column, unit, actions) in _SOURCES.items()
            if name in names_in(self.formula)
        ]
        summed = (
            rows.filter(pl.col("action").is_in(self.actions))
            .sort(*KEYS, "day", "action")
            .group_by(*KEYS, maintain_order=True)
            .agg(*sums, last_day=pl.col("day").max())
        )
        credit = _expression(self.formula).cast(pl.Float64)
        return (
            summed.with_columns(credit=credit)
            .filter(pl.col("credit").is_finite(), pl.col("credit") > 0)
            .select(*KEYS, "credit", "last_day")
        )


_OPERATIONS: dict[str, Callable[..., pl.Expr]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "log1p": pl.Expr.log1p,
    "sqrt": pl.Expr.sqrt,
    "min": pl.min_horizontal,
    "max": pl.max_horizontal,
}


def _expression(formula: Formula) -> pl.Expr:
    match formula:
        case Number(value):
            return pl.lit(value)
        case Name(name):
            return pl.col(name)
        case Call(operation, arguments):
            return _OPERATIONS[operation](*map(_expression, arguments))
