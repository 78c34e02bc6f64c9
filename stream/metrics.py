"""The counters of the stream, for ``/metrics``. Conservation: read = accepted + refused + ignored, per topic."""

from prometheus_client import Counter

RECORDS = Counter("searchloop_intake_records", "Raw records by topic and what became of them.", ["topic", "outcome", "reason"])
UNKNOWN_LINES = Counter("searchloop_intake_unknown_lines", "Lines dropped from interactions because their product is unknown.")
EVENTS = Counter("searchloop_attribute_events", "Clean events by kind or action.", ["kind"])
CONTRIBUTIONS = Counter("searchloop_contributions", "Contributions written and applied.", ["step"])
FENCED = Counter("searchloop_fence_skips", "Positions that had been applied before: replays.", ["step"])
EVICTED = Counter("searchloop_attribute_evictions", "Facts forgotten because a shopper had too many.")
LATE = Counter("searchloop_attribute_late", "Events that came after their time had been forgotten.")
GAPS = Counter("searchloop_gaps", "Offsets that were never seen between two records: must stay zero.", ["topic"])
UNREADABLE = Counter("searchloop_unreadable_facts", "Facts on internal topics that are not ours.", ["topic"])
