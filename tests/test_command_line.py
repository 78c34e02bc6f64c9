"""The command line: what a verb takes is what its code takes.

And asking for help loads nothing that help does not need.
"""

import ast
import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import get_type_hints

import pytest

import cli

ROOT = Path(__file__).parents[1]
EVERY = {
    **cli.VERBS,
    **{f"{group} {name}": verb for (group, _), verbs in cli.GROUPS.items() for name, verb in verbs.items()},
}
# What a verb needs when it runs, and nobody needs to read its help.
HEAVY = {
    "torch",
    "pydantic",
    "aiokafka",
    "numpy",
    "polars",
    "pymilvus",
    "schemas",
    "broker",
    "stream",
    "trainer",
    "indexer",
    "searcher",
    "api",
    "fastapi",
}


@pytest.mark.model
@pytest.mark.parametrize("name", EVERY)
def test_a_verb_s_code_takes_what_its_options_promise(name: str):
    module, function = cli.carried_out_by(EVERY[name])
    done_by = getattr(import_module(module), function)
    assert get_type_hints(done_by) == get_type_hints(EVERY[name])
    taken = inspect.signature(done_by).parameters
    assert set(taken) == set(inspect.signature(EVERY[name]).parameters)
    assert {p.default for p in taken.values()} <= {inspect.Parameter.empty}, "a default stands in the options"


@pytest.mark.parametrize(
    "arguments", [[], ["train"], ["send"], ["evaluate"], ["doctor"], ["dlq", "replay"], ["gate", "power"]]
)
def test_help_loads_none_of_the_heavy_modules(arguments: list[str]):
    told = subprocess.run(
        [sys.executable, "-X", "importtime", "cli.py", *arguments, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Usage: " in told.stdout
    loaded = {
        line.rsplit("|", 1)[1].strip() for line in told.stderr.splitlines() if line.startswith("import time:")
    }
    assert {name.split(".")[0] for name in loaded} & HEAVY == set()
    assert [
        name for name in loaded if name.startswith("commands.") and not name.startswith("commands.options")
    ] == []


def test_the_options_import_nothing_but_typer():
    for path in (ROOT / "commands" / "options").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.module in {"pathlib", "typing", "commands.options.shared"}, path
            if isinstance(node, ast.Import):
                assert [alias.name for alias in node.names] == ["typer"], path


def test_every_declaration_is_a_verb():
    declared = set()
    for path in (ROOT / "commands" / "options").glob("*.py"):
        names = [node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
        declared |= {(f"commands.options.{path.stem}", name) for name in names}
    assert declared == {(verb.__module__, verb.__name__) for verb in EVERY.values()}
