"""Prometheus metrics of the searcher."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0)

ANSWERS = Counter("searchloop_search_answers", "Search responses written, by status.", ["status"])
REPEATED = Counter(
    "searchloop_search_repeated",
    "Request records read a second time (replay after a restart) and not answered again.",
)
AGAIN = Counter("searchloop_search_answered_again", "Duplicate requests answered from the response cache.")
OVERLOADED = Counter(
    "searchloop_search_overloaded",
    "Requests rejected as overloaded: the queue is full or the wait exceeds the timeout.",
)
WAITING = Gauge("searchloop_search_waiting", "Requests in the queue.")
SKEWED = Counter(
    "searchloop_search_clock_skew",
    "Requests whose record timestamp is more than 2 s behind or ahead of the local clock.",
    ["direction"],
)
REFUSED_TOPICS = Counter(
    "searchloop_search_refused_reply_topics",
    "Requests naming a reply topic that SEARCHLOOP_REPLY_TOPICS does not allow.",
    ["topic"],
)
UNWRITABLE = Counter(
    "searchloop_search_unwritable",
    "Responses that a reply topic did not accept (too large, or no answer), replaced by an error.",
    ["topic"],
)
UNANSWERABLE = Counter(
    "searchloop_search_unanswerable",
    "Invalid requests dropped because neither a request id nor a correlation id could be read.",
)
RETRIED = Counter(
    "searchloop_search_retried", "Requests retried once after a failure of encoding or of the index."
)
TOTAL_SECONDS = Histogram(
    "searchloop_search_seconds",
    "Search latency, from the request's Kafka timestamp to its response.",
    buckets=_SECONDS,
)
BATCH_SIZE = Histogram(
    "searchloop_search_batch", "Requests processed in one batch.", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256)
)
GENERATION = Gauge("searchloop_searcher_generation", "Number of the generation that this searcher serves.")
SEQUENCE = Gauge(
    "searchloop_searcher_sequence", "Sequence of the live pointer that this searcher has applied."
)
ONNX = Gauge(
    "searchloop_searcher_onnx",
    "Whether ONNX Runtime encodes the small batches of the generation that serves (1), or torch (0).",
)
LOAD_FAILURES = Counter(
    "searchloop_release_load_failures", "Releases that failed to load; the previous one kept serving."
)
LOAD_SECONDS = Gauge("searchloop_release_load_seconds", "Time to load and warm up the newest release.")
RULES_HELD = Gauge("searchloop_searcher_rules", "Merchandising rules that this searcher applies.")
RULES_REFUSED = Counter(
    "searchloop_rules_refused", "Records of the topic rules that hold no rule, or one too many."
)
EXPLORED = Counter(
    "searchloop_search_explored",
    "Answers in which a drawn new product was shown above its place.",
)
FOREIGN_POINTERS = Counter(
    "searchloop_foreign_pointers",
    "Live pointers on releases ignored because they do not continue the indexer's sequence.",
)
