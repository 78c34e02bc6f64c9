"""Golden vectors: what a model says of fixed inputs, kept by its fingerprint, asked again where it is loaded.

Texts singly and together, pictures from their preparation on, and documents of several fields. Who loads a
model that answers otherwise - another version of a library, another machine, a damaged disk - must not serve
with it beside an index that was made elsewhere.
"""

import struct
import zlib
from functools import cache
from io import BytesIO

import numpy as np
import numpy.typing as npt
import structlog

from artefacts.store import ArtefactStore
from retrieval.document import PICTURE, TEXT
from retrieval.encoder import Encoder
from retrieval.model_folder import ModelError

log = structlog.get_logger(__name__)

GOLDEN = 1  # rises with every change of the inputs
LEAST_COSINE = 0.9999
TEXTS = (
    "tv",
    "wireless headphones with a long cable",
    "Größe 42, 2.5 m, USB-C",
    "5 kg of rice, and what the neighbours said about it at length",
)
DOCUMENT = "\n".join((TEXTS[0], "", TEXTS[3], TEXTS[2]))  # with description and attributes
Rows = npt.NDArray[np.float32]


class GoldenVectors:
    """Those of all models under one address of an artefact store.

    Storage that fails keeps nothing and proves nothing: searching goes on without it.
    """

    def __init__(self, address: str) -> None:
        """``address``: as ``ArtefactStore`` takes it, which is opened when it is first needed."""
        self._address = address
        self._store: ArtefactStore | None = None

    def check(self, encoder: Encoder) -> bool:
        """Say whether vectors of the model were kept, which are then those that it gives.

        Raises ``ModelError`` that names the first input whose vector differs from the one that was kept.
        """
        kept = self._kept(encoder)
        if kept is None:
            log.info("nobody kept golden vectors of this model yet", model=str(encoder.folder))
            return False
        found = golden_of(encoder)
        for name in found | kept:
            if (how := _difference(found.get(name), kept.get(name))) is not None:
                raise ModelError(
                    f"the model in {encoder.folder} gives {name} another vector here than where it was first "
                    f"loaded: {how}"
                )
        return True

    def keep(self, encoder: Encoder) -> None:
        """Keep what the model says, unless that was done before: the first who has it says what it is."""
        if self._kept(encoder) is not None:
            return
        found = golden_of(encoder)
        file = BytesIO()
        np.savez(file, names=np.array(list(found)), vectors=np.stack(list(found.values())))
        try:
            self._opened().put(_key(encoder), file.getvalue())
        except Exception as error:  # each storage has faults of its own
            log.warning("golden vectors were not kept", reason=f"{type(error).__name__}: {error}"[:300])

    def _kept(self, encoder: Encoder) -> dict[str, Rows] | None:
        try:
            data = self._opened().get(_key(encoder))
            if data is None:
                return None
            with np.load(BytesIO(data), allow_pickle=False) as file:
                names, vectors = file["names"].tolist(), np.asarray(file["vectors"], dtype=np.float32)
            return dict(zip(names, vectors, strict=True))
        except Exception as error:  # each storage has faults of its own, and damaged bytes, too
            log.warning("golden vectors cannot be read", reason=f"{type(error).__name__}: {error}"[:300])
            return None

    def _opened(self) -> ArtefactStore:
        if self._store is None:
            self._store = ArtefactStore(self._address)
        return self._store


def golden_of(encoder: Encoder) -> dict[str, Rows]:
    """Return the unit vectors (dim,) of the inputs by their name."""
    out: dict[str, Rows] = {}
    for text in TEXTS:
        out[f"query {text!r}"] = encoder.encode_queries([text])[0]
    texts = encoder.encode_documents(TEXTS)
    out |= {f"document {text!r}": vector for text, vector in zip(TEXTS, texts, strict=True)}
    if encoder.sees:
        pictures = encoder.encode_pictures(list(_pictures()))
        fused = encoder.fuse({TEXT: texts[: len(pictures)], PICTURE: pictures})
        for name, rows in (("picture", pictures), ("document with picture", fused)):
            out |= {f"{name} {number}": vector for number, vector in enumerate(rows)}
    if encoder.read_of(DOCUMENT) != TEXTS[0]:
        out["document with fields"] = encoder.encode_documents([DOCUMENT])[0]
    return out


def _difference(found: Rows | None, kept: Rows | None) -> str | None:
    """Return in words how the unit vector of an input (dim,) differs from the kept one; None: it does not."""
    if found is None or kept is None:
        return f"there is one {'there' if found is None else 'here'} alone"
    if found.shape != kept.shape:
        return f"it has {found.size} numbers here and {kept.size} there"
    cosine = float(found @ kept)
    if not cosine >= LEAST_COSINE:  # also where it is no number
        return f"their cosine is {cosine:.6f}, and at least {LEAST_COSINE} is served"
    return None


@cache
def _pictures() -> tuple[bytes, ...]:
    """Prepare a gradient that is larger than a prepared picture, and a small pattern."""
    from media.images import prepare  # noqa: PLC0415 (Pillow, which texts do not need)

    across, down = np.meshgrid(np.arange(500), np.arange(400))
    gradient = np.stack([across // 2, down // 2, (across + down) // 4], axis=2)
    pattern = (np.indices((48, 64)).sum(axis=0)[..., None] // 8 % 2) * np.array([230, 120, 40])
    found = [prepare(_png(picture.astype(np.uint8))) for picture in (gradient, pattern)]
    return tuple(one for one in found if isinstance(one, bytes))


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Return the file of a picture (height, width, 3)."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0),
        b"IDAT": zlib.compress(rows),
        b"IEND": b"",
    }
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks.items()
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _key(encoder: Encoder) -> str:
    return f"golden/{GOLDEN}/{encoder.fingerprint}"
