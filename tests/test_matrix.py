"""Every objective x stabilizer x model: takes training steps, or is refused in a sentence that names what to use."""

import math
import re
import runpy
from functools import cache
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor

from gans.config.build import build_data, build_gan, check
from gans.data.batches import Batch
from gans.errors import InputError
from gans.gan import GAN
from tests.conftest import ROOT, composed, data_for, names, narrow
from tests.test_gan import train

MODELS, OBJECTIVES, STABILIZERS = (names(group) for group in ("model", "objective", "stabilize"))
STEPS, SAMPLES = 2, 8
IN_SO_FEW_STEPS = {"discriminator_steps": ["stabilize.discriminator_steps.steps=2"]}
"""Options with which a stabilizer does something in as many."""


@cache
def part(group: str, name: str) -> Any:
    """What one option file says, composed once."""
    if group == "model":
        model = f"model={name}"
        data = data_for(model, train=20, held_out=10)
        return composed(model, *narrow(model), *data, f"data.batch_size={SAMPLES}")
    return composed(f"{group}={name}", *IN_SO_FEW_STEPS.get(name, []))[group]


@cache
def batches(model: str) -> list[Batch]:
    return list(islice(build_data(part("model", model)).train_batches, STEPS))


def gan_of(model: str, objective: str, stabilizers: list[str]) -> GAN:
    config = part("model", model) | {"objective": part("objective", objective)}
    config["stabilize"] = {key: node for name in stabilizers for key, node in part("stabilize", name).items()}
    check(config["stabilize"], "stabilize")
    return build_gan(config)


def refusal(model: str, objective: str, stabilizers: list[str]) -> str:
    """Why the combination is refused, in one line that says what to use; empty where it is not."""
    try:
        gan_of(model, objective, stabilizers)
    except InputError as error:
        return str(error)
    return ""


def after_steps(model: str, objective: str, stabilizers: list[str], **options: Any) -> GAN:
    gan = gan_of(model, objective, stabilizers)
    train(gan, batches(model), **options)
    assert gan.training_steps == STEPS
    return gan


def trained(model: str, objective: str, stabilizers: list[str], **options: Any) -> dict[str, float]:
    """What is measured in training the combination."""
    return after_steps(model, objective, stabilizers, **options).means.pop()


def finite(means: dict[str, float]) -> bool:
    return all(math.isfinite(value) for value in means.values())


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("model", MODELS)
def test_every_stabilizer_trains_or_is_refused(model: str, objective: str) -> None:
    refused = {name: why for name in STABILIZERS if (why := refusal(model, objective, [name]))}
    for name, why in refused.items():
        assert "use " in why, name
        assert "\n" not in why, name
    for name in sorted(set(STABILIZERS) - set(refused)):
        assert finite(trained(model, objective, [name])), name
    updates = part("model", model)["model"]
    in_pairs = updates["discriminator_updates"] != "alternating" and updates["generator_batches"] == 1
    assert ("none" in refused) is (objective == "relativistic" and not in_pairs)


@pytest.mark.parametrize("model", MODELS)
def test_every_stabilizer_trains_in_half_precision_too(model: str) -> None:
    """The same quantities are measured, and they are finite."""
    for name in STABILIZERS:
        if not refusal(model, own(model), [name]):
            halved, whole = (trained(model, own(model), [name], precision=each) for each in ("bf16-mixed", "32-true"))
            assert finite(halved), name
            assert halved.keys() == whole.keys(), name


def own(model: str) -> str:
    """The name of the model's own objective."""
    node = part("model", model)["objective"]
    return next(name for name in OBJECTIVES if part("objective", name) == node)


EXCLUSIVE = (
    {"feature_matching", "unrolling"},
    {"fixed_label_smoothing", "label_smoothing"},
    {"spectral_norm", "weight_clipping"},
    {"weight_clipping", "wgan_gp"},
    {"dragan", "weight_clipping"},
)


@cache
def alone(stabilizer: str) -> dict[str, Tensor]:
    """What training a DCGAN with it leaves."""
    return after_steps("dcgan", "bce", [stabilizer]).state_dict()


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize("first", STABILIZERS)
def test_every_pair_of_stabilizers_trains_as_neither_does_alone_or_is_refused(first: str) -> None:
    """Of those that go with a DCGAN alone; the pairs that do not are those that say so."""
    for second in STABILIZERS[STABILIZERS.index(first) + 1 :]:
        if refusal("dcgan", "bce", [first]) or refusal("dcgan", "bce", [second]):
            continue
        why = refusal("dcgan", "bce", [first, second])
        assert why or {first, second} not in EXCLUSIVE, second
        assert not why or "use one of them" in why, second
        if not why:
            both = after_steps("dcgan", "bce", [first, second])
            assert finite(both.means.pop()), second
            for one, other in ((first, second), (second, first)):
                assert other == "none" or not equal(both.state_dict(), alone(one)), f"{other} changes nothing of {one}"


@pytest.mark.slow
def test_the_page_of_what_goes_with_what_is_of_this_code() -> None:
    """Of the stabilizers that it names: a new one works without it."""
    script = runpy.run_path(str(ROOT / "docs" / "combinations.py"))
    written = script["PAGE"].read_text(encoding="utf-8")
    named = {"none", *re.findall(r"^\| `(\w+)` \|", written, re.MULTILINE)}
    options = script["options"]()
    options["stabilize"] = [name for name in options["stabilize"] if name in named]
    assert set(options["stabilize"]) == named
    assert script["page"](options) == written, "run python docs/combinations.py"
