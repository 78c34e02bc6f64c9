"""The counters of the stream, for ``/metrics``. Conservation: read = accepted + refused + ignored, per topic."""

from prometheus_client import Counter, Gauge

RECORDS = Counter("searchloop_intake_records", "Raw records by topic and what became of them.", ["topic", "outcome", "reason"])
UNKNOWN_LINES = Counter("searchloop_intake_unknown_lines", "Lines dropped from interactions because their product is unknown.")
PENDING = Gauge("searchloop_pending_events", "Refused events that wait for their product to arrive.")
REJOINED = Counter("searchloop_rejoined_events", "Refused events that were sent again because their product arrived.")
EVENTS = Counter("searchloop_attribute_events", "Clean events by kind or action.", ["kind"])
CONTRIBUTIONS = Counter("searchloop_contributions", "Contributions written and applied.", ["step"])
FENCED = Counter("searchloop_fence_skips", "Positions that had been applied before: replays.", ["step"])
EVICTED = Counter("searchloop_attribute_evictions", "Facts forgotten because a shopper had too many.")
UNCREDITED = Counter(
    "searchloop_attribute_uncredited", "Interactions that earned nothing when they came: repeated, late, or no search of them is known yet."
)
LATE = Counter("searchloop_attribute_late", "Events that came after their time had been forgotten.")
GONE = Counter("searchloop_gone_shoppers", "Shoppers that are remembered no more: unheard of for long.")
FOLDED = Counter("searchloop_folded_pairs", "Pairs of which old days were summed.")
FORGOTTEN = Counter("searchloop_forgotten_shoppers", "Requests to forget a shopper that were carried out.")
ERASED = Counter("searchloop_erased_pairs", "Pairs from which a forgotten client was erased.")
DROPPED = Counter("searchloop_dropped_pairs", "Pairs removed because nobody stands in them any more.")
GAPS = Counter("searchloop_gaps", "Offsets that were never seen between two records: must stay zero.", ["topic"])
LAG = Gauge("searchloop_lag_records", "Records that the step has still to process, of all workers together.", ["step", "topic"])
UNREADABLE = Counter("searchloop_unreadable_facts", "Facts on internal topics that are not ours.", ["topic"])
