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
from itertools import islice
from pathlib import Path
from typing import Any

QUICK = ("collections.abc", "pydantic", "typing", "typing_extensions")
"""What annotations take their names from, and what takes no time to import."""

WITHOUT_OPTIONS = (("abc", "ABC"), ("typing", "Generic"))
"""Base classes that are not read, and of which it is known that they accept nothing."""

READABLE = ("gans", "torch")
"""The packages whose classes a config may name."""


class Tensor:
    """Stands for PyTorch's, which no value of a config is."""


class UnreadableError(KeyError):
    """A name or expression whose value is not known without imports that take time."""


def read_signature(target: str) -> tuple[dict[str, Any], bool]:
    """The names and annotations that a class accepts, those of its base classes too, where it passes options on.

    Returns:
        Them, as far as the source tells; ``Any`` stands for an annotation that can't be read. And whether they are all.
    """
    module, _, name = target.rpartition(".")
    found: dict[str, Any] = {}
    with suppress(RecursionError):  # a class that is its own base: an import will say so
        for level in _lineage(module, name):
            if level is None:
                return found, False
            home, definition = level
            decorators = [ast.unparse(each) for each in definition.decorator_list]
            if any("dataclass" not in each for each in decorators) or _is_made_otherwise(definition):
                return found, False
            annotations, passes_on = _own_level(definition, is_dataclass=bool(decorators))
            own = {parameter: home.value(annotation) for parameter, annotation in annotations.items()}
            # fields of the base are those that a dataclass takes first
            found = own | found if decorators else found | own | found
            if not passes_on:
                break
            if len(_bases(home, definition)) > 1:  # whose order takes both to tell
                return found, False
        return found, True
    return found, False


def read_constant(target: str, name: str, *, inherited: bool = True) -> Any:
    """What a class, or the first base that says so, sets an attribute to; None where the source does not tell.

    Args:
        inherited: whether what a base says counts.
    """
    module, _, own = target.rpartition(".")
    with suppress(RecursionError):
        for level in islice(_lineage(module, own), None if inherited else 1):
            for statement in level[1].body if level else ():
                names = (
                    [statement.target] if isinstance(statement, ast.AnnAssign) else getattr(statement, "targets", [])
                )
                if any(isinstance(each, ast.Name) and each.id == name for each in names):
                    value = getattr(statement, "value", None)
                    return value.value if isinstance(value, ast.Constant) else None
    return None


def _lineage(module: str, name: str) -> Iterator[tuple["SourceFile", ast.ClassDef] | None]:
    """A class and its bases, in order; None for one that can't be read."""
    found = _class(module, name)
    yield found
    if found is None:
        return
    home, definition = found
    for base in _bases(home, definition):
        yield from _lineage(home.module, base)


def _bases(home: "SourceFile", definition: ast.ClassDef) -> list[str]:
    """The names of a class's bases in its module, but for those without options; "" for one that has no plain name."""
    plain = [base.value if isinstance(base, ast.Subscript) else base for base in definition.bases]
    names = [base.id if isinstance(base, ast.Name) else "" for base in plain]
    return [name for name in names if home.origin(name) not in WITHOUT_OPTIONS]


def _is_made_otherwise(definition: ast.ClassDef) -> bool:
    """Whether ``__init__`` may be something else than what is defined under that name in the class itself."""
    others = [each for each in definition.body if not isinstance(each, ast.FunctionDef | ast.ClassDef)]
    return any(
        getattr(node, "id", getattr(node, "name", None)) == "__init__" for each in others for node in ast.walk(each)
    )


def _own_level(definition: ast.ClassDef, *, is_dataclass: bool) -> tuple[dict[str, ast.expr | None], bool]:
    """What a class itself accepts, and whether it passes the rest on; dataclasses do, and classes without a maker.

    Without an annotation where there is none, or one that means something in the class alone.
    """
    within = {
        node.id
        for statement in definition.body
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }

    def known(annotation: ast.expr | None) -> ast.expr | None:
        names = {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)} if annotation else set()
        return None if names & within else annotation

    makers = [each for each in definition.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"]
    if makers:
        maker = makers[-1]  # those before are overloads
        given = (*maker.args.posonlyargs, *maker.args.args, *maker.args.kwonlyargs)
        own = {argument.arg: known(argument.annotation) for argument in given if argument.arg != "self"}
        return own, maker.args.kwarg is not None
    if is_dataclass:
        fields = [each for each in definition.body if isinstance(each, ast.AnnAssign) and _is_option(each)]
        return {ast.unparse(field.target): known(field.annotation) for field in fields}, True
    return {}, True


def _is_option(field: ast.AnnAssign) -> bool:
    """Whether a dataclass accepts it."""
    means = ast.unparse(field.annotation).partition("[")[0].rpartition(".")[2]
    options = field.value.keywords if isinstance(field.value, ast.Call) else []
    left_out = any(option.arg == "init" and ast.unparse(option.value) == "False" for option in options)
    return means not in ("ClassVar", "KW_ONLY") and not left_out


def _class(module: str, name: str) -> tuple["SourceFile", ast.ClassDef] | None:
    """Where a class is defined, followed through imports."""
    home = source_file(module)
    statement = home.statements.get(name) if home else None
    if home and isinstance(statement, ast.ClassDef):
        return home, statement
    origin = home.origin(name) if home else None
    return _class(*origin) if origin else None


class SourceFile(Mapping[str, Any]):
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

    def origin(self, name: str) -> tuple[str, str] | None:
        """Of a name that is imported from a module, the module's full name and the one that it has there."""
        statement = self.statements.get(name)
        if not isinstance(statement, ast.ImportFrom):
            return None
        parts = self.package.split(".") if statement.level else []
        inside = parts[: len(parts) - statement.level + 1]
        return ".".join([*inside, *filter(None, [statement.module])]), self.imported[name]

    def value(self, expression: ast.expr | None) -> Any:
        """What an annotation means; ``Any`` where that takes more than names that are quick to import."""
        try:
            return Any if expression is None else self._evaluated(expression)
        except Exception:  # whatever is wrong, an import will say so
            return Any

    def _evaluated(self, expression: ast.expr) -> Any:
        if _has_text(expression):  # which stands for a type
            raise UnreadableError(ast.unparse(expression))
        return eval(compile(ast.Expression(expression), self.module, "eval"), {}, self)

    def __getitem__(self, name: str) -> Any:
        statement = self.statements.get(name)
        if isinstance(statement, ast.Assign):
            return self._evaluated(statement.value)
        if origin := self.origin(name):
            module, original = origin
            if module in QUICK:
                return getattr(import_module(module), original)
            if origin == ("torch", "Tensor"):
                return Tensor
            other = source_file(module)
            if other is not None:
                return other[original]
        raise UnreadableError(name)  # or a name of Python's own, which is looked up next

    def __iter__(self) -> Iterator[str]:
        return iter(self.statements)

    def __len__(self) -> int:
        return len(self.statements)


def _has_text(expression: ast.AST) -> bool:
    """Whether text is part of an expression, but for the choices of a Literal."""
    if isinstance(expression, ast.Subscript) and ast.unparse(expression.value) == "Literal":
        return False
    if isinstance(expression, ast.Constant):
        return isinstance(expression.value, str)
    return any(map(_has_text, ast.iter_child_nodes(expression)))


@cache
def source_file(module: str) -> SourceFile | None:
    """A module of a package that may be read; None where there is no such file, or it is no Python."""
    package, *parts = module.split(".")
    spec = find_spec(package) if package in READABLE else None
    for folder in (spec.submodule_search_locations or []) if spec else []:
        place = Path(folder, *parts)
        for path in (place.with_suffix(".py"), place / "__init__.py"):
            with suppress(OSError, ValueError, SyntaxError):  # an import will say so
                if path.is_file():
                    return SourceFile(module, path)
    return None
