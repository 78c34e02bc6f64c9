"""A module that is loaded when something of it is first asked for.

For those that take seconds and hundreds of megabytes and that a process may never need. Type checkers see a
usual import beside it, under ``TYPE_CHECKING``.
"""

import importlib.util
import sys
from types import ModuleType


def lazy_import(name: str) -> ModuleType:
    """Return the module, loaded or not. Raises ``ModuleNotFoundError`` at once when there is none.

    >>> lazy_import("json.tool").__name__
    'json.tool'
    """
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"no module {name}", name=name)
    loader = importlib.util.LazyLoader(spec.loader)
    spec.loader = loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    return module
