"""``python -m api``: one HTTP API, settings from the environment."""

from api.running import work
from process.running import run_process
from schemas.settings import ApiSettings

if __name__ == "__main__":
    run_process("api", ApiSettings, work)
