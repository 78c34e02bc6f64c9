"""What was learnt for a query, by day: on a page, as a file, and as bars."""

from collections.abc import Callable
from urllib.parse import quote

import pytest

from api.console.day_bars import TALL, WIDE, day_bars
from schemas.events import Action
from schemas.pairs import Counts, Pair, pair_key
from tests.accessibility import faults_of
from tests.api.api_process import ApiProcess
from tests.browser import open_browser

DAY = 20_000  # 2024-10-04
QUERY = "mug & 'cup' 5"


def a_pair(product_id: str, days: dict[int, dict[Action, Counts]], query: str = QUERY) -> Pair:
    return Pair(query=query, product_id=product_id, days=days, clients={"a": 1000, "b": 500})


def test_a_day_is_a_bar_of_what_each_action_earned_and_is_left():
    bought = {Action.PURCHASE: (3000, 1, 950), Action.CLICK: (1000, 1, 0)}
    later = {DAY + 3: {Action.CLICK: (2500, 1, 0), Action.REFUND: (-500, -1, 0)}}
    clicked = {DAY: {Action.CLICK: (1000, 1, 0)}}
    bars = day_bars([a_pair("p1", {DAY: bought}), a_pair("p2", clicked), a_pair("p3", later)])
    assert bars is not None
    assert (bars.first, bars.last, bars.greatest) == ("2024-10-04", "2024-10-07", 5.0)
    assert bars.actions == ["click", "purchase"], "what was only taken back is not drawn"
    assert [(p.day, p.action, p.credit, p.place) for p in bars.parts] == [
        ("2024-10-04", "click", 2.0, 0), ("2024-10-04", "purchase", 3.0, 1), ("2024-10-07", "click", 2.5, 0),
    ]  # fmt: skip
    low, high, late = bars.parts
    assert (high.y, low.y, low.y + low.tall) == (0.0, pytest.approx(high.tall, abs=0.2), TALL)
    assert low.x == high.x < late.x < late.x + late.wide <= WIDE
    assert day_bars([]) is None
    assert day_bars([a_pair("p1", {-5: bought, 10**8: bought})]) is None, "days of no calendar"


@pytest.mark.broker
async def test_the_products_of_a_query_are_shown_with_what_each_earned(
    settings_env: Callable[..., dict[str, str]],
):
    click = {DAY: {Action.CLICK: (1500, 1, 0)}}
    pairs = [
        a_pair("p1", click), a_pair("p2", click | {DAY + 1: {Action.PURCHASE: (3000, 2, 1900)}}),
        a_pair("gone", click), a_pair("empty", {}), a_pair("other", click, query="cup"),
    ]  # fmt: skip
    async with ApiProcess(settings_env(partitions=1)) as api:
        keyed = [(pair_key(pair.query, pair.product_id), pair.to_json()) for pair in pairs]
        huge = a_pair("huge", click).to_json().replace(b"1500", b"9" * 400)
        foreign = [
            (pair_key(QUERY, "x"), pairs[4].to_json()), (pair_key(QUERY, "y"), b"{"),
            (pair_key(QUERY, "deep"), b'{"deep": ' + b"[" * 5000), (pair_key(QUERY, "huge"), huge),
        ]  # fmt: skip
        await api.send("pairs", *keyed, *foreign, (pair_key(QUERY, "gone"), None))
        api.start()
        await api.shows(lambda page: page.get("as_of"))
        asked = f"/console/queries/pairs?q={quote(QUERY.upper())}"
        text = (await api.call("GET", asked)).body.decode()
        assert "Learnt for mug &amp; &#39;cup&#39; 5" in text
        assert text.index(">p2<") < text.index(">p1<"), "the greatest credit first"
        assert "click 1.5, purchase 3.0" in text
        assert not any(f">{name}<" in text for name in ("gone", "empty", "other", "x", "y", "deep", "huge"))
        rows = (await api.call("GET", f"{asked}&as=json")).json
        assert [(row["product_id"], row["day"], row["credit"], row["revenue"]) for row in rows] == [
            ("p2", "2024-10-05", 3.0, 19.0), ("p2", "2024-10-04", 1.5, 0.0), ("p1", "2024-10-04", 1.5, 0.0),
        ]  # fmt: skip
        nothing = (await api.call("GET", "/console/queries/pairs?q=nothing")).body.decode()
        assert "Nothing was learnt" in nothing
        assert (await api.call("GET", "/console/queries/pairs")).code == 200
        async with open_browser() as browser:
            page = await browser.new_page()
            await page.goto(await api.address() + asked)
            assert await faults_of(page) == []
