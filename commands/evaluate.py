"""``evaluate``: compare a release with the pretrained model and BM25.

On the newest days as the trainer does, or on judgments. Reads Kafka, loads the release's model from its
folder, changes nothing that serves. A file of judgments is kept as a named set for the next runs' gate.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from commands.support.judgment_files import ensure_set_name, ratings_of
from commands.support.judgment_sets import named_set, ratings_in, read_sets, replace_set
from commands.support.meter import metered
from commands.support.serving_evidence import part_gains_as_json, show_part_gains
from commands.support.session import MISUSED, find_settings, out, show_json, stop, table
from commands.support.topic_state import read_catalog, read_pairs, read_releases
from schemas.releases import Ranking, Release
from schemas.settings import Settings, SettingsError, TrainerSettings
from trainer.data.judgments import qrels_of, rows_of
from trainer.data.snapshot import Snapshot, frames, last_day
from trainer.data.splits import split_by
from trainer.data.weights import Weighting, weigh
from trainer.evaluation.files import Evaluation
from trainer.evaluation.rankers import EvaluationCatalog
from trainer.evaluation.ranking_metrics import RANKING_METRICS
from trainer.evaluation.report_page import render
from trainer.evaluation.scoring import evaluate as rank_and_score
from trainer.evaluation.summary import Summary, summarise
from trainer.run.folder import write_durably

OURS, BASE, NEWEST = "candidate", "base", "newest days"


def evaluate(
    *,
    release: int | None,
    judgments: Path | None,
    name: str | None,
    html: Path | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Score a release (default: the live one) and print the table.

    ``judgments``: a file that becomes the set ``name``; without one the set is scored as it is. Exit code 1
    when it cannot be scored, 2 for a wrong file or name.
    """
    test = name if name is not None else NEWEST if judgments is None else _default_name(judgments)
    if test != NEWEST:
        ensure_set_name(test)
    ratings = None if judgments is None else ratings_of(judgments)
    settings = find_settings(data_dir)
    try:
        trainer = TrainerSettings.load(os.environ)
    except SettingsError as error:
        stop(str(error), code=MISUSED)
    with metered("reading releases, pairs and catalogue"):
        chosen, snapshot = asyncio.run(_fetch(settings, release))
    if ratings is not None:
        asyncio.run(replace_set(settings, test, ratings))
    elif name is not None:
        ratings = ratings_in(named_set(asyncio.run(read_sets(settings)), name))
    judged = None if ratings is None else rows_of(ratings)
    models = {OURS: chosen.model, BASE: trainer.base_model}
    with metered(f"embedding and ranking {snapshot.catalog.height:,} products by {len(models)} models"):
        found = score(snapshot, trainer, models, {OURS: chosen.ranking}, judged)
    _ensure_scored(found, chosen)
    summary = summarise(found, ours=(OURS,), seed=trainer.seed)
    facts = {
        "generation": str(chosen.generation),
        "model": chosen.model_sha256[:12],
        "test": test,
        "products": str(snapshot.catalog.height),
    }
    if judged is not None:
        known = judged.filter(pl.col("product_id").is_in(snapshot.catalog["product_id"].to_list()))
        facts["judgments"] = (
            f"{judged.height}, of which {judged.height - known.height} on products that the catalogue lacks"
        )
    if html is not None:
        titles = dict(snapshot.catalog.select("product_id", "title").iter_rows())
        page = render(
            found,
            titles,
            title=f"Generation {chosen.generation}: {test}",
            facts=facts,
            decision=None,
            seed=trainer.seed,
        )
        write_durably(html.absolute(), page.encode())
        facts["report"] = str(html.absolute())
    if as_json:
        show_json(_as_json(chosen, facts, summary, found))
    else:
        _show(chosen, facts, summary)
        show_part_gains(found.facts.part_gains)


def score(
    snapshot: Snapshot,
    settings: TrainerSettings,
    models: Mapping[str, str],
    rankings: Mapping[str, Ranking],
    judged: pl.DataFrame | None,
) -> Evaluation:
    """Return the evaluation on judgments (query, product_id, relevance), or on the newest days.

    These are the days of the snapshot, evaluated as the trainer does.
    """
    parts = split_by(settings, snapshot)
    weighted = weigh(parts.train, snapshot.clients, Weighting.of(settings), newest_day=parts.newest_day)
    qrels = parts.qrels if judged is None else qrels_of(judged, weighted)
    return rank_and_score(
        EvaluationCatalog.of(snapshot.catalog),
        qrels,
        weighted,
        {name: Path(model) for name, model in models.items()},
        rankings=rankings,
        inner=parts.inner,
        clients=snapshot.clients,
        language=settings.language,
        threads=settings.torch_threads,
    )


def _ensure_scored(found: Evaluation, chosen: Release) -> None:
    if OURS in found.facts.problems:
        stop(f"generation {chosen.generation} cannot be scored: {found.facts.problems[OURS]}")
    if found.facts.fingerprints[OURS] != chosen.model_sha256:
        stop(
            f"the model in {chosen.model} is not that of generation {chosen.generation}: its files have "
            "changed"
        )
    if found.queries.is_empty():
        stop("there is nothing to score: no test query has a product that the catalogue holds")


async def _fetch(settings: Settings, generation: int | None) -> tuple[Release, Snapshot]:
    live, releases = await read_releases(settings)
    wanted = generation if generation is not None else live.live.generation if live else None
    if wanted is None:
        stop("nothing serves yet; `searchloop status` says what is missing")
    chosen = next((r for r in releases if r.generation == wanted), None)
    if chosen is None:
        stop(f"there is no generation {wanted}; `searchloop releases` lists them")
    return chosen, frames(
        await read_pairs(settings), await read_catalog(settings), until=last_day(datetime.now(UTC))
    )


def _default_name(path: Path) -> str:
    return path.name.removesuffix(".gz").rsplit(".", 1)[0].lower()


def _as_json(
    chosen: Release, facts: Mapping[str, str], summary: Summary, found: Evaluation
) -> dict[str, object]:
    return {
        "generation": chosen.generation,
        "model_sha256": chosen.model_sha256,
        "test": facts["test"],
        "judgments": facts.get("judgments"),
        "report": facts.get("report"),
        "queries": summary.queries,
        "means": summary.means,
        "ndcg10": {
            system: {segment: s.model_dump() for segment, s in by.items()}
            for system, by in summary.scores.items()
        },
        "differences": [asdict(difference) for difference in summary.differences],
        **part_gains_as_json(found.facts.part_gains),
        "coefficients": {system: own.coefficients for system, own in found.facts.rankings.items()},
        "problems": found.facts.problems,
    }


def _show(chosen: Release, facts: Mapping[str, str], summary: Summary) -> None:
    rows = []
    for system, means in summary.means.items():
        score = summary.scores[system]["all"]
        label = f"generation {chosen.generation}" if system == OURS else system
        rows.append(
            (
                label,
                means["ndcg10"],
                f"{score.ci_low:.3f} to {score.ci_high:.3f}",
                *(means[m.name] for m in RANKING_METRICS[1:]),
            )
        )
    columns = ["system", "nDCG@10", "95 % interval", *(m.title for m in RANKING_METRICS[1:])]
    table(f"{summary.queries} queries, {facts['test']}", columns, rows)
    differences = [
        (d.theirs, d.segment, d.n, f"{d.mean:+.3f}", f"{d.low:+.3f} to {d.high:+.3f}")
        for d in summary.differences
        if d.theirs == BASE
    ]
    table(
        f"generation {chosen.generation} minus the pretrained model",
        ["", "queries of", "n", "nDCG@10", "95 % interval"],
        differences,
    )
    for fact, value in facts.items():
        out.print(f"{fact}: {value}", highlight=False, soft_wrap=True)
