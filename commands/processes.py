"""Programs of their own, run here as ``python -m`` runs them.

They are ``stream``, ``trainer``, ``indexer``, ``searcher``, ``api``, ``schemas``.
"""

import runpy
import sys
from typing import Literal


def stream(*, only: Literal["intake", "learn", "pictures"] | None) -> None:
    """Run intake, attribution and aggregation, or only a part of it."""
    _run("stream", *(("--only", only) if only else ()))


def trainer() -> None:
    """Run the trainer."""
    _run("trainer")


def indexer() -> None:
    """Run the indexer."""
    _run("indexer")


def searcher() -> None:
    """Run a searcher."""
    _run("searcher")


def api() -> None:
    """Run the HTTP API."""
    _run("api")


def schemas(*, check: bool) -> None:
    """Write what is generated from the code, or say whether it is up to date."""
    _run("schemas.publish", *(("--check",) if check else ()))


def _run(module: str, *arguments: str) -> None:
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
