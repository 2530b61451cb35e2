"""Imports point one way, and the package names nobody's machine."""

import ast
from pathlib import Path

from tests.conftest import ROOT

PACKAGE = ROOT / "gans"

# what each part may import, of this package
ALLOWED = {
    "gans.objectives": {"gans.update"},
    "gans.stabilize": {"gans.stabilize", "gans.objectives", "gans.update", "gans.randomness", "gans.errors", "gans.gan"},
    "gans.data": {"gans.data", "gans.randomness", "gans.errors", "gans.data.pixels"},
    "gans.metrics": {
        "gans.metrics", "gans.features", "gans.data", "gans.files", "gans.files", "gans.errors", "gans.data.pixels",
        "gans.randomness",
    },
    "gans.run.diagnose": {"gans.run.folder"},
    "gans.figures": {"gans.figures", "gans.run.folder"},
    "gans.run.folder": {"gans.errors"},
    "gans.gan": {
        "gans.generator", "gans.means", "gans.errors", "gans.nonfinite",
        "gans.objectives", "gans.stabilize", "gans.update", "gans.randomness", "gans.data",
    },
}  # fmt: skip


def imports(path: Path, *, only_at_runtime: bool) -> set[str]:
    tree = ast.parse(path.read_text())
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if only_at_runtime and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    return {
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module
        and node.module.startswith("gans")
        and id(node) not in skipped
    }


def test_imports_point_one_way() -> None:
    for part, allowed in ALLOWED.items():
        place = ROOT / Path(*part.split("."))
        files = place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")]
        for file in files:
            for module in imports(file, only_at_runtime=False):
                assert any(module == name or module.startswith(f"{name}.") for name in allowed), (file, module)


def test_stabilizers_know_the_gan_by_type_only() -> None:
    for file in (PACKAGE / "stabilize").rglob("*.py"):
        assert "gans.gan" not in imports(file, only_at_runtime=True), file
