"""Whether it is there, and whether it is ready.

The ``/healthz`` and ``/readyz`` pages of a process, and the addresses of servers that are not ours.
"""

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from embedded.errors import NotReadyError
from embedded.ports import HOST
from schemas.hidden import redacted

_PATIENCE = aiohttp.ClientTimeout(total=2.0)


async def says_yes(page: str, data_dir: Path, name: str, session: aiohttp.ClientSession) -> bool:
    """Say whether a page of a process, ``readyz`` or ``healthz``, answers 200.

    On the port that it wrote to ``run/<name>.json``.
    """
    try:
        port = json.loads((data_dir / "run" / f"{name}.json").read_text())["port"]
        async with session.get(f"http://{HOST}:{port}/{page}", timeout=_PATIENCE) as answer:
            return answer.status == 200
    except (OSError, ValueError, KeyError, TypeError, RecursionError, aiohttp.ClientError, TimeoutError):
        return False


async def address_of_api(data_dir: Path, session: aiohttp.ClientSession) -> str | None:
    """Return where the API of a data directory answers, as its own page says; None while it does not."""
    try:
        port = json.loads((data_dir / "run" / "api.json").read_text())["port"]
        async with session.get(f"http://{HOST}:{port}/readyz", timeout=_PATIENCE) as answer:
            found = (await answer.json())["address"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError, aiohttp.ClientError, TimeoutError):
        return None
    return found if isinstance(found, str) else None


async def require_kafka(bootstrap: str) -> None:
    """Raise ``NotReadyError`` unless one of the comma separated brokers takes a connection."""
    addresses = [urlsplit(f"//{part.strip()}") for part in bootstrap.split(",")]
    if not any([await _listens(a.hostname, a.port or 9092) for a in addresses]):
        raise NotReadyError(
            f"SEARCHLOOP_KAFKA names {bootstrap}, and nothing answers there: start it, or unset it to get "
            "one of our own"
        )


async def require_milvus(uri: str) -> None:
    """Raise ``NotReadyError`` unless the uri is that of a server, and it takes a connection."""
    parts, shown = urlsplit(uri), redacted(uri)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise NotReadyError(
            f"SEARCHLOOP_MILVUS names {shown!r}, and several processes need a server, http://host:port: "
            "only one process can open a file"
        )
    if not await _listens(parts.hostname, parts.port or (443 if parts.scheme == "https" else 19530)):
        raise NotReadyError(
            f"SEARCHLOOP_MILVUS names {shown}, and nothing answers there: start it, or unset it to get one "
            "of our own"
        )


async def _listens(host: str | None, port: int) -> bool:
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(5.0):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
        return True
    return False
