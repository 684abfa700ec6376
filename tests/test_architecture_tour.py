"""Each file and function of the tour in docs/architecture.md exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOUR = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("## A tour")[2].partition("\n## ")[0]
STOPS = [
    (path, name)
    for path, names in re.findall(r"`([\w/]+\.py)`((?:\s+(?:and\s+)?`[\w.]+`)+)", TOUR)
    for name in re.findall(r"`([\w.]+)`", names)
]


def defined(tree: ast.Module) -> set[str]:
    """Return the functions and classes of a module, and the methods as "Class.method"."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    top = [node for node in tree.body if isinstance(node, kinds)]
    inner = {f"{node.name}.{one.name}" for node in top for one in ast.iter_child_nodes(node) if isinstance(one, kinds)}
    return {node.name for node in top} | inner


def test_the_tour_has_six_ways() -> None:
    assert len(re.findall("^### The way of", TOUR, re.MULTILINE)) == 6
    assert len(STOPS) > 25


@pytest.mark.parametrize(("path", "name"), STOPS)
def test_each_stop_exists(path: str, name: str) -> None:
    assert name in defined(ast.parse((ROOT / path).read_text(encoding="utf-8")))


def test_each_file_of_the_tour_exists() -> None:
    files = re.findall(r"`([\w/]+\.\w+)`", TOUR)
    assert [path for path in files if "/" in path and not (ROOT / path).exists()] == []
