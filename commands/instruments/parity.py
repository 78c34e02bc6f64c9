"""Whether an answer's hits really came from the generation that it names, found out from outside.

Each cosine is computed anew with the named generation's own model: query vector times document vector. A
mixed answer cannot match. Answers must explain their scores.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from commands.instruments.traffic import Answer
from media.pictures import Pictures
from retrieval.document import document_of
from retrieval.encoder import Encoder
from retrieval.ranking import DENSE
from schemas.products import CatalogProduct
from schemas.releases import Release

TOLERANCE = 2e-3


def count_mixed(
    answers: Iterable[Answer],
    releases: Mapping[int, Release],
    catalog: Sequence[CatalogProduct],
    pictures: Pictures | None = None,
) -> tuple[int, int]:
    """Return (answers checked, answers of which some score is not the named generation's).

    An answer that names an unknown generation counts as mixed. ``pictures``: where those of the catalogue are
    read, for models that see them.
    """
    checked, mixed = 0, 0
    by_generation: dict[int | None, list[Answer]] = {}
    for answer in answers:
        if answer.response is not None and answer.response.hits:
            by_generation.setdefault(answer.response.generation, []).append(answer)
    texts = {p.product_id: document_of(p) for p in catalog}
    for generation, group in by_generation.items():
        checked += len(group)
        release = releases.get(generation) if generation is not None else None
        if release is None:
            mixed += len(group)
            continue
        encoder = Encoder.load(release.model, pictures=pictures)
        ids = sorted({h.product_id for a in group if a.response for h in a.response.hits} & texts.keys())
        column = {product_id: i for i, product_id in enumerate(ids)}
        documents = encoder.encode_documents([texts[i] for i in ids])
        queries = sorted({a.query for a in group})
        vectors = dict(zip(queries, encoder.encode_queries(queries), strict=True))
        mixed += sum(not _matches(a, vectors[a.query], documents, column) for a in group)
    return checked, mixed


def _matches(answer: Answer, query: np.ndarray, documents: np.ndarray, column: Mapping[str, int]) -> bool:
    hits = [h for h in answer.response.hits if h.product_id in column] if answer.response else []
    expected = np.array([float(documents[column[h.product_id]] @ query) for h in hits])
    told = [(h.parts or {}).get(DENSE, np.inf) for h in hits]
    return bool(np.allclose(expected, told, atol=TOLERANCE))
