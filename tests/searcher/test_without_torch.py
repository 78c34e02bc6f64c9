"""A searcher where torch is not installed, and one that has it and need not load it.

Imports that load torch lie inside the tests, so that collecting them stays fast.
"""
# ruff: noqa: PLC0415 (the reason is above)

import json
import subprocess
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from retrieval.index import VectorStore
from retrieval.model_folder import resolve_model
from schemas.connections import MilvusConnection
from schemas.settings import BUNDLED_MODEL, SearcherSettings
from tests.retrieval.generations import TITLES, build_generation
from tests.retrieval.pictures import seeing_model
from tests.searcher.searcher_process import SearcherProcess, request_all
from tests.without_packages import without

pytestmark = [pytest.mark.model]
TORCH = ("torch", "sentence_transformers", "transformers", "safetensors")
QUERIES = ["red hdmi cable", "shoes", "Größe 42, 2.5 m, USB-C", "word " * 200, "日本語 keyboard", "🎧"]
ENCODE = """
import json
import numpy as np
from schemas.settings import SearcherSettings
from searcher.encoding import serving_encoder
model, store, to, texts = sys.argv[1:]
encoder = serving_encoder(model, SearcherSettings(artefacts=store))
np.save(to, encoder.encode_queries(json.loads(texts)))
print(sorted({"torch", "sentence_transformers", "transformers"} & set(sys.modules)))
"""
SERVE = "import runpy; runpy.run_module('searcher', run_name='__main__')"


def kept(model: str, store: Path) -> np.ndarray:
    """Keep a model's golden vectors as an indexer does; return torch's vectors of the queries."""
    from retrieval.encoder import Encoder
    from retrieval.golden_vectors import GoldenVectors

    encoder = Encoder.load(model, threads=1)
    GoldenVectors(str(store)).keep(encoder)
    return encoder.encode_queries(QUERIES)


def encoded(model: str, store: Path, *, hidden: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    command = without(hidden, ENCODE, model, str(store), str(store / "rows.npy"), json.dumps(QUERIES))
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("hidden", [TORCH, ()], ids=["not installed", "installed"])
def test_a_plain_bert_is_encoded_without_torch_and_its_vectors_are_torchs(
    hidden: tuple[str, ...], tmp_path: Path
) -> None:
    wanted = kept(BUNDLED_MODEL, tmp_path)
    done = encoded(BUNDLED_MODEL, tmp_path, hidden=hidden)
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stdout + done.stderr
    assert np.abs(np.load(tmp_path / "rows.npy") - wanted).max() < 2e-6


def test_what_needs_torch_where_it_is_not_is_one_sentence(tmp_path: Path) -> None:
    """Nobody kept golden vectors to prove it by; and a model that sees pictures."""
    unproven = encoded(BUNDLED_MODEL, tmp_path, hidden=TORCH).stderr.splitlines()[-1]
    assert "cannot be loaded without torch, which is not installed here (extra `serve`)" in unproven
    assert "golden vectors" in unproven
    seeing = str(seeing_model(tmp_path / "clip"))
    kept(seeing, tmp_path)
    said = encoded(seeing, tmp_path, hidden=TORCH).stderr.splitlines()[-1]
    assert "cannot be loaded without torch, which is not installed here (extra `serve`)" in said
    assert "no plain BERT" in said


def test_golden_vectors_of_another_model_are_refused_without_torch_and_judged_by_torch_with_it(
    tmp_path: Path,
) -> None:
    from retrieval.encoder import Encoder
    from retrieval.golden_vectors import GoldenVectors
    from retrieval.model_folder import ModelError
    from searcher.encoding import serving_encoder
    from tests.retrieval.generations import negated_copy

    other = Encoder.load(negated_copy(resolve_model(BUNDLED_MODEL), tmp_path / "other"), threads=1)
    other.fingerprint = Encoder.load(BUNDLED_MODEL, threads=1).fingerprint
    GoldenVectors(str(tmp_path)).keep(other)
    refused = encoded(BUNDLED_MODEL, tmp_path, hidden=TORCH)
    assert "gives query 'tv' another vector here" in refused.stderr.splitlines()[-1]
    with pytest.raises(ModelError, match="gives query 'tv' another vector here"):
        serving_encoder(BUNDLED_MODEL, SearcherSettings(artefacts=str(tmp_path)))


@pytest.mark.broker
@pytest.mark.slow
async def test_a_searcher_without_torch_answers_what_one_with_torch_does(
    milvus: str, settings_env: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    """One process; the other is asked in here. A model that needs torch is said on the page, and waits."""
    from retrieval.encoder import Encoder
    from retrieval.release import LoadedRelease

    env, prefix = settings_env(partitions=2), f"t{uuid.uuid4().hex[:8]}"
    searcher = SearcherProcess(env, command=without(TORCH, SERVE))
    kept(BUNDLED_MODEL, Path(searcher.settings.artefact_address))
    with VectorStore(MilvusConnection(milvus=milvus)) as store:
        made = [
            build_generation(store, prefix, number, folder)
            for number, folder in ((1, resolve_model(BUNDLED_MODEL)), (2, seeing_model(tmp_path / "clip")))
        ]
        by_torch = LoadedRelease.open(made[0], store, load=partial(Encoder.load, threads=1))
        found = by_torch.find(QUERIES, by_torch.embed(QUERIES), 10).hits
        async with searcher:
            searcher.start()
            await searcher.publish(made[0])
            await request_all(searcher, [(str(n), query) for n, query in enumerate(QUERIES)])
            answers = await searcher.answers_to(*map(str, range(len(QUERIES))))
            for answer, hits in zip(answers, found, strict=True):
                assert [hit.product_id for hit in answer.hits] == [hit.product_id for hit in hits]
                assert [hit.score for hit in answer.hits] == pytest.approx([h.score for h in hits], abs=1e-5)
            page = await searcher.readyz()
            assert (page["small_batches"], page["torch"]) == ("onnx", False)

            await searcher.publish(made[1], previous=made[0])
            page = await searcher.shows(lambda page: "load_error" in page)
            assert "cannot be loaded without torch, which is not installed here" in str(page["load_error"])
            assert (await searcher.ask("still", TITLES[0])).generation == 1
        for release in made:
            store.drop(release.collection)
