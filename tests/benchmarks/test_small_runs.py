"""Every benchmark that needs no stack runs from its command line to its report, as small as it goes.

They use what others change. What it finds is not judged here, for so little shows nothing; that it finds it,
and that its invariants hold where they do not depend on size, is. Those with a stack of their own are held by
mypy, by their parts, and by ``tests/flows`` and ``tests/clients``.
"""

import json
import sys
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.media.hostile_pictures import encoded

# Seconds on a quiet machine; a busy one shall not fail.
pytestmark = pytest.mark.timeout(900)
COLOURS = ("red", "green", "blue", "black", "white", "yellow")
THINGS = ("mug", "lamp", "chair", "kettle", "rug", "clock")
MONDAY = datetime(2011, 8, 1, 12, tzinfo=UTC)  # ISO week 31


def rows(path: Path, found: Iterator[dict[str, object]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in found))
    return str(path)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, str]:
    """Return the files of a shop of 36 products: clicks of four weeks, products, judgments."""
    folder = tmp_path_factory.mktemp("shop")
    names = [f"{colour} {thing}" for colour in COLOURS for thing in THINGS]

    def clicks() -> Iterator[dict[str, object]]:
        for week in range(4):
            for n, name in enumerate(names):
                at = MONDAY + timedelta(weeks=week, minutes=n)
                told = {
                    "query_time": at.isoformat(),
                    "click_time": (at + timedelta(seconds=3)).isoformat(),
                    "session": f"s{week}-{n}",
                }
                query = (
                    f"new {name}"
                    if week == 3 and not n % 6
                    else name.upper()
                    if week % 2
                    else name.split()[n % 2]
                )
                yield {"query": query, "product_id": f"p{n}", **told}

    judged = (
        {
            "query": name,
            "product_id": f"p{n if n % 3 else 0}",
            "relevance": 1 + n % 3,
            "split": "test" if n % 2 else "train",
        }
        for n, name in enumerate(names)
    )
    pictured = (
        {
            "product_id": f"p{n}",
            "title": name.split()[n % 2],
            "category": "Home",
            "attributes": " - ".join(("Home", "All", *name.split())),
            "image": f"images/{n}.png",
        }
        for n, name in enumerate(names)
    )
    with tarfile.open(folder / "images.tar", "w") as tar:
        for n in range(len(names)):
            file = encoded(Image.new("RGB", (20, 30), COLOURS[n // len(THINGS)]), "PNG")
            member = tarfile.TarInfo(f"images/{n}.png")
            member.size = len(file)
            tar.addfile(member, BytesIO(file))
    described = (
        {"product_id": f"p{n}", "title": f"article {n}", "description": f"a {name} for every household"}
        for n, name in enumerate(names)
    )
    return {
        "described": rows(folder / "described.jsonl", described),
        "images": str(folder / "images.tar"),
        "pictured": rows(folder / "pictured.jsonl", pictured),
        "clicks": rows(folder / "clicks.jsonl", clicks()),
        "products": rows(
            folder / "products.jsonl",
            ({"product_id": f"p{n}", "title": name} for n, name in enumerate(names)),
        ),
        "judgments": rows(folder / "judgments.jsonl", judged),
    }


OFFLINE = {
    "attribution": "--events 800",
    "catalog_report": "--feed {products} --pictured {pictured} --images {images} --made-up 2500"
    " --without-stack",
    "memory": "--sizes 40 --products {products}",
    "validation": "--per-kind 1 --sessions 60 --fuzz 100",
}
WITH_A_MODEL = {
    "fields": "--products {described}",
    "gate": "--per-kind 1 --trained 0 --products 80 --sessions 150 --in-a-row 2 --live-steps 3",
    "graded": "--products {products} --judgments {judgments}",
    "images": "--products {pictured} --images {images} --passes 1",
    "incremental": "--clicks {clicks} --products {products} --general {products} --weeks 33-34 --seeds 1"
    " --strategies from_live_half_replay",
    "prequential": "--clicks {clicks} --products {products} --weeks 33-34 --without-full",
    "training_speed": "--clicks {clicks} --products {products} --catalog {products} --documents 8 --week 34",
    "weighting": "--clicks {clicks} --products {products} --weeks 34-34 --variants linear --planted-seeds 0",
}
# The others have a broker, Milvus or a whole stack of their own, or take minutes: their parts, `tests/flows`
# and `tests/clients` run what they use, and they can be loaded.
FOLDER = Path(__file__).parents[2] / "benchmarks"
OTHERS = sorted(
    {p.stem for p in FOLDER.glob("*.py") if "def main(" in p.read_text(encoding="utf-8")}
    - {*OFFLINE, *WITH_A_MODEL}
)
# So small a shop has too few queries for the gate to let anything through, and too few purchases to tell ours
# from the usual joins; and so short a training sees nothing.
MAY_MISS_ITS_GOALS = {"attribution", "gate", "images"}


@pytest.mark.parametrize(
    "name", [*OFFLINE, *(pytest.param(name, marks=pytest.mark.model) for name in WITH_A_MODEL)]
)
def test_a_benchmark_runs_to_its_report(name: str, files, capsys, monkeypatch) -> None:
    arguments = (OFFLINE | WITH_A_MODEL)[name].format(**files).split()
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    code = import_module(f"benchmarks.{name}").main()
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["benchmark"] == name
    assert report["ok"] == (code == 0)
    assert code == 0 or name in MAY_MISS_ITS_GOALS, report


@pytest.mark.model
@pytest.mark.parametrize("name", OTHERS)
def test_a_benchmark_with_a_stack_can_be_loaded_and_says_what_it_takes(
    name: str, capsys, monkeypatch
) -> None:
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit, match="0"):
        import_module(f"benchmarks.{name}").main()
    assert "usage: " in capsys.readouterr().out
