"""The script of the page "Getting started" makes lines that intake takes, of tables as a shop has them."""

import json
import re
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from commands.send import judge_line, unknown_fields
from schemas.products import CatalogProduct
from schemas.rejections import Rejection
from schemas.settings import StreamSettings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "getting-started.md"
PRODUCTS = """article;name;maker;category;price;stock;variant of;colour
GA-1;Gießkanne 10 l;;Bewässerung > Kannen;1.299,00 €;3;;grün
GA-2;Spaten, geschmiedet;Müller & Söhne;Werkzeug;25,5;0;G-1;
"""


def events() -> str:
    """Return two visits of today, the second one first in the file."""
    begun = datetime.now(ZoneInfo("Europe/Berlin")) - timedelta(hours=5)
    at = [(begun + timedelta(minutes=n)).strftime("%d.%m.%Y %H:%M:%S") for n in range(6)]
    return "\n".join(
        [
            "time;visitor;what;words;articles;order;units;position;price",
            f"{at[4]};v2;SEARCH;spaten;GA-2 GA-1;;;;",
            f"{at[5]};v2;CLICK;;GA-2;;;1;",
            f"{at[0]};v1;SEARCH;giesskanne;GA-1;;;;",
            f"{at[1]};v1;CLICK;;GA-1;;;1;",
            f"{at[2]};v1;CART;;GA-1;;;;",
            f"{at[3]};v1;ORDER;;GA-1;B1;2;;1.299,00",
        ]
    )


def test_its_lines_are_taken_with_every_field(tmp_path: Path):
    (script,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "products.csv").write_text(PRODUCTS, encoding="utf-8-sig")
    (tmp_path / "events.csv").write_text(events())
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    lines = {
        topic: (tmp_path / f"{topic}.jsonl").read_bytes().splitlines()
        for topic in ("products", "searches", "interactions")
    }
    assert {topic: len(found) for topic, found in lines.items()} == {
        "products": 2, "searches": 2, "interactions": 4,
    }  # fmt: skip
    taken = {}
    for topic, found in lines.items():
        for n, line in enumerate(found):
            taken[topic, n] = judge_line(topic, n, line, StreamSettings())
            assert not isinstance(taken[topic, n], Rejection)
            assert unknown_fields(topic, line) == set()
    can = taken["products", 0]
    assert isinstance(can, CatalogProduct)
    assert (can.price, can.brand, can.attributes) == (1299.0, "", {"colour": "grün"})
    asked = json.loads(lines["searches"][0])
    assert [json.loads(line)["query_id"] for line in lines["interactions"][:3]] == [asked["query_id"]] * 3
