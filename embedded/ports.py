"""Ports of 127.0.0.1: which are free, and who holds the others.

Free ones are taken below the range that Linux and macOS give to outgoing connections: a client that keeps
trying a port inside that range can connect to itself and so take the port away from the server it waits for.
"""

import secrets
import socket
from collections.abc import Collection

import psutil

from embedded.errors import PortTakenError

HOST = "127.0.0.1"
_LOWEST, _HIGHEST = 20_000, 32_000


def is_free(port: int) -> bool:
    """Say whether a server could listen on the port now. Old connections in TIME_WAIT do not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port(*, preferred: int | None = None, besides: Collection[int] = ()) -> int:
    """Return ``preferred`` when it is free, else any free port. It is free at this moment, nobody keeps it.

    ``besides``: ports that were chosen and are not listened on yet, so they only look free.
    """
    if preferred is not None and preferred not in besides and is_free(preferred):
        return preferred
    for _ in range(1000):
        port = _LOWEST + secrets.randbelow(_HIGHEST - _LOWEST)
        if port not in besides and is_free(port):
            return port
    raise PortTakenError(
        f"found no free port of {HOST} between {_LOWEST} and {_HIGHEST} in 1000 tries; end what holds them"
    )


def require_free(port: int, what: str) -> None:
    """Raise ``PortTakenError`` unless the port is free; ``what`` names the server that wants it."""
    if not is_free(port):
        raise PortTakenError(
            f"port {port} of {HOST} is taken by {_holder(port)}, and {what} needs it: end that process, or "
            "choose another port"
        )


def _holder(port: int) -> str:
    try:
        for c in psutil.net_connections(kind="tcp"):
            if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port and c.pid:
                return f"process {c.pid} ({psutil.Process(c.pid).name()})"
    except psutil.Error:  # macOS tells only root; the process may have ended meanwhile
        pass
    return "another process"
