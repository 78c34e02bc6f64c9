"""The page of how complete the catalogue is, and the button that has it judged."""

from collections.abc import Mapping, Sequence

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from api.catalogue_judging import CatalogueJudging
from api.console.console_letters import LETTERS
from api.console.console_pages import page
from api.console.figures import Share, shares
from api.console.page_table import PageTable, file_links
from api.following import StateFollower
from completeness.completeness_page import PARTS, percent
from completeness.findings import CatalogueReport, FieldCompleteness

CATALOGUE = f"{LETTERS}/catalogue"


def catalogue_pages(judging: CatalogueJudging, follower: StateFollower) -> APIRouter:
    """Return the routes of the page."""
    router = APIRouter()

    @router.get(CATALOGUE)
    async def console_catalogue(request: Request) -> Response:
        report = judging.report
        findings = report.findings if report else []
        own = PageTable("catalogue", [one.model_dump(mode="json", exclude={"examples"}) for one in findings])
        return own.asked(request) or page(
            "catalogue.html",
            section=LETTERS,
            files=file_links(request) if findings else (),
            as_of=follower.as_of,
            report=report,
            bars=field_bars(report) if report else {},
            judging=judging.judging,
            products=judging.products,
            fault=judging.fault,
            parts=PARTS,
            percent=percent,
        )

    @router.post(CATALOGUE)
    async def console_judge_catalogue() -> Response:
        judging.begin()
        return RedirectResponse(CATALOGUE, 303)

    return router


def field_bars(report: CatalogueReport) -> Mapping[str, Sequence[Share]]:
    """Return the bar of each field: of how many products it is complete, and what is found of the rest."""
    return {field.field: _bar(field) for field in report.fields}


def _bar(field: FieldCompleteness) -> Sequence[Share]:
    counts = {words: float(getattr(field, name)) for name, words in PARTS}
    return shares({words: count for words, count in counts.items() if count}, sum(counts.values()))
