"""A product with a picture, from the shop's record to an answer found by picture, in two generations.

Imports that load torch lie inside the functions, so that collecting it stays fast.
"""
# ruff: noqa: PLC0415 (the reason is above)

import json
import uuid
from base64 import b64encode
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web
from PIL import Image

from benchmarks.deployment.rotated_models import approval
from broker.producing import open_producer
from broker.reading import read_compacted
from broker.records import Outgoing
from broker.requesting import open_requester
from broker.topics import ensure_topics
from commands.instruments.only_asked import ONLY_ASKED
from commands.support.asking import ask
from embedded.supervisor import Supervisor
from retrieval.model_folder import fingerprint
from schemas.products import CatalogProduct
from schemas.releases import Candidate, DeploymentCommand
from schemas.search import SearchRequest, SearchResponse, Status
from schemas.settings import Settings
from schemas.topics import CATALOG, DECISIONS, DEPLOYMENT_COMMANDS
from tests.flows.reference import Raw
from tests.flows.shop_records import products, titles
from tests.flows.turning import feed, settings_of
from tests.media.hostile_pictures import encoded
from tests.media.serving import LOOPBACK, shop
from tests.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(900)]

PICTURED, SHOWN, DIM = 12, "p007", 32


def picture(product_id: str) -> bytes:
    """Return the file of a product's picture: noise of its own."""
    noise = np.random.default_rng(int(product_id[1:])).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    return encoded(Image.fromarray(noise), "PNG")


def with_pictures(records: list[Raw], at: str) -> list[Raw]:
    """Return the products, the first of them with the address of a picture."""
    pictured = sorted(titles())[:PICTURED]
    out = []
    for record in records:
        body = json.loads(record.value)
        if body["product_id"] in pictured:
            body["image"] = {"uri": f"http://{at}/{body['product_id']}.png"}
        out.append(Raw(record.topic_name, record.key, json.dumps(body).encode()))
    return out


def a_model(folder: Path, *, seed: int) -> Path:
    """Make a small model of random weights, by which a product with a picture is where its picture is."""
    from benchmarks.learning.small_models import small_model
    from retrieval.field_weights import FieldWeights

    small_model(folder, list(titles().values()), seed=seed)
    FieldWeights(text=0, picture=1).write(folder)
    return folder


async def by_picture(settings: Settings, file: bytes) -> SearchResponse:
    async with open_requester(settings, settings.topic("search-responses")) as requester:
        image = b64encode(file).decode()
        request = SearchRequest(request_id=uuid.uuid4().hex, image=image, timeout_ms=240_000)
        response, _ = await ask(requester, settings, request)
    assert response.status is Status.OK, response
    return response


async def promote(settings: Settings, model: Path) -> None:
    """Deploy a model that nobody has judged."""
    candidate = Candidate(model=str(model), model_sha256=fingerprint(model), dim=DIM)
    decision = approval(candidate, "tests")
    command = DeploymentCommand(
        command_id="other",
        action="promote",
        candidate=candidate,
        force=True,
        actor="tests",
        reason="a test",
    )
    async with open_producer(settings) as producer:
        topic, key = settings.topic(DECISIONS.name), decision.decision_id.encode()
        await producer.send(Outgoing(topic, decision.to_json(), key=key))
        topic, key = settings.topic(DEPLOYMENT_COMMANDS.name), settings.deployment.encode()
        await producer.send(Outgoing(topic, command.to_json(), key=key))


async def serve(request: web.Request) -> web.Response:
    return web.Response(body=picture(request.path.strip("/").removesuffix(".png")), content_type="image/png")


async def test_a_product_is_found_by_its_picture_in_two_generations(tmp_path: Path) -> None:
    model = a_model(tmp_path / "clip", seed=0)
    async with shop(serve) as server:
        env = ONLY_ASKED | {
            "SEARCHLOOP_BASE_MODEL": str(model),
            "SEARCHLOOP_MODEL_FOLDERS": str(tmp_path),
            "SEARCHLOOP_MAX_LATENCY_RATIO": "1000",
            "SEARCHLOOP_PICTURE_HOSTS": server.at,
            "SEARCHLOOP_PICTURE_SCHEMES": "http",
            "SEARCHLOOP_PICTURE_NETWORKS": LOOPBACK[0],
        }
        async with Supervisor(data_dir=tmp_path / "data", env=env, quiet=True) as stack:
            settings = settings_of(stack, tmp_path / "data")
            await ensure_topics(settings)
            await feed(settings, with_pictures(list(products()), server.at))
            await stack.ready(180)

            async def all_pictured() -> bool:
                held = await read_compacted(settings, settings.topic(CATALOG.name))
                known = [CatalogProduct.from_json(r.value) for r in held.records.values() if r.value]
                return sum(p.image_key is not None for p in known) == PICTURED

            await until(all_pictured, "prepared pictures in the catalogue")

            async def first(generation: int) -> bool:
                found = await by_picture(settings, picture(SHOWN))
                return found.generation == generation and found.hits[0].product_id == SHOWN

            await until(lambda: first(1), "the product first for its own picture")

            await promote(settings, a_model(tmp_path / "other", seed=1))
            await until(lambda: first(2), "the same by another model")
            assert {request.path for request in server.seen} == {
                f"/{i}.png" for i in sorted(titles())[:PICTURED]
            }
