"""The API's work: put the pieces together and run them until the process is told to stop."""

import asyncio
import secrets

import structlog

from api.application import application
from api.bodies import Capacity
from api.catalogue_judging import CatalogueJudging
from api.console.arrival_rates import ArrivalRates
from api.console.catalogue_pages import catalogue_pages
from api.console.console_frame import Console
from api.console.console_routes import console_routes
from api.console.fate_pages import fate_pages
from api.console.gauges import TopicGauges
from api.console.judge_pages import JudgeDesk, judge_pages
from api.console.pair_pages import pair_pages
from api.console.picture_routes import picture_routes
from api.console.producer_pages import producer_pages
from api.console.query_pages import query_pages
from api.console.report_routes import report_routes, reports_of
from api.console.search_page import ConsoleSearch
from api.event_fates import EventFates
from api.following import StateFollower, follow_letters
from api.front_door import FrontDoor
from api.judgment_routes import judgment_routes
from api.kept_letters import Letters
from api.keyring import Keyring
from api.known_pictures import KnownPictures
from api.lasting import LastingProducer
from api.letter_routes import Replaying, letter_routes
from api.listening import address_of, is_loopback, listen, web_server
from api.operate_routes import operate_routes
from api.operating import Operating
from api.operator_state import OperatorState
from api.pair_credits import pair_credits
from api.query_pairs import query_pairs
from api.query_routes import query_routes
from api.recent_producers import recent_producers
from api.recent_queries import recent_queries
from api.record_routes import record_routes
from api.search_routes import search_routes
from api.searching import Searching
from api.state_answers import StateAnswers
from api.state_routes import state_routes
from api.taking import Taking
from api.tls import ServerCertificate
from broker.foreign import facts_of
from broker.reading import Reader, open_reader
from broker.requesting import Requester
from media.pictures import stored_pictures
from process.collector import open_spans
from process.health import Health
from schemas.bounds import API_HELD_BYTES
from schemas.settings import ApiSettings, SettingsError, named
from schemas.topics import API_KEYS, SEARCH_REQUESTS, SEARCH_RESPONSES

log = structlog.get_logger(__name__)

# Changes that operators ask for at once; most wait for their effect.
_CHANGES = 32
# Pictures read from the store at once: a browser asks for six.
_PICTURES = 32
# Partitions of pairs read at once.
_PARTITIONS = 4
_WITHOUT_A_KEY = (
    "the API would listen on {host}, beyond this machine, and there is no key: make one with "
    "`searchloop keys create`, or set SEARCHLOOP_API_OPEN=true where something before it checks callers"
)


async def work(settings: ApiSettings, health: Health, stopping: asyncio.Event) -> None:
    """Answer requests until ``stopping``; those that are being answered then are finished.

    Answers come on one partition of the reply topic, chosen anew at each start: several APIs on one are
    told apart by their correlation ids. Raises ``SettingsError`` where it would let in whoever reaches it.
    """
    replies = settings.topic(SEARCH_RESPONSES.name)
    partition = secrets.randbelow((await facts_of(settings, [replies]))[replies].partitions)
    follower, letters = StateFollower(OperatorState(settings)), Letters(settings.topic_prefix)
    asking = LastingProducer(settings, linger_ms=0, role="asking")
    writing = LastingProducer(settings, linger_ms=5, role="taking")
    certificate = ServerCertificate.of(settings)
    with open_spans(settings, "api") as spans, listen(settings) as listening:
        async with (
            open_reader(
                settings, [replies], start="end", only=[(replies, partition)], committed=False
            ) as replied,
            open_reader(settings, follower.state.topics) as state_reader,
            open_reader(settings, [settings.topic(API_KEYS.name)]) as key_reader,
        ):
            keys = await _keys(key_reader)
            open_to_all = settings.api_open or is_loopback(listening)
            if not len(keys) and not open_to_all:
                raise SettingsError(_WITHOUT_A_KEY.format(host=settings.api_host))
            await replied.positions()
            requester = Requester(asking, replied, replies, partition)
            searching = Searching(
                requester,
                settings.topic(SEARCH_REQUESTS.name),
                Capacity(settings.api_requests, API_HELD_BYTES),
                broker_fault=health.faults["kafka"],
                serves=lambda: follower.state.releases.pointer is not None,
            )
            taking = Taking(
                settings, writing, Capacity(settings.api_posts, API_HELD_BYTES), health.faults["kafka"]
            )
            names = named(settings.api_names.lower())
            answers = StateAnswers(follower)
            operating = Operating(settings, taking, follower, Capacity(_CHANGES, API_HELD_BYTES))
            gauges, arrivals = TopicGauges(settings), ArrivalRates(settings)
            replaying = Replaying(letters, taking, Capacity(_CHANGES, API_HELD_BYTES))
            recent, producers = recent_queries(settings), recent_producers(settings)
            pictured, catalogue = KnownPictures(settings), CatalogueJudging()
            search = ConsoleSearch(searching, pictured)
            routers = (
                search_routes(searching),
                record_routes(taking),
                state_routes(answers),
                operate_routes(operating, answers),
                letter_routes(replaying, answers),
                judgment_routes(operating, answers),
                query_routes(recent, producers, answers),
                console_routes(Console(operating, gauges, arrivals, stopping), search, replaying),
                report_routes(follower.state, reports_of(settings), Capacity(_PICTURES, 0)),
                picture_routes(stored_pictures(settings.artefact_address), Capacity(_PICTURES, 0)),
                judge_pages(JudgeDesk(operating, recent, search)),
                query_pages(recent, follower),
                pair_pages(query_pairs(settings, Capacity(_PARTITIONS, 0)), pictured, follower),
                producer_pages(producers, follower, settings.topic_prefix),
                catalogue_pages(catalogue, follower),
                fate_pages(EventFates(settings), pair_credits(settings, Capacity(_PARTITIONS, 0)), follower),
            )
            door = FrontDoor(application(routers), names, keys, open_to_all=open_to_all, spans=spans)
            server = web_server(door, certificate.context if certificate else None)
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            tasks = [
                asyncio.create_task(stopping.wait()),
                asyncio.create_task(asking.run()),
                asyncio.create_task(writing.run()),
                asyncio.create_task(requester.pump()),
                asyncio.create_task(gauges.run()),
                asyncio.create_task(arrivals.run()),
                asyncio.create_task(pictured.run()),
                asyncio.create_task(catalogue.run()),
                asyncio.create_task(follow_letters(settings, letters)),
                asyncio.create_task(follower.follow(state_reader, health)),
                asyncio.create_task(_follow_keys(key_reader, keys, health)),
                *([asyncio.create_task(certificate.follow())] if certificate else ()),
            ]
            health.detail["address"] = address_of(listening, tls=certificate is not None)
            health.ready = True
            log.info("the API answers", address=health.detail["address"])
            if certificate is None and not is_loopback(listening):
                log.warning("keys travel in the clear beyond this machine: SEARCHLOOP_API_TLS_CERT is empty")
            done, _ = await asyncio.wait({serving, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            health.ready = False
            server.should_exit = True
            await serving
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for task in done:
                task.result()


async def _keys(reader: Reader) -> Keyring:
    """Return the keys that there are."""
    keys = Keyring()
    async for record in reader.until(await reader.end_offsets()):
        keys.take(record)
    return keys


async def _follow_keys(reader: Reader, keys: Keyring, health: Health) -> None:
    """Keep up with what is made and revoked."""
    while True:
        health.detail["keys"] = len(keys)
        for record in await reader.poll(timeout_ms=1000):
            keys.take(record)
