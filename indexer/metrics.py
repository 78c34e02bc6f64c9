"""Prometheus metrics of the indexer."""

from prometheus_client import Counter, Gauge, Histogram

LIVE_GENERATION = Gauge("searchloop_live_generation", "Number of the live generation.")
SEQUENCE = Gauge("searchloop_live_sequence", "Sequence of the live pointer: how often it has changed.")
CATALOG_PRODUCTS = Gauge("searchloop_catalog_products", "Products in the catalogue.")
CATALOG_WAITING = Gauge(
    "searchloop_catalog_waiting", "Changed products not yet written to every collection in use."
)
CATALOG_STALE = Gauge(
    "searchloop_catalog_stale",
    "Catalogue records skipped since the start because their version was not newer.",
)
CATALOG_UNREADABLE = Gauge(
    "searchloop_catalog_unreadable",
    "Catalogue records skipped since the start because they do not match the schema.",
)
ROWS_WRITTEN = Counter("searchloop_index_rows_written", "Rows written to collections, by cause.", ["cause"])
FOREIGN_RELEASES = Counter(
    "searchloop_foreign_releases",
    "Records on releases written by somebody else than this indexer, and overwritten by it.",
)
ROWS_REFUSED = Counter("searchloop_index_rows_refused", "Products skipped because they do not fit the index.")
ROWS_DELETED = Counter("searchloop_index_rows_deleted", "Rows deleted from collections.")
VECTORS_REUSED = Counter(
    "searchloop_build_vectors_reused", "Vectors of a build reused from the candidate's training run."
)
VECTORS_REMEMBERED = Counter(
    "searchloop_vectors_remembered", "Embedding-cache hits: texts not encoded again."
)
COMMANDS = Counter(
    "searchloop_deployment_commands",
    "Deployment commands processed, by action and outcome.",
    ["action", "outcome"],
)
BUILDS = Counter("searchloop_builds", "Generation builds finished, by outcome.", ["outcome"])
BUILD_PAUSE = Gauge(
    "searchloop_build_pause_seconds",
    "Current pause between two steps of a build, made to protect search latency.",
)
GUARD_ROLLBACKS = Counter("searchloop_guard_rollbacks", "Automatic rollbacks after a promotion.")
CLICKS_CAME = Gauge(
    "searchloop_click_searches",
    "Searches with a valid searcher signature read from events since the start, by generation.",
    ["generation"],
)
CLICKS_UNPROVEN = Gauge(
    "searchloop_click_searches_unproven",
    "Searches that name a generation without a valid searcher signature, since the start.",
)
CLICK_SHARE = Gauge(
    "searchloop_click_share", "Share of searches sampled by the click-through test of a promotion; 1 for all."
)
CLICK_BLIND = Gauge(
    "searchloop_click_guard_blind",
    "1 while the click-through test of a promotion receives no searches of its generation, else 0.",
)
BUILD_SECONDS = Histogram(
    "searchloop_build_seconds", "Duration of a generation build.", buckets=(1, 5, 20, 60, 300, 1200, 3600)
)
