"""Records that come wrapped in others: the body of a batch, or a document of a search index.

One line, several records. A line is taken whole or refused whole; parts of it that say nothing we use are
counted beside it.
"""

from collections.abc import Callable, Sequence

from inbound.importers.outcome import Batch, Body, Records, Skipped, Why
from schemas.decoding import refuse
from schemas.rejections import Problem, Reason, Rejection

Part = Records | Skipped | Rejection


def unwrapped(record: Body, *paths: Sequence[str]) -> list[object] | None:
    """Return the records in a list at the first path that there is.

    None when the record is none but its own.
    """
    for path in paths:
        found: object = record
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, list):
            return found
    return None


def together(parts: Sequence[object], convert: Callable[[Body], Part]) -> Batch | Skipped | Rejection:
    """Convert every record of a line. The first that is refused refuses the line, with its number in it."""
    records: Records = []
    skipped: list[Skipped] = []
    for number, part in enumerate(parts):
        found = (
            convert(part)
            if isinstance(part, dict)
            else refuse(Reason.NOT_OBJECT, message="a JSON object is expected")
        )
        if isinstance(found, Rejection):
            problems = [
                Problem(loc=f"{number}.{p.loc}".rstrip("."), type=p.type, message=p.message)
                for p in found.problems
            ]
            return Rejection(reason=found.reason, problems=problems)
        if isinstance(found, Skipped):
            skipped.append(found)
        else:
            records += found
    if not records:
        return skipped[0] if skipped else Skipped(Why.UNUSED_ACTION, "an empty batch")
    return Batch(records, skipped)


def unnamed(field: str) -> Rejection:
    """Return the refusal of a record that does not say what it is.

    Most often one that stands within something else.
    """
    return refuse(
        Reason.SCHEMA,
        field,
        "nothing says what happened; is the record wrapped in another? One record per line is expected",
    )
