"""An option that is accepted has its say, and what the code supplies itself is no option."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import get_class, get_object

from gans.config.build import build, build_gan
from gans.config.schema import SUPPLIED
from gans.config.validate import parameters_of, validate, validate_choice
from gans.errors import InputError
from tests.configs import composed, mostly_slow, names
from tests.run.runs import request
from tests.training import MODELS, option, small_options

Node = dict[str, Any]


def choices(group: str, name: str) -> Node:
    """The nodes that a file of a group describes, by their paths."""
    if group == "model":
        return {"model": small_options(f"model={name}")["model"]}
    node = option(group, name)
    if group in ("data", "trainer", "objective"):
        given: Node = {"batch_size": 8} if group == "data" else {}
        if str(node.get("classes")).startswith("$"):
            given["classes"] = ["some"]
        return {group: node | given}
    return {f"{group}.{key}": value for key, value in node.items()}


def of_groups(*groups: str) -> list[tuple[str, str]]:
    return [(group, name) for group in groups for name in names(group)]


@pytest.mark.parametrize(("group", "name"), of_groups(*SUPPLIED))
def test_what_the_code_supplies_is_no_option(group: str, name: str) -> None:
    """Nor is what a class passes to its base itself."""
    for path, node in choices(group, name).items():
        validate_choice(node, group, path)
        for supplied in SUPPLIED[group]:
            values: list[Any] = [None, 1, "own", [], {}]
            for value in values:
                with pytest.raises(InputError, match=rf"{path}\.{supplied} "):
                    validate_choice(node | {supplied: value}, group, path)


def defaults(target: Any) -> dict[str, Any]:
    """The options that have a default, with the default of the most derived class that names it."""
    found: dict[str, Any] = {}
    for level in target.__mro__:
        for name, parameter in inspect.signature(level.__init__).parameters.items():
            if parameter.default is not inspect.Parameter.empty:
                found.setdefault(name, parameter.default)
    return {name: value for name, value in found.items() if name in parameters_of(target)}


def assert_each_option_can_be_given(node: Node, group: str, path: str, **supplied: Any) -> None:
    """One at a time, with its default as the value."""
    target = get_class(node["_target_"])
    for name, value in defaults(target).items():
        if name not in SUPPLIED.get(group, ()):
            built = build(node | {name: value}, path, **supplied)
            assert isinstance(built, target)


@pytest.mark.parametrize(("group", "name"), of_groups("data", "objective", "stabilize", "metric", "trainer"))
def test_an_accepted_option_is_not_given_twice(group: str, name: str) -> None:
    supplied = {"seed": 0} if group == "data" else {}
    for path, node in choices(group, name).items():
        plain = {key: value for key, value in node.items() if not isinstance(value, str) or not value.startswith("${")}
        if "root" in node:
            plain["root"] = "data"
        assert_each_option_can_be_given(plain, group, path, **supplied)


@pytest.mark.parametrize("model", MODELS)
def test_an_accepted_option_of_a_network_is_not_given_twice(model: str) -> None:
    for network in ("generator", "discriminator"):
        node = small_options(f"model={model}")["model"][network]
        assert_each_option_can_be_given(node, "", f"model.{network}")


@pytest.mark.parametrize("group", ["objective", "stabilize", "metric", "figure", "trainer", "data"])
def test_a_name_that_is_no_option_is_refused(group: str) -> None:
    for name in names(group):
        for path, node in choices(group, name).items():
            assert callable(get_object(node["_target_"]))
            with pytest.raises(InputError, match=rf"{path}\.of_nothing "):
                validate_choice(node | {"of_nothing": 1}, group, path)


# --- optimizers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", names("optimizer"))
def test_an_optimizer_is_of_both_players_and_keeps_the_rates_of_the_model(optimizer: str) -> None:
    """With all that is written for it, and nothing of another optimizer."""
    config = composed("model=wgan_clipped", f"optimizer={optimizer}", "model.generator_optimizer.lr=3e-5")
    written = option("optimizer", optimizer)["model"]
    for player, lr in (("generator_optimizer", 3e-5), ("discriminator_optimizer", 5e-5)):
        assert config["model"][player] == written[player] | {"lr": lr}
    built = build_gan(validate(config)).configure_optimizers()
    kinds = {get_class(node["_target_"]) for node in written.values()}
    assert {type(each) for each in built} == kinds
    assert len(kinds) == 1


@pytest.mark.parametrize("model", mostly_slow(2, MODELS))
def test_every_model_takes_pytorchs_adam_with_its_own_rates_and_betas(model: str) -> None:
    own, with_adam = composed(f"model={model}")["model"], composed(f"model={model}", "optimizer=adam")["model"]
    for player in ("generator_optimizer", "discriminator_optimizer"):
        assert with_adam[player]["_target_"] == "torch.optim.Adam"
        for name in ("lr", "betas"):
            assert with_adam[player].get(name) == own[player].get(name)


@pytest.mark.parametrize("seeds", [[0, 0], [1, 2, 1]])
def test_seeds_of_samples_are_named_once(seeds: list[int]) -> None:
    with pytest.raises(InputError, match=f"seed=.*{seeds[0]} is there twice"):
        request(Path("run"), seed=seeds)
