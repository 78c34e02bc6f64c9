"""The addresses of the console. Every state of it has one."""

from fastapi import APIRouter

from api.console.console_acts import act_routes
from api.console.console_frame import Console, frame_routes
from api.console.console_letters import console_letter_routes
from api.console.console_overview import overview_routes
from api.console.console_releases import release_routes
from api.console.console_runs import run_routes
from api.console.console_search import console_search_routes
from api.console.search_page import ConsoleSearch
from api.letter_routes import Replaying


def console_routes(console: Console, search: ConsoleSearch, replaying: Replaying) -> APIRouter:
    """Return the routes of the console."""
    router = APIRouter()
    for part in (frame_routes, overview_routes, run_routes, release_routes, act_routes):
        part(router, console)
    console_search_routes(router, console, search)
    console_letter_routes(router, console, replaying)
    return router
