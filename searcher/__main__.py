"""``python -m searcher``: one searcher, settings from the environment."""

from typing import TYPE_CHECKING

from process.lazy_import import lazy_import
from process.running import run_process
from schemas.settings import SearcherSettings

if TYPE_CHECKING:
    from searcher import running
else:
    running = lazy_import("searcher.running")

if __name__ == "__main__":
    run_process("searcher", SearcherSettings, running.work)
