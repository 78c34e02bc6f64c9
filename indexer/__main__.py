"""``python -m indexer``: one indexer, settings from the environment."""

from indexer.running import work
from process.running import run_process
from schemas.settings import IndexerSettings

if __name__ == "__main__":
    run_process("indexer", IndexerSettings, work)
