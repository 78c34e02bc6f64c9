"""The report as one HTML page. Self-contained: no script, nothing loaded from anywhere, every text escaped.

How it looks stands in ``completeness_page.html``.
"""

from pathlib import Path

from completeness.findings import CatalogueReport, FieldCompleteness
from pages.templates import templates

PARTS = (
    ("complete", "complete"),
    ("other", "with another finding"),
    ("placeholder", "placeholder"),
    ("too_long", "too long"),
    ("invalid", "refused"),
    ("blank", "blank"),
    ("absent", "absent"),
)


def render(report: CatalogueReport) -> str:
    """Return the page."""
    return _PAGE.render(report=report, parts=PARTS, bars={f.field: _bar(f) for f in report.fields})


def _bar(field: FieldCompleteness) -> list[tuple[str, str, int, float]]:
    """Return the parts of a field's bar that are there: name, words, products, and percent of the width."""
    counts = [(name, words, int(getattr(field, name))) for name, words in PARTS]
    total = max(1, sum(count for _, _, count in counts))
    return [(name, words, count, round(100 * count / total, 3)) for name, words, count in counts if count]


def percent(share: float) -> str:
    """Return a share as a person reads it."""
    return f"{share:.2%}" if 0 < share < 0.1 else f"{share:.1%}"


def grouped(number: int) -> str:
    """Return a number with its thousands apart."""
    return f"{number:,}"


_PAGE = templates(Path(__file__).parent, percent=percent, grouped=grouped).get_template(
    "completeness_page.html"
)
