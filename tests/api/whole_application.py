"""The application with all its routes, behind which there is nothing."""

from typing import cast

from fastapi import FastAPI

from api.application import application
from api.following import StateFollower
from api.operator_state import OperatorState
from api.record_routes import record_routes
from api.search_routes import search_routes
from api.searching import Searching
from api.state_answers import StateAnswers
from api.state_routes import state_routes
from api.taking import Taking
from schemas.settings import ApiSettings


def whole_application() -> FastAPI:
    answers = StateAnswers(StateFollower(OperatorState(ApiSettings())))
    return application(
        (search_routes(cast("Searching", None)), record_routes(cast("Taking", None)), state_routes(answers))
    )
