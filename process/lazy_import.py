"""A module that is loaded when something of it is first asked for, and without garbage collection.

For those that take seconds and hundreds of megabytes and that a process may never need. Type checkers see a
usual import beside it, under ``TYPE_CHECKING``.
"""

import gc
import importlib.util
import sys
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
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
    loader = importlib.util.LazyLoader(_Uncollected(spec.loader))
    spec.loader = loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    return module


class _Uncollected(Loader):
    """Loads as another loader does: a collection among thousands of new modules finds nothing.

    It takes a sixth of the CPU time of loading torch and what comes with it.
    """

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        collecting = gc.isenabled()
        gc.disable()
        try:
            self._loader.exec_module(module)
        finally:
            if collecting:
                gc.enable()
