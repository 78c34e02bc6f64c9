"""Whatever lines hold, there is a report of them, and its numbers agree with each other."""

import json
from datetime import UTC, datetime
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import given, settings

from completeness.catalogue_row import CatalogueRow
from completeness.catalogue_tally import CatalogueTally
from completeness.completeness_page import render
from completeness.file_rows import rows_of_lines
from completeness.findings import CatalogueReport
from completeness.local_pictures import LocalPictures
from completeness.row_spool import RowSpool
from completeness.summing_up import summed_up
from schemas.products import Product
from schemas.settings import IntakeRules

TEXTS = st.one_of(
    st.text(max_size=40), st.sampled_from(["", " ", "n/a", "Mug, red", "Mug, red.", "<b>x</b>", "x" * 2100])
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=True), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=5,
)
LIKELY = st.fixed_dictionaries(
    {"product_id": st.sampled_from(["p1", "p2", "p3", 4, ""]), "title": TEXTS},
    optional={
        "description": TEXTS,
        "category_path": st.lists(TEXTS, max_size=3),
        "price": st.one_of(st.floats(0, 1e9), st.just(0)),
        "attributes": st.dictionaries(TEXTS, st.one_of(TEXTS, st.integers(), st.booleans(), st.lists(TEXTS))),
        "group_id": TEXTS,
        "image": st.fixed_dictionaries({"uri": TEXTS}),
    },
)
ANY = st.dictionaries(st.one_of(st.sampled_from(list(Product.model_fields)), TEXTS), VALUES, max_size=8)
LINES = st.one_of(
    st.builds(lambda row: json.dumps(row).encode(), st.one_of(LIKELY, ANY)), st.binary(max_size=30)
)


def report_of(lines: list[bytes], folder: Path) -> tuple[CatalogueReport, int]:
    with RowSpool() as spool:
        tally = CatalogueTally(spool, pictures=LocalPictures(folder), most_pictures=3, where_none="not_found")
        rows = list(rows_of_lines(enumerate(lines, start=1), IntakeRules()))
        for row in rows:
            if isinstance(row, CatalogueRow):
                tally.take(row)
        tally.end()
        judged = sum(isinstance(row, CatalogueRow) for row in rows)
        return summed_up(tally, source="lines", made_at=datetime(2026, 11, 30, tzinfo=UTC)), judged


@settings(max_examples=150)
@given(st.lists(LINES, max_size=8))
def test_any_lines_give_a_report(tmp_path_factory, lines: list[bytes]) -> None:
    report, judged = report_of([line for line in lines if line.strip()], tmp_path_factory.getbasetemp())
    assert report.products == judged
    for finding in report.findings:
        assert 0 < finding.products <= report.products
        assert 0 < finding.share <= 1
        assert 0 < len(finding.examples) <= 10
    for field in report.fields:
        assert 0 <= field.complete <= report.products
        assert (field.share == 1.0) == (0 < field.complete == report.products)
    assert CatalogueReport.model_validate_json(report.model_dump_json()) == report
    assert "</html>" in render(report)
