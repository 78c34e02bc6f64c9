"""Pictures of the small shop's products, drawn: the shape of what each is, in the colour of its title."""

import json
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager

from aiohttp import web
from PIL import Image, ImageDraw

from tests.flows.reference import Raw
from tests.flows.shop_records import titles
from tests.media.hostile_pictures import encoded
from tests.media.serving import LOOPBACK, Shop, shop

_SIDE = 100
_COLOURS = {
    "compact": "#607080", "large": "#303a44", "steel": "#9aa4ae", "wooden": "#9c6b3c", "red": "#c0392b",
    "blue": "#2f6fb3", "travel": "#7a5ba6", "garden": "#3c8a4b", "quiet": "#b8a58c", "heavy": "#54453a",
}  # fmt: skip
# Corners, of a square of 100; of a rectangle the first and the last. The first shape is in the product's
# colour, all others are grey.
_SHAPES: dict[str, list[tuple[int, ...]]] = {
    "lamp": [(35, 15, 65, 15, 80, 50, 20, 50), (48, 50, 52, 85), (35, 85, 65, 90)],
    "kettle": [(30, 40, 65, 40, 75, 85, 20, 85), (68, 50, 90, 35, 92, 42, 72, 62), (35, 25, 60, 31)],
    "ladder": [(30, 10, 37, 90), (63, 10, 70, 90), (37, 25, 63, 30), (37, 45, 63, 50), (37, 65, 63, 70)],
    "jacket": [
        (32, 20, 68, 20, 90, 60, 78, 68, 68, 50, 68, 88, 32, 88, 32, 50, 22, 68, 10, 60),
        (49, 25, 51, 88),
    ],
    "drill": [(15, 25, 65, 25, 65, 50, 42, 50, 38, 85, 20, 85, 25, 50, 15, 50), (65, 35, 92, 38)],
    "tent": [(50, 20, 92, 85, 8, 85), (50, 45, 62, 85, 38, 85)],
    "chair": [(28, 12, 38, 12, 38, 50, 72, 50, 72, 60, 28, 60), (28, 60, 34, 90), (66, 60, 72, 90)],
    "mixer": [(25, 20, 80, 20, 80, 42, 45, 42, 45, 75, 25, 75), (20, 75, 85, 85), (55, 48, 80, 72)],
    "scarf": [(15, 25, 85, 25, 85, 45, 60, 45, 60, 85, 42, 85, 42, 45, 15, 45), (42, 85, 60, 90)],
    "router": [(12, 55, 88, 80), (22, 20, 26, 55), (74, 20, 78, 55)],
    "nozzle": [(40, 12, 60, 12, 60, 45, 70, 85, 30, 85, 40, 45), (36, 45, 64, 52)],
}


def picture_of(title: str) -> bytes:
    """Return a PNG of a product."""
    image = Image.new("RGB", (_SIDE, _SIDE), "white")
    drawing = ImageDraw.Draw(image)
    words = title.split()
    shapes = next(shapes for name, shapes in _SHAPES.items() if name in words)
    colours = [_COLOURS.get(words[0], "#2f6fb3"), *["#8a9096"] * len(shapes)]
    for corners, colour in zip(shapes, colours, strict=False):
        draw = drawing.rectangle if len(corners) == 4 else drawing.polygon
        draw(corners, fill=colour)
    return encoded(image, "PNG")


def picture_server() -> AbstractAsyncContextManager[Shop]:
    """Serve the pictures for the length of the block."""

    async def serve(request: web.Request) -> web.Response:
        title = titles()[request.path.strip("/").removesuffix(".png")]
        return web.Response(body=picture_of(title), content_type="image/png")

    return shop(serve)


def allowing(server: Shop) -> dict[str, str]:
    """Return the settings under which pictures are fetched from there."""
    return {
        "SEARCHLOOP_PICTURE_HOSTS": server.at,
        "SEARCHLOOP_PICTURE_SCHEMES": "http",
        "SEARCHLOOP_PICTURE_NETWORKS": LOOPBACK[0],
    }


def drawn(products: Iterable[Raw], server: Shop) -> list[Raw]:
    """Return the products with the addresses of their pictures."""
    found = []
    for record in products:
        body = json.loads(record.value or b"")
        body["image"] = {"uri": f"http://{server.at}/{body['product_id']}.png"}
        found.append(Raw(record.topic_name, record.key, json.dumps(body).encode()))
    return found
