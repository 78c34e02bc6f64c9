"""The names of collections: one per deployment and generation. Lite allows more names than a server, so only the server's are made."""

import re

_GENERATION_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*_g\d{6}")


def collection_prefix(topic_prefix: str, deployment: str) -> str:
    """Return the start of the names of a deployment's collections: letters, digits and underscores only.

    >>> collection_prefix("searchloop.", "main")
    'searchloop_main'
    """
    text = re.sub(r"[^A-Za-z0-9_]+", "_", f"{topic_prefix.rstrip('._-')}_{deployment}").strip("_")
    return text if text[:1].isalpha() else f"c_{text}"


def collection_name(prefix: str, generation: int) -> str:
    """Return the name of a generation's collection; it is never reused and never renamed.

    >>> collection_name("searchloop_main", 7)
    'searchloop_main_g000007'
    """
    return f"{prefix}_g{generation:06d}"


def is_generation_name(name: str) -> bool:
    """Say whether ``name`` is one that ``collection_name`` makes.

    >>> is_generation_name("searchloop_main_g000007"), is_generation_name("searchloop_main_live")
    (True, False)
    """
    return _GENERATION_NAME.fullmatch(name) is not None


def generation_of(collection: str) -> int:
    """Return the generation whose build wrote a collection: the stamp that its rows carry. Raises ``ValueError`` for another name.

    >>> generation_of("searchloop_main_g000007")
    7
    """
    if not is_generation_name(collection):
        raise ValueError(f"{collection!r} is not the name of a generation's collection")
    return int(collection[-6:])
