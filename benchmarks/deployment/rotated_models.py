"""Models for benchmarks of deployment.

The base model with a random projection behind it, so that each is a model of its own. Distances within one
are those of the base model (exactly for the full dimension), and a query of one meets nothing in the index of
another. The weights of the transformer are linked, not copied: two hundred of them fit on a disk.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from benchmarks.deployment.ranked_releases import Vectors, projection_of, ranked, refresh_of, turned
from retrieval.document import document_hash
from retrieval.encoder import Encoder
from retrieval.model_folder import fingerprint, resolve_model
from schemas.releases import Candidate, Ranking, Release
from schemas.settings import BUNDLED_MODEL
from schemas.training import Decision

BASE_DIM = 384
_PIPELINE = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"},
]


def rotated_model(folder: Path, *, seed: int, dim: int) -> Candidate:
    """Write a sentence-transformers folder with rows of a random orthogonal matrix as its last layer.

    Return the candidate that proposes it.
    """
    base = resolve_model(BUNDLED_MODEL).resolve()
    (folder / "2_Dense").mkdir(parents=True)
    for path in base.iterdir():
        if path.name == "1_Pooling":
            shutil.copytree(path, folder / "1_Pooling")
        elif (
            path.is_file()
            and path.suffix in {".json", ".txt", ".safetensors"}
            and path.name != "modules.json"
        ):
            (folder / path.name).symlink_to(path)
    square, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(BASE_DIM, BASE_DIM)))
    projection = np.ascontiguousarray(square[:dim], dtype=np.float32)
    save_file(
        {"linear.weight": projection}, folder / "2_Dense" / "model.safetensors", metadata={"format": "pt"}
    )
    dense = {
        "in_features": BASE_DIM,
        "out_features": dim,
        "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    (folder / "2_Dense" / "config.json").write_text(json.dumps(dense))
    (folder / "modules.json").write_text(json.dumps(_PIPELINE))
    return Candidate(model=str(folder), model_sha256=fingerprint(folder), dim=dim)


def approval(candidate: Candidate, by: str) -> Decision:
    """Return the decision without which the indexer builds no candidate.

    Nobody has judged it, a benchmark says so.
    """
    return Decision(
        decision_id=f"{by}-{candidate.model_sha256[:16]}",
        kind=candidate.kind,
        verdict="forced",
        reasons=[f"a model of the benchmark {by}, judged by nobody"],
        candidate_sha256=candidate.model_sha256,
        candidate_ranking=candidate.ranking,
        actor=by,
    )


class Candidates:
    """Makes candidates in ``folder``, each with its vectors of the catalogue and a memory beside it.

    As a trainer does. ``others``: how many products change.
    """

    def __init__(self, folder: Path, seed: int, *, others: int) -> None:
        self.made = 0
        self._refreshed = 0
        self._others = others
        self._rng = Random(f"memories:{seed}")
        self._folder = folder
        self._seed = seed
        self._base = Encoder.load(BUNDLED_MODEL, threads=1)
        self._vectors: dict[str, npt.NDArray[np.float32]] = {}

    def make(self, texts: Sequence[str], *, dim: int) -> Candidate:
        """Return a new candidate, other than all before.

        ``texts`` are the document texts that its vectors cover.
        """
        self.made += 1
        folder = self._folder / str(self.made)
        made = rotated_model(folder, seed=self._seed * 100_000 + self.made, dim=dim)
        new = [t for t in texts if t not in self._vectors]
        self._vectors |= dict(zip(new, self._base.encode_documents(new), strict=True))
        path = folder / "vectors.npz"
        vectors = turned(np.stack([self._vectors[t] for t in texts]), projection_of(folder))
        np.savez(path, hashes=np.array([document_hash(t) for t in texts]), vectors=vectors)
        ranking = self._ranking(self._folder / f"{self.made}-memory", folder, made.model_sha256)
        return made.model_copy(update={"vectors": str(path), "ranking": ranking})

    def refresh(self, live: Release) -> Candidate:
        """Return a refresh of what serves, with another memory than all before."""
        self._refreshed += 1
        memory = self._folder / f"refresh-{self._refreshed}"
        return refresh_of(live, self._ranking(memory, resolve_model(live.model), live.model_sha256))

    def _ranking(self, memory: Path, model: Path, sha256: str) -> Ranking:
        projection = projection_of(model)

        def encode(queries: Sequence[str]) -> Vectors:
            return turned(self._base.encode_queries(list(queries)), projection)

        return ranked(memory, sha256, encode, self._others, self._rng)
