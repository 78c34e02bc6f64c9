"""How each backend of Milvus builds its index and searches it.

The reasons and the measurements are those of the lab notes.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

from schemas.connections import MilvusConnection

Backend = Literal["lite", "server"]


@dataclass(frozen=True)
class Profile:
    """How a backend builds and searches; ``narrowed``: under conditions, where a graph finds less of them.

    Lite reads build parameters only from a nested key, else it drops them.
    """

    index: str
    build: dict[str, Any]
    search: dict[str, Any]
    narrowed: dict[str, Any]


PROFILES: dict[Backend, Profile] = {
    # Every list is probed: exact
    "lite": Profile("IVF_FLAT", {"params": {"nlist": 128}}, {"nprobe": 128}, {"nprobe": 128}),
    "server": Profile("HNSW", {"M": 32, "efConstruction": 256}, {"ef": 256}, {"ef": 1024}),
}


def profile_of(backend: Backend, connection: MilvusConnection) -> Profile:
    """Return how this one is built and searched: as the settings say, or by its backend."""
    if not connection.milvus_index:
        return PROFILES[backend]
    build = json.loads(connection.milvus_index_params or "{}")
    search = json.loads(connection.milvus_search_params or "{}")
    return Profile(connection.milvus_index, {"params": build} if backend == "lite" else build, search, search)


def backend_of(version: str) -> Backend:
    """Return the backend that reports this version.

    The server of the old wheel is no Lite, though it says ``v2.3.5-lite``.

    >>> backend_of("milvus_lite-3.2.2"), backend_of("v2.6.16"), backend_of("v2.3.5-lite")
    ('lite', 'server', 'server')
    """
    return "lite" if version.lower().startswith("milvus_lite") else "server"
