"""A fine-tune on texts and pictures: what only pictures show is learnt, and found in pictures never trained.

Imports that load torch lie inside the tests, so that collecting them stays fast.
"""
# ruff: noqa: PLC0415 (the reason is above)

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from schemas.settings import TrainerSettings
from trainer.learning.plan import plan
from trainer.learning.training_data import TrainingData

pytestmark = pytest.mark.model

COLOURS = {"red": (220, 20, 20), "green": (20, 180, 20), "blue": (20, 20, 220), "black": (10, 10, 10)}
EACH, TRAINED = 14, 9


def the_picture(colour: str, number: int) -> bytes:
    """Return the prepared picture of a product: its colour, and noise."""
    from PIL import Image

    from media.images import prepare

    noise = np.random.default_rng([number, len(colour)]).integers(-30, 30, (32, 32, 3))
    square = np.clip(np.array(COLOURS[colour]) + noise, 0, 255).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(square).save(file, "PNG")
    found = prepare(file.getvalue())
    assert isinstance(found, bytes)
    return found


def the_shop() -> tuple[dict[str, str], dict[str, bytes]]:
    """Return documents by product, whose titles say no colour, and the store of pictures."""
    documents, store = {}, {}
    for colour in COLOURS:
        for number in range(EACH):
            key = f"pictures/1/{colour}/{number}"
            store[key] = the_picture(colour, number)
            documents[f"{colour}-{number:02d}"] = f"article {number}\n{key}"
    return documents, store


def pairs_of(first: int, last: int, words: tuple[str, ...], value: str) -> pl.DataFrame:
    """Return what shoppers of each colour took of its products ``first`` to ``last``."""
    return pl.DataFrame(
        [
            (f"{colour} {word}", f"{colour}-{number:02d}", 1.0)
            for colour in COLOURS
            for word in words
            for number in range(first, last)
        ],
        schema={"query": pl.String, "product_id": pl.String, value: pl.Float64},
        orient="row",
    )


def trained(start: Path, output: Path, documents: dict[str, str], store: dict[str, bytes]) -> Any:
    from trainer.learning.fine_tune import fine_tune

    pairs = pairs_of(0, TRAINED, ("shirt", "bag", "one"), "weight")
    settings = TrainerSettings(max_steps=60, batch_size=32, passes=90, learning_rate=3e-2, blend=1.0)
    return fine_tune(
        start,
        output,
        TrainingData(
            pairs,
            known=pairs.select("query", "product_id"),
            texts=documents,
            inner=pairs_of(TRAINED, TRAINED + 2, tuple(f"thing {n}" for n in range(8)), "gain"),
            pictures=store.get,
        ),
        plan(settings, new_pairs=pairs.height, old_pairs=0, from_live=False, device="cpu"),
    )


def ndcg_of(encoder: Any, documents: dict[str, str]) -> float:
    """Return nDCG@10 of each colour's own products that were never trained, among all that were not."""
    from trainer.evaluation.ranking_metrics import ndcg, top

    asked = [f"{colour} shirt" for colour in COLOURS]
    new = sorted(i for i in documents if int(i[-2:]) >= TRAINED)
    places = top(encoder.encode_queries(asked) @ encoder.encode_documents([documents[i] for i in new]).T, 10)
    gains = [{i: 1.0 for i in new if i.startswith(colour)} for colour in COLOURS]
    return float(np.mean([ndcg([new[p] for p in row], own) for row, own in zip(places, gains, strict=True)]))


def test_what_only_pictures_show_is_learnt_and_weighed(tmp_path: Path) -> None:
    from benchmarks.learning.small_models import small_model
    from retrieval.encoder import Encoder
    from retrieval.field_weights import FieldWeights

    documents, store = the_shop()
    words = [
        *(f"{colour} shirt bag one thing" for colour in COLOURS),
        "article 1 2 3 4 5 6 7 8 9 10 11 12 13",
    ]
    start = small_model(tmp_path / "start", words)
    facts = trained(start, tmp_path / "model", documents, store)
    before = ndcg_of(Encoder.load(start, pictures=store.get), documents)
    after = Encoder.load(tmp_path / "model", pictures=store.get)
    assert facts.steps > 0
    assert not facts.top_layers_only
    assert after.sees
    assert ndcg_of(after, documents) > before + 0.2
    assert FieldWeights.read(tmp_path / "model").picture > 0
    assert not list(tmp_path.rglob("pixels.npy"))
    fused = ndcg_of(after, documents)
    FieldWeights(text=1, picture=0).write(tmp_path / "model")
    assert ndcg_of(Encoder.load(tmp_path / "model", pictures=store.get), documents) < fused - 0.2
