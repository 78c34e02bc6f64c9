"""The routes of dead letters: which there are, one whole, and sending them again."""

from dataclasses import replace

from fastapi import APIRouter, Request
from pydantic_core import to_json
from starlette.responses import Response

from api.bodies import Capacity, HttpFault, Place
from api.kept_letters import TOPICS, Letters, letter_id
from api.state_answers import StateAnswers, dumped
from api.taking import Taking
from api.wish_reading import Done, carried_out
from schemas.operator_http import ReplayAnswer, ReplayWish


class Replaying:
    """Sends letters again. A letter is written as it was: what it becomes is intake's to say."""

    def __init__(self, letters: Letters, taking: Taking, capacity: Capacity) -> None:
        self.letters = letters
        self.capacity = capacity
        self._taking = taking

    async def replay(self, wish: ReplayWish, place: Place) -> ReplayAnswer | HttpFault:
        """Send again what is wished for; it is done once the broker has it."""
        found = self.letters.chosen(wish.topic, wish.reason)
        if wish.offset is not None:
            found = [one for one in found if one.offset == wish.offset]
            if not found:
                return HttpFault(404, "not_found", f"no letter {wish.offset} of {wish.topic} is kept here")
        ready, capped = self.letters.to_replay(found)
        fault = await self._taking.write(ready, place) if ready else None
        if fault is not None:
            return replace(fault, message=f"{fault.message.partition(';')[0]}: some may be sent again")
        return ReplayAnswer(found=len(found), replayed=len(ready), capped=capped)


def letter_routes(replaying: Replaying, answers: StateAnswers) -> APIRouter:
    """Return the routes."""
    router = APIRouter()
    letters = replaying.letters

    @router.get("/v1/dead-letters")
    async def dead_letters(request: Request) -> Response:
        asked = answers.asked(request, {"topic", "reason"})
        others = {} if isinstance(asked, HttpFault) else asked.others
        return answers.listed(
            asked,
            "letters",
            lambda: letters.chosen(others.get("topic"), others.get("reason")),
            id_of=letter_id,
            dump=lambda one: dumped(letters.told(one)),
            others={"counts": to_json(letters.counts())},
        )

    @router.get("/v1/dead-letters/{topic}/{offset:number}")
    async def dead_letter_alone(topic: str, offset: int) -> Response:
        missing = f"no letter {offset} of {topic!r} is kept here; topics: {', '.join(TOPICS)}"
        return answers.one(
            letters.get(topic, offset), missing, lambda one: dumped(letters.told(one, whole=True))
        )

    @router.post("/v1/dead-letters:replay")
    async def replay(request: Request) -> Response:
        async def do(wish: ReplayWish, place: Place) -> Done:
            said = await replaying.replay(wish, place)
            return said if isinstance(said, HttpFault) else answers.told(dumped(said))

        return await carried_out(request, replaying.capacity, ReplayWish, do)

    return router
