"""The real process, a real broker and a shop's own server: text at once, pictures when they come."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from artefacts.store import ArtefactStore
from media.images import prepare
from schemas.products import CatalogProduct
from schemas.settings import StreamSettings
from tests.commands.in_process import given
from tests.media.hostile_pictures import encoded, photo
from tests.media.serving import Shop, shop
from tests.stream.stream_process import StreamProcess

pytestmark = pytest.mark.broker
FILES = {
    "/good.jpg": encoded(photo(), "JPEG"),
    "/other.png": encoded(photo((64, 64)), "PNG"),
    "/page.jpg": b"<html>",
    "/half.jpg": encoded(photo(), "JPEG")[:1500],
    "/slow.jpg": encoded(photo((40, 30)), "JPEG"),
}


MENDED = asyncio.Event()


async def serve(request: web.Request) -> web.Response:
    if request.path == "/slow.jpg":
        await MENDED.wait()
    return web.Response(body=FILES[request.path]) if request.path in FILES else web.Response(status=404)


@pytest.fixture
async def server() -> AsyncIterator[Shop]:
    async with shop(serve) as server:
        yield server


def newest(records, product_id: str) -> CatalogProduct | None:
    values = [r.value for r in records if r.key == product_id.encode()]
    return CatalogProduct.from_json(values[-1]) if values and values[-1] is not None else None


def sent(product_id: str, uri: str | None, **fields: object) -> tuple[bytes, bytes]:
    body = {"product_id": product_id, "title": f"Mug {product_id}", "image": uri and {"uri": uri}, **fields}
    return product_id.encode(), json.dumps(body).encode()


async def test_products_get_their_pictures_and_texts_wait_for_none(
    kafka, topic_prefix, tmp_path, server, monkeypatch
):
    s = StreamSettings(
        kafka=kafka, topic_prefix=topic_prefix, data_dir=tmp_path, partitions=2, picture_schemes="http",
        picture_hosts=server.at, picture_networks="127.0.0.0/8",
    )  # fmt: skip
    at = f"http://{server.at}"
    with StreamProcess(s).start() as stream:
        await stream.ensure_topics()
        await stream.send(
            "products",
            sent("good", f"{at}/good.jpg"),
            sent("text", None),
            sent("page", f"{at}/page.jpg"),
            sent("half", f"{at}/half.jpg"),
            sent("missing", f"{at}/missing.jpg"),
            sent("inside", "http://169.254.169.254/latest/meta-data"),
            sent("file", "file:///etc/passwd"),
        )
        wanted = {"good": None, "page": "image_format", "half": "image_decode", "missing": "image_fetch",
                  "inside": "image_fetch", "file": "image_fetch"}  # fmt: skip

        def looked_at(records) -> bool:
            found = {name: newest(records, name) for name in wanted}
            return all(p is not None and p.image_of is not None for p in found.values())

        records = await stream.follow("catalog", looked_at)
        assert {name: newest(records, name).image_problem for name in wanted} == wanted
        assert (newest(records, "text").image, newest(records, "text").image_of) == (None, None)
        assert {r.path for r in server.seen} == {"/good.jpg", "/page.jpg", "/half.jpg", "/missing.jpg"}
        good = newest(records, "good")
        assert ArtefactStore(s.artefact_address).get(good.image_key) == prepare(FILES["/good.jpg"])

        def good_is(holds):
            return lambda found: (p := newest(found, "good")) is not None and holds(p)

        # A new price keeps the picture from its first record on, a new address brings another one.
        await stream.send("products", sent("good", f"{at}/good.jpg", price=3.0))
        records = await stream.follow("catalog", good_is(lambda p: p.price == 3.0))
        keys = [CatalogProduct.from_json(r.value).image_key for r in records if r.key == b"good"]
        assert keys == [None, good.image_key, good.image_key]
        await stream.send("products", sent("good", f"{at}/other.png"))
        records = await stream.follow(
            "catalog", good_is(lambda p: p.image_key not in {None, good.image_key} and p.price is None)
        )
        # An operator asks again when the shop has mended its server.
        monkeypatch.setitem(FILES, "/missing.jpg", FILES["/other.png"])
        said = await asyncio.to_thread(given, "pictures", "--again", "failed", "--json", **s.environ())
        assert json.loads(said.stdout)["asked_again"] == 5
        records = await stream.follow("catalog", lambda found: not newest(found, "missing").image_problem)
        assert newest(records, "missing").image_key == newest(records, "good").image_key
        records = await stream.follow("catalog", looked_at)
        versions = [CatalogProduct.from_json(r.value).version for r in records if r.key == b"good"]
        assert versions == sorted(set(versions))
        assert await asyncio.to_thread(stream.stop) == 0

    # What became of pictures is read again from its beginning, and changes nothing.
    before = len(records)
    with StreamProcess(s).start() as stream:
        await stream.shows(lambda page: page["ready"] and page["halves"]["pictures"])
        await stream.send("products", sent("last", f"{at}/good.jpg"))
        records = await stream.follow(
            "catalog", lambda found: (p := newest(found, "last")) and p.image_key == good.image_key
        )
        assert len(records) == before + 2
        # A server that keeps its picture holds up no text, and of its product no change.
        await stream.send("products", sent("slow", f"{at}/slow.jpg"))
        await stream.follow("catalog", lambda found: newest(found, "slow"))
        changed = sent("text", None, price=5.0), sent("slow", f"{at}/slow.jpg", price=5.0)
        await stream.send("products", *changed)
        records = await stream.follow(
            "catalog", lambda found: {newest(found, name).price for name in ("text", "slow")} == {5.0}
        )
        MENDED.set()
        told = [CatalogProduct.from_json(r.value) for r in records if r.key == b"slow"]
        assert [(p.price, p.image_of, p.image_problem) for p in told] == [
            (None, None, None),
            (5.0, None, None),
        ]
        await stream.follow("catalog", lambda found: newest(found, "slow").image_key)
