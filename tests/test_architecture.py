"""The arrows of the design, read from the source by ``ast``.

Who may import whom, and where a library is at home. Nothing is imported, so this is fast. Each rule is also
shown to catch a violation that is planted in a small tree.
"""

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.imported import Import, imports_of

ROOT = Path(__file__).resolve().parents[1]

PROCESSES = ("stream", "trainer", "indexer", "searcher", "api")
ALL = frozenset(
    {
        "schemas",
        "broker",
        "process",
        "artefacts",
        "media",
        "retrieval",
        "completeness",
        "credit",
        "pages",
        "inbound",
        "operations",
        *PROCESSES,
        "embedded",
        "simulator",
        "commands",
        "cli",
        "benchmarks",
    }
)
# A package sees itself and these. ADR 0001 says why ``process`` stands beside the design.
MAY_SEE: Mapping[str, frozenset[str]] = {
    "schemas": frozenset(),
    "broker": frozenset({"schemas"}),
    "process": frozenset({"schemas", "broker", "artefacts"}),
    "artefacts": frozenset({"schemas"}),
    "media": frozenset({"schemas", "artefacts"}),
    "retrieval": frozenset({"schemas", "artefacts", "media"}),
    "completeness": frozenset({"schemas", "broker", "artefacts", "media", "retrieval", "inbound", "pages"}),
    "credit": frozenset({"schemas"}),
    "pages": frozenset(),
    "inbound": frozenset({"schemas", "broker"}),
    "operations": frozenset({"schemas", "broker", "retrieval", "credit", "inbound"}),
    "stream": frozenset({"schemas", "broker", "process", "artefacts", "media", "credit", "inbound"}),
    "trainer": frozenset({"schemas", "broker", "process", "artefacts", "media", "retrieval", "pages"}),
    "indexer": frozenset({"schemas", "broker", "process", "artefacts", "media", "retrieval"}),
    "searcher": frozenset({"schemas", "broker", "process", "media", "retrieval"}),
    "api": frozenset(
        {
            "schemas",
            "broker",
            "process",
            "artefacts",
            "media",
            "inbound",
            "operations",
            "completeness",
            "pages",
        }
    ),
    "embedded": frozenset({"schemas"}),
    "simulator": frozenset({"schemas"}),
    "commands": ALL - {"cli", "benchmarks"},
    "cli": ALL - {"benchmarks"},
    "benchmarks": ALL,
}
# Within a package: a room (folder) sees itself and these. What stands on top sees all rooms, and no room sees
# the top.
ROOMS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "trainer": {
        "run": frozenset(),
        "data": frozenset({"run"}),
        "evaluation": frozenset({"run"}),
        "learning": frozenset({"data", "evaluation"}),
        "gate": frozenset({"run", "data", "evaluation"}),
        "service": frozenset({"run", "data"}),
    },
    "commands": {
        "options": frozenset(),
        "support": frozenset(),
        "instruments": frozenset({"support"}),
    },
    "benchmarks": {
        "harness": frozenset(),
        "attacks": frozenset({"deployment", "intake"}),
        "deployment": frozenset({"harness"}),
        "exactness": frozenset({"harness"}),
        "intake": frozenset(),
        "interop": frozenset(),
        "learning": frozenset({"harness"}),
        "serving": frozenset({"harness"}),
        "throughput": frozenset(),
        "verdicts": frozenset({"harness"}),
    },
}
# Library -> the files, or folders ending in "/", that alone may import it. Benchmarks compare with libraries,
# so they are free.
HOMES: Mapping[str, tuple[str, ...]] = {
    "faust": ("stream/app.py", "stream/recovery.py"),
    "mode": ("stream/app.py", "stream/recovery.py"),
    "aiokafka": ("broker/",),
    "pymilvus": ("retrieval/index.py",),
    "tantivy": ("retrieval/word_schema.py", "retrieval/words.py"),
    "onnx": ("retrieval/onnx_bert.py",),
    "onnxruntime": ("retrieval/onnx_bert.py",),
    "torch": (
        "trainer/evaluation/ranker_fit.py",
        "trainer/learning/",
        "retrieval/fused.py",
        "retrieval/library_model.py",
        "retrieval/plain_bert.py",
        "retrieval/reading_with_torch.py",
        "retrieval/torch_model.py",
        "commands/doctor.py",
    ),
    "PIL": ("media/images.py",),
    "fsspec": ("artefacts/",),
    "yaml": ("schemas/publish.py",),
    "fastapi": ("api/",),
    "starlette": ("api/",),
    "uvicorn": ("api/listening.py",),
    "opentelemetry": ("process/otlp.py",),
    "apscheduler": ("trainer/service/scheduler.py",),
    "sentence_transformers": (
        "trainer/learning/fine_tune.py",
        "trainer/learning/trainer_adapter.py",
        "retrieval/library_model.py",
    ),
}
# Module names that several packages have, for the same thing. Verbs and benchmarks besides: each is called by
# its subject, which a package may have too.
SHARED_MODULES: Mapping[str, str] = {
    "errors": "the tree of exceptions of a package",
    "metrics": "what a process counts for Prometheus",
    "running": "a process from start to end",
    "topics": "the table of topics, and what makes a cluster agree with it",
}
SCHEMAS_LIBRARIES = frozenset({"pydantic", "pydantic_core", "msgspec", "ftfy", "yaml"})
# Where an import may stand in a function: the command line looks for its verbs, few models need torch, or
# a library that takes 240 MB, few shops have pictures, and few operators a collector of spans.
LATE = frozenset(
    {
        "cli.py",
        "artefacts/located.py",
        "completeness/model_window.py",
        "media/pictures.py",
        "process/collector.py",
        "retrieval/encoder.py",
        "retrieval/golden_vectors.py",
        "retrieval/reading_with_torch.py",
    }
)
HEAVY = frozenset({"torch", "sentence_transformers", "transformers"})
# The verbs that encode text. Loading torch takes seconds, which every other verb spares its user.
LOADING = frozenset({"commands/demo.py", "commands/doctor.py", "commands/evaluate.py"})


@cache
def tree(root: Path) -> dict[str, tuple[Import, ...]]:
    """Return the imports of every Python file of the packages, by path from the root."""
    return {path: names for name in sorted(ALL) for path, names in imports_of(root, name).items()}


def package(path: str) -> str:
    """Return the package of a file, or the name of a module at the root."""
    return path.split("/", maxsplit=1)[0].removesuffix(".py")


def resolve(module: str, files: Mapping[str, object]) -> str | None:
    """Return the file of ours that an import names, or None when it is a library's.

    The name is ``a.b`` or ``a.b.name``.
    """
    parts = module.split(".")
    for length in (len(parts), len(parts) - 1):
        stem = "/".join(parts[:length])
        for path in (f"{stem}.py", f"{stem}/__init__.py"):
            if length and path in files:
                return path
    return None


def forbidden_arrows(root: Path) -> list[str]:
    found = []
    for path, names in tree(root).items():
        for name in names:
            target = name.module.split(".")[0]
            if target in ALL and target != package(path) and target not in MAY_SEE[package(path)]:
                found.append(
                    f"{path}:{name.line} imports {name.module}: {package(path)} may not see {target}"
                )
            if not target:
                found.append(f"{path}:{name.line} imports {name.module}: imports are absolute")
    return found


def forbidden_doors(root: Path) -> list[str]:
    found = []
    for path, names in tree(root).items():
        rooms, room = ROOMS.get(package(path), {}), path.split("/")[1] if path.count("/") > 1 else ""
        for name in names:
            top, _, rest = name.module.partition(".")
            target = rest.split(".")[0]
            if room and rooms and top == package(path) and target not in {room, *rooms.get(room, ())}:
                seen = f"the room {target}" if target in rooms else "what stands on top"
                found.append(
                    f"{path}:{name.line} imports {name.module}: the room {room} of {top} may not see {seen}"
                )
    return found


def strays(root: Path) -> list[str]:
    found = []
    for path, names in tree(root).items():
        for name in names:
            library = name.module.split(".")[0]
            if library in HOMES and package(path) != "benchmarks" and not path.startswith(HOMES[library]):
                found.append(
                    f"{path}:{name.line} imports {library}, whose only home is {', '.join(HOMES[library])}"
                )
            if package(path) == "schemas" and library not in {
                *SCHEMAS_LIBRARIES,
                *ALL,
                *sys.stdlib_module_names,
            }:
                found.append(
                    f"{path}:{name.line} imports {library}: schemas uses pydantic, msgspec, ftfy, "
                    "yaml and the standard library only"
                )
    return found


def hidden_imports(root: Path) -> list[str]:
    files = tree(root)
    return [
        f"{path}:{name.line} imports {name.module} inside a function"
        for path, names in files.items()
        for name in names
        if name.inner and path not in LATE
    ]


@cache
def graph(root: Path) -> dict[str, set[str]]:
    """Return which file of ours imports which; importing ``a.b`` also runs ``a/__init__.py``."""
    files = tree(root)
    edges: dict[str, set[str]] = {path: set() for path in files}
    for path, names in files.items():
        for target in filter(None, (resolve(name.module, files) for name in names)):
            edges[path] |= {
                target,
                *(f"{'/'.join(target.split('/')[:n])}/__init__.py" for n in range(1, target.count("/") + 1)),
            }
        edges[path] = {t for t in edges[path] if t in files and t != path}
    return edges


def reachable(start: str, edges: Mapping[str, set[str]]) -> dict[str, str]:
    """Return every file that ``start`` imports, directly or not, and through which file."""
    through: dict[str, str] = {}
    waiting = [start]
    while waiting:
        path = waiting.pop()
        for target in sorted(edges[path]):
            if target not in through:
                through[target] = path
                waiting.append(target)
    return through


def cycles(root: Path) -> list[str]:
    edges = graph(root)
    return [
        f"{path} imports itself through {reachable(path, edges)[path]}"
        for path in edges
        if path in reachable(path, edges)
    ]


def heavy_starts(root: Path) -> list[str]:
    files, edges = tree(root), graph(root)
    found = []
    light = re.compile(
        r"completeness/|credit/|inbound/|operations/|stream/|api/|trainer/__main__\.py|commands/\w+\.py"
    )
    for start in (p for p in files if light.match(p) and p not in LOADING):
        for path in {start, *reachable(start, edges)}:
            found += [
                f"{start} loads {n.module} through {path}:{n.line}"
                for n in files[path]
                if n.module.split(".")[0] in HEAVY
            ]
    return found


def shared_class_names(root: Path) -> list[str]:
    homes: dict[str, list[str]] = {}
    for path in tree(root):
        for name in public_classes((root / path).read_text(encoding="utf-8")):
            homes.setdefault(name, []).append(path)
    return [f"class {name} stands in {' and in '.join(paths)}" for name, paths in homes.items() if paths[1:]]


def shared_module_names(root: Path) -> list[str]:
    homes: dict[str, list[str]] = {}
    for path in map(Path, tree(root)):
        command = path.parent.as_posix() in {"commands", "commands/options", "benchmarks"}
        if not command and path.stem not in {"__init__", "__main__", *SHARED_MODULES}:
            homes.setdefault(path.stem, []).append(path.as_posix())
    return [f"module {name} is {' and '.join(paths)}" for name, paths in homes.items() if paths[1:]]


def public_classes(source: str) -> Iterator[str]:
    """Yield the names of the classes of a file that others may import."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name


RULES = {
    "arrows point inward": forbidden_arrows,
    "rooms see what the table says": forbidden_doors,
    "a library has one home": strays,
    "imports stand at the top": hidden_imports,
    "nothing imports itself": cycles,
    "torch only where text is encoded": heavy_starts,
    "a class name means one thing": shared_class_names,
    "a module name means one thing": shared_module_names,
}


@pytest.mark.parametrize("rule", RULES)
def test_the_tree_obeys(rule: str) -> None:
    assert RULES[rule](ROOT) == []


def test_every_package_is_in_the_table() -> None:
    packages = {p.parent.name for p in ROOT.glob("*/__init__.py")} | {p.stem for p in ROOT.glob("*.py")}
    assert packages - {"tests", "conftest"} <= ALL


@pytest.mark.parametrize("package", ROOMS)
def test_every_room_is_in_the_table_and_no_two_see_each_other(package: str) -> None:
    assert {p.parent.name for p in (ROOT / package).glob("*/__init__.py")} == set(ROOMS[package])
    TopologicalSorter(ROOMS[package]).prepare()  # raises for a circle


@pytest.mark.parametrize("package", ROOMS)
def test_the_page_says_of_each_room_what_it_sees(package: str) -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(rf"^\| `{package}/(\w+)/` \|.*\|([^|]*)\|$", page, flags=re.MULTILINE)
    assert {room: frozenset(re.findall(r"`(\w+)`", sees)) for room, sees in rows} == ROOMS[package]


PLANTED = {
    "schemas sees broker": ("arrows point inward", {"schemas/a.py": "from broker import topics"}),
    "a process sees another": ("arrows point inward", {"searcher/a.py": "import indexer.build"}),
    "under TYPE_CHECKING too": ("arrows point inward",
                                {"embedded/a.py": "if TYPE_CHECKING:\n    from stream.app import App"}),
    "by importlib too": ("arrows point inward",
                         {"stream/a.py": "import importlib\nx = importlib.import_module('trainer.gate')"}),
    "a relative import": ("arrows point inward", {"media/a.py": "from . import store"}),
    "a room sees one above it": ("rooms see what the table says",
                                 {"trainer/data/a.py": "from trainer.gate.case import Case"}),
    "a room sees the top": ("rooms see what the table says",
                            {"trainer/gate/a.py": "from trainer.retrain import main"}),
    "a room sees another by its name": ("rooms see what the table says",
                                        {"trainer/run/a.py": "from trainer import service"}),
    "a room that nobody has written down": ("rooms see what the table says",
                                            {"trainer/attic/a.py": "import trainer.run.folder"}),
    "aiokafka outside broker": ("a library has one home", {"process/a.py": "import aiokafka"}),
    "pymilvus in another file of retrieval": ("a library has one home",
                                              {"retrieval/live.py": "from pymilvus import MilvusClient"}),
    "schemas with a library": ("a library has one home", {"schemas/a.py": "import numpy"}),
    "yaml beside what publishes": ("a library has one home", {"schemas/a.py": "import yaml"}),
    "torch in an encoder": ("a library has one home", {"retrieval/encoder.py": "import torch"}),
    "an import in a function": ("imports stand at the top", {"trainer/a.py": "def f():\n    import json"}),
    "an import in a method": ("imports stand at the top",
                              {"trainer/a.py": "class A:\n    def f(self):\n        from json import loads"}),
    "two files in a ring": ("nothing imports itself",
                            {"media/a.py": "import media.b", "media/b.py": "from media.a import x"}),
    "a ring through a package": ("nothing imports itself",
                                 {"media/__init__.py": "import media.a",
                                  "media/a.py": "from media import x"}),
    "torch two steps away": ("torch only where text is encoded",
                             {"stream/a.py": "from media import b", "media/b.py": "import torch.nn"}),
    "two classes of one name": ("a class name means one thing",
                                {"stream/a.py": "class Row: ...", "retrieval/a.py": "class Row: ..."}),
    "two modules of one name": ("a module name means one thing",
                                {"stream/rows.py": "", "retrieval/rows.py": ""}),
    "a verb that loads a model": ("torch only where text is encoded", {"commands/a.py": "import torch"}),
}  # fmt: skip


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_violation_is_caught(planted: str, tmp_path: Path) -> None:
    rule, files = PLANTED[planted]
    for path, source in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(source)
    assert len(RULES[rule](tmp_path)) >= 1


def test_what_the_design_allows_is_not_caught(tmp_path: Path) -> None:
    allowed = {
        "schemas/facts.py": "import json\nimport ftfy\nfrom pydantic import BaseModel",
        "schemas/publish.py": "import yaml",
        "broker/reading.py": "import aiokafka\nfrom schemas.facts import x",
        "broker/metrics.py": "",
        "process/pages.py": "from broker.reading import x",
        "stream/app.py": "import faust\nfrom process.pages import x\nclass App: ...",
        "stream/metrics.py": "",
        "retrieval/index.py": "import pymilvus\nclass _Row: ...",
        "retrieval/encoder.py": "def load():\n    from retrieval.library_model import x",
        "retrieval/library_model.py": "import torch\nimport sentence_transformers",
        "indexer/build.py": "from retrieval.index import x\nfrom indexer import guard",
        "indexer/guard.py": "from retrieval import encoder\nclass _Row: ...",
        "trainer/steps.py": "from trainer.gate.case import x",
        "trainer/gate/case.py": "from trainer.data.splits import x\nfrom trainer.gate import verdict",
        "commands/build.py": "from commands.options import build",
        "commands/options/build.py": "",
        "cli.py": "def up():\n    from stream import app",
        "benchmarks/build.py": "import aiokafka\nimport faust",
    }
    for path, source in allowed.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(source)
    assert [found for rule in RULES.values() for found in rule(tmp_path)] == []
