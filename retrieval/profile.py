"""How each backend of Milvus builds its index and searches it.

The reasons and the measurements are those of the lab notes.
"""

from dataclasses import dataclass
from typing import Any, Literal

Backend = Literal["lite", "server"]


@dataclass(frozen=True)
class Profile:
    """How a backend builds and searches.

    Lite reads build parameters only from a nested key, else it drops them.
    """

    index: str
    build: dict[str, Any]
    search: dict[str, int]


PROFILES: dict[Backend, Profile] = {
    "lite": Profile("IVF_FLAT", {"params": {"nlist": 128}}, {"nprobe": 128}),  # every list is probed: exact
    "server": Profile("HNSW", {"M": 32, "efConstruction": 256}, {"ef": 256}),
}


def backend_of(version: str) -> Backend:
    """Return the backend that reports this version.

    The server of the old wheel is no Lite, though it says ``v2.3.5-lite``.

    >>> backend_of("milvus_lite-3.2.2"), backend_of("v2.6.16"), backend_of("v2.3.5-lite")
    ('lite', 'server', 'server')
    """
    return "lite" if version.lower().startswith("milvus_lite") else "server"
