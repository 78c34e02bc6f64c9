"""``doctor catalog``: what it finds in files and topics, whatever they hold."""

import asyncio
import json
import os
import re
import tarfile
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from artefacts.store import ArtefactStore
from broker.topics import ensure_topics
from media.images import prepare
from media.preparation import picture_key
from schemas.products import CatalogProduct, ProductImage
from schemas.rejections import Reason
from schemas.settings import Settings
from tests.commands.in_process import Done, given
from tests.media.hostile_pictures import encoded, photo
from tests.topics import write

WHOLE = {
    "title": "Storm shell jacket, waterproof, men",
    "description": "Three layers, taped seams, a hood that turns with the head.",
    "brand": "Fjell",
    "category_path": ["Clothing", "Jackets"],
    "price": 189.0,
    "currency": "EUR",
    "availability": "in_stock",
    "attributes": {"colour": "red"},
    "image": {"uri": "https://cdn.example/p0.jpg"},
}
KINDS = ("Parka", "Rucksack", "Kettle", "Lamp", "Boots", "Scarf", "Tent", "Drill")
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "\x1b]52;c;aGk=\x07 \x00\x08",
    "\u202egnp.exe\u2066 \u200f",
    "👩‍👩‍👧‍👦 \U000e0041 \ud800",
    "{{ 7*7 }}{% raw %}",
    "é" * 40_000,
)


def products(folder: Path, *rows: dict[str, object] | bytes, name: str = "products.jsonl") -> str:
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    (folder / name).write_bytes(b"\n".join(lines) + b"\n")
    return str(folder / name)


def whole(number: int, **changed: object) -> dict[str, object]:
    """Return a product that nothing is wrong with, but for ``changed``; None takes a field away."""
    different = {
        "product_id": f"p{number}",
        "title": f"{KINDS[number % len(KINDS)]} of series {number * 7919}",
        "description": f"Nothing else is said of number {number}.",
        "image": {"uri": f"https://cdn.example/p{number}.jpg"},
    }
    fields = WHOLE | different | changed
    return {field: value for field, value in fields.items() if value is not None}


def report_of(done: Done) -> dict[str, dict[str, object]]:
    """Return the findings of a report by name."""
    assert done.code == 0, done.stderr
    report = json.loads(done.stdout)
    named = [finding["name"] for finding in report["findings"]]
    found = {finding["name"]: finding for finding in report["findings"]}
    assert named == [f["name"] for f in sorted(report["findings"], key=lambda f: -f["products"])]
    return found | {"report": report}


def counts(found: dict[str, dict[str, object]]) -> dict[str, int]:
    return {name: finding["products"] for name, finding in found.items() if name != "report"}


def judged(file: str, *options: str) -> dict[str, dict[str, object]]:
    return report_of(given("doctor", "catalog", "--products", file, "--json", *options))


def test_nothing_is_found_in_a_complete_catalogue(tmp_path: Path) -> None:
    found = judged(products(tmp_path, *(whole(n) for n in range(30))))
    assert counts(found) == {}
    assert found["report"]["products"] == 30
    assert found["report"]["score"] == 1.0


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"title": "  "}, "title.blank"),
        ({"title": None}, "title.absent"),
        ({"title": "N/A"}, "title.placeholder"),
        ({"title": "x" * 2001}, "title.too_long"),
        ({"title": " ".join(f"word{n}" for n in range(200))}, "title.cut"),
        ({"title": "Coat", "brand": "very " * 50 + "dear"}, None),
        ({"description": None}, "description.absent"),
        ({"description": "<br/> &nbsp;"}, "description.blank"),
        ({"description": "Lorem ipsum dolor sit amet"}, "description.placeholder"),
        ({"description": "Three layers. " * 80}, "description.unread"),
        ({"description": "é" * 20_001}, "description.too_long"),
        ({"brand": "no brand"}, "brand.placeholder"),
        ({"brand": 7}, "brand.invalid"),
        ({"category_path": []}, "category_path.absent"),
        ({"category_path": ["Clothing", "Uncategorized"]}, "category_path.placeholder"),
        ({"category_path": ["a"] * 21}, "category_path.too_long"),
        ({"price": 0}, "price.zero"),
        ({"price": -1}, "price.invalid"),
        ({"price": "12"}, None),
        ({"price": 99999.0}, "price.placeholder"),
        ({"price": None}, "price.absent"),
        ({"currency": None}, "currency.absent"),
        ({"currency": "euro"}, "currency.invalid"),
        ({"attributes": None}, "attributes.absent"),
        ({"attributes": {"colour": "-"}}, "attributes.placeholder"),
        ({"attributes": {"colour": " "}}, "attributes.blank"),
        ({"attributes": {"care": "wash it by hand only, and never with bleach"}}, "attributes.unread"),
        ({"attributes": {"waist": "32"}}, "attributes.numbers_as_text"),
        ({"attributes": "red - blue"}, "attributes.invalid"),
        ({"image": None}, "image.absent"),
        ({"image": {"uri": "https://cdn.example/no-image.png"}}, "image.placeholder"),
        ({"image": "p.jpg"}, "image.invalid"),
        ({"image": {"uri": "data:image/png;base64," + "A" * 5000}}, "image.too_long"),
        ({"image": {"uri": None}}, "image.absent"),
        ({"price_cents": 1200}, "field.unknown"),
    ],
)  # fmt: skip
def test_one_fault_of_one_product_is_one_finding(
    tmp_path: Path, changed: dict[str, object], expected: str | None
) -> None:
    found = judged(products(tmp_path, *(whole(n) for n in range(9)), whole(9, **changed)))
    names = {name for name in counts(found) if name != "text.cut"}
    assert names == ({expected} if expected else set())
    if expected:
        finding = found[expected]
        assert (finding["products"], finding["share"]) == (1, 0.1)
        [example] = finding["examples"]
        assert [p["product_id"] for p in example["products"]] == ["p9"]
        assert finding["advice"].endswith(".")


def test_a_field_is_complete_where_nothing_is_found_of_it(tmp_path: Path) -> None:
    rows = [whole(0, brand=None), whole(1, brand="-"), whole(2, brand=" "), whole(3, brand=5), whole(4)]
    report = judged(products(tmp_path, *rows))["report"]
    [brand] = [field for field in report["fields"] if field["field"] == "brand"]
    assert brand == {
        "field": "brand", "complete": 1, "share": 0.2, "absent": 1, "blank": 1, "placeholder": 1,
        "invalid": 1, "too_long": 0, "other": 0,
    }  # fmt: skip
    assert report["fields"][0] == brand


def test_products_are_compared_with_each_other(tmp_path: Path) -> None:
    same = "Shipping takes two days. Returns are free."
    rows = [whole(n) for n in range(40)]
    rows += [whole(n, description=same) for n in range(40, 45)]
    rows += [whole(50, title="Garden Chair, green!"), whole(51, title="garden  chair (GREEN)")]
    rows += [
        whole(52, title="Garden table with an extension leaf, oak"),
        whole(53, title="Garden tables with an extension leaf, oak"),
    ]
    rows += [whole(54, image={"uri": "https://cdn.example/p1.jpg"})]
    rows += [whole(55, price=18900.0)]
    twin = whole(56)
    rows += [twin, twin | {"product_id": "p57"}]
    rows += [whole(58), whole(58)]
    found = judged(products(tmp_path, *rows))
    assert counts(found) == {
        "description.same": 5, "title.same": 4, "title.alike": 2, "image.same": 4, "price.odd": 1,
        "record.same_content": 2, "record.repeated_id": 2,
    }  # fmt: skip
    [group] = found["description.same"]["examples"]
    assert group["count"] == 5
    assert {p["value"] for p in group["products"]} == {same}
    assert len({p["title"] for p in group["products"]}) == 4


def test_variants_of_one_group_are_no_duplicates(tmp_path: Path) -> None:
    rows = [
        whole(n, title="Trail running shoes, men", description="For mud.", group_id="g", image=WHOLE["image"])
        for n in range(8)
    ]
    assert counts(judged(products(tmp_path, *rows))) == {}


def test_an_attribute_of_several_types_is_told_by_its_name(tmp_path: Path) -> None:
    widths: list[object] = [60, 80, 90, "100", "one metre"]
    rows = [
        whole(n, attributes={"width": width, "ean": f"400{n}638133393"}) for n, width in enumerate(widths)
    ]
    found = judged(products(tmp_path, *rows))
    assert counts(found) == {"attributes.mixed": 1}
    assert found["attributes.mixed"]["field"] == "attributes.width"
    assert found["attributes.mixed"]["what"].startswith("attributes 'width' are numbers in some products")


def test_what_is_no_product_is_told_and_not_counted(tmp_path: Path) -> None:
    file = products(
        tmp_path, whole(1), b"{", b"[1]", b"\xff\xfe", {"product_id": "p9", "deleted": True}, b"", whole(2)
    )
    report = judged(file)["report"]
    assert (report["products"], report["refused_lines"], report["deletions"]) == (2, 3, 1)
    assert any("line 2, json_decode" in note for note in report["notes"])


def test_an_empty_catalogue_is_no_fault(tmp_path: Path) -> None:
    done = given("doctor", "catalog", "--products", products(tmp_path), "--out", str(tmp_path / "r.html"))
    assert done.code == 0
    assert "Nothing is missing" in (tmp_path / "r.html").read_text()
    assert judged(products(tmp_path))["report"]["score"] == 0


class Page(HTMLParser):
    """What a page holds: tags, attributes and texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_hostile_texts_are_shown_and_do_nothing(tmp_path: Path) -> None:
    rows = [
        {
            "product_id": f"{n}",
            "title": text,
            "brand": text,
            "category_path": [text],
            "attributes": {text[:90]: text},
            text[:90]: 1,
        }
        for n, text in enumerate(HOSTILE)
    ]
    lines = [json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass") for row in rows]
    file, page, kept = products(tmp_path, *lines, *rows), tmp_path / "r.html", tmp_path / "r.json"
    done = given("doctor", "catalog", "--products", file, "--out", str(page), "--out", str(kept))
    assert done.code == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
    html = page.read_text()
    assert len(html) < 500_000
    read = Page(html)
    assert read.tags.isdisjoint({"script", "iframe", "object", "form", "a", "link", "base", "svg"})
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    assert not [
        value
        for name, value in read.attributes
        if name in {"src", "href"} and not (value or "").startswith("data:image/webp;base64,")
    ]
    assert re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]", html) is None
    assert "default-src 'none'" in html
    report = json.loads(kept.read_text())
    # Half a surrogate pair is no text, in either form
    assert (report["products"], report["refused_lines"]) == (2 * (len(HOSTILE) - 1), 2)


def test_a_title_of_a_megabyte_is_one_finding_and_two_of_them_are_no_trouble(tmp_path: Path) -> None:
    long = "waterproof jackets " * 55_000
    found = judged(products(tmp_path, whole(1, title=long), whole(2, title=long + "s"), whole(3)))
    assert found["title.too_long"]["products"] == 2
    assert found["record.refused"]["products"] == 2
    [first, _] = found["title.too_long"]["examples"]
    assert first["products"][0]["value"] == "more than 2000 characters"


def test_no_text_of_a_report_is_long(tmp_path: Path) -> None:
    rows = [
        whole(n, title="y" * 1900 + str(n), attributes={"n" * 500: "v" * 5000}, brand=" z" * 120)
        for n in range(3)
    ]
    report = judged(products(tmp_path, *rows))["report"]
    texts = re.findall(r'"([^"]*)"', json.dumps(report, ensure_ascii=False))
    assert max(map(len, texts)) < 400


def test_the_exit_code_tells_of_shares_above_a_bound(tmp_path: Path) -> None:
    file = products(tmp_path, *(whole(n) for n in range(9)), whole(9, brand=None))
    assert given("doctor", "catalog", "--products", file, "--fail-above", "0.1").code == 0
    done = given("doctor", "catalog", "--products", file, "--fail-above", "0.09")
    assert done.code == 1
    assert "the greatest share is 0.1" in done.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        ["--products", "nowhere.jsonl"],
        ["--products", "{file}", "--out", "report.txt"],
        ["--products", "{file}", "--pictures", "nowhere.tar"],
        ["--products", "{file}", "--pictures", "{file}"],
        ["--pictures", "."],
    ],
)
def test_wrong_usage_is_told_in_a_sentence(tmp_path: Path, wrong: list[str]) -> None:
    file = products(tmp_path, whole(1))
    done = given("doctor", "catalog", *(word.format(file=file) for word in wrong))
    assert done.code == 2
    assert done.stderr.startswith("error: ")


def test_pictures_beside_a_file_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "secret.png").write_bytes(encoded(photo(), "PNG"))
    drawn = photo((300, 300))
    files = {
        "p0.jpg": encoded(drawn, "PNG"),
        "p1.jpg": encoded(drawn, "JPEG", quality=85),
        "p2.jpg": encoded(Image.new("RGB", (200, 200), "navy"), "PNG"),
        "p3.jpg": encoded(drawn, "PNG")[:200],
        "p4.jpg": b"<html>",
    }
    for name, data in files.items():
        (tmp_path / "pictures" / name).write_bytes(data)
    rows = [whole(n) for n in range(6)] + [whole(6, image={"uri": "../secret.png"})]
    found = judged(products(tmp_path, *rows), "--pictures", str(tmp_path / "pictures"))
    assert counts(found) == {
        "image.alike": 2, "image.image_decode": 1, "image.image_format": 1, "image.not_found": 2,
    }  # fmt: skip
    [group] = found["image.alike"]["examples"]
    assert all(p["thumbnail"].startswith("data:image/webp;base64,") for p in group["products"])
    assert found["report"]["pictures_looked_at"] == 7
    few = judged(products(tmp_path, *rows), "--pictures", str(tmp_path / "pictures"), "--most-pictures", "2")
    assert few["report"]["pictures_looked_at"] == 2
    assert any("the first 2 were looked at" in note for note in few["report"]["notes"])


@pytest.mark.parametrize("archive", [False, True])
def test_an_address_that_names_no_file_is_a_picture_that_is_not_there(tmp_path: Path, archive: bool) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(encoded(photo(), "JPEG"))
    os.mkfifo(folder / "pipe.jpg")
    with tarfile.open(tmp_path / "pictures.tar", "w") as packed:
        packed.add(folder, ".")
    addresses = [
        "http://[", "http://[::1", "https://a.example/" + "a" * 300, "https://a.example/" + "\u00e9" * 200,
        "https://a.example/" + "a/" * 800, "https://a.example/%00.jpg", "https://a.example/%ff.jpg",
        "https://a.example/\ud800.jpg", "https://a.example/pipe.jpg", "https://a.example/..", "://", "//",
        "https://cdn.example/%2e%2e/%2e%2e/etc/passwd", "/etc/passwd", "file:///etc/passwd",
        "data:image/png;base64,AAAA", "javascript:alert(1)",
    ]  # fmt: skip
    rows = [whole(n, image={"uri": address}) for n, address in enumerate([*addresses, "a.jpg"])]
    place = tmp_path / "pictures.tar" if archive else folder
    report = judged(products(tmp_path, *rows), "--pictures", str(place))
    half_a_pair = 1  # of a surrogate: refused with its product
    assert counts(report) == {"image.not_found": len(addresses) - half_a_pair}


def catalog_product(name: str, **fields: object) -> CatalogProduct:
    base = {
        name: value for name, value in whole(int(name[1:])).items() if name not in {"product_id", "image"}
    }
    return CatalogProduct(product_id=name, version=1, **(base | fields))


@pytest.mark.broker
def test_the_catalogue_of_a_stack_is_read_with_its_pictures(settings_env, tmp_path: Path) -> None:
    environ = settings_env()
    settings = Settings.load(environ)
    store = ArtefactStore(settings.artefact_address)
    prepared = prepare(encoded(photo(), "PNG"))
    kept, broken, gone = (picture_key(digit * 64) for digit in "abc")
    store.put(kept, prepared)
    store.put(broken, b"no picture")
    image = ProductImage(uri="https://cdn.example/p.jpg")
    shop = [
        catalog_product("p1", image=image, image_key=kept),
        catalog_product("p2", image=image, image_key=broken),
        catalog_product("p3", image=image, image_key=gone),
        catalog_product("p4", image=image, image_problem=Reason.IMAGE_FETCH),
        catalog_product("p5", image=image),
        catalog_product("p6", description="", brand=""),
        catalog_product("p7"),
    ]

    async def fill() -> None:
        await ensure_topics(settings, deadline_s=60)
        first = catalog_product("p1", title="An older title")
        await write(settings, "catalog", (b"p1", first.to_json()), (b"p8", first.to_json()), (b"p9", b"{"))
        await write(settings, "catalog", *((p.product_id.encode(), p.to_json()) for p in shop))
        await write(settings, "catalog", (b"p7", None))

    asyncio.run(fill())
    page = tmp_path / "report.html"
    done = given("doctor", "catalog", "--json", "--out", str(page), **environ)
    found = report_of(done)
    assert found["report"]["products"] == 6
    assert counts(found) == {
        "image.broken": 2, "image.image_fetch": 1, "image.waiting": 1, "image.absent": 1,
        "description.absent": 1, "brand.absent": 1,
    }  # fmt: skip
    assert found["report"]["pictures_looked_at"] == 3
    assert "p3" in page.read_text()


def test_doctor_alone_is_still_the_check_of_the_machine(tmp_path: Path) -> None:
    done = given("doctor", "--help")
    assert done.code == 0
    assert "`catalog` and `events` judge" in " ".join(done.stdout.split())
    assert "--products" not in done.stdout


def test_the_tokens_of_a_model_whose_limit_is_not_known_are_not_counted(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "modules.json").write_text("[]")
    (model / "model.safetensors").write_bytes(b"")
    file = products(tmp_path, whole(1, title=" ".join(f"word{n}" for n in range(200))))
    done = given("doctor", "catalog", "--products", file, "--json", SEARCHLOOP_BASE_MODEL=str(model))
    found = report_of(done)
    assert counts(found) == {}
    assert any("Tokens were not counted" in note for note in found["report"]["notes"])


def test_a_model_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = given("doctor", "catalog", "--products", products(tmp_path), SEARCHLOOP_BASE_MODEL="nowhere")
    assert done.code == 1
    assert "nowhere" in done.stderr


@pytest.mark.broker
def test_a_store_of_pictures_that_does_not_answer_is_told(settings_env, tmp_path: Path) -> None:
    environ = settings_env(artefacts="http://127.0.0.1:9/bucket")
    settings = Settings.load(environ)
    product = catalog_product(
        "p1", brand="", image=ProductImage(uri="https://cdn.example/p.jpg"), image_key=picture_key("a" * 64)
    )

    async def fill() -> None:
        await ensure_topics(settings, deadline_s=60)
        await write(settings, "catalog", (b"p1", product.to_json()))

    asyncio.run(fill())
    done = given("doctor", "catalog", **environ)
    assert done.code == 1
    assert "pictures cannot be read" in done.stderr
    assert given("doctor", "catalog", "--most-pictures", "0", **environ).code == 0
