"""The verbs ``import`` and ``export`` from end to end.

Every line is accounted for, and what went in comes out again.
"""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_type_hints

import pytest
from typer.testing import CliRunner

from cli import command_line
from commands.import_ import FORMATS, judge, outcomes
from commands.options.import_ import import_file
from inbound.importers.tally import Tally
from schemas.events import Interaction, Search
from schemas.settings import StreamSettings
from tests.inbound.importers.ubi_schema import UbiEvent, UbiQuery
from tests.topics import read_all

CLICK = {
    "action_name": "click",
    "client_id": "c1",
    "query_id": "q1",
    "event_attributes": {"object": {"object_id": "p1"}, "position": {"ordinal": 2}},
}
DATA = os.environ.get("SEARCHLOOP_BENCH_DATA")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def write(folder: Path, *records: object) -> str:
    path = folder / "events.jsonl"
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in records))
    return str(path)


def invoke(*arguments: str, environ: dict[str, str] | None = None, code: int = 0) -> dict:
    result = CliRunner().invoke(command_line([])[0], [*arguments, "--json"], env=environ or {})
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_the_help_names_every_format() -> None:
    declared = get_type_hints(import_file, include_extras=True)["form"].__metadata__[0].help
    assert set(declared.rstrip(".").split(", ")) == set(FORMATS)


def test_a_dry_run_says_where_every_line_would_go(tmp_path) -> None:
    good = {**CLICK, "timestamp": now()}
    file = write(
        tmp_path,
        good,
        {**good, "action_name": "scroll"},
        "no json",
        {**good, "timestamp": "2001-01-01T00:00:00Z"},
    )
    found = invoke("import", "ubi-events", file, "--dry-run", code=1)
    assert found["lines"] == 4
    assert (found["imported"], found["skipped"], found["refused"]) == (
        1,
        {"unused_action": 1},
        {"json_decode": 1, "too_old": 1},
    )
    assert found["skipped_details"] == {"unused_action": {"scroll": 1}}
    assert found["actions"] == {"click": 1}
    assert invoke("import", "ubi-events", file, "--dry-run", "--allow-refused") == found


def test_nothing_refused_is_success_even_when_lines_were_skipped(tmp_path) -> None:
    file = write(tmp_path, {**CLICK, "action_name": "scroll", "timestamp": now()})
    assert invoke("import", "ubi-events", file, "--dry-run")["skipped"] == {"unused_action": 1}


@pytest.mark.parametrize(
    "arguments",
    [
        ("carrier-pigeon", "x"),
        ("segment", "no-such-file"),
        ("google", __file__, "--position-base", "0"),
        ("ga4", __file__, "--product-field", "x"),
    ],
)
def test_wrong_usage_is_said_and_ends_with_two(arguments) -> None:
    result = CliRunner().invoke(command_line([])[0], ["import", *arguments, "--dry-run"])
    assert result.exit_code == 2, result.output


def test_a_ledger_without_the_needed_columns_ends_with_two(tmp_path) -> None:
    result = CliRunner().invoke(
        command_line([])[0], ["import", "online-retail", write(tmp_path, "a,b,c", "1,2,3"), "--dry-run"]
    )
    assert result.exit_code == 2


def test_an_invoice_with_one_bad_line_is_refused_with_all_its_lines(tmp_path) -> None:
    today = datetime.now(UTC).strftime("%Y-%m-%d 00:00:00")
    rows = [f"1,22,MUG,{quantity},{today},1.5,7,France" for quantity in (2, 100_001)] + [
        f"2,22,MUG,1,{today},1.5,7,France"
    ]
    header = "invoice,stock_code,description,quantity,invoice_date,price,customer_id,country"
    found = invoke("import", "online-retail", write(tmp_path, header, *rows), "--dry-run", code=1)
    assert (found["lines"], found["imported"], found["refused"]) == (3, 1, {"schema": 2})


@pytest.mark.broker
async def test_what_is_imported_stands_on_the_topics_and_is_exported_as_valid_ubi(
    kafka, topic_prefix, tmp_path
) -> None:
    environ = {
        "SEARCHLOOP_KAFKA": kafka,
        "SEARCHLOOP_TOPIC_PREFIX": topic_prefix,
        "SEARCHLOOP_DATA_DIR": str(tmp_path / "stack"),
    }
    query = {
        "query_id": "q1",
        "client_id": "c1",
        "user_query": "Möbel",
        "timestamp": now(),
        "query_response_hit_ids": ["p1", "p2"],
    }
    events = [
        {**CLICK, "timestamp": now()},
        {**CLICK, "timestamp": now(), "action_name": "purchase", "event_id": "e2"},
    ]
    assert run_apart("import", "ubi-queries", write(tmp_path, query), environ=environ)["records"] == {
        "searches": 1
    }
    assert run_apart("import", "ubi-events", write(tmp_path, *events), environ=environ)["actions"] == {
        "click": 1,
        "purchase": 1,
    }
    records = await read_all(kafka, f"{topic_prefix}searches", f"{topic_prefix}interactions")
    sent = [(record.key, record.value) for record in records]
    assert {key for key, _ in sent} == {b"c1"}

    found = run_apart("export", "ubi", "--out", str(tmp_path / "ubi"), environ=environ)
    assert found["queries"] == {"records": 1, "written": 1}
    assert found["events"] == {"records": 2, "written": 2}
    queries = [json.loads(line) for line in (tmp_path / "ubi" / "ubi_queries.jsonl").read_text().splitlines()]
    exported = [json.loads(line) for line in (tmp_path / "ubi" / "ubi_events.jsonl").read_text().splitlines()]
    assert [UbiQuery.model_validate(q).query_response_hit_ids for q in queries] == [["p1", "p2"]]
    assert {UbiEvent.model_validate(e).action_name for e in exported} == {"click", "purchase"}

    again = tmp_path / "again"
    again.mkdir()
    back = [
        ours(o.result)
        for o in outcomes("ubi-events", write(again, *exported), position_base=None, product_field=None)
    ]
    assert sorted(back, key=str) == sorted(
        (Interaction.from_json(value) for _, value in sent if b"action_name" in value), key=str
    )
    [search] = [
        ours(o.result)
        for o in outcomes("ubi-queries", write(again, *queries), position_base=None, product_field=None)
    ]
    assert search in [Search.from_json(value) for _, value in sent if b"user_query" in value]


def run_apart(*arguments: str, environ: dict[str, str]) -> dict:
    """Run a verb in a thread: it brings its own event loop."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(invoke, *arguments, environ=environ).result()


def ours(records):
    [(topic, body)] = records
    return (Search if topic == "searches" else Interaction).model_validate_json(json.dumps(body))


@pytest.mark.skipif(
    DATA is None,
    reason="SEARCHLOOP_BENCH_DATA does not name the folder with ubi_*.jsonl.gz and online_retail_100k.csv.gz",
)
@pytest.mark.parametrize(
    ("form", "name", "lines", "imported", "skipped"),
    [
        ("ubi-queries", "ubi_queries.jsonl.gz", 473, 467, {"no_query": 6}),
        ("ubi-events", "ubi_events.jsonl.gz", 3448, 2526, {"unused_action": 922}),
        (
            "online-retail",
            "online_retail_100k.csv.gz",
            100_000,
            71_476,
            {"no_customer": 26_028, "duplicate": 1094, "stock_adjustment": 902, "not_a_product": 500},
        ),
    ],
)
def test_every_line_of_the_shared_data_is_accounted_for(form, name, lines, imported, skipped) -> None:
    tally = Tally()
    rules = StreamSettings(max_event_age=timedelta(days=36_500))
    base = 0 if form == "ubi-events" else None
    found = outcomes(form, str(Path(DATA) / name), position_base=base, product_field=None)
    sent = sum(1 for _ in judge(found, str, datetime.now(UTC), rules, tally))
    assert (tally.lines, tally.imported, dict(tally.skipped)) == (lines, imported, skipped)
    assert tally.refused.total() == tally.derived_refused.total() == 0
    assert imported + sum(skipped.values()) == lines
    assert tally.records.total() == sent
    if form == "online-retail":
        assert tally.actions["refund"] > 500
