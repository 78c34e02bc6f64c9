"""``doctor catalog``: how complete a catalogue is, as table, JSON and page.

Of a running stack, or of a file without one.
"""

import asyncio
import os
import tarfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from commands.support.hints import not_lines
from commands.support.lines import ensure_readable, numbered_lines
from commands.support.meter import metered
from commands.support.session import MISUSED, find_settings, out, show_json, stop, table
from completeness.catalogue_row import CatalogueRow, Deleted, Unread
from completeness.catalogue_tally import CatalogueTally
from completeness.completeness_page import render
from completeness.file_rows import rows_of_lines
from completeness.findings import CatalogueReport, Finding
from completeness.local_pictures import LocalPictures
from completeness.model_window import ModelWindow
from completeness.row_spool import RowSpool
from completeness.summing_up import summed_up
from completeness.topic_rows import rows_of_topic
from media.pictures import StorageError, stored_pictures
from retrieval.model_folder import ModelError, resolve_model
from schemas.printable import printable_json
from schemas.settings import StreamSettings, TrainerSettings

_SHOWN = 20
_EVERY = 512


@dataclass
class _Lines:
    """Lines of a file that are no products."""

    deletions: int = 0
    unread: int = 0
    first: str = ""


def catalog(
    *,
    products: str | None,
    pictures: Path | None,
    out: list[Path] | None,
    fail_above: float | None,
    most_pictures: int,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Judge every product; exit code 1 where a finding's share is above ``fail_above``, 2 for wrong usage."""
    wrong = [str(path) for path in out or [] if path.suffix.lower() not in {".html", ".json"}]
    if wrong:
        stop(f"--out takes FILE.html or FILE.json, not {', '.join(wrong)}", code=MISUSED)
    if pictures is not None and products is None:
        stop("--pictures is for --products: those of a running stack are in its artefact store", code=MISUSED)
    lines = _Lines()
    with RowSpool() as spool:
        tally = CatalogueTally(spool, window=_window(), most_pictures=most_pictures)
        if products is not None:
            ensure_readable(products)
            rows, source = _file(products, lines), products
            if pictures is not None:
                tally.pictures, tally.where_none = _local(pictures), "not_found"
        else:
            settings = find_settings(data_dir)
            rows, source = rows_of_topic(settings), f"the topic {settings.topic('catalog')}"
            tally.pictures = stored_pictures(settings.artefact_address)
        try:
            report = _judged(rows, tally, lines, source)
        except StorageError as error:
            stop(str(error))
    for path in out or []:
        _write(path, report)
    if as_json:
        show_json(report.model_dump(mode="json"))
    else:
        _show(report)
    worst = max((f.share for f in report.findings), default=0.0)
    if fail_above is not None and worst > fail_above:
        over = sum(f.share > fail_above for f in report.findings)
        stop(f"{over} findings are above {fail_above:g}; the greatest share is {worst:.4f}")


def _judged(
    rows: AsyncIterator[CatalogueRow], tally: CatalogueTally, lines: _Lines, source: str
) -> CatalogueReport:
    with metered("judging the catalogue", "products") as meter:

        async def take() -> None:
            async for row in rows:
                tally.take(row)
                if len(tally.spool) % _EVERY == 0:
                    meter.reach(len(tally.spool))

        asyncio.run(take())
        meter.begin("comparing products")
        tally.end()
        report = summed_up(
            tally,
            source=source,
            made_at=datetime.now(UTC),
            deletions=lines.deletions,
            refused_lines=lines.unread,
        )
    if lines.unread:
        notes = [
            *report.notes,
            f"{lines.unread} lines hold no product and are not judged, the first: {lines.first}",
            *([] if report.products else [not_lines(source)]),
        ]
        return report.model_copy(update={"notes": notes})
    return report


async def _file(file: str, lines: _Lines) -> AsyncIterator[CatalogueRow]:
    rules = StreamSettings.load(os.environ)
    for one in rows_of_lines(numbered_lines(file), rules):
        match one:
            case CatalogueRow():
                yield one
            case Deleted():
                lines.deletions += 1
            case Unread(line, why):
                lines.first = lines.first or f"line {line}, {why}"
                lines.unread += 1


def _local(place: Path) -> LocalPictures:
    try:
        return LocalPictures(place)
    except (OSError, tarfile.TarError) as error:
        stop(f"{place} is neither a folder nor a tar archive that can be read: {error}", code=MISUSED)


def _window() -> ModelWindow | None:
    """Return how much the base model reads: models that were trained from it read as much."""
    try:
        return ModelWindow.read(resolve_model(TrainerSettings.load(os.environ).base_model))
    except ModelError as error:
        stop(str(error))


def _write(path: Path, report: CatalogueReport) -> None:
    html = path.suffix.lower() == ".html"
    try:
        path.write_text(
            render(report) if html else printable_json(report.model_dump_json(indent=1)) + "\n", "utf-8"
        )
    except OSError as error:
        stop(f"{path} cannot be written: {error.strerror}")


def _show(report: CatalogueReport) -> None:
    table(
        f"{report.products} products of {report.source}, complete by {report.score:.0%} over all fields",
        ["field", "complete", "absent", "blank", "placeholder", "refused", "too long", "other"],
        [
            (f.field, f"{f.share:.1%}", f.absent, f.blank, f.placeholder, f.invalid, f.too_long, f.other)
            for f in report.fields
        ],
    )
    table(
        "findings, the greatest share first",
        ["finding", "products", "share", "for example"],
        [(f.what, f.products, f"{f.share:.2%}", _example(f)) for f in report.findings[:_SHOWN]],
    )
    if len(report.findings) > _SHOWN:
        out.print(f"{len(report.findings) - _SHOWN} more: --out FILE.html or --json has all, and what to do")
    for note in report.notes:
        out.print(note, highlight=False)


def _example(finding: Finding) -> str:
    if not finding.examples or finding.name.endswith(".absent"):
        return ""
    first, count = finding.examples[0].products[0], finding.examples[0].count
    return f"{first.product_id}: {(first.value or first.title)[:60]}" + (
        f" ({count} products)" if count > 1 else ""
    )
