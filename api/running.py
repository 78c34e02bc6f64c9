"""The API's work: put the pieces together and run them until the process is told to stop."""

import asyncio
import secrets

import structlog

from api.application import application
from api.bodies import Capacity
from api.front_door import FrontDoor
from api.lasting import LastingProducer
from api.listening import address_of, listen, web_server
from api.searching import Searching
from api.taking import Taking
from broker.foreign import facts_of
from broker.reading import Reader, open_reader
from broker.release_log import ReleaseLog
from broker.requesting import Requester
from process.health import Health
from schemas.bounds import API_HELD_BYTES
from schemas.settings import ApiSettings, named
from schemas.topics import RELEASES, SEARCH_REQUESTS, SEARCH_RESPONSES

log = structlog.get_logger(__name__)


async def work(settings: ApiSettings, health: Health, stopping: asyncio.Event) -> None:
    """Answer requests until ``stopping``; those that are being answered then are finished.

    Answers come on one partition of the reply topic, chosen anew at each start: several APIs on one are
    told apart by their correlation ids.
    """
    replies, pointers = settings.topic(SEARCH_RESPONSES.name), settings.topic(RELEASES.name)
    partition = secrets.randbelow((await facts_of(settings, [replies]))[replies].partitions)
    releases = ReleaseLog(settings.deployment)
    asking = LastingProducer(settings, linger_ms=0, role="asking")
    writing = LastingProducer(settings, linger_ms=5, role="taking")
    with listen(settings) as listening:
        async with (
            open_reader(
                settings, [replies], start="end", only=[(replies, partition)], committed=False
            ) as answers,
            open_reader(settings, [pointers]) as pointer_reader,
        ):
            await answers.positions()
            requester = Requester(asking, answers, replies, partition)
            searching = Searching(
                requester,
                settings.topic(SEARCH_REQUESTS.name),
                Capacity(settings.api_requests, API_HELD_BYTES),
                broker_fault=health.faults["kafka"],
                serves=lambda: releases.pointer is not None,
            )
            taking = Taking(
                settings, writing, Capacity(settings.api_posts, API_HELD_BYTES), health.faults["kafka"]
            )
            names = named(settings.api_names.lower())
            server = web_server(FrontDoor(application(searching, taking), names))
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            tasks = [
                asyncio.create_task(stopping.wait()),
                asyncio.create_task(asking.run()),
                asyncio.create_task(writing.run()),
                asyncio.create_task(requester.pump()),
                asyncio.create_task(_follow(pointer_reader, releases, health)),
            ]
            health.detail["address"] = address_of(listening)
            health.ready = True
            log.info("the API answers", address=address_of(listening))
            done, _ = await asyncio.wait({serving, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            health.ready = False
            server.should_exit = True
            await serving
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for task in done:
                task.result()


async def _follow(reader: Reader, releases: ReleaseLog, health: Health) -> None:
    """Keep up with what serves."""
    while True:
        for record in await reader.poll(timeout_ms=1000):
            releases.take(record)
        health.detail["generation"] = releases.pointer.live.generation if releases.pointer else None
