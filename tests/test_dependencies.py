"""Imports point one way, for every part of the package."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "gans"

READERS = ("diagnose", "folder", "history", "metrics_file", "test_results")
"""Of gans/run: what reads run folders, and knows of no training."""

# what each part may import while it runs; for types alone it may import more
ALLOWED = {
    "errors": set(),
    "files": set(),
    "randomness": set(),
    "means": set(),
    "update": set(),
    "machine": {"errors"},
    "nonfinite": {"errors", "update"},
    "data": {"errors", "randomness"},
    "generator": {"data", "update"},
    "objectives": {"update"},
    "stabilize": {"errors", "objectives", "randomness", "update"},
    "gan": {"data", "errors", "generator", "means", "nonfinite", "objectives", "randomness", "stabilize", "update"},
    "models": {"data", "errors", "gan", "generator", "objectives", "randomness", "update"},
    "features": {"data", "errors", "files", "randomness"},
    "metrics": {"data", "errors", "features", "files", "randomness"},
    "run readers": {"errors", "files", "metrics"},
    "figures": {"run readers"},
    "config": {
        "data", "errors", "features", "gan", "machine", "metrics", "models", "objectives", "randomness", "stabilize",
    },
    "run": {
        "config", "data", "errors", "features", "figures", "files", "gan", "generator", "machine", "means", "metrics",
        "models", "nonfinite", "randomness", "run readers", "update",
    },
    "sweep": {"config", "errors", "files", "run", "run readers"},
}  # fmt: skip


def part_of(module: str) -> str:
    """gans.data.batches -> data"""
    _, part, *inner = module.split(".")
    return "run readers" if part == "run" and inner and inner[0] in READERS else part


def imports_of(path: Path) -> set[str]:
    """The modules of this package that a file imports when it runs."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    nodes = [node for node in ast.walk(tree) if id(node) not in for_types]
    named = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    named |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return {name for name in named if name.startswith("gans.")}


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_file_imports_what_its_part_may(path: Path) -> None:
    part = part_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    imported = {part_of(module) for module in imports_of(path)}
    assert imported - {part} <= ALLOWED[part]


def test_parts_are_in_an_order() -> None:
    list(TopologicalSorter(ALLOWED).static_order())  # an error, if there is none


def test_few_modules_lie_at_the_top() -> None:
    assert len([path for path in PACKAGE.glob("*.py") if path.stem != "__init__"]) <= 10
