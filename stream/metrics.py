"""Prometheus metrics of the stream. Conservation: read = accepted + refused + ignored, per topic."""

from prometheus_client import Counter, Gauge

RECORDS = Counter(
    "searchloop_intake_records",
    "Raw records processed by intake, by topic, outcome and rejection reason.",
    ["topic", "outcome", "reason"],
)
UNKNOWN_LINES = Counter(
    "searchloop_intake_unknown_lines", "Order lines dropped because their product is not in the catalogue."
)
PENDING = Gauge(
    "searchloop_pending_events",
    "Events refused as unknown_product that will be retried if their product arrives in time.",
)
REJOINED = Counter(
    "searchloop_rejoined_events",
    "Events refused as unknown_product and retried after their product had arrived.",
)
EVENTS = Counter(
    "searchloop_attribute_events", "Events processed by attribution, by kind or action.", ["kind"]
)
CONTRIBUTIONS = Counter(
    "searchloop_contributions", "Contributions written by attribute and applied by aggregate.", ["step"]
)
FENCED = Counter(
    "searchloop_fence_skips", "Replayed records skipped because the table had applied them before.", ["step"]
)
EVICTED = Counter(
    "searchloop_attribute_evictions",
    "Searches, clicks and orders evicted because their shopper's state was full.",
)
UNCREDITED = Counter(
    "searchloop_attribute_uncredited",
    "Interactions not credited to a search on arrival: repeated, late, or no matching search known yet.",
)
LATE = Counter(
    "searchloop_attribute_late",
    "Events dropped because they are older than the state kept for their shopper.",
)
GONE = Counter("searchloop_gone_shoppers", "Inactive shoppers removed from the state table.")
FOLDED = Counter("searchloop_folded_pairs", "Pairs whose old daily counts were merged into longer periods.")
FORGOTTEN = Counter("searchloop_forgotten_shoppers", "Erasure requests carried out.")
ERASED = Counter("searchloop_erased_pairs", "Pairs from which an erased client was removed.")
DROPPED = Counter("searchloop_dropped_pairs", "Pairs deleted because no client is left in them.")
GAPS = Counter("searchloop_gaps", "Offsets missing between two consecutive records: must stay 0.", ["topic"])
PICTURES = Counter(
    "searchloop_pictures",
    "Pictures of products that were looked at: prepared, unchanged, or why they were refused.",
    ["outcome"],
)
LAG = Gauge(
    "searchloop_lag_records", "Consumer lag of a step in records, summed over its workers.", ["step", "topic"]
)
UNREADABLE = Counter(
    "searchloop_unreadable_facts",
    "Records on internal topics that could not be decoded, and were skipped.",
    ["topic"],
)
