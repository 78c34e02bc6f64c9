"""What a searcher counts and measures, for Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0)

ANSWERS = Counter("searchloop_search_answers", "Answers written, by status", ["status"])
REPEATED = Counter("searchloop_search_repeated", "Records that were read again and had been answered: they got no second answer")
AGAIN = Counter("searchloop_search_answered_again", "Requests that were sent again after their answer and got the same one")
OVERLOADED = Counter("searchloop_search_overloaded", "Requests refused because they would have waited too long, or for want of room")
WAITING = Gauge("searchloop_search_waiting", "Requests that were read and wait for their turn")
SKEWED = Counter(
    "searchloop_search_clock_skew", "Requests whose record's time is more than 2 s behind or ahead of our clock", ["direction"]
)
REFUSED_TOPICS = Counter("searchloop_search_refused_reply_topics", "Requests that named a reply topic that is not allowed", ["topic"])
UNWRITABLE = Counter("searchloop_search_unwritable", "Answers that the topic did not take; another took their place", ["topic"])
UNANSWERABLE = Counter("searchloop_search_unanswerable", "Bad requests whose id could not be recovered")
RETRIED = Counter("searchloop_search_retried", "Requests embedded and searched a second time after a failure")
TOTAL_SECONDS = Histogram("searchloop_search_seconds", "From the request's Kafka timestamp to its answer", buckets=_SECONDS)
BATCH_SIZE = Histogram("searchloop_search_batch", "Requests answered together", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256))
GENERATION = Gauge("searchloop_searcher_generation", "The generation that serves")
SEQUENCE = Gauge("searchloop_searcher_sequence", "The sequence of the live pointer that serves")
LOAD_FAILURES = Counter("searchloop_release_load_failures", "Releases that could not be loaded; the one before kept serving")
LOAD_SECONDS = Gauge("searchloop_release_load_seconds", "How long the newest release took to open and warm")
FOREIGN_POINTERS = Counter("searchloop_foreign_pointers", "Live pointers on releases that follow none of ours, passed over.")
