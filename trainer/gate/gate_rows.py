"""The rows of the gate as data.

The name of each check, what comes of a breach, its limit, and the reason it is told with. ``docs/gate.md`` is
their table, with the reasons behind them; a test holds its columns against this one. Decides nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from schemas.settings import GateSettings
from trainer.gate.evidence import Verdict

FAIL: tuple[Verdict, ...] = ("fail",)
UNSURE: tuple[Verdict, ...] = ("inconclusive",)
EITHER: tuple[Verdict, ...] = ("fail", "inconclusive")
ALARM: tuple[Verdict, ...] = ()


@dataclass(frozen=True)
class GateRow:
    """``name``: that of its checks; NAME in it stands for a segment or a set of judgments.

    ``breach``: the verdicts that may follow when its rule does not hold; none: an alarm only. What is missing
    is always a fail. ``limit``: the setting that holds its number, or the number itself. ``reason``: what its
    check says, with places for what was found.
    """

    name: str
    breach: tuple[Verdict, ...]
    reason: str
    limit: str | float | None = None

    def limit_by(self, settings: GateSettings) -> float:
        """Return the number of the limit."""
        found = getattr(settings, self.limit) if isinstance(self.limit, str) else self.limit
        assert found is not None
        return float(found)

    def told(self, **found: object) -> str:
        """Return the reason with what was found in its places."""
        return self.reason.format(**found)


_GUARD = (
    "against the pretrained vectors alone, which know of no engagement, these queries may lose at most "
    "{limit}, with 95 % confidence over {segments} such groups (Bonferroni)"
)
_IN_ORDER = (
    GateRow("data_minimum", UNSURE, "test queries, at least", "min_eval_queries"),
    GateRow("data_clients", UNSURE, "distinct clients, at least", "gate_min_clients"),
    GateRow("data_pairs", UNSURE, "distinct pairs of query and product, at least", "gate_min_pairs"),
    GateRow(
        "data_one_client", FAIL, "share of all credit that one client holds, at most", "gate_max_client_share"
    ),
    GateRow(
        "data_one_query",
        FAIL,
        "share of the test's credit that one query holds, at most",
        "gate_max_query_share",
    ),
    GateRow(
        "data_refused",
        FAIL,
        "share of the raw records of late that were refused, at most",
        "gate_max_refused_share",
    ),
    GateRow("drift_category", ALARM, "greatest change of a category's share from training to test", 0.3),
    GateRow("drift_length", ALARM, "distance of the queries' lengths between training and test", 0.3),
    GateRow("drift_volume", ALARM, "credit a day, test to training; alarms below the inverse too", 2.0),
    GateRow("artefact_finite", FAIL, "all vectors are finite numbers"),
    GateRow("artefact_dim", FAIL, "the dimension is one of {dims}"),
    GateRow(
        "artefact_form",
        FAIL,
        "modules, pooling, prompts and tokenizer are those of the live or the pretrained model",
    ),
    GateRow("artefact_unit_norm", FAIL, "vectors have length 1", 1e-3),
    GateRow("artefact_parity", FAIL, "a text alone and in a batch get one vector", 0.9999),
    GateRow("artefact_collapse_cosine", FAIL, "products are as far apart as before", 0.9),
    GateRow("artefact_collapse_rank", FAIL, "the vectors use as many directions as before", 0.5),
    GateRow(
        "vs_live", EITHER, "the gain against live must be above {limit} with 95 % confidence", "gate_min_gain"
    ),
    GateRow(
        "vs_base",
        EITHER,
        "the loss against the pretrained model must be below {limit} with 95 % confidence",
        "gate_max_loss_base",
    ),
    GateRow(
        "ratchet",
        EITHER,
        "the loss against the best of the last generations must be below {limit} with 95 % confidence",
        "gate_max_loss_best",
    ),
    GateRow(
        "vs_bm25",
        EITHER,
        "the candidate's mean must not be below that of BM25; worse with 95 % confidence is a fail",
    ),
    GateRow("vs_bm25_head", FAIL, "frequent queries must not be worse than BM25's with 95 % confidence"),
    GateRow(
        "vs_popularity",
        EITHER,
        (
            "the candidate's mean must not be below that of popularity alone; worse with 95 % confidence "
            "is a fail"
        ),
    ),
    GateRow(
        "segment_NAME",
        FAIL,
        "no segment may lose more than {limit}, with 95 % confidence over {segments} segments (Bonferroni)",
        "gate_max_segment_loss",
    ),
    GateRow("guard_new_product", FAIL, _GUARD, "gate_max_new_product_loss"),
    GateRow("guard_no_engagement", FAIL, _GUARD, "gate_max_new_product_loss"),
    GateRow("guard_rare", FAIL, _GUARD, "gate_max_rare_query_loss"),
    GateRow(
        "metric_NAME",
        FAIL,
        "must not be worse than live with 95 % confidence over all further metrics (Bonferroni)",
    ),
    GateRow(
        "gain_beyond_one_category",
        EITHER,
        "without the category that gains most, {best!r}, there must be no loss",
    ),
    GateRow(
        "judgments_NAME",
        FAIL,
        "the operator's judgments {name!r} must not be answered worse than by live, with 95 % confidence",
    ),
    GateRow(
        "gain_beyond_one_client",
        UNSURE,
        "share of the gain that comes from queries of which one client holds most of the credit",
        0.5,
    ),
    GateRow(
        "catastrophes",
        FAIL,
        "share of queries whose best product was in live's first ten and is not in the candidate's",
        "gate_max_catastrophes",
    ),
    GateRow("pinned", FAIL, "{told}"),
    GateRow(
        "diversity_coverage",
        FAIL,
        "share of the catalogue in any first ten, of live's at least {limit}",
        "gate_min_coverage",
    ),
    GateRow(
        "diversity_new_products",
        FAIL,
        "share of places for products without training pairs, of live's at least {limit}",
        "gate_min_new_exposure",
    ),
    GateRow(
        "guard_new_exposure",
        FAIL,
        "share of places for products without training pairs, of what the pretrained vectors alone give them "
        "at least {limit}; no gain excuses it",
        "gate_min_new_exposure_base",
    ),
    GateRow(
        "diversity_gini",
        FAIL,
        "inequality (Gini) of what is shown, at most {limit} above live's",
        "gate_max_gini_rise",
    ),
    GateRow(
        "churn",
        UNSURE,
        "mean rank-biased overlap with live at least {limit}, or a sure gain above {sure_gain}",
        "gate_min_overlap",
    ),
    GateRow("rank_changes", ALARM, "{count} pairs rose within the first ten{told}"),
)
GATE_ROWS: Mapping[str, GateRow] = MappingProxyType({row.name: row for row in _IN_ORDER})
