"""The table of a page as a file: CSV for spreadsheets, JSON for programs, from the page's own address.

``?as=csv`` or ``?as=json`` behind an address gives what the page shows.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

_KINDS = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
# What a spreadsheet would take for a formula: a text of anybody must be none.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
Cells = Mapping[str, object]


@dataclass(frozen=True)
class PageTable:
    """What a page shows: ``name`` is that of the file, ``rows`` have the same columns."""

    name: str
    rows: Sequence[Cells]

    def asked(self, request: Request) -> Response | None:
        """Return the file that an address asks for; None where it asks for the page."""
        kind = request.query_params.get("as", "")
        if kind not in _KINDS:
            return None
        text = as_csv(self.rows) if kind == "csv" else json.dumps(self.rows, ensure_ascii=False, indent=1)
        named = {"Content-Disposition": f'attachment; filename="{self.name}.{kind}"'}
        return Response(text, headers=named, media_type=_KINDS[kind])


def file_links(request: Request) -> list[tuple[str, str]]:
    """Return the names and addresses of the files of a page."""
    said = [one for one in request.query_params.multi_items() if one[0] != "as"]
    return [(kind.upper(), f"{request.url.path}?{urlencode([*said, ('as', kind)])}") for kind in _KINDS]


def as_csv(rows: Sequence[Cells]) -> str:
    r"""Return rows with a line of their columns' names; nothing for no rows.

    >>> as_csv([{"query": "=1+1", "hits": 3, "parts": {"dense": 0.5}}])
    'query,hits,parts\r\n\'=1+1,3,"{""dense"": 0.5}"\r\n'
    """
    if not rows:
        return ""
    written = io.StringIO()
    lines = csv.writer(written)
    lines.writerow(rows[0])
    lines.writerows([_cell(value) for value in row.values()] for row in rows)
    return written.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
