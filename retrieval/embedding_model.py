"""What an encoder asks of a model, whichever library computes its vectors. Loads none."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


class Layers(Protocol):
    """A BERT in another runtime: (n, tokens) ids, types and mask to (n, tokens, dim), padding zero."""

    def __call__(self, ids: Integers, types: Integers, mask: Integers) -> Vectors:
        """Return the last layer's vectors of the tokens."""


class EmbeddingModel(ABC):
    """The model of one folder. Calls are made one at a time.

    ``kind`` of its layers; ``config`` of a BERT, else None; ``dim`` of its vectors; ``length``: of a text in
    tokens, at most; ``prompts`` by name; ``form``: the kinds of its modules, and of a pooling what it does;
    ``picture_inputs``: how it takes pictures, None: it reads texts only. ``small``: layers that compute its
    batches of at most so many tokens, padding counted, where its own are slower.
    """

    by_torch: ClassVar[bool]
    fused: bool = False
    kind: str
    config: Any = None
    dim: int
    length: int | None
    prompts: Mapping[str, str]
    form: list[tuple[str, Any]]
    picture_inputs: Any = None
    small: tuple[Layers, int] | None = None

    @property
    def runs_on(self) -> str:
        """The kind of processor it runs on: ``cpu``, ``cuda``."""
        return "cpu"

    @abstractmethod
    def vocabulary(self) -> dict[str, int]:
        """Return all tokens with their numbers."""

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return (n, dim) vectors of any length of n > 0 texts."""

    def look(self, pixels: npt.NDArray[np.uint8]) -> Vectors:
        """Return (n, dim) vectors of any length of pictures (n, side, side, 3), where it takes any."""
        raise NotImplementedError(f"{self.kind} reads texts only, not {len(pixels)} pictures")
