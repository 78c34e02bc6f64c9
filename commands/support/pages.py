"""What the processes of a data directory say of themselves over HTTP."""

import json
import urllib.error
import urllib.request

from schemas.settings import Settings


def read_late(settings: Settings) -> int | None:
    """Return how many events the stream found too late since its start, or None when it does not answer."""
    try:
        port = json.loads((settings.data_dir / "run" / "stream.json").read_text())["port"]
        with urllib.request.urlopen(f"http://{settings.http_host}:{port}/metrics", timeout=2) as answer:
            lines = answer.read().decode().splitlines()
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return sum(
        int(float(line.split()[-1])) for line in lines if line.startswith("searchloop_attribute_late_total")
    )


def read_page(settings: Settings, process: str, page: str) -> dict[str, object]:
    """Return what a process of this data directory says on ``/readyz`` or ``/healthz``.

    ``ready`` False when it does not answer.
    """
    announced = settings.data_dir / "run" / f"{process}.json"
    try:
        port = json.loads(announced.read_text())["port"]
        # Fixed scheme
        with urllib.request.urlopen(f"http://{settings.http_host}:{port}/{page}", timeout=2) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        return dict(json.loads(error.read() or b"{}"))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {"process": process, "ready": False, "reason": "does not answer"}
