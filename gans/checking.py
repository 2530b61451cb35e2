"""Whether values are what annotations say.

Nothing here takes long to import: the commands answer wrong values by it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from gans.errors import InputError

Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], options: dict[str, Any]) -> Model:
    """Options as a pydantic model.

    Raises:
        InputError: naming the first value that is wrong, and why.
    """
    try:
        return model.model_validate(options)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        if problem["type"] == "missing":
            raise InputError(f"{place} is missing from the config: it was written by another version") from error
        raise InputError(f"{place}={problem['input']}: {problem['msg'][0].lower()}{problem['msg'][1:]}") from error


def targets(node: Any, path: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each node inside a config node that names a ``_target_``, inner ones first: its path, its target, its values.

    Values that have a target of their own are left out: they become what only the target's class can judge.

    Raises:
        InputError: for a target that is no text.
    """
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from targets(item, f"{path}[{index}]")
    if not isinstance(node, Mapping):
        return
    for key, value in node.items():
        yield from targets(value, f"{path}.{key}")
    if "_target_" in node:
        target = node["_target_"]
        if not isinstance(target, str):
            raise InputError(f"{path}._target_={_shown(target)}: give the full name of a class")
        values = {
            key: value
            for key, value in node.items()
            if key not in ("_target_", "_partial_") and not (isinstance(value, Mapping) and "_target_" in value)
        }
        yield path, target, values


def check_values(values: Mapping[str, Any], accepted: Mapping[str, Any], target: str, path: str) -> None:
    """Check a config node's values against the names and annotations that its target accepts.

    Raises:
        InputError: naming the value's path, for an unknown name, a wrong type or a value out of range.
    """
    for name, value in values.items():
        if name not in accepted:
            raise InputError(f"{path}.{name} is not an option of {target}: choose from {', '.join(accepted)}")
        check_value(accepted[name], value, f"{path}.{name}")


def check_value(hint: Any, value: Any, path: str) -> None:
    """Check a config's value against an annotation.

    Raises:
        InputError: naming the value's path, for a wrong type or a value out of range.
    """
    try:
        adapter = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:  # a type that carries its own config
        adapter = TypeAdapter(hint)
    except PydanticSchemaGenerationError:
        return
    try:
        try:
            adapter.validate_python(value, strict=True)  # what is checked is what is used: "5" is no number
        except ValidationError as error:
            if any(each["type"] != "tuple_type" for each in error.errors()):  # a config has lists only
                raise
            adapter.validate_python(value)
    except ValidationError as error:
        problem = error.errors()[0]
        place = "".join(f"[{part}]" for part in problem["loc"] if isinstance(part, int))
        messages = dict.fromkeys(each["msg"][0].lower() + each["msg"][1:] for each in error.errors())
        raise InputError(f"{path}{place}={_shown(problem['input'])}: {', or '.join(messages)}") from error


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)
