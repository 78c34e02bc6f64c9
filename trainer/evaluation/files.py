"""The files of an evaluation: what is asked, what was found.

Knows no models, so that who decides need not load one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict

from retrieval.document import document_hash
from schemas.releases import Ranking
from schemas.training import Score
from trainer.evaluation.artefact import Artefact
from trainer.run.folder import write_durably


class EvaluationRequest(BaseModel):
    """What to evaluate, all by absolute path.

    ``models`` maps candidate, live, best and base to model folders, ``rankings`` live and best to what their
    releases say; ``remembered`` are the pairs of the memory; the candidate's is written into ``memory``, its
    ranker into ``ranker``. The systems ``refreshed`` get one for the measurement: what they serve remembers
    the test. ``inner`` is what coefficients are fitted to, by what was ``known`` then.
    ``clients`` (query, product_id, client, credit) say which queries are rare. ``judged`` names
    further qrels. ``pinned``: queries that the candidate alone ranks, into ``pinned.parquet`` (query, top).
    ``artefacts`` is the address of the store that holds prepared pictures, ``folders`` that of models and
    rankings; of one that is elsewhere ``cache`` keeps ``cache_bytes``.
    """

    model_config = ConfigDict(frozen=True)

    catalog: Path
    qrels: Path
    weighted: Path
    inner: Path | None = None
    known: Path | None = None
    clients: Path | None = None
    judged: dict[str, Path] = {}
    pinned: list[str] = []
    models: dict[str, str]
    rankings: dict[str, Ranking] = {}
    remembered: Path | None = None
    memory: Path | None = None
    ranker: Path | None = None
    refreshed: list[str] = []
    language: str
    artefacts: str = ""
    folders: str = ""
    cache: Path = Path()
    cache_bytes: int = 0
    output: Path
    seed: int = 0
    threads: int = 1


class RankerFacts(BaseModel):
    """What a ranker gained in nDCG@10 on validation queries that it was not fitted on, paired with the sum.

    ``error``: one standard error of ``gain``. ``queries``: those with a gain; with too few nothing is fitted.
    """

    model_config = ConfigDict(frozen=True)

    queries: int
    gain: float | None = None
    error: float | None = None
    kept: bool = False


class EvaluationFacts(BaseModel):
    """The small results.

    Model fingerprints, artefact facts and ranking by system, and why a system could not be scored. The
    rankings of candidate and base were fitted on ``validation_queries`` queries; ``rankers``: what was found
    of theirs. ``part_gains``: what each part of the candidate's score adds (``leave_one_out``).
    """

    model_config = ConfigDict(frozen=True)

    queries: int
    fingerprints: dict[str, str] = {}
    artefacts: dict[str, Artefact] = {}
    problems: dict[str, str] = {}
    rankings: dict[str, Ranking] = {}
    validation_queries: int = 0
    rankers: dict[str, RankerFacts] = {}
    part_gains: dict[str, dict[str, Score]] = {}


@dataclass(frozen=True)
class Evaluation:
    """What was found, per query.

    ``queries``: one row per test query with its segments (``segments``), sorted by query. ``results``: one
    row per system and query: the ``RANKING_METRICS``, best_in_10, top (ids of the first ten). ``vectors``:
    the candidate's, in the order of the catalogue's ids, ``documents`` what it reads of these. ``judged``:
    the same for each named set of an operator's judgments, with the same facts.
    """

    queries: pl.DataFrame
    results: pl.DataFrame
    facts: EvaluationFacts
    vectors: npt.NDArray[np.float32] | None = None
    documents: Sequence[str] = ()
    judged: Mapping[str, "Evaluation"] = field(default_factory=dict)

    def write(self, folder: Path, ids: list[str]) -> None:
        """Write the files of an evaluation, ``facts.json`` last.

        Before it ``queries.parquet``, ``results.parquet``, the candidate's ``vectors.npz`` and
        ``judged/NAME``.
        """
        for name, own in self.judged.items():
            (folder / "judged" / name).mkdir(parents=True)
            own.write(folder / "judged" / name, ids)
        self.queries.write_parquet(folder / "queries.parquet")
        self.results.write_parquet(folder / "results.parquet")
        if self.vectors is not None:
            hashes = [document_hash(document) for document in self.documents]
            np.savez(folder / "vectors.npz", ids=np.array(ids), vectors=self.vectors, hashes=np.array(hashes))
        write_durably(folder / "facts.json", self.facts.model_dump_json().encode())

    @classmethod
    def read(cls, folder: Path) -> "Evaluation":
        """Read what ``write`` wrote, without the vectors.

        Raises ``FileNotFoundError`` for an evaluation that did not finish.
        """
        facts = EvaluationFacts.model_validate_json((folder / "facts.json").read_bytes())
        judged = {path.name: cls.read(path) for path in sorted((folder / "judged").glob("*"))}
        return cls(
            pl.read_parquet(folder / "queries.parquet"),
            pl.read_parquet(folder / "results.parquet"),
            facts,
            judged=judged,
        )
