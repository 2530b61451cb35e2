"""What the classes that a config names accept, read from their source: importing them takes PyTorch, and seconds.

By this a wrong value is answered at once. What can't be read here is left to ``gans.building.check``, which sees the
classes themselves.
"""

import ast
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

QUICK = ("collections.abc", "pydantic", "typing", "typing_extensions")
"""What annotations take their names from, and what takes no time to import."""

READABLE = ("gans", "torch")


class Tensor:
    """Stands for PyTorch's, which no value of a config is."""


class UnreadableError(KeyError):
    """A name or expression whose value is not known without imports that take time."""


def annotations(target: str) -> dict[str, Any]:
    """The annotations of what a class's ``__init__`` accepts, as far as its source tells them, by name.

    Those of its base classes too, where it passes options on.
    """
    module, _, name = target.rpartition(".")
    found: dict[str, Any] = {}
    for home, own, passes_on in _levels(module, name):
        for parameter, expression in own.items():
            if parameter not in found:
                with suppress(UnreadableError):
                    found[parameter] = home.value(expression)
        if not passes_on:
            break
    return found


def _levels(module: str, name: str) -> Iterator[tuple["Source", dict[str, ast.expr], bool]]:
    """Of a class and its bases, in order, what each accepts, and whether it passes the rest on; dataclasses do."""
    found = _class(module, name)
    if found is None:
        return
    home, definition = found
    fields = {
        statement.target.id: statement.annotation
        for statement in definition.body
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and not ast.unparse(statement.annotation).startswith("ClassVar")
    }
    if any("dataclass" in ast.unparse(decorator) for decorator in definition.decorator_list):
        yield home, fields, True
    for statement in definition.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            given = (*statement.args.posonlyargs, *statement.args.args, *statement.args.kwonlyargs)
            own = {argument.arg: argument.annotation for argument in given if argument.annotation}
            yield home, own, statement.args.kwarg is not None
    for base in definition.bases:
        plain = base.value if isinstance(base, ast.Subscript) else base
        if isinstance(plain, ast.Name):
            yield from _levels(home.module, plain.id)


def _class(module: str, name: str) -> tuple["Source", ast.ClassDef] | None:
    """Where a class is defined, followed through imports."""
    home = source(module)
    statement = home.statements.get(name) if home else None
    if home and isinstance(statement, ast.ClassDef):
        return home, statement
    if home and isinstance(statement, ast.ImportFrom):
        return _class(home.origin(statement), home.imported[name])
    return None


class Source(Mapping[str, Any]):
    """A module that is read and not run: what the names mean that annotations in it use."""

    def __init__(self, module: str, path: Path) -> None:
        self.module = module
        self.package = module if path.stem == "__init__" else module.rpartition(".")[0]
        self.statements: dict[str, ast.stmt] = {}
        self.imported: dict[str, str] = {}
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(statement, ast.ClassDef):
                self.statements[statement.name] = statement
            elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                self.statements[statement.targets[0].id] = statement
            elif isinstance(statement, ast.ImportFrom):
                for alias in statement.names:
                    self.statements[alias.asname or alias.name] = statement
                    self.imported[alias.asname or alias.name] = alias.name

    def origin(self, statement: ast.ImportFrom) -> str:
        """The full name of the module that a statement imports from."""
        if not statement.level:
            return str(statement.module)
        parts = self.package.split(".")
        return ".".join([*parts[: len(parts) - statement.level + 1], *filter(None, [statement.module])])

    def value(self, expression: ast.expr) -> Any:
        """What an expression of names that are quick to import evaluates to.

        Raises:
            UnreadableError: for others.
        """
        try:
            return eval(compile(ast.Expression(expression), self.module, "eval"), {}, self)
        except Exception as error:
            raise UnreadableError(ast.unparse(expression)) from error

    def __getitem__(self, name: str) -> Any:
        statement = self.statements.get(name)
        if isinstance(statement, ast.Assign):
            return self.value(statement.value)
        if isinstance(statement, ast.ImportFrom):
            origin, original = self.origin(statement), self.imported[name]
            if origin in QUICK:
                return getattr(import_module(origin), original)
            if (origin, original) == ("torch", "Tensor"):
                return Tensor
            other = source(origin)
            if other is not None:
                return other[original]
        raise UnreadableError(name)  # or a name of Python's own, which is looked up next

    def __iter__(self) -> Iterator[str]:
        return iter(self.statements)

    def __len__(self) -> int:
        return len(self.statements)


@cache
def source(module: str) -> Source | None:
    """A module of a package that may be read; None where there is no such file."""
    package, *parts = module.split(".")
    spec = find_spec(package) if package in READABLE else None
    for folder in (spec.submodule_search_locations or []) if spec else []:
        place = Path(folder, *parts)
        for path in (place.with_suffix(".py"), place / "__init__.py"):
            if path.is_file():
                return Source(module, path)
    return None
