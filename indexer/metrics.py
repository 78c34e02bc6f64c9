"""What the indexer counts, by the names on ``/metrics``."""

from prometheus_client import Counter, Gauge, Histogram

LIVE_GENERATION = Gauge("searchloop_live_generation", "The generation that serves.")
SEQUENCE = Gauge("searchloop_live_sequence", "Changes of the live pointer so far.")
CATALOG_PRODUCTS = Gauge("searchloop_catalog_products", "Products of the catalogue.")
CATALOG_WAITING = Gauge("searchloop_catalog_waiting", "Changed products that some collection does not hold yet.")
CATALOG_STALE = Gauge("searchloop_catalog_stale", "Catalogue records passed over because their version was not newer, since the start.")
CATALOG_UNREADABLE = Gauge(
    "searchloop_catalog_unreadable", "Catalogue records passed over because they do not fit the contract, since the start."
)
ROWS_WRITTEN = Counter("searchloop_index_rows_written", "Rows written to collections.", ["cause"])
FOREIGN_RELEASES = Counter("searchloop_foreign_releases", "Records on releases that this indexer did not write, overruled.")
ROWS_REFUSED = Counter("searchloop_index_rows_refused", "Rows that the index cannot hold, passed over.")
ROWS_DELETED = Counter("searchloop_index_rows_deleted", "Rows deleted from collections.")
VECTORS_REUSED = Counter("searchloop_build_vectors_reused", "Vectors of a build that were taken over from the candidate.")
VECTORS_REMEMBERED = Counter("searchloop_vectors_remembered", "Vectors that were not encoded because their text was, lately.")
COMMANDS = Counter("searchloop_deployment_commands", "Deployment commands.", ["action", "outcome"])
BUILDS = Counter("searchloop_builds", "Generations built.", ["outcome"])
BUILD_PAUSE = Gauge("searchloop_build_pause_seconds", "What a build waits between two steps, so that searches keep their latency.")
GUARD_ROLLBACKS = Counter("searchloop_guard_rollbacks", "Generations that the guard condemned.")
CLICKS_CAME = Gauge("searchloop_click_searches", "Searches with a seal that came back on events since the start.", ["generation"])
CLICKS_UNPROVEN = Gauge(
    "searchloop_click_searches_unproven", "Searches that name a generation and have no seal of a searcher, since the start."
)
CLICK_SHARE = Gauge("searchloop_click_share", "Share of the searches that the click test counts, drawn by a hash; 1 for all.")
CLICK_BLIND = Gauge("searchloop_click_guard_blind", "1 while the click guard does not see the searches of the generation it watches.")
BUILD_SECONDS = Histogram("searchloop_build_seconds", "Time from the start of a build to its end.", buckets=(1, 5, 20, 60, 300, 1200, 3600))
