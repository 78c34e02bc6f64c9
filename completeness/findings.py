"""What is said of a catalogue: one model, which is the JSON and of which page and table are made.

Shares are of all products that were judged. Texts are shortened and hold no control characters.
"""

from datetime import datetime

from pydantic import BaseModel, ConfigDict


class ExampleProduct(BaseModel):
    """One product that shows a finding, and the value that does, where it is not the title.

    ``thumbnail``: its picture as a data URI, where it was looked at.
    """

    model_config = ConfigDict(frozen=True)

    product_id: str
    title: str = ""
    value: str = ""
    thumbnail: str | None = None


class FindingExample(BaseModel):
    """One product, or some of ``count`` that belong together because they have the same."""

    model_config = ConfigDict(frozen=True)

    products: list[ExampleProduct]
    count: int = 1


class Finding(BaseModel):
    """One thing that is missing or wrong. ``name`` is ``field.kind`` and stays the same between versions."""

    model_config = ConfigDict(frozen=True)

    name: str
    field: str
    what: str
    products: int
    share: float
    advice: str
    examples: list[FindingExample] = []


class FieldCompleteness(BaseModel):
    """One field: of how many products it is complete, there and with no finding; ``share`` of all.

    The other counts are of products, and overlap only in ``other``: duplicates, pictures, odd prices.
    """

    model_config = ConfigDict(frozen=True)

    field: str
    complete: int
    share: float
    absent: int
    blank: int
    placeholder: int
    invalid: int
    too_long: int
    other: int


class AttributeCompleteness(BaseModel):
    """One attribute: how many products have it, and their values by type."""

    model_config = ConfigDict(frozen=True)

    name: str
    products: int
    share: float
    texts: int
    numbers: int
    numbers_as_text: int
    flags: int
    lists: int


class CatalogueReport(BaseModel):
    """The completeness of a catalogue. ``score``: the mean of the fields' shares, 0 for an empty one.

    ``findings`` stand worst first. ``notes`` say what was not looked at, in words.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    made_at: datetime
    products: int
    score: float
    fields: list[FieldCompleteness]
    attributes: list[AttributeCompleteness]
    findings: list[Finding]
    refused_lines: int = 0
    deletions: int = 0
    pictures_looked_at: int = 0
    notes: list[str] = []


def rounded_share(share: float) -> float:
    """Return a share that is 0 or 1 only where it is nothing or all."""
    return min(max(round(share, 4), 0.0001 if share else 0.0), 0.9999 if share < 1 else 1.0)
