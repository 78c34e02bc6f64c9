"""What the Python files of a tree import, read by ``ast``: nothing is imported, so this is fast."""

import ast
import gc
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Import:
    """One imported name, as written, and where. ``inner`` says that it stands in a function."""

    module: str
    line: int
    inner: bool


@cache
def imports_of(root: Path, name: str) -> dict[str, tuple[Import, ...]]:
    """Return the imports of every file of one package, or module, at the root, by path from there."""
    files = [p for p in [*(root / name).rglob("*.py"), root / f"{name}.py"] if p.is_file()]
    # What earlier tests left may log a traceback when it is collected; in the middle of a parse that breaks
    # CPython 3.11's (issue 106905).
    gc.disable()
    try:
        return {
            p.relative_to(root).as_posix(): tuple(imports(p.read_text(encoding="utf-8")))
            for p in sorted(files)
        }
    finally:
        gc.enable()


def imports(source: str) -> Iterator[Import]:
    """Yield every import of a file, also those under TYPE_CHECKING and in functions.

    Also those by importlib with a literal name.
    """
    stack: list[tuple[ast.AST, bool]] = [(ast.parse(source), False)]
    while stack:
        node, inner = stack.pop()
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, inner) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (
                Import(f"{'.' * node.level}{node.module or ''}.{alias.name}", node.lineno, inner)
                for alias in node.names
            )
        elif isinstance(node, ast.Call) and re.fullmatch(
            r"(importlib\.)?import_module|__import__", ast.unparse(node.func)
        ):
            name = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else "?"
            yield Import(str(name), node.lineno, inner=True)
        within = inner or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        stack += [(child, within) for child in ast.iter_child_nodes(node)]
