"""The limits of the house: short functions and modules, and who may ask what a place is."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MODULES = sorted(
    path for package in ("nst_core", "tasks", "flows") for path in (ROOT / package).rglob("*.py")
)
MOST_LINES_OF_MODULE, MOST_LINES_OF_FUNCTION = 300, 40


def functions_of(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many lines a function has without its docstring."""
    assert function.end_lineno is not None
    first = function.body[0]
    is_documented = ast.get_docstring(function, clean=False) is not None
    documented = (first.end_lineno or 0) - first.lineno + 1 if is_documented else 0
    return function.end_lineno - function.lineno + 1 - documented


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_are_short_and_only_storage_asks_what_a_place_is(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= MOST_LINES_OF_MODULE
    tree = ast.parse(text)
    for function in functions_of(tree):
        assert lines_of(function) <= MOST_LINES_OF_FUNCTION, function.name
    checks = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance"
    ]
    if path.parent != ROOT / "nst_core" / "storage":
        for check in checks:
            assert "Path" not in ast.unparse(check.args[1]).split(" | "), ast.unparse(check)
