"""What was learnt, as flat rows."""

from commands.export import clients_of, counts_of
from schemas.events import Action
from tests.stream.builders import contribution, fold

PAIRS = list(fold([
    contribution(1000, position=(0, 0, 0), day=20000, client="a" * 16, units=2),
    contribution(1000, position=(1, 0, 0), day=20014, client="b" * 16, units=1),
    contribution(500, position=(2, 0, 0), day=20014, client="b" * 16, action=Action.CLICK),
]).values())  # fmt: skip


def test_a_row_per_day_and_action_names_no_field_after_a_day():
    rows = list(counts_of(PAIRS))
    assert [(r["day"], r["action"], r["credit"], r["units"]) for r in rows] == [
        ("2024-10-04", "purchase", 1.0, 2),
        ("2024-10-18", "click", 0.5, 0),
        ("2024-10-18", "purchase", 1.0, 1),
    ]
    assert {tuple(r) for r in rows} == {
        ("query", "product_id", "day", "action", "credit", "units", "revenue_minor")
    }


def test_a_row_per_client_holds_its_net_credit_and_a_pair_of_nobody_has_none():
    assert [(r["client"], r["credit"]) for r in clients_of(PAIRS)] == [("a" * 16, 1.0), ("b" * 16, 1.5)]
    taken_back = contribution(-1000, position=(1, 0, 0), client="c" * 16)
    assert (
        list(clients_of(fold([contribution(1000, position=(0, 0, 0), client="c" * 16), taken_back]).values()))
        == []
    )
