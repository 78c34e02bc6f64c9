"""The gate's limits are its settings.

From the environment, through the request of a run, to the threshold that a check names.
"""

from pathlib import Path

import pytest

from schemas.settings import GateSettings, TrainerSettings
from schemas.training import Check, Trigger
from tests.trainer.gate.test_verdict import evidence
from tests.trainer.run_folders import AT, a_run
from trainer.gate.verdict import decide
from trainer.run.request import Request

# Of each setting: a value that is not its default, the checks whose threshold it is, and that threshold for
# the evidence below.
SEGMENTS = [f"segment_{s}" for s in ("unseen", "head", "rare", "new_product", "no_engagement")]
THRESHOLDS = {
    "min_eval_queries": ("7", {"data_minimum": 7}),
    "gate_min_clients": ("7", {"data_clients": 7}),
    "gate_min_pairs": ("7", {"data_pairs": 7}),
    "gate_max_client_share": ("0.3", {"data_one_client": 0.3}),
    "gate_max_query_share": ("0.3", {"data_one_query": 0.3}),
    "gate_max_refused_share": ("0.3", {"data_refused": 0.3}),
    "gate_max_loss_base": ("0.003", {"vs_base": -0.003}),
    "gate_max_loss_best": ("0.003", {"ratchet": -0.003}),
    "gate_min_gain": ("0.003", {"vs_live": 0.003}),
    "gate_max_segment_loss": (
        "0.003",
        dict.fromkeys(SEGMENTS, -0.003),
    ),
    "gate_max_rare_query_loss": ("0.003", {"guard_rare": -0.003}),
    "gate_max_new_product_loss": (
        "0.003",
        {"guard_new_product": -0.003, "guard_no_engagement": -0.003},
    ),
    "gate_max_catastrophes": ("0.3", {"catastrophes": 0.3}),
    "gate_min_coverage": ("0.5", {"diversity_coverage": 0.5 * 0.6}),
    "gate_max_gini_rise": ("0.1", {"diversity_gini": 0.5 + 0.1}),
    "gate_min_new_exposure": ("0.5", {"diversity_new_products": 0.5 * 0.1}),
    "gate_min_new_exposure_base": ("0.5", {"guard_new_exposure": 0.5 * 0.1}),
    "gate_min_overlap": ("0.5", {"churn": 0.5}),
}
DRAWS = {"seed": "7", "gate_resamples": "700"}
OF_A_PAIR = {"min_clients": "7", "max_client_share": "0.3"}


def judged(**environ: str) -> dict[str, Check]:
    settings = TrainerSettings.load(
        {f"SEARCHLOOP_{name.upper()}": text for name, text in {"gate_resamples": "500", **environ}.items()}
    )
    request = Request.of("r", Trigger(trigger_id="t", requested_at=AT), settings)
    again = Request.model_validate_json(request.model_dump_json())
    return {check.name: check for check in decide(evidence(0.02, noise=0.1), again.settings)[1]}


def test_every_limit_is_tried() -> None:
    assert THRESHOLDS.keys() | DRAWS.keys() | {"gate_min_segment_queries"} == GateSettings.model_fields.keys()


@pytest.mark.parametrize("name", THRESHOLDS)
def test_a_setting_moves_the_limit_that_it_names_and_no_other(name: str) -> None:
    text, checks = THRESHOLDS[name]
    before, after = judged(), judged(**{name: text})
    assert {check: after[check].threshold for check in checks} == pytest.approx(checks)
    assert {n for n in before if before[n].threshold != after[n].threshold} == checks.keys()


def test_how_few_queries_are_too_few_for_a_veto_is_a_setting() -> None:
    before, after = judged(), judged(gate_min_segment_queries="68")
    reported = {
        name for name in before if before[name].reason != after[name].reason and "68" in after[name].reason
    }
    few = {"head", "new_product", "no_engagement"}
    assert reported == {f"segment_{s}" for s in few} | {"guard_new_product", "guard_no_engagement"}


@pytest.mark.parametrize("name", DRAWS)
def test_seed_and_resamples_move_the_bounds(name: str) -> None:
    assert judged(**{name: DRAWS[name]})["vs_live"].ci_low != judged()["vs_live"].ci_low


@pytest.mark.parametrize("name", OF_A_PAIR)
def test_what_weighs_one_pair_is_no_limit_of_the_gate(name: str) -> None:
    assert judged(**{name: OF_A_PAIR[name]}) == judged()


def test_without_settings_the_limits_are_those_of_docs_gate_md() -> None:
    documented = {
        "data_minimum": 100,
        "data_clients": 100,
        "data_pairs": 200,
        "data_one_client": 0.02,
        "data_one_query": 0.2,
    }
    found = judged()
    assert {name: found[name].threshold for name in documented} == documented


def test_a_run_is_judged_by_the_settings_of_its_request(tmp_path: Path) -> None:
    decision = a_run(tmp_path / "r", gate_min_clients=100, min_clients=1)
    (clients,) = [c for c in decision.checks if c.name == "data_clients"]
    assert (clients.verdict, clients.threshold) == ("inconclusive", 100)
    assert (decision.limits["min_clients"], decision.limits["max_client_share"]) == (100, 0.02)
