"""What the verb ``search`` makes of its options, before it asks anybody."""

from pathlib import Path
from typing import Any

import pytest

from commands.search import await_first, search

PLAIN: dict[str, Any] = {
    "k": 10, "client": None, "timeout_ms": 5000, "where": None, "facet": None, "group_by": None, "sort": None,
    "ranking": None, "explain": False, "as_json": False, "image": None, "image_weight": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"where": ["brand"]}, "no condition"),
        ({"where": ["colour == red"]}, "attributes"),
        ({"sort": "cheapest"}, "sort"),
        ({"ranking": "the best"}, "ranking"),
        ({"group_by": "title"}, "group_by"),
        ({"facet": ["brand"] * 11}, "facets"),
        ({"k": 0}, "k"),
    ],
)
def test_what_cannot_be_asked_is_wrong_usage_and_named(
    options: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as ended:
        search("jacket", data_dir=tmp_path, **PLAIN | options)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("query", "options", "said"),
    [(None, {}, "--image FILE"), ("jacket", {"image_weight": 1.5}, "image_weight")],
)
def test_something_must_be_asked_and_a_weight_is_a_share(
    query: str | None, options: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as ended:
        search(query, data_dir=tmp_path, **PLAIN | options)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def pages(*searcher: dict[str, object], products: int | None):
    """Return a reader of pages: the searcher's one after the other, the last one for ever."""
    left = list(searcher)

    def page(process: str, _: str) -> dict[str, object]:
        return {"catalog": products} if process == "indexer" else left.pop(0) if left[1:] else left[0]

    return page


def test_a_first_search_waits_for_the_first_generation_and_says_so_once(capsys: pytest.CaptureFixture[str]):
    waiting: dict[str, object] = {"ready": False, "waiting": "no release yet"}
    await_first(pages(waiting, waiting, {"ready": True}, products=4), look_s=0)
    assert capsys.readouterr().err.count("waiting") == 1
    await_first(pages({"ready": False, "reason": "does not answer"}, products=0), look_s=0)
    assert capsys.readouterr().err == ""


def test_without_products_nothing_is_waited_for(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        await_first(pages({"waiting": "no release yet"}, products=0), look_s=0, products_within_s=0)
    assert "searchloop send products FILE" in capsys.readouterr().err


def test_an_indexer_that_does_not_say_how_many_there_are_may_have_some(capsys: pytest.CaptureFixture[str]):
    """It still reads them, begins anew, or runs on another machine."""
    waiting: dict[str, object] = {"waiting": "no release yet"}
    await_first(pages(waiting, waiting, {"ready": True}, products=None), look_s=0, products_within_s=0)
    assert "no products" not in capsys.readouterr().err
