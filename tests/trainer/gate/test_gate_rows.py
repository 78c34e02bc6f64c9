"""The rows of the gate are declared once: every check has its row, and docs/gate.md says the same of each."""

import re
from pathlib import Path

import numpy as np
import pytest

from schemas.settings import GateSettings
from tests.trainer.gate.test_verdict import LIMITS, SHOWN, SOUND, evidence
from trainer.evaluation.artefact import Artefact
from trainer.gate.gate_rows import GATE_ROWS
from trainer.gate.verdict import decide

PAGE = Path(__file__).resolve().parents[3] / "docs" / "gate.md"
JUDGED = {"mine": {"candidate": np.full(9, 0.2), "live": np.full(9, 0.8)}}
NARROW = SHOWN.model_copy(update={"coverage": 0.1, "gini": 0.9, "new": 0.0})
BROKEN = Artefact(
    finite=False, dim=3, norm_error=1.0, parity=0.0, mean_cosine=1.0, effective_rank=1.0, form="other"
)
# Between them every rule is broken.
CASES = {
    "a good candidate": evidence(0.05, judged=JUDGED),
    "a bad one": evidence(
        -0.05,
        judged=JUDGED,
        exposure={"candidate": NARROW, "live": SHOWN, "base_dense": SHOWN},
        overlap=0.1,
        artefacts={"candidate": BROKEN, "live": SOUND},
    ),
    "a lucky one": evidence(0.001, n=80, noise=0.2, judged=JUDGED, clients=["one"] * 80),
}


def row_of(name: str) -> str:
    return re.sub(r"^(segment|metric|judgments)_.*", r"\1_NAME", name)


@pytest.mark.parametrize("case", CASES)
def test_every_check_has_its_row_and_every_row_its_check(case):
    assert {row_of(check.name) for check in decide(CASES[case], LIMITS)[1]} == GATE_ROWS.keys()


@pytest.mark.parametrize("case", CASES)
def test_a_breach_is_one_of_those_that_the_row_names(case):
    for check in decide(CASES[case], LIMITS)[1]:
        assert check.verdict in {"pass", *GATE_ROWS[row_of(check.name)].breach}, check.name


def test_a_limit_is_a_setting_of_the_gate_or_a_number():
    for row in GATE_ROWS.values():
        assert not isinstance(row.limit, str) or row.limit in GateSettings.model_fields


def test_the_page_lists_the_rows_and_what_comes_of_a_breach():
    table = PAGE.read_text(encoding="utf-8").partition("## The rows")[2].partition("\n## ")[0]
    found = {}
    for line in table.splitlines():
        if line.startswith("| `"):
            names, _, other, *_ = (cell.strip() for cell in line[1:].split(" | "))
            for name in re.findall(r"`(\w+)`", names.partition(":")[0]):
                found[name] = set(re.findall(r"\b(fail|inconclusive)\b", other)) or other
    assert found == {name: set(row.breach) or "alarm only" for name, row in GATE_ROWS.items()}
