"""How the package is laid out: dependencies point one way, and one module knows the files of a run folder."""

import ast
from collections.abc import Iterator

import pytest

from tests.configs import ROOT

PACKAGE = ROOT / "gans"

LAYERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "base": (("errors", "randomness", "files", "machine", "config.shell"), ()),
    "data": (("data",), ("base",)),
    "update": (("update", "generator"), ("data",)),
    "losses": (("objectives", "means", "nonfinite"), ("update",)),
    "stabilize": (("stabilize",), ("losses",)),
    "gan": (("gan",), ("stabilize",)),
    "models": (("models",), ("gan",)),
    "sampling": (("sampling",), ("gan",)),
    "features": (("features",), ("data",)),
    "metrics": (("metrics",), ("features", "update")),  # a sample without a class is NO_CLASS there too
    "run folder": (("run.folder", "run.history", "run.metrics_file", "run.upgrade"), ("metrics",)),
    "figures": (("figures",), ("run folder",)),
    "config": (("config",), ("models", "figures", "sampling")),
    "run": (("run",), ("config",)),
    "export": (("export",), ("run",)),
    "explore": (("explore",), ("export",)),
    "sweep": (("sweep",), ("run",)),
    "study": (("study",), ("sweep",)),
}
"""Of each layer: its modules and packages, and the layers right below it. It may import itself and all below it."""

NAMES_OF_FILES = (
    "config.yaml", "metrics.csv", "history.json", "test.json", "verdict.json", "versions.json", "floors.json",
    "generator.safetensors",
)  # fmt: skip

MODULES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in sorted(PACKAGE.rglob("*.py"))}
PACKAGES = {name.removesuffix(".__init__"): path for name, path in MODULES.items()}


def layer_of(module: str) -> str:
    """The layer with the longest name that the module is, or is within."""
    homes = {
        name: layer for layer, (names, _) in LAYERS.items() for name in names if f"{module}.".startswith(f"{name}.")
    }
    assert homes, f"gans.{module} is in no layer"
    return homes[max(homes, key=len)]


def at_or_below(layer: str) -> set[str]:
    return {layer}.union(*(at_or_below(below) for below in LAYERS[layer][1]))


def imported(tree: ast.AST) -> Iterator[str]:
    """The modules of this package that are imported, but not those for type checking alone."""
    if isinstance(tree, ast.If) and ast.unparse(tree.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
        return
    if isinstance(tree, ast.Import):
        names = [alias.name for alias in tree.names]
    elif isinstance(tree, ast.ImportFrom):
        assert tree.level == 0, "relative import"
        names = [f"{tree.module}.{alias.name}" for alias in tree.names]  # perhaps a module, perhaps something in one
    else:
        names = []
    for name in names:
        package, _, module = name.partition(".")
        if package == "gans":
            yield module if module in PACKAGES else module.rpartition(".")[0]
    for child in ast.iter_child_nodes(tree):
        yield from imported(child)


@pytest.mark.parametrize("module", sorted(set(PACKAGES) - {"__init__"}))
def test_imports_point_one_way(module: str) -> None:
    allowed = at_or_below(layer_of(module))
    for other in imported(ast.parse(PACKAGES[module].read_text(encoding="utf-8"))):
        assert layer_of(other) in allowed, f"gans.{module} imports gans.{other}"


def test_few_modules_lie_directly_in_the_package() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 10 + 1  # and __init__.py


def texts(tree: ast.AST) -> Iterator[str]:
    """The strings of a module, but for those that stand alone: docstrings."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue
        if isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child.value
        yield from texts(child)


@pytest.mark.parametrize("module", sorted(set(PACKAGES) - {"run.folder"}))
def test_only_the_run_folder_knows_the_names_of_its_files(module: str) -> None:
    found = set(texts(ast.parse(PACKAGES[module].read_text(encoding="utf-8"))))
    assert not [text for text in found if any(name in text for name in NAMES_OF_FILES)]
