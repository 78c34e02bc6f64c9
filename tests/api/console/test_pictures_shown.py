"""Pictures of products in the console: which products have one, and what their addresses give."""

import re
from collections.abc import AsyncIterator, Callable
from hashlib import sha256

import pytest
from PIL import Image

from api import known_pictures
from api.known_pictures import KnownPictures
from artefacts.store import ArtefactStore
from media.images import prepare
from media.preparation import picture_key
from schemas.products import CatalogProduct
from schemas.search import ScoredHit, SearchRequest, SearchResponse, Status, Timings
from schemas.settings import ApiSettings
from tests.accessibility import faults_of
from tests.api.api_process import ApiProcess, answering
from tests.api.test_operator_state import record
from tests.browser import open_browser
from tests.media.hostile_pictures import encoded

ORIGINAL = encoded(Image.new("RGB", (400, 300), "teal"), "PNG")
KEY = picture_key(sha256(ORIGINAL).hexdigest())


def a_product(product_id: str, **fields: object) -> bytes:
    return CatalogProduct.model_validate(
        {"product_id": product_id, "title": "A mug", "version": 1, **fields}
    ).to_json()


async def test_products_with_a_prepared_picture_are_known_and_no_others(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(known_pictures, "MOST_PICTURED", 2)
    monkeypatch.setattr(known_pictures, "_WAIT_S", 0.0)
    known = KnownPictures(ApiSettings())

    async def are() -> set[str]:
        return set(await known.of(["a", "b", "c", "d", "e", "f"]))

    for product_id, value in (
        ("a", a_product("a", image_key=KEY)),
        ("b", a_product("b")),
        ("c", a_product("c", image_key="pictures/../../secret")),
        ("d", b'{"image_key": 5}'),
        ("e", b'{"image_key": "\xff'),
        ("f", b'{"image_key": null, "deep": ' + b"[" * 5000),
    ):
        known.take(record("catalog", value, product_id.encode()))
    assert await known.of(["a"]) == {"a": KEY}
    assert await are() == {"a"}
    for product_id in ("b", "c"):
        known.take(record("catalog", a_product(product_id, image_key=KEY), product_id.encode()))
    assert await are() == {"a", "b"}, "as many as are kept"
    known.take(record("catalog", a_product("a"), b"a"))
    known.take(record("catalog", None, b"b"))
    assert await are() == set()


@pytest.fixture
async def api(settings_env: Callable[..., dict[str, str]]) -> AsyncIterator[ApiProcess]:
    """One to whose shop belong a product with a picture, one whose picture is lost, and one without."""
    async with ApiProcess(settings_env(partitions=1)) as opened:
        prepared = prepare(ORIGINAL)
        assert isinstance(prepared, bytes)
        store = ArtefactStore(opened.settings.artefact_address)
        store.put(KEY, prepared)
        store.put(picture_key("b" * 64), b"<script>")
        lost = picture_key("a" * 64)
        await opened.send(
            "catalog",
            (b"p1", a_product("p1", image_key=KEY)),
            (b"p2", a_product("p2", image_key=lost)),
            (b"p3", a_product("p3")),
        )
        opened.start()
        await opened.shows(lambda page: page.get("as_of"))
        await opened.publish()
        yield opened


async def answer(request: SearchRequest, _: object) -> SearchResponse:
    hits = [
        ScoredHit(product_id=f"p{n}", rank=n, score=1 / n, fields={"title": f"Mug <{n}>"})
        for n in range(1, 4)
    ]
    return SearchResponse(
        request_id=request.request_id, status=Status.OK, hits=hits, generation=7, timings=Timings(total_ms=1)
    )


@pytest.mark.broker
async def test_hits_are_shown_with_their_pictures_which_a_browser_may_keep(api: ApiProcess):
    async with answering(api.settings, answer):

        async def shown(path: str) -> list[str]:
            page = (await api.call("GET", path)).body.decode()
            return re.findall(r'<img class="picture" src="([^"]+)"', page)

        async def both() -> bool:  # who asks first does not wait for a catalogue that takes long to read
            return len(await shown("/console/search?q=mug&alone=yes")) == 2

        await api.until(both, "pictures of two products")
        addresses = await shown("/console/search?q=mug")
        assert len(addresses) == 10, "two in each of five answers"
        assert addresses[0] == f"/console/{KEY}"
        assert await shown("/console/judge?set=house&q=mug") == addresses[:2]
        page = (await api.call("GET", "/console/search?q=mug&alone=yes")).body.decode()
        assert 'alt="Mug &lt;1&gt;" width="64" height="64" loading="lazy"' in page

        async with open_browser() as browser:
            opened = await browser.new_page()
            for path in ("search?q=mug", "judge?set=house&q=mug"):
                await opened.goto(f"{await api.address()}/console/{path}")
                assert await faults_of(opened) == []
                sizes = "Array.from(document.images, one => [one.offsetWidth, one.offsetHeight])"
                assert set(map(tuple, await opened.evaluate(sizes))) == {(64, 64)}, "also of one that is lost"

    found = await api.call("GET", addresses[0])
    assert found.code == 200
    assert (found.headers["content-type"], found.headers["x-content-type-options"]) == (
        "image/webp", "nosniff",
    )  # fmt: skip
    assert "immutable" in found.headers["cache-control"]
    assert found.body == prepare(ORIGINAL)
    for path in (
        addresses[1],
        f"/console/{picture_key('b' * 64)}",
        f"/console/{KEY[:-1]}",
        f"/console/{KEY.upper()}",
        "/console/pictures/1/..%2f..%2f/x",
        "/console/pictures/1/aa/%2e%2e%2f%2e%2e%2fapi.log",
    ):
        said = await api.call("GET", path)
        assert said.code == 404, path
        assert said.headers["cache-control"] == "no-store"
