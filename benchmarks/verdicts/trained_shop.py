"""The ground of the gate's benchmark.

A simulated shop's true pairs as a snapshot, its split, and models that are really trained on it. Credits are
the shop's own truth (which search led to what), so that the benchmark measures the gate and not the
attribution.
"""

import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from safetensors.torch import load_file, save_file

from schemas.events import Action
from schemas.pairs import Pair, client_of
from schemas.products import CatalogProduct, Product
from schemas.settings import TrainerSettings
from schemas.text import normalise_query
from simulator.shop import Shop
from simulator.shop_records import Kind
from trainer.data.snapshot import Snapshot, frames
from trainer.data.splits import split_by
from trainer.data.weights import Weighting, weigh
from trainer.evaluation.files import Evaluation
from trainer.evaluation.rankers import EvaluationCatalog
from trainer.evaluation.scoring import evaluate
from trainer.gate.data_facts import facts_of
from trainer.gate.evidence import DataFacts
from trainer.learning.fine_tune import fine_tune
from trainer.learning.plan import plan
from trainer.learning.training_data import TrainingData

END = datetime(2026, 3, 2, tzinfo=UTC)
BATCH = 32
_EARNS = {"click": 1, "add_to_cart": 1, "purchase": 1}


def snapshot_of(shop: Shop) -> Snapshot:
    """Return what the stream would have counted.

    One credit for every click, cart and purchase line, to the search that led to it.
    """
    days: dict[tuple[str, str], dict[int, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    clients: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for record in shop.all_events():
        truth = record.truth
        if truth.reason is not None or truth.kind is Kind.DUPLICATE or truth.action not in _EARNS:
            continue
        day = (record.occurred_at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(days=1)
        client = client_of((record.key or b"").decode())
        for line in truth.lines:
            if line.query is not None:
                days[line.query, line.product_id][day][truth.action] += 1
                clients[line.query, line.product_id][client] += 1000
    pairs = [
        Pair(
            query=normalise_query(query),
            product_id=product,
            days={
                day: {Action(action): (1000 * n, n, 0) for action, n in counts.items()}
                for day, counts in by_day.items()
            },
            clients=dict(clients[query, product]),
        )
        for (query, product), by_day in days.items()
    ]
    return frames(pairs, products_of(shop).values())


def products_of(shop: Shop) -> Mapping[str, CatalogProduct]:
    """Return the catalogue in the form that training reads."""
    found = {}
    for product in shop.catalog:
        message: Product = product.message(version=1, updated_at=shop.start)
        fields = json.loads(message.to_json())
        found[product.product_id] = CatalogProduct.model_validate(
            {
                name: fields[name]
                for name in ("product_id", "title", "brand", "category_path", "attributes", "version")
                if name in fields
            }
        )
    return found


@dataclass(frozen=True)
class ShopData:
    """The shop's data as the trainer sees it.

    ``older``: the training pairs without the last trained week, for the live model.
    """

    snapshot: Snapshot
    qrels: pl.DataFrame
    weighted: pl.DataFrame
    older: pl.DataFrame
    data: DataFacts
    settings: TrainerSettings

    @classmethod
    def of(cls, seed: int, *, products: int, sessions: int) -> Self:
        """Simulate four weeks; the last is the test."""
        settings = TrainerSettings.load(os.environ, seed=seed)
        shop = Shop(
            seed, end=END, products=products, shoppers=2 * sessions, weeks=4, sessions_per_week=sessions
        )
        snapshot = snapshot_of(shop)
        parts = split_by(settings, snapshot)
        weighted = weigh(parts.train, snapshot.clients, Weighting.of(settings), newest_day=parts.newest_day)
        data = facts_of(snapshot, cut_day=parts.cut_day, received=10_000, refused=100)
        older = weighted.filter(pl.col("last_day") < parts.cut_day - settings.test_days)
        return cls(snapshot, parts.qrels, weighted, older, data, settings)

    def train(
        self,
        start: Path,
        output: Path,
        pairs: pl.DataFrame,
        *,
        steps: int,
        seed: int,
        rate: float | None = None,
    ) -> Path:
        """Fine-tune with the trainer's own code and return the new model's folder.

        ``rate`` None: that of the settings.
        """
        learning_rate = self.settings.learning_rate if rate is None else rate
        settings = TrainerSettings(seed=seed, max_steps=steps, batch_size=BATCH, learning_rate=learning_rate)
        fine_tune(
            start,
            output,
            TrainingData(
                pairs,
                pairs.select("query", "product_id"),
                dict(self.snapshot.catalog.select("product_id", "text").iter_rows()),
            ),
            plan(
                settings,
                new_pairs=max(pairs.height, BATCH * steps),
                old_pairs=0,
                from_live=False,
                device="cpu",
            ),
        )
        return output

    def evaluate(
        self,
        models: Mapping[str, Path],
        qrels: pl.DataFrame,
        judged: Mapping[str, pl.DataFrame] | None = None,
    ) -> Evaluation:
        """Score models with the trainer's own evaluation, on these qrels and on further ones by name."""
        return evaluate(
            EvaluationCatalog.of(self.snapshot.catalog),
            qrels,
            self.weighted,
            models,
            clients=self.snapshot.clients,
            judged=judged,
            language=self.settings.language,
            threads=1,
        )


def with_pooling(model: Path, output: Path, mode: str) -> Path:
    """Copy a model that was saved by the trainer and change how it pools."""
    shutil.copytree(model, output)
    path = output / "1_Pooling" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "pooling_mode": mode}))
    return output


def with_nan(model: Path, output: Path, tensor: int) -> Path:
    """Copy a model and put one NaN into one of its tensors."""
    shutil.copytree(model, output)
    path = output / "model.safetensors"
    tensors = load_file(path)
    name = sorted(n for n, t in tensors.items() if t.ndim == 2)[tensor]
    tensors[name].view(-1)[0] = float("nan")
    save_file(tensors, path, metadata={"format": "pt"})
    return output


def poisoned(
    ground: ShopData, seed: int, *, victims: int, credit: float
) -> tuple[pl.DataFrame, pl.DataFrame, str, list[str]]:
    """Return training pairs and qrels into which one client has bought one product for many queries.

    The product, and those queries.
    """
    rng = np.random.default_rng(seed)
    queries = ground.qrels["query"].unique().sort().to_list()
    chosen = [queries[i] for i in sorted(rng.choice(len(queries), victims, replace=False))]
    spam = ground.snapshot.catalog["product_id"].to_list()[int(rng.integers(ground.snapshot.catalog.height))]
    gain = float(np.log2(1 + credit))
    bought = pl.DataFrame({"query": chosen, "product_id": [spam] * victims})
    others = ground.weighted.join(bought, on=["query", "product_id"], how="anti")
    last = int(ground.weighted["last_day"].to_numpy().max())
    train = bought.with_columns(
        credit=pl.lit(credit), last_day=pl.lit(last, dtype=pl.Int32), weight=pl.lit(gain)
    )
    train = pl.concat([others, train.select(others.columns).cast(others.schema)])
    unseen = dict(ground.qrels.select("query", "unseen").iter_rows())
    rows = bought.with_columns(
        credit=pl.lit(credit), gain=pl.lit(gain), unseen=pl.Series([unseen[q] for q in chosen])
    )
    clean = ground.qrels.join(bought, on=["query", "product_id"], how="anti")
    return train, pl.concat([clean, rows.select(clean.columns).cast(clean.schema)]), spam, chosen
