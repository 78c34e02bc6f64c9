"""``python -m indexer``: one indexer, settings from the environment."""

from typing import TYPE_CHECKING

from process.lazy_import import lazy_import
from process.running import run_process
from schemas.settings import IndexerSettings

if TYPE_CHECKING:
    from indexer import running
else:
    running = lazy_import("indexer.running")

if __name__ == "__main__":
    run_process("indexer", IndexerSettings, running.work)
