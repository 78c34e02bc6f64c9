"""The encoder of a generation as a searcher uses it.

Small batches in ONNX Runtime, and the vectors of earlier queries remembered. The layers of ONNX Runtime are
used where they prove to give torch's vectors; otherwise torch computes all, and the log says why.
"""

from functools import partial

import structlog

from retrieval.encoder import Encoder
from retrieval.golden_vectors import GoldenVectors
from retrieval.onnx_bert import OnnxBert
from schemas.settings import SearcherSettings

log = structlog.get_logger(__name__)


def serving_encoder(model: str, settings: SearcherSettings) -> Encoder:
    """Load a model for serving. Blocks for seconds.

    Raises ``ModelError`` as ``Encoder.load`` does, and for one whose golden vectors are others here.
    """
    encoder = Encoder.load(model, threads=settings.torch_threads, remembered=settings.remembered_queries)
    if settings.onnx_tokens:
        reason = encoder.quicken(partial(OnnxBert, threads=settings.torch_threads), settings.onnx_tokens)
        if reason is not None:
            log.warning("ONNX Runtime is not used, torch encodes all batches", model=model, reason=reason)
    GoldenVectors(settings.artefact_address).check(encoder)
    return encoder
