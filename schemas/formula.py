"""Arithmetic over named numbers, as an operator writes it into a setting: ``purchases + 0.1 * clicks``.

Numbers, names, ``+ - * /``, brackets, and ``log1p sqrt min max``. Python's parser reads the text and nothing
is ever run: what is not in this list is refused with its place. Knows not what a name stands for.
"""

import ast
import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from schemas.bounds import FORMULA_CHARS, FORMULA_DEPTH

Operation = Literal["+", "-", "*", "/", "log1p", "sqrt", "min", "max"]

_OPERATORS: dict[type[ast.operator], Operation] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
# name: how many arguments it takes
_FUNCTIONS: dict[str, tuple[Operation, int]] = {
    "log1p": ("log1p", 1),
    "sqrt": ("sqrt", 1),
    "min": ("min", 2),
    "max": ("max", 2),
}


class FormulaError(ValueError):
    """A text that is no formula: says where, what was found and what is expected."""


@dataclass(frozen=True)
class Number:
    """A constant."""

    value: float


@dataclass(frozen=True)
class Name:
    """A number that is known later."""

    name: str


@dataclass(frozen=True)
class Call:
    """An operation on one or two formulas."""

    operation: Operation
    arguments: tuple["Formula", ...]


Formula = Number | Name | Call


def parse(text: str, names: Collection[str]) -> Formula:
    """Return the formula of a text, which may use ``names``. Raises ``FormulaError``.

    >>> parse("clicks / 2", {"clicks"})
    Call(operation='/', arguments=(Name(name='clicks'), Number(value=2.0)))
    """
    if len(text) > FORMULA_CHARS:
        raise FormulaError(f"a formula of {len(text)} characters; at most {FORMULA_CHARS} are read")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        return _read(tree.body, names, FORMULA_DEPTH)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, FormulaError):
            raise
        raise FormulaError(f"{text!r} is no formula: {getattr(error, 'msg', error)}") from error


def names_in(formula: Formula) -> set[str]:
    """Return the names that a formula uses."""
    match formula:
        case Name(name):
            return {name}
        case Call(_, arguments):
            return set().union(*map(names_in, arguments))
        case _:
            return set()


def _read(node: ast.expr, names: Collection[str], depth: int) -> Formula:
    if depth < 0:
        raise FormulaError(f"more than {FORMULA_DEPTH} operations within one another")
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool) and math.isfinite(
            value
        ):
            return Number(float(value))
        case ast.Name(id=name) if name in names:
            return Name(name)
        case ast.Name(id=name):
            raise FormulaError(
                f"{name!r} at character {node.col_offset + 1} is unknown; there are "
                f"{', '.join(sorted(names))}"
            )
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return Call("-", (Number(0.0), _read(operand, names, depth - 1)))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return Call(_OPERATORS[type(op)], (_read(left, names, depth - 1), _read(right, names, depth - 1)))
        case ast.Call(func=ast.Name(id=function), args=arguments, keywords=[]) if function in _FUNCTIONS:
            operation, count = _FUNCTIONS[function]
            if len(arguments) != count:
                raise FormulaError(
                    f"{function} at character {node.col_offset + 1} takes {count} argument(s), not "
                    f"{len(arguments)}"
                )
            return Call(operation, tuple(_read(argument, names, depth - 1) for argument in arguments))
    raise FormulaError(
        f"character {node.col_offset + 1}: only finite numbers, names, + - * /, brackets and "
        f"{', '.join(_FUNCTIONS)} are understood"
    )
