"""Who we are to a broker.

The client id of every connection of this process, by which its quotas, logs and metrics tell them apart.
"""

from contextvars import ContextVar

_PROCESS: ContextVar[str] = ContextVar("process", default="")


def name_process(process: str) -> None:
    """Say which process of ours this is; what is opened from here on, and by its tasks, is called so."""
    _PROCESS.set(process)


def client_id(begin: str, role: str = "") -> str:
    """Return the client id of this process, or of one of its connections that has a role of its own.

    >>> client_id("searchloop"), client_id("shop", "pulse")
    ('searchloop', 'shop-pulse')
    """
    return "-".join(filter(None, (begin, _PROCESS.get(), role)))
