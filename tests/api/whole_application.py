"""The application with all its routes, behind which there is nothing."""

import asyncio
from pathlib import Path
from typing import cast

from fastapi import FastAPI

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
from api.console.report_routes import report_routes
from api.console.search_page import ConsoleSearch
from api.event_fates import EventFates
from api.following import StateFollower
from api.judgment_routes import judgment_routes
from api.kept_letters import Letters
from api.known_pictures import KnownPictures
from api.letter_routes import Replaying, letter_routes
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
from schemas.settings import ApiSettings


def whole_application() -> FastAPI:
    answers = StateAnswers(StateFollower(OperatorState(ApiSettings())))
    nothing = cast("Taking", None)
    operating = Operating(ApiSettings(), nothing, answers.follower, Capacity(1, 1000))
    recent, producers = recent_queries(ApiSettings()), recent_producers(ApiSettings())
    pictured = KnownPictures(ApiSettings())
    search = ConsoleSearch(cast("Searching", None), pictured)
    replaying = Replaying(Letters(""), nothing, Capacity(1, 1000))
    return application(
        (
            search_routes(cast("Searching", None)),
            record_routes(nothing),
            state_routes(answers),
            operate_routes(operating, answers),
            letter_routes(replaying, answers),
            judgment_routes(operating, answers),
            query_routes(recent, producers, answers),
            report_routes(answers.state, Path, Capacity(1, 0)),
            picture_routes(lambda _: None, Capacity(1, 0)),
            judge_pages(JudgeDesk(operating, recent, search)),
            query_pages(recent, answers.follower),
            pair_pages(query_pairs(ApiSettings(), Capacity(1, 0)), pictured, answers.follower),
            producer_pages(producers, answers.follower, ""),
            catalogue_pages(CatalogueJudging(), answers.follower),
            fate_pages(
                EventFates(ApiSettings()),
                pair_credits(ApiSettings(), Capacity(1, 0)),
                answers.follower,
            ),
            console_routes(
                Console(
                    operating,
                    TopicGauges(ApiSettings()),
                    ArrivalRates(ApiSettings()),
                    asyncio.Event(),
                ),
                search,
                replaying,
            ),
        )
    )
