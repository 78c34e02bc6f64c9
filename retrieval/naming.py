"""The names of collections: one per deployment and generation.

Lite allows more names than a server, so only the server's are made. No two deployments share one, whatever
their prefixes and names: who starts drops what nobody owns under its own names, and nothing else.
"""

import hashlib
import re

from schemas.releases import Release

_GENERATION_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*_g\d{6}")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_READABLE = 100
_DIGITS = 12


def collection_prefix(topic_prefix: str, deployment: str) -> str:
    """Return the start of the names of a deployment's collections.

    Letters, digits and underscores only, for no other deployment. A plain word and a point before a plain
    word keep their form, with the one underscore between them; all else carries a digest.

    >>> collection_prefix("searchloop.", "main")
    'searchloop_main'
    >>> collection_prefix("shop-a.", "main"), collection_prefix("shop_a.", "main")
    ('shop_a_main_b7322ec4965d', 'shop_a_main_c6d79fd12638')
    """
    if topic_prefix.endswith(".") and _PLAIN.fullmatch(topic_prefix[:-1]) and _PLAIN.fullmatch(deployment):
        return f"{topic_prefix[:-1]}_{deployment}"
    digest = hashlib.sha256(f"{topic_prefix}\0{deployment}".encode()).hexdigest()[:_DIGITS]
    return f"{_readable(topic_prefix, deployment)[:_READABLE]}_{digest}"


def earlier_prefix(topic_prefix: str, deployment: str) -> str:
    """Return the prefix of versions up to 0.1.0, which several deployments could share.

    >>> earlier_prefix("shop-a.", "main")
    'shop_a_main'
    """
    return _readable(topic_prefix, deployment)


def collection_name(prefix: str, generation: int) -> str:
    """Return the name of a generation's collection; it is never reused and never renamed.

    >>> collection_name("searchloop_main", 7)
    'searchloop_main_g000007'
    """
    return f"{prefix}_g{generation:06d}"


def is_generation_name(name: str, prefix: str | None = None) -> bool:
    """Say whether ``name`` is one that ``collection_name`` makes, of this prefix or of any.

    >>> is_generation_name("searchloop_main_g000007"), is_generation_name("searchloop_main_live")
    (True, False)
    >>> is_generation_name("a_b_g1_0123_g000007", "a_b")
    False
    """
    ours = prefix is None or name[: -len("_g000000")] == prefix
    return ours and _GENERATION_NAME.fullmatch(name) is not None


def generation_of(collection: str) -> int:
    """Return the generation whose build wrote a collection: the stamp that its rows carry.

    Raises ``ValueError`` for another name.

    >>> generation_of("searchloop_main_g000007")
    7
    """
    if not is_generation_name(collection):
        raise ValueError(f"{collection!r} is not the name of a generation's collection")
    return int(collection[-6:])


def stamp_of(release: Release) -> int:
    """Return the number of the generation whose build wrote a release's collection.

    A refresh serves the collection of an older generation.
    """
    return generation_of(release.collection) if release.kind == "refresh" else release.generation


def _readable(topic_prefix: str, deployment: str) -> str:
    text = re.sub(r"[^A-Za-z0-9_]+", "_", f"{topic_prefix.rstrip('._-')}_{deployment}").strip("_")
    return text if text[:1].isalpha() else f"c_{text}"
