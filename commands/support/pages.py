"""What the processes of a data directory say of themselves over HTTP.

The port is the one that a process has announced. It may be another's by now, so whatever answers there is
taken for no answer unless it is a page of ours.
"""

import json
import urllib.error
import urllib.request
from http.client import HTTPException

from schemas.settings import Settings

_NO_ANSWER = (OSError, HTTPException, ValueError, KeyError, TypeError, RecursionError)


def read_late(settings: Settings) -> int | None:
    """Return how many events the stream found too late since its start, or None when it does not answer."""
    try:
        port = _port(settings, "stream")
        with urllib.request.urlopen(f"http://{settings.http_host}:{port}/metrics", timeout=2) as answer:
            lines = answer.read().decode().splitlines()
    except _NO_ANSWER:
        return None
    return sum(
        int(float(line.split()[-1])) for line in lines if line.startswith("searchloop_attribute_late_total")
    )


def read_page(settings: Settings, process: str, page: str) -> dict[str, object]:
    """Return what a process of this data directory says on ``/readyz`` or ``/healthz``.

    ``ready`` False when it does not answer.
    """
    try:
        return dict(json.loads(_said(settings, _port(settings, process), page)))
    except _NO_ANSWER:
        return {"process": process, "ready": False, "reason": "does not answer"}


def _said(settings: Settings, port: int, page: str) -> bytes:
    """Return the body of an answer, also of one that says no."""
    try:
        with urllib.request.urlopen(f"http://{settings.http_host}:{port}/{page}", timeout=2) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        return error.read()


def _port(settings: Settings, process: str) -> int:
    return int(json.loads((settings.data_dir / "run" / f"{process}.json").read_text())["port"])
