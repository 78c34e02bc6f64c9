"""What the pages of the console are made of: figures, the order of checks, what an action will do."""

import csv
import html
import json
import re
import shlex
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.console import console_pages
from api.console.consequences import consequence
from api.console.console_pages import page
from api.console.figures import Measured, chart, shares, whisker
from api.console.gauges import TopicGauges
from api.console.letter_pages import errors_of, pretty
from api.console.overview import alarms, freshest, serving_since, stages
from api.console.page_table import as_csv
from api.console.posted_files import fields_with_files
from api.console.run_pace import pace
from api.console.run_pages import by_segment, gate_rows, measured, moved, over_generations, segments_of
from api.console.search_page import command_line
from api.console.side_by_side import side_by_side
from api.operator_state import OperatorState
from schemas.operator_http import EvaluationTold, LetterTold
from schemas.releases import LivePointer, Release, ReleaseState, SearcherReport, release_key
from schemas.search import ScoredHit, SearchResponse, Status, Timings
from schemas.settings import ApiSettings
from schemas.training import Check, Decision, RunState, Score, TrainingRun
from tests.api.test_operator_state import after, record
from tests.releases import NOW, a_release

SETTINGS = ApiSettings(topic_prefix="p.")
HOSTILE = '<script>alert("x")</script>'


def serving(*releases: Release, **fields: object) -> OperatorState:
    """The state in which the last of the releases serves, and the one before it did."""
    live, previous = releases[-1], releases[-2] if releases[1:] else None
    pointer = LivePointer(sequence=5, live=live, previous=previous, cause="promote", at=NOW, **fields)
    return after(
        *(record("releases", one.to_json(), release_key(one.generation)) for one in releases),
        record("releases", pointer.to_json(), b"main"),
    )


def test_a_difference_is_sure_when_its_interval_leaves_zero_out():
    kinds = [
        whisker(low, (low + high) / 2, high, 0.1) for low, high in ((0.01, 0.1), (-0.2, -0.01), (-0.1, 0.1))
    ]
    assert [one.kind for one in kinds if one] == ["gain", "loss", "unsure"]
    assert kinds[1] is not None
    assert kinds[1].low == 0.0, "what is off the scale ends at it"
    assert whisker(None, 0.1, 0.2, 1.0) is None


def test_parts_lie_side_by_side_and_one_that_takes_away_has_no_width():
    pieces = shares({"dense": 0.6, "prior": -0.1, "words": 0.2}, 0.8)
    assert [(one.name, one.begin, one.wide) for one in pieces] == [
        ("dense", 0.0, 150.0), ("prior", 150.0, 0.0), ("words", 150.0, 50.0),
    ]  # fmt: skip
    assert [one.wide for one in shares({"dense": 0.0}, 0.0)] == [0.0]


def test_a_generation_that_is_served_again_serves_since_the_rollback():
    """And not since it was made; before its decision is read, since the pointer changed."""
    made = NOW - timedelta(hours=2)
    state = serving(a_release(generation=2), a_release(generation=1, at=made))
    assert serving_since(state) == NOW
    for number, (before, behind) in enumerate([(None, 1), (1, 2), (2, 1)]):
        decision = Decision(
            decision_id=f"d{number}", verdict="forced", generation_before=before, generation_after=behind,
            at=made + timedelta(minutes=number),
        )  # fmt: skip
        state.take(record("decisions", decision.to_json(), decision.decision_id.encode()))
    assert serving_since(state) == made + timedelta(minutes=2)
    assert serving_since(OperatorState(SETTINGS)) is None


def test_a_chart_needs_two_points():
    points = [Measured(f"g{n}", 0.5 + n / 10, 0.4 + n / 10, 0.6 + n / 10) for n in range(3)]
    assert chart({"candidate": points[:1]}) is None
    drawn = chart({"candidate": points})
    assert drawn is not None
    dots = drawn.lines["candidate"]
    assert [dot.x for dot in dots] == sorted(dot.x for dot in dots)
    assert all(dot.low_y > dot.y > dot.high_y for dot in dots), "up is more"
    assert dots[2].y < dots[0].y


def test_what_fails_stands_first():
    def a(name: str, verdict: str, **fields: object) -> Check:
        return Check.model_validate({"name": name, "verdict": verdict, "reason": "", **fields})

    checks = [a("b", "pass"), a("a", "pass", alarm=True), a("d", "inconclusive"), a("c", "fail", delta=-0.1,
              ci_low=-0.2, ci_high=-0.05)]  # fmt: skip
    rows = gate_rows(Decision(decision_id="d", verdict="fail", checks=checks))
    assert [row.check.name for row in rows] == ["c", "d", "a", "b"]
    assert rows[0].told == "-0.100 (-0.200 to -0.050)"
    assert measured(Decision(decision_id="d", verdict="fail")) is None


def test_what_was_measured_is_drawn_oldest_first_for_systems_that_all_runs_have():
    score = Score(mean=0.5, ci_low=0.4, ci_high=0.6, n=9)
    both, alone = {"candidate": {"all": score}, "bm25": {"all": score}}, {"candidate": {"all": score}}

    def told(name: str, ndcg10: dict[str, dict[str, Score]]) -> EvaluationTold:
        decision = Decision(decision_id=name, verdict="pass", ndcg10=ndcg10)
        return EvaluationTold.model_validate(decision, from_attributes=True)

    drawn = over_generations([told("new", alone), told("old", both)])
    assert drawn is not None
    assert list(drawn.lines) == ["candidate"]
    assert [dot.of.label for dot in drawn.lines["candidate"]] == ["old (pass)", "new (pass)"]
    assert over_generations([]) is None
    assert over_generations([told("new", alone), told("old", both)], "unseen") is None
    torso = {"candidate": {"all": score, "torso": score, "unseen": score}}
    assert segments_of([told("a", torso), told("b", torso)]) == ["all", "unseen", "torso"]
    assert segments_of([told("a", torso), told("b", alone)]) == ["all"]
    assert segments_of([]) == []


def test_segments_are_drawn_on_one_scale_with_the_candidate_first():
    def a(mean: float) -> Score:
        return Score(mean=mean, ci_low=mean - 0.1, ci_high=mean + 0.1, n=9)

    ndcg10 = {"bm25": {"all": a(0.3), "unseen": a(0.2)}, "popularity": {"all": a(0.1)},
              "candidate": {"unseen": a(0.5), "all": a(0.6)}}  # fmt: skip
    rows = by_segment(Decision(decision_id="d", verdict="pass", ndcg10=ndcg10))
    assert [(row.segment, row.system) for row in rows] == [
        ("all", "candidate"), ("all", "bm25"), ("unseen", "candidate"), ("unseen", "bm25"),
    ]  # fmt: skip
    assert (rows[0].figure.high, rows[3].figure.low) == (200.0, 0.0), "the scale is that of all rows"
    assert all(row.figure.low < row.figure.mean < row.figure.high for row in rows)
    assert by_segment(Decision(decision_id="d", verdict="fail")) == []


def test_queries_that_moved_are_told_by_how_much_and_what_cannot_be_read_is_left_out():
    examples: list[dict[str, str | list[str]]] = [
        {"query": "q1", "ndcg10": "0.500 -> 0.250", "live": ["a"], "candidate": ["b"], "relevant": ["a"]},
        {"query": "q2", "ndcg10": "0.000 -> 1.000"},
        {"query": "q3", "ndcg10": "better"}, {"query": "q4", "ndcg10": ["0 -> 1"]}, {},
    ]  # fmt: skip
    found = moved(Decision(decision_id="d", verdict="fail", examples=examples))
    assert [(one.query, one.change) for one in found] == [("q2", 1.0), ("q1", -0.25)]
    assert (found[1].live, found[1].relevant, found[0].live) == (["a"], ["a"], [])


def test_the_pace_of_a_run_is_that_of_its_reports_since_it_began():
    def at(seconds: float, progress: float, state: RunState = RunState.TRAINING) -> TrainingRun:
        return TrainingRun(run_id="r", state=state, progress=progress, at=NOW + timedelta(seconds=seconds))

    told = [at(0, 0.0, RunState.QUEUED), at(600, 0.05), at(660, 0.25)]
    state = after(*(record("training-runs", run.to_json(), b"r") for run in told))
    found = pace(state.seen_first.get("r"), told[-1])
    assert found is not None, "the time in the queue does not count"
    assert (found.per_min, found.to_go) == (pytest.approx(0.2), timedelta(seconds=225))
    assert pace(told[-1], told[-1]) is None
    assert pace(None, told[-1]) is None
    ended = at(700, 1.0, RunState.FAILED)
    assert pace(told[1], ended) is None
    state.take(record("training-runs", ended.to_json(), b"r"))
    assert state.seen_first.get("r") is None


def test_from_event_to_effect_it_took_as_long_as_the_newest_deployed_run_says():
    def a_run(run_id: str, **metrics: float) -> TrainingRun:
        return TrainingRun(run_id=run_id, state=RunState.DEPLOYED, metrics=metrics)

    runs = a_run("r2", event_to_effect_s=90.5), a_run("r1", event_to_effect_s=5.0), a_run("r3", ndcg=1.0)
    state = after(*(record("training-runs", one.to_json(), one.run_id.encode()) for one in runs))
    found = freshest(state)
    assert found is not None
    assert (found[0].run_id, found[1]) == ("r2", timedelta(seconds=90.5))
    assert freshest(after()) is None


def test_no_number_of_a_record_breaks_a_page():
    run = TrainingRun(
        run_id="r1", state=RunState.TRAINING, progress=1e308, metrics={"event_to_effect_s": 1e300}
    )
    assert freshest(after(record("training-runs", run.to_json(), b"r1"))) is None
    drawn = chart({"candidate": [Measured(name, 1e300, 1e300, 1e300) for name in ("old", "new")]})
    assert drawn is not None
    facts: dict[str, object] = {
        "run": run, "pace": None, "asked_by": [], "decision": None, "runs": [run], "more": False,
        "trigger": None, "chart": drawn, "segment": "all", "segments": ["all"],
    }  # fmt: skip
    for template in ("run.html", "runs.html"):
        assert page(template, section="/console/runs", as_of=NOW, **facts).status_code == 200


@pytest.mark.parametrize(
    ("action", "target", "refused"),
    [
        ("promote", "1", None),
        ("promote", "3", "serves already"),
        ("promote", "2", "has no index"),
        ("promote", "9", "no generation"),
        ("promote", "9" * 5000, "no generation"),
        ("promote", "x", "no generation"),
        ("rollback", None, None),
        ("rollback-model", None, None),
        ("pin", None, None),
        ("abort", None, "Nothing is being built"),
        ("cancel", "r1", "no run"),
        ("train", None, None),
    ],
)
def test_an_action_says_what_it_will_do_or_why_it_cannot(
    action: str, target: str | None, refused: str | None
):
    state = serving(a_release(1, ReleaseState.RETIRED), a_release(2, ReleaseState.DROPPED), a_release(3))
    about = consequence(action, state, target)
    assert about is not None
    assert (refused in about.refused) if refused and about.refused else about.refused == refused
    assert about.route.startswith("/v1/")
    assert about.sentences[0] or about.refused


def test_before_anything_serves_nothing_can_be_rolled_back_or_pinned():
    state = OperatorState(SETTINGS)
    for action in ("rollback", "rollback-model", "pin", "unpin", "pause", "resume", "abort", "promote"):
        about = consequence(action, state, "1")
        assert about is not None
        assert about.refused, action
    assert consequence("nothing", state, None) is None


def test_a_rollback_of_a_refresh_says_that_the_model_stays():
    same = {"model_sha256": "same"}
    state = serving(a_release(1, ReleaseState.RETIRED, **same), a_release(2, kind="refresh", **same))
    about = consequence("rollback", state, None)
    assert about is not None
    assert "the same model serves on" in " ".join(about.sentences)
    assert about.body == {"expected_generation": 2}


def test_alarms_are_what_a_person_should_look_at():
    gauges = TopicGauges(SETTINGS)
    assert [alarm.bad for alarm in alarms(OperatorState(SETTINGS), gauges, NOW)] == [True]
    state = serving(a_release(1), pinned=True)
    assert ["No searcher is ready" in alarm.text for alarm in alarms(state, gauges, NOW)] == [True, False]
    good = SearcherReport(searcher_id="s", generation=1, sequence=5, ready=True, recent_p95_ms=9.5, at=NOW)
    state.take(record("searcher-reports", good.to_json(), b"s"))
    failed = TrainingRun(run_id="r1", state=RunState.FAILED_GATE, detail="worse than live")
    state.take(record("training-runs", failed.to_json(), b"r1"))
    told = [alarm.text for alarm in alarms(state, gauges, NOW)]
    assert any("pinned" in text for text in told)
    assert any("worse than live" in text for text in told)
    assert len(told) == 2
    silent = NOW + timedelta(minutes=2)
    assert any(alarm.bad for alarm in alarms(state, gauges, silent)), "a searcher that is silent is none"
    state.take(record("searcher-reports", None, b"s"))
    assert any(alarm.bad for alarm in alarms(state, gauges, NOW))
    assert [stage.name for stage in stages(state, gauges, NOW)] == [
        "Shop", "Intake", "Attribute", "Count", "Train", "Index", "Search",
    ]  # fmt: skip


def test_what_searchers_sign_with_is_not_kept():
    report = SearcherReport(searcher_id="s", sequence=1, ready=True, seal_key="secret")
    state = after(record("searcher-reports", report.to_json(), b"s"))
    assert [one.seal_key for one in state.searchers] == [None]


def test_a_text_of_anybody_is_text_on_every_page():
    run = TrainingRun(run_id="r", state=RunState.FAILED, detail=HOSTILE)
    decision = Decision(
        decision_id="r", verdict="fail", reasons=[HOSTILE],
        checks=[Check(name=HOSTILE, verdict="fail", reason=HOSTILE, segment=HOSTILE)],
        examples=[{"query": HOSTILE, "ndcg10": "0 -> 1", "live": [HOSTILE], "candidate": HOSTILE}],
        ndcg10={HOSTILE: {HOSTILE: Score(mean=1, ci_low=1, ci_high=1, n=1)}},
    )  # fmt: skip
    shown = page(
        "run.html", section="/console/runs", as_of=datetime.now(UTC), run=run, decision=decision,
        rows=gate_rows(decision), table=measured(decision), segments=by_segment(decision),
        moved=moved(decision), pace=None, asked_by=[HOSTILE],
    )  # fmt: skip
    text = bytes(shown.body).decode()
    assert "<script>alert" not in text
    assert text.count("&lt;script&gt;alert") >= 9
    assert "default-src 'none'" in shown.headers["content-security-policy"]


def test_what_stands_elsewhere_and_what_moved_is_told_beside_what_serves():
    def told(*order: str) -> SearchResponse:
        hits = [
            ScoredHit(product_id=i, rank=n, score=1.0, parts={"dense": 1.0}) for n, i in enumerate(order, 1)
        ]
        timings = Timings(queue_ms=1, embed_ms=2, search_ms=3, total_ms=7)
        return SearchResponse(request_id="r", status=Status.OK, hits=hits, timings=timings)

    live, words = side_by_side(
        {"live": told("a", "b", "c"), "words": told("c", "x")}, {"live": 10.0, "words": 5.0}
    )
    assert [dict(one.elsewhere) for one in live.hits] == [{}, {}, {"BM25 alone": 1}]
    assert [(one.moved, one.made_of) for one in words.hits] == [(-2, "dense 1.000"), (None, "")]
    assert [(t.name, t.value) for t in live.times] == [
        ("queue", 1), ("encode", 2), ("search", 3), ("Kafka and the rest", 4),
    ]  # fmt: skip
    assert sum(t.wide for t in words.times) == 120, "the longest fills the bar; inside is never less"


@pytest.mark.parametrize(
    ("kind", "body", "found"),
    [
        ("multipart/form-data", b"", {}),
        ("multipart/form-data; boundary=b", b"", {}),
        ("multipart/form-data; boundary=b", b"--b\r\nnothing\r\n--b--", {}),
        (
            'multipart/form-data; boundary="b c"',
            b'--b c\r\nContent-Disposition: form-data; name="image"\r\n\r\n\n\x00\r\n\r\n--b c--',
            {"image": b"\n\x00\r\n"},
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="q"\r\n\r\ncut',
            {},
        ),
    ],
)
def test_a_file_comes_as_it_was_sent(kind: str, body: bytes, found: dict[str, bytes]):
    assert fields_with_files(kind, body) == found


def test_a_form_that_names_nothing_costs_no_more_than_its_bytes():
    """One of ten megabytes, which a pattern looked for from each of its words to its end, took hours."""
    began = time.perf_counter()
    body = b"--b\r\n" + b"content-disposition:" * 40_000 + b"\r\n--b--"
    assert fields_with_files("multipart/form-data; boundary=b", body) == {}
    assert time.perf_counter() - began < 5


def test_half_a_surrogate_pair_is_shown_as_it_came():
    """A letter that was refused for one, and any page of it, could not be shown."""
    value = '{"user_query": "\\ud800"}'
    letter = LetterTold(
        topic="searches", offset=1, reason="undecodable_text", errors="[]", key="", value=value, cut=False,
        replays=0,
    )  # fmt: skip
    shown = page(
        "letter.html", section="/console/data", as_of=None, letter=letter, errors=errors_of(letter),
        pretty=pretty(letter), event=None,
    )  # fmt: skip
    assert b"\\ud800" in bytes(shown.body)


def test_what_is_copied_into_a_shell_is_one_word_of_it_whatever_it_holds():
    """A page's address is anybody's: its query was a part of the command line that the page tells to run."""
    hostile = "$(touch /tmp/x) `id` ' \" -q"
    asked = {"q": hostile, "where": f"brand == {hostile}\n\n", "sort": "newest"}
    assert shlex.split(command_line(asked, pictured=True, ranking="previous")) == [
        "searchloop", "search", "--explain", "--ranking", "previous", "--image", "FILE",
        "--where", f"brand == {hostile}", "--sort", "newest", "--", hostile,
    ]  # fmt: skip
    about = consequence("cancel", OperatorState(SETTINGS), hostile)
    assert about is not None
    assert shlex.split(about.verb) == ["searchloop", "train", "--cancel", hostile]
    shown = page(
        "pairs.html", section="/console/queries", as_of=None, fault=None, query=hostile, rows=[], more=0,
        bars=None, pictures={},
    )  # fmt: skip
    copied = re.search(r"data-copy><code>(searchloop pairs.*?)</code>", bytes(shown.body).decode(), re.DOTALL)
    assert copied is not None
    assert shlex.split(html.unescape(copied[1])) == ["searchloop", "pairs", "--days", "--", hostile]


def test_no_template_quotes_a_word_for_the_shell_as_json():
    """Between the double quotes of JSON a shell still carries out what stands in ``$()``."""
    templates = list(Path(console_pages.__file__).with_name("templates").glob("*.html"))
    assert templates
    for template in templates:
        copied = template.read_text().partition("{% block copies %}")[2]
        assert not re.search(r"json_text(?!\|shell)", copied), template.name


def test_a_table_as_a_file_holds_no_formula_and_every_cell():
    rows = [
        {"a": "=cmd()", "b": -1.5, "c": None, "d": ["x", 'y "z"']},
        {"a": "plain", "b": 2, "c": True, "d": []},
    ]
    read = list(csv.DictReader(as_csv(rows).splitlines()))
    assert [row["a"] for row in read] == ["'=cmd()", "plain"]
    assert (read[0]["b"], read[0]["c"], json.loads(read[0]["d"])) == ("-1.5", "", ["x", 'y "z"'])
    assert as_csv([]) == ""
