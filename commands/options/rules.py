"""What the verbs of ``rules`` take."""

from typing import Annotated

import typer

from commands.options.shared import AsJson, DataDir

Named = Annotated[list[str], typer.Argument(help="Product ids, the first one on top.")]
Products = Annotated[list[str] | None, typer.Argument(help="Product ids; or say --where.")]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        help="A condition as a request's filter: 'brand == Acme', 'price < 10', 'category in Shoes, Bags'. "
        "Several must all hold; with product ids, only those of them that meet it.",
    ),
]
ForQuery = Annotated[
    str | None, typer.Option("--query", help="For this query alone, in whichever spelling is the same query.")
]
EveryQuery = Annotated[bool, typer.Option("--every-query", help="For every query; one of both must be said.")]
Since = Annotated[str | None, typer.Option("--from", help="The first moment, ISO 8601; UTC without a zone.")]
Until = Annotated[str | None, typer.Option("--until", help="The moment at which it ends, likewise.")]
RuleId = Annotated[
    str | None, typer.Option("--id", help="A name for the rule; one of that name is replaced.")
]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the rule.")]


def list_rules(
    query: Annotated[
        str | None, typer.Option("--query", help="Only those for this query, and those for every query.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the rules, those that hold now and the others."""


def pin(
    products: Named,
    where: Where = None,
    query: ForQuery = None,
    every_query: EveryQuery = False,
    since: Since = None,
    until: Until = None,
    rule_id: RuleId = None,
    reason: Reason = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Put products on top, in this order, where they meet the request's filters."""


def bury(
    products: Products = None,
    where: Where = None,
    query: ForQuery = None,
    every_query: EveryQuery = False,
    since: Since = None,
    until: Until = None,
    rule_id: RuleId = None,
    reason: Reason = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Put products behind all others."""


def boost(
    products: Products = None,
    by: Annotated[
        float, typer.Option("--by", help="What is added to the score, above 0 to 1; a perfect cosine is 1.")
    ] = 0.1,
    where: Where = None,
    query: ForQuery = None,
    every_query: EveryQuery = False,
    since: Since = None,
    until: Until = None,
    rule_id: RuleId = None,
    reason: Reason = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Add to the score of products."""


def hide(
    products: Products = None,
    where: Where = None,
    query: ForQuery = None,
    every_query: EveryQuery = False,
    since: Since = None,
    until: Until = None,
    rule_id: RuleId = None,
    reason: Reason = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Leave products out of answers."""


def remove(
    rule_id: Annotated[str, typer.Argument(help="As `rules list` shows it.")],
    reason: Reason = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Take a rule out."""
