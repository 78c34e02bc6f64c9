"""How much of a list is told at once."""

import json
from datetime import UTC, datetime

from api.asked_page import AskedPage
from api.following import StateFollower
from api.operator_state import OperatorState
from api.state_answers import PAGE_BYTES, StateAnswers
from schemas.settings import ApiSettings


def test_a_list_of_large_things_is_told_in_shorter_pages_that_follow_each_other():
    """Five hundred decisions at once took fifty megabytes, for as long as a reader liked."""
    answers = StateAnswers(StateFollower(OperatorState(ApiSettings())))
    answers.follower.as_of = datetime.now(UTC)
    large = json.dumps("x" * (PAGE_BYTES // 2)).encode()
    things, after, pages = [str(n) for n in range(7)], None, []
    while True:
        said = answers.listed(
            AskedPage(3, after, {}), "things", lambda: things, id_of=str,
            dump=lambda one: large if one in "345" else b"%b" % one.encode(),
        )  # fmt: skip
        page = json.loads(bytes(said.body))
        pages.append([one if isinstance(one, int) else "large" for one in page["things"]])
        after = page["next"]
        if after is None:
            break
    assert pages == [[0, 1, 2], ["large"], ["large"], ["large", 6]]
