"""A description as a field of the vector: what it finds beside text and words, and what it costs.

No shared data has descriptions and judged queries, so queries are made up: some words of one product, which
alone is wanted. Of half of them the words stand in its description and not in its text, of the others in its
text. That is a proxy, and kind to descriptions: a shopper does not choose words so. The share is fitted on
validation queries by the trainer's own code, over the pretrained model, and so are the coefficients of the
parts; other queries are reported. Nothing is trained.
"""

import argparse
import os
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, Self

import numpy as np
import polars as pl
from sentence_transformers import SentenceTransformer

from benchmarks.harness.report import data_folder, finish, read_jsonl, say
from retrieval.document import DESCRIPTION, description_of, document_text, fields_of, only
from retrieval.encoder import Encoder
from retrieval.field_weights import USUAL_WEIGHTS, FieldWeights
from retrieval.model_folder import resolve_model
from schemas.products import CatalogProduct
from schemas.settings import TrainerSettings
from schemas.text import normalise_query
from trainer.data.snapshot import frames
from trainer.evaluation.bootstrap import interval, resampled_means
from trainer.evaluation.files import Evaluation
from trainer.evaluation.rankers import EvaluationCatalog
from trainer.evaluation.scoring import evaluate
from trainer.learning.field_fit import fitted_weights
from trainer.learning.field_texts import TriedFields
from trainer.learning.field_tower import FieldTower, build
from trainer.learning.numbering import Numbers

Kind = Literal["text", "description"]
KINDS: tuple[Kind, ...] = ("text", "description")
WORDS = 3  # of a query
LEAST_CHARS = 4  # of a word that is asked for
VALIDATION = 0.4  # of the queries
TIMED = 256  # products, for what encoding costs
SYSTEMS = {
    "text_dense": "base_dense",
    "both_dense": "candidate_dense",
    "text_served": "base",
    "both_served": "candidate",
}
_WORD = re.compile(r"[^\W\d_]+")
PAIRS = {"query": pl.String, "product_id": pl.String, "credit": pl.Float64, "weight": pl.Float64}


@dataclass(frozen=True)
class KnownItems:
    """Queries with the one product that each wants, and by what it is asked for."""

    wanted: dict[str, str]
    kinds: dict[str, Kind]

    @classmethod
    def of(cls, products: Sequence[CatalogProduct], *, most: int, seed: int) -> Self:
        """Draw at most ``most`` queries of each kind, each of another product."""
        rng = np.random.default_rng(seed)
        wanted: dict[str, str] = {}
        kinds: dict[str, Kind] = {}
        for number, place in enumerate(rng.permutation(len(products))[: 2 * most]):
            product, kind = products[place], KINDS[number % 2]
            told = _words(document_text(product))
            own = sorted(told if kind == "text" else _words(description_of(product)) - told)
            if len(own) >= WORDS:
                query = " ".join(str(word) for word in rng.permutation(own)[:WORDS])
                wanted[query], kinds[query] = product.product_id, kind
        return cls(wanted, kinds)

    def judged(self, *, validation: bool) -> pl.DataFrame:
        """Return (query, product_id, gain, credit, unseen) of the validation queries, or of the others."""
        queries = sorted(self.wanted)
        cut = round(VALIDATION * len(queries))
        drawn = np.random.default_rng(len(queries)).permutation(len(queries))
        own = [queries[i] for i in (drawn[:cut] if validation else drawn[cut:])]
        return pl.DataFrame({"query": own, "product_id": [self.wanted[query] for query in own]}).with_columns(
            gain=pl.lit(1.0), credit=pl.lit(1.0), unseen=pl.lit(value=True)
        )


def _words(text: str) -> set[str]:
    return {word for word in _WORD.findall(normalise_query(text)) if len(word) >= LEAST_CHARS}


def products_of(path: Path, most: int) -> list[CatalogProduct]:
    """Return the first products of a file that have a description."""
    described = (row for row in read_jsonl(path) if row.get("description"))
    return [
        CatalogProduct(
            product_id=str(row["product_id"]),
            title=row["title"],
            description=row["description"],
            category_path=[row["category"]] if row.get("category") else [],
            version=1,
        )
        for row in islice(described, most)
    ]


def fitted(base: Path, catalog: pl.DataFrame, validation: pl.DataFrame) -> FieldWeights:
    """Return the weights that the trainer fits on validation queries, for a model as it is."""
    texts = dict(catalog.select("product_id", "text").iter_rows())
    known = pl.DataFrame({"query": [""] * len(texts), "product_id": list(texts)})
    pairs = pl.DataFrame(schema=PAIRS)
    numbers = Numbers.of(pairs, known, validation)
    queries, documents = numbers.texts(texts)
    model = SentenceTransformer(str(base), device="cpu", local_files_only=True)
    tried = TriedFields([DESCRIPTION], numbers.contenders().tolist())
    tower = build(model, queries, documents, top_layers=1, weights=USUAL_WEIGHTS, tried=tried)
    return fitted_weights(tower, numbers) if isinstance(tower, FieldTower) else USUAL_WEIGHTS


def with_share(base: Path, folder: Path, share: float) -> Path:
    """Make a folder of the model in which the description has this share beside the text. Return it."""
    shutil.copytree(base, folder, copy_function=os.symlink)
    FieldWeights(text=1 - share, picture=0, description=share).write(folder)
    return folder


def cost(base: Path, both: Path, documents: Sequence[str]) -> dict[str, float]:
    """Return the milliseconds of CPU for a product, by its text, and with its description."""
    took = {}
    for name, folder in (("text", base), ("both", both)):
        encoder = Encoder.load(folder, threads=1)
        encoder.encode_documents(documents[:8])
        began = time.process_time()
        encoder.encode_documents(documents[:TIMED])
        took[name] = round(1000 * (time.process_time() - began) / len(documents[:TIMED]), 2)
    return took


def compared(found: Evaluation, items: KnownItems, seed: int) -> dict[str, dict[str, object]]:
    """Return nDCG@10 by system, and what the field adds, paired by query, of each kind and of all."""
    scores = found.results.pivot(on="system", index="query", values="ndcg10")
    kinds = np.array([items.kinds[query] for query in scores["query"].to_list()])
    out: dict[str, dict[str, object]] = {}
    for kind in ("all", *KINDS):
        own = scores.filter(pl.Series(kinds == kind)) if kind != "all" else scores
        if own.is_empty():
            continue
        by_system = {name: own[system].to_numpy() for name, system in SYSTEMS.items()}
        told: dict[str, object] = {
            "queries": own.height,
            "ndcg10": {name: round(float(values.mean()), 4) for name, values in by_system.items()},
        }
        for how in ("dense", "served"):
            delta = by_system[f"both_{how}"] - by_system[f"text_{how}"]
            drawn = resampled_means(delta[:, None], resamples=10_000, seed=seed)[:, 0]
            low, high = interval(drawn, 0.025)
            told[f"{how}_gain"] = {
                "mean": round(float(delta.mean()), 4), "low": round(low, 4), "high": round(high, 4)
            }  # fmt: skip
        out[kind] = told
    return out


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=Path, default=None)
    parser.add_argument("--limit", type=int, default=3000, help="products")
    parser.add_argument("--queries", type=int, default=500, help="of each kind, at most")
    parser.add_argument("--share", type=float, default=None, help="of the description; not: what is fitted")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    started = time.monotonic()
    settings = TrainerSettings(seed=args.seed)
    products = products_of(args.products or data_folder() / "vespa_products.jsonl.gz", args.limit)
    catalog = frames([], products).catalog
    items = KnownItems.of(products, most=args.queries, seed=args.seed)
    validation, tests = items.judged(validation=True), items.judged(validation=False)
    say(f"{len(products)} products with a description, {validation.height} and {tests.height} queries")
    base = resolve_model(settings.base_model)
    with tempfile.TemporaryDirectory() as scratch:
        share = args.share
        if share is None:
            weights = fitted(base, catalog, validation)
            share = weights.description / (weights.text + weights.description)
        say(f"share of the description: {share:.2f}")
        both = with_share(base, Path(scratch) / "both", share)
        found = evaluate(
            EvaluationCatalog.of(catalog),
            tests,
            pl.DataFrame(schema=PAIRS),
            {"base": base, "candidate": both},
            inner=validation,
            language=settings.language,
            threads=1,
        )
        half = with_share(base, Path(scratch) / "half", 0.5)
        cpu_ms = cost(base, half, [only(one, {"text", DESCRIPTION}) for one in catalog["text"]])
    chars = [len(fields_of(one)[DESCRIPTION]) for one in catalog["text"]]
    return finish(
        "fields",
        seed=args.seed,
        started=started,
        ok=not found.facts.problems and found.queries.height > 0,
        products=len(products),
        description_chars=round(float(np.mean(chars)), 1),
        share=round(share, 3),
        fitted=args.share is None,
        by_kind=compared(found, items, args.seed),
        coefficients={
            name: found.facts.rankings[SYSTEMS[name]].coefficients for name in ("text_served", "both_served")
        },
        cpu_ms_a_product=cpu_ms,
        problems=found.facts.problems,
    )


if __name__ == "__main__":
    raise SystemExit(main())
