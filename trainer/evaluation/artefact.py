"""What can be said of a saved model without any judgments.

Is it finite, is it the same for one text and for many, has it collapsed?
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

Vectors = npt.NDArray[np.float32]
_SAMPLE = 1000
_PROBES = (
    "xbox 360",
    "a",
    "wireless headphones with a very long name and many words " * 8,
    "café \U0001f3ae",
    "4k tv 55in",
    "?!",
)


class Encodes(Protocol):
    """What the probes need of an encoder."""

    dim: int

    @property
    def form(self) -> str:
        """Return the digest of what a fine-tune leaves as it is."""

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return (n, dim) vectors of one batch."""


class Artefact(BaseModel):
    """Facts about a model. ``parity`` is the least cosine between a text alone and the same text in a batch.

    ``mean_cosine`` is that of random pairs of the catalogue; ``effective_rank`` the exponential of the
    entropy of its spectrum. ``form`` is a digest of all that a fine-tune leaves as it is: modules, pooling,
    prompts, tokenizer.
    """

    model_config = ConfigDict(frozen=True)

    finite: bool
    dim: int
    norm_error: float = 0.0
    parity: float = 0.0
    mean_cosine: float = 1.0
    effective_rank: float = 0.0
    form: str = ""


def examine(encoder: Encodes, documents: Vectors, queries: Sequence[str]) -> Artefact:
    """Probe a model with fixed texts and some queries, and look at its vectors of the catalogue (n, dim)."""
    probes = [*_PROBES, *queries[:26]]
    together = encoder.encode_queries(probes)
    alone = np.concatenate([encoder.encode_queries([text]) for text in probes])
    sample = documents[:: max(1, len(documents) // _SAMPLE)][:_SAMPLE].astype(np.float64)
    return Artefact(
        finite=bool(np.isfinite(together).all() and np.isfinite(documents).all()),
        dim=encoder.dim,
        norm_error=float(np.abs(np.linalg.norm(np.concatenate([together, documents]), axis=1) - 1).max()),
        parity=float((together * alone).sum(axis=1).min()),
        mean_cosine=_mean_cosine(sample),
        effective_rank=_effective_rank(sample),
        form=encoder.form,
    )


def _mean_cosine(sample: npt.NDArray[np.float64]) -> float:
    n = len(sample)
    if n < 2:
        return 0.0
    total = sample.sum(axis=0)
    return float((total @ total - (sample * sample).sum()) / (n * (n - 1)))


def _effective_rank(sample: npt.NDArray[np.float64]) -> float:
    spectrum = np.linalg.svd(sample, compute_uv=False) ** 2 if len(sample) else np.zeros(1)
    share = spectrum[spectrum > 0] / max(spectrum.sum(), 1e-300)
    return float(np.exp(-(share * np.log(share)).sum()))
