"""Invoice lines: purchases, refunds that find their order, and a reason for every line that is neither."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.import_ import outcomes
from inbound.importers.outcome import Skipped
from inbound.importers.retail import Bought, convert_rows, take_back
from inbound.importers.retail_rows import InvoiceLine, read_rows
from schemas.bounds import ITEMS
from schemas.rejections import Rejection

HEADER = "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country"


def line(
    invoice="1", code="85048", description="GLASS BALL", quantity=2, day=1, price=6.95, customer="13085.0"
):
    return (
        f"{invoice},{code},{description},{quantity},2009-12-{day:02d} 07:45:00,{price},{customer},United "
        "Kingdom"
    )


def convert(*lines, orders=None):
    return list(convert_rows(read_rows([HEADER, *lines]), {} if orders is None else orders))


def events(outcomes):
    return [
        body
        for o in outcomes
        if isinstance(o.result, list)
        for topic, body in o.result
        if topic == "interactions"
    ]


def why(outcomes):
    return {n: o.result.why.value for o in outcomes if isinstance(o.result, Skipped) for n in o.lines}


def test_an_invoice_is_one_purchase_of_its_customer() -> None:
    [purchase] = events(
        convert(line(), line(code="79323P", description="PINK LIGHTS", quantity=12, price=6.75))
    )
    assert purchase == {
        "event_id": "online-retail-1-13085-1-0",
        "timestamp": "2009-12-01T07:45:00+00:00",
        "application": "online-retail",
        "client_id": "13085",
        "action_name": "purchase",
        "order_id": "1",
        "items": [
            {"object_id": "85048", "quantity": 2, "unit_price": 6.95, "currency": "GBP"},
            {"object_id": "79323P", "quantity": 12, "unit_price": 6.75, "currency": "GBP"},
        ],
    }


def test_a_cancellation_gives_back_the_newest_order_that_holds_it_all() -> None:
    outcomes = convert(
        line("1", quantity=9, day=1), line("2", quantity=3, day=2), line("C3", quantity=-5, day=3)
    )
    refund = events(outcomes)[-1]
    assert (refund["action_name"], refund["order_id"]) == ("refund", "1")
    assert refund["items"][0]["quantity"] == 5


def test_a_cancellation_of_several_orders_is_one_refund_for_each_and_one_line_of_the_file() -> None:
    outcomes = convert(
        line("1", quantity=3, day=1), line("2", quantity=3, day=2), line("C3", quantity=-8, day=3)
    )
    assert outcomes[-1].lines == (3,)
    assert [(e["order_id"], e["items"][0]["quantity"]) for e in events(outcomes)[2:]] == [
        ("2", 3),
        ("1", 3),
        ("C3", 2),
    ]


def test_a_cancellation_without_an_earlier_order_is_a_refund_of_its_own() -> None:
    others = (line("1", customer="7"), line("2", code="22", description="MUG"), line("9", day=9))
    assert events(convert(*others, line("C3", quantity=-1, day=3)))[-2]["order_id"] == "C3"


def test_a_second_file_goes_on_from_the_first() -> None:
    orders = {}
    convert(line("1", quantity=4), orders=orders)
    [refund] = events(convert(line("C2", quantity=-4, day=2), orders=orders))
    assert refund["order_id"] == "1"
    assert orders["13085", "85048"] == [Bought("1", 0)]


@given(st.lists(st.integers(0, 9), max_size=6), st.integers(1, 40))
def test_what_comes_back_is_all_accounted_for_and_no_order_gives_more_than_it_has(units, back) -> None:
    bought = [Bought(str(n), u) for n, u in enumerate(units)]
    taken = dict(take_back(bought, back, "own"))
    assert sum(taken.values()) == back
    assert all(b.units == u - taken.get(b.order_id, 0) >= 0 for b, u in zip(bought, units, strict=True))
    assert taken.get("own", 0) == max(0, back - sum(units))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (line(), "duplicate"),
        (line(customer=""), "no_customer"),
        (line(code="22", description=""), "no_description"),
        (line(code="22", description="?"), "no_description"),
        (line(code="POST", description="POSTAGE"), "not_a_product"),
        (line(code="TEST001"), "not_a_product"),
        (line(quantity=-3, price=0, customer=""), "stock_adjustment"),
        (line(description="", price=0.0, customer=""), "stock_adjustment"),
    ],
)
def test_a_line_that_is_no_purchase_says_why(bad, reason) -> None:
    assert why(convert(line(), bad)) == {2: reason}


@pytest.mark.parametrize(
    "broken",
    [
        "1,85048",
        line(quantity="two"),
        line(price=""),
        line().replace("2009", "once"),
        line(quantity=0),
        line("C1", quantity=3),
        line(price=-1),
        line(""),
    ],
)
def test_a_line_that_cannot_be_read_is_refused(broken) -> None:
    assert [o.lines for o in convert(line(), broken) if isinstance(o.result, Rejection)] == [(2,)]


def test_a_missing_description_is_found_on_another_line() -> None:
    assert why(convert(line("1", description=""), line("2"))) == {}


def test_a_product_has_its_most_frequent_description() -> None:
    outcomes = convert(
        line("1", description="mug"),
        line("2", description="MUG "),
        line("3", description=" MUG"),
        line("4", description="A BIG MUG"),
    )
    assert outcomes[0].result == [("products", {"product_id": "85048", "title": "MUG"})]
    assert outcomes[0].lines == ()


def test_a_long_invoice_becomes_several_events_of_one_order_and_no_product_is_split() -> None:
    lines = [line(code=str(10000 + n % (ITEMS - 1)), quantity=n + 1) for n in range(ITEMS + 50)]
    found = events(convert(*lines))
    products = [{i["object_id"] for i in e["items"]} for e in found]
    assert [len(found), {e["order_id"] for e in found}, len({e["event_id"] for e in found})] == [2, {"1"}, 2]
    assert not products[0] & products[1]
    assert sum(len(e["items"]) for e in found) == ITEMS + 50


def test_columns_are_known_in_either_edition_and_a_missing_one_is_named() -> None:
    old = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
    [(_, row)] = read_rows([old, "1,85048,MUG,2,12/1/2010 8:26,2.55,17850,France"])
    assert isinstance(row, InvoiceLine)
    assert row.at.isoformat() == "2010-12-01T08:26:00+00:00"
    with pytest.raises(ValueError, match="stock_code"):
        list(read_rows(["invoice,description,quantity,invoice_date,price,customer_id", "1"]))


LINES = st.builds(
    line,
    invoice=st.sampled_from(["1", "2", "C3", "C4", ""]),
    code=st.sampled_from(["85048", "22", "POST"]),
    description=st.sampled_from(["MUG", "", "?"]),
    quantity=st.sampled_from([-2, -1, 0, 1, 3, "x"]),
    day=st.integers(1, 4),
    price=st.sampled_from([0, 1.5, -1]),
    customer=st.sampled_from(["", "7", "8.0"]),
)


@given(st.lists(LINES, max_size=25))
def test_every_line_stands_in_exactly_one_outcome(lines) -> None:
    outcomes = convert(*lines)
    assert sorted(n for o in outcomes for n in o.lines) == list(range(1, len(lines) + 1))
    assert all(o.result != [] for o in outcomes)


def ledger(tmp_path: Path, *rows: bytes) -> str:
    path = tmp_path / "ledger.csv"
    path.write_bytes(b"\n".join([HEADER.encode(), *rows]))
    return str(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "latin-1"])
def test_a_title_is_read_in_the_encoding_that_it_is_in(tmp_path, encoding) -> None:
    row = line(description="CAF\u00c9 SIGN \u00a35 OFF").encode(encoding.removesuffix("-sig"))
    path = ledger(tmp_path, row)
    if encoding == "utf-8-sig":
        Path(path).write_bytes(b"\xef\xbb\xbf" + Path(path).read_bytes())
    [product, _] = [
        body
        for o in outcomes("online-retail", path, position_base=None, product_field=None)
        for _, body in o.result
    ]
    assert product["title"] == "CAF\u00c9 SIGN \u00a35 OFF"


def test_a_row_in_no_encoding_is_refused_and_the_others_are_taken(tmp_path) -> None:
    path = ledger(tmp_path, line().encode(), b"\x81\xff" + line("2").encode(), line("3").encode())
    found = list(outcomes("online-retail", path, position_base=None, product_field=None))
    assert {o.lines: o.result.reason.value for o in found if isinstance(o.result, Rejection)} == {
        (2,): "undecodable_text"
    }
    assert len(events(found)) == 2


def test_a_quote_that_nothing_closes_spoils_its_own_row_only() -> None:
    good = [line(str(n), code=f"{10000 + n}") for n in range(60)]
    found = convert(*good[:30], line("99", description='"12 INCH'), *good[30:])
    assert [o.lines for o in found if isinstance(o.result, Rejection)] == [(31,)]
    assert len(events(found)) == 60


def test_a_description_may_go_on_over_a_few_lines() -> None:
    first, rest = '1,85048,"A MUG\n', 'WITH ""A"" HANDLE",2,2009-12-01 07:45:00,6.95,7,UK\n'
    found = convert(first, rest, line("2", code="22222", description="B"))
    assert found[0].result == [("products", {"product_id": "85048", "title": 'A MUG WITH "A" HANDLE'})]
    assert len(events(found)) == 2
