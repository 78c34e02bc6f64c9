"""The encoder of a generation as a searcher uses it, and what computes it. The one place that chooses.

ONNX Runtime alone, where the model is a plain BERT whose kept golden vectors it gives: then torch is neither
needed nor loaded. Otherwise torch, with the layers of ONNX Runtime for small batches where they prove to give
torch's vectors; the log says why. The vectors of earlier queries are remembered either way.
"""

from functools import partial

import structlog

from retrieval.encoder import Encoder
from retrieval.golden_vectors import GoldenVectors
from retrieval.model_folder import MissingLibraryError, ModelError
from retrieval.onnx_bert import OnnxBert
from retrieval.onnx_model import OnnxModel
from schemas.settings import SearcherSettings

log = structlog.get_logger(__name__)


def serving_encoder(model: str, settings: SearcherSettings) -> Encoder:
    """Load a model for serving. Blocks for seconds.

    Raises ``ModelError`` as ``Encoder.load`` does, for one whose golden vectors are others here, and for one
    that needs torch where that is not installed.
    """
    golden = GoldenVectors(settings.artefact_address)
    try:
        return _without_torch(model, settings, golden)
    except ModelError as error:
        reason = str(error)
    try:
        encoder = Encoder.load(model, threads=settings.torch_threads, remembered=settings.remembered_queries)
    except MissingLibraryError as error:
        raise ModelError(
            f"{error} (extra `serve`); ONNX Runtime alone does not serve it: {reason}"
        ) from error
    log.warning("torch is loaded: ONNX Runtime alone does not serve this model", model=model, reason=reason)
    if settings.onnx_tokens:
        refusal = encoder.quicken(partial(OnnxBert, threads=settings.torch_threads), settings.onnx_tokens)
        if refusal is not None:
            log.warning("ONNX Runtime is not used, torch encodes all batches", model=model, reason=refusal)
    golden.check(encoder)
    return encoder


def _without_torch(model: str, settings: SearcherSettings, golden: GoldenVectors) -> Encoder:
    """Load a model for ONNX Runtime alone. Raises ``ModelError`` that says why it cannot be, or must not."""
    if not settings.onnx_tokens:
        raise ModelError("SEARCHLOOP_ONNX_TOKENS is 0")
    read = partial(OnnxModel.read, threads=settings.torch_threads, tokens=settings.onnx_tokens)
    encoder = Encoder.load(model, remembered=settings.remembered_queries, read=read)
    try:
        proven = golden.check(encoder)
    except ModelError:
        raise
    except Exception as error:  # whatever a runtime raises at its first call for a model that it cannot run
        raise ModelError(f"{type(error).__name__}: {error}"[:300]) from error
    if not proven:
        raise ModelError(
            "no golden vectors to prove it by can be read; an indexer that loads the model keeps them"
        )
    return encoder
