"""Modules that are loaded when they are first needed."""

import subprocess
import sys

import pytest

from process.lazy_import import lazy_import

LAZY = """
import gc
import sys
from process.lazy_import import lazy_import
before = set(sys.modules)
numpy = lazy_import("numpy")
assert set(sys.modules) - before == {"numpy"}
assert numpy.arange(3).sum() == 3
assert "numpy.linalg" in sys.modules
assert gc.isenabled()
assert type(numpy.__loader__).__name__ == type(numpy.__spec__.loader).__name__ == "SourceFileLoader"
import numpy as again
assert again is numpy is lazy_import("numpy")
"""


def test_a_module_is_loaded_when_something_of_it_is_asked_for() -> None:
    subprocess.run([sys.executable, "-c", LAZY], check=True)


def test_one_that_is_not_there_is_an_error_at_once() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"no module json\.nothing"):
        lazy_import("json.nothing")


def test_a_run_loads_torch_only_to_train() -> None:
    """It takes seconds of CPU and a gigabyte; all other steps, and those after a restart, go without."""
    asked = (
        "import sys, trainer.retrain; print(sorted({'torch', 'transformers', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
