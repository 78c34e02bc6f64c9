"""The vector of what a request asks: of its text, of its picture, or of both, fused as documents are."""

from collections.abc import Sequence

import numpy as np

from retrieval.encoder import Encoder, EncodingError, Vectors
from schemas.search import SearchRequest


def vectors_of(encoder: Encoder, requests: Sequence[SearchRequest]) -> Vectors:
    """Return (n, dim) unit rows: the weighted mean of the unit vectors of text and picture.

    A picture counts ``image_weight``, or alone where there is no text; it must be a prepared one. Without
    pictures they are the very rows of ``encode_queries``. Raises ``EncodingError``, also where text and
    picture cancel each other out, and ``ValueError`` where the model reads texts only.
    """
    seen = [n for n, one in enumerate(requests) if one.image is not None]
    if not seen:
        return encoder.encode_queries([one.user_query for one in requests])
    read = [n for n, one in enumerate(requests) if one.user_query or one.image is None]
    texts = np.zeros((len(requests), encoder.dim), dtype=np.float32)
    texts[read] = encoder.encode_queries([requests[n].user_query for n in read])
    pictures = encoder.encode_pictures([requests[n].image or b"" for n in seen])
    shares = [requests[n].image_weight if requests[n].user_query else 1.0 for n in seen]
    share = np.array(shares, dtype=np.float32)[:, None]
    fused = (1 - share) * texts[seen] + share * pictures
    lengths = np.linalg.norm(fused, axis=1, keepdims=True)
    if not (lengths > 0).all():
        raise EncodingError("the vectors of a text and a picture cancel each other out")
    texts[seen] = fused / lengths
    return texts
