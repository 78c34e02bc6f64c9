"""Who we are to a broker.

The client id of every connection of this process, by which its quotas, logs and metrics tell them apart.
"""

from contextvars import ContextVar

_NAME: ContextVar[str] = ContextVar("client id", default="searchloop")


def name_process(process: str) -> None:
    """Say which process of ours this is; what is opened from here on, and by its tasks, is called so."""
    _NAME.set(f"searchloop-{process}")


def client_id(role: str = "") -> str:
    """Return the client id of this process, or of one of its connections that has a role of its own.

    >>> client_id(), client_id("pulse")
    ('searchloop', 'searchloop-pulse')
    """
    return f"{_NAME.get()}-{role}" if role else _NAME.get()
