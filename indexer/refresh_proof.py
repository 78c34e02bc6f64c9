"""Prove that the ranking of a refresh can serve, before it does.

The model and the collection serve already, so what is new is looked at alone: its artefact is there, whole,
of this model, and says finite things of a few queries. Reads the artefact once.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence

from artefacts.folders import StoreAwayError, StoredFolderError
from artefacts.located import local
from indexer.models import Models
from retrieval.document import document_text
from retrieval.encoder import EncodingError, Vectors
from retrieval.mapped_arrays import ArtefactError, artefact_folder
from retrieval.model_folder import ModelError
from retrieval.query_memory import QueryMemory
from retrieval.ranker import Ranker
from retrieval.ranking import MEMORY, RANKER, SERVED, weighed
from schemas.products import CatalogProduct
from schemas.releases import Ranking, Release
from schemas.training import Check

PROBES, PROBE_CHARS = 20, 200


def gone(ranking: Ranking) -> str | None:
    """Return which artefact of a ranking is not there any more, or None."""
    lost = sorted(name for name, (path, _) in ranking.artefacts.items() if not _there(path))
    return f"its {lost[0]} is gone: it was removed, or a shopper was forgotten since" if lost else None


def _there(path: str) -> bool:
    """Say whether an artefact is there, as far as the store answers: a rollback does not wait for it."""
    try:
        return local(path).exists()
    except StoreAwayError:
        return True
    except StoredFolderError:
        return False


async def proven(release: Release, products: Mapping[str, CatalogProduct], models: Models) -> list[Check]:
    """Return the checks of a refresh; its queries are texts of the first products."""
    probes = [document_text(products[i])[:PROBE_CHARS] for i in sorted(products)[:PROBES]]
    try:
        await models.load(release.model, release.model_sha256)
        vectors = await models.encode(release.model_sha256, probes)
    except (ModelError, EncodingError) as error:
        return [_check("model", str(error)[:500], passed=False)]
    return await asyncio.to_thread(prove, release, probes, vectors)


def prove(release: Release, probes: Sequence[str], vectors: Vectors) -> list[Check]:
    """Return every check with its verdict, pass or fail. ``vectors`` (n, dim) are of the probes. Blocks."""
    ranking = release.ranking
    unknown = sorted(set(weighed(ranking)) - set(SERVED))
    checks = [
        _check(
            "ranking_parts",
            "the parts are known" if not unknown else f"nobody can compute {', '.join(unknown)}",
            passed=not unknown,
        )
    ]
    if RANKER in weighed(ranking):
        checks.append(_loads("ranker_loads", lambda: Ranker.load(ranking)))
    if MEMORY not in ranking.artefacts:
        return checks
    path, digest = ranking.artefacts[MEMORY]
    try:
        memory = QueryMemory.load(artefact_folder(path), sha256=digest)
    except (ArtefactError, OSError, ValueError) as error:
        return [*checks, _check("memory_loads", str(error)[:500], passed=False)]
    ours = memory.model_sha256 == release.model_sha256 and memory.dim == release.dim
    whose = "of the live model" if ours else "of another model"
    checks += [
        _check("memory_loads", f"{memory.queries} queries", passed=True),
        _check("memory_model", whose, passed=ours),
    ]
    if ours:
        said = [v for one in memory.values(probes, vectors) for v in one.values()]
        said += list(memory.prior.values())
        good = all(math.isfinite(v) and v >= 0 for v in said)
        checks.append(_check("memory_values", f"{len(said)} values, finite and not below 0", passed=good))
    return checks


def _loads(name: str, load: Callable[[], object]) -> Check:
    try:
        load()
    except (ArtefactError, OSError, ValueError) as error:
        return _check(name, str(error)[:500], passed=False)
    return _check(name, "it is whole, and reads what is weighed", passed=True)


def _check(name: str, reason: str, *, passed: bool) -> Check:
    return Check(name=name, verdict="pass" if passed else "fail", reason=reason)
