"""A process in which modules cannot be found that are installed here, as where they are not."""

import sys
from collections.abc import Iterable

_HIDE = """
import sys
class _Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, _Nothing())
"""


def without(modules: Iterable[str], code: str, *arguments: str) -> list[str]:
    """Return the command that runs ``code`` where these modules, by their first name, are not there."""
    return [sys.executable, "-c", _HIDE.format(hidden=set(modules)) + code, *arguments]
