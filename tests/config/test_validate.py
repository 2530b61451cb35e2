"""Values against annotations, and classes that a config from a file may not name."""

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from pydantic import Field, PositiveInt

from gans.config.resolve import flatten
from gans.config.validate import check_value, parameters_of, validate
from gans.errors import InputError
from gans.run.commands import read_config
from gans.run.folder import RunFolder
from tests.configs import composed, names


@pytest.mark.parametrize("experiment", names("experiment"))
@pytest.mark.slow
def test_configs_that_come_with_the_package_need_no_trust(experiment: str) -> None:
    """A run of any of them can be resumed by someone else."""
    config = composed(f"experiment={experiment}")
    assert validate(config, trusted=[]).model == config["model"]


@pytest.mark.parametrize("target", ["torch.nn.Linear", "gans.figures.names.run_title"])
def test_what_can_not_draw_a_figure_is_refused_before_training(target: str) -> None:
    config = composed("data=digits", "figure=grids")
    validate(config)
    config["figure"]["grids"] = {"_target_": target}
    with pytest.raises(InputError, match=r"figure\.grids"):
        validate(config)


HOSTILE = [
    "os.system",
    "subprocess.Popen",
    "builtins.exec",
    "torch.hub.load",
    "torch.load",
    "torch.nn.modules.module.torch.load",
    "gans.files.os.remove",
    "gans.files.write_text",
    "gans.run.commands.start",
    "gans.run.slurm.subprocess.run",
    "gans.run.output.new_folder",
    "gans.figures.files.Path",
    "hydra.utils.instantiate",
    "functools.partial",
]


@pytest.mark.parametrize("target", HOSTILE)
def test_other_code_in_a_config_from_a_file_is_refused_wherever_it_stands(target: str) -> None:
    hostile = {"_target_": target}
    places: list[Callable[[dict[str, Any]], object]] = [
        lambda config: config["model"].update(generator=hostile),
        lambda config: config["model"].update(generator_optimizer=hostile | {"_partial_": True}),
        lambda config: config["model"]["generator"].update(latent_size=hostile),
        lambda config: config["data"].update(batch_size=[[hostile]]),
        lambda config: config["trainer"].update(max_epochs=hostile),
        lambda config: config["stabilize"].update(any=hostile),
        lambda config: config["metric"].update(any=hostile),
        lambda config: config["figure"].update(any=hostile),
        *(lambda config, group=group: config.update({group: hostile}) for group in ("data", "objective", "trainer")),
    ]
    for place in places:
        config = composed("data=digits")
        place(config)
        with pytest.raises(InputError, match=re.escape(target)) as error:
            validate(config, trusted=[])
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("target", HOSTILE[:3])
def test_so_it_is_for_a_run_folder(tmp_path: Path, target: str) -> None:
    OmegaConf.save(composed("data=digits") | {"objective": {"_target_": target}}, tmp_path / "config.yaml")
    with pytest.raises(InputError, match=re.escape(target)):
        read_config(RunFolder(tmp_path), [])


def test_hydras_own_keys_give_a_config_no_way_around() -> None:
    for key, value in {"_args_": ["owned"], "_recursive_": True, "_convert_": "all"}.items():
        config = composed("data=digits")
        config["model"]["generator"][key] = value
        with pytest.raises(InputError, match=key):
            validate(config, trusted=[])


def test_a_trusted_package_may_be_named_and_no_other() -> None:
    config = composed("data=digits")
    config["objective"] = {"_target_": "fractions.Fraction"}
    with pytest.raises(InputError, match=r"trust=\[fractions\]"):
        validate(config, trusted=[])
    with pytest.raises(InputError, match=r"trust=\[fraction,fractions,ns\]"):
        validate(config, trusted=["fraction", "ns"])
    config["stabilize"] = {"own": {"_target_": "my_ideas.Quiet"}}
    with pytest.raises(InputError, match=r"trust=\[fractions,my_ideas\]"):  # all at once
        validate(config, trusted=[])
    del config["stabilize"]["own"]
    with pytest.raises(InputError, match="Objective"):  # what it must be, it must be all the same
        validate(config, trusted=["fractions"])


class Base:
    def __init__(self, width: PositiveInt, name: str = "") -> None: ...


class Derived(Base):
    def __init__(self, rate: float, **options: Any) -> None: ...


class Closed(Base):
    def __init__(self, rate: float) -> None: ...


def test_a_class_accepts_the_options_of_its_bases_where_it_passes_options_on() -> None:
    assert list(parameters_of(Derived)) == ["rate", "width", "name"]
    assert list(parameters_of(Closed)) == ["rate"]


ACCEPTED = [
    (PositiveInt, 1),
    (float, 1),
    (float, 0.5),
    (bool, True),
    (Literal["a", "b"], "b"),
    (tuple[float, float], [0.5, 0.9]),
    (list[int] | None, [1, 2]),
    (Sequence[int], [1]),
    (Any, "anything"),
    (Annotated[float, Field(ge=0, le=1)], 1.0),
]
REFUSED = [
    (PositiveInt, 0),
    (PositiveInt, "1"),
    (PositiveInt, 1.0),
    (PositiveInt, True),
    (float, "0.5"),
    (bool, "yes"),
    (bool, 1),
    (Literal["a", "b"], "c"),
    (tuple[float, float], [0.5]),
    (tuple[float, float], [0.5, "0.9"]),
    (list[int] | None, [1, "2"]),
    (Annotated[float, Field(ge=0, le=1)], 1.1),
    (Annotated[float, Field(gt=0)], math.inf),
    (float | None, math.nan),
    (tuple[float, float], [0.5, math.inf]),
]


@pytest.mark.parametrize(("hint", "value"), ACCEPTED)
def test_values_are_accepted(hint: Any, value: object) -> None:
    check_value(hint, value, "some.option")


@pytest.mark.parametrize(("hint", "value"), REFUSED)
def test_values_are_refused_by_name(hint: Any, value: object) -> None:
    with pytest.raises(InputError, match=r"^some\.option") as error:
        check_value(hint, value, "some.option")
    assert "\n" not in str(error.value)


names_of_options = st.text("abc_", min_size=1, max_size=3)
leaves = st.integers() | st.booleans() | st.text(max_size=3) | st.none() | st.lists(st.integers(), max_size=2)


@given(st.recursive(leaves, lambda inner: st.dictionaries(names_of_options, inner, max_size=3), max_leaves=10))
def test_nested_options_are_flattened_without_loss(options: object) -> None:
    def leaf(name: str) -> object:
        node: Any = options
        for part in name.split(".") if name else []:
            node = node[part]
        return node

    for name, value in flatten(options).items():
        original = leaf(name)
        assert value == (original if isinstance(original, bool | int | float | str) else str(original))
