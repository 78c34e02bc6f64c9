"""How each backend of Milvus builds its index and searches it. The reasons and the measurements are those of the lab notes."""

from dataclasses import dataclass
from typing import Any, Literal

Backend = Literal["lite", "server"]


@dataclass(frozen=True)
class Profile:
    """How a backend builds and searches. Lite reads build parameters only from a nested key, else it drops them."""

    index: str
    build: dict[str, Any]
    search: dict[str, int]


PROFILES: dict[Backend, Profile] = {
    "lite": Profile("IVF_FLAT", {"params": {"nlist": 128}}, {"nprobe": 128}),  # every list is probed: exact
    "server": Profile("HNSW", {"M": 32, "efConstruction": 256}, {"ef": 256}),
}
