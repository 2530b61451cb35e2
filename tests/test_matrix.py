"""Every objective x stabilizer x model: takes training steps, or is refused in a sentence that names what to use."""

import math
import re
import runpy
from functools import cache
from itertools import islice
from typing import Any

import pytest

from gans.building import build_data, build_gan, check
from gans.data.batches import Batch
from gans.errors import InputError
from gans.gan import GAN
from tests.conftest import ROOT, composed, data_for, names, narrow
from tests.test_gan import train

MODELS, OBJECTIVES, STABILIZERS = (names(group) for group in ("model", "objective", "stabilize"))
STEPS, SAMPLES = 2, 8


@cache
def part(group: str, name: str) -> Any:
    """What one option file says, composed once."""
    if group == "model":
        model = f"model={name}"
        data = data_for(model, train=20, held_out=10)
        return composed(model, *narrow(model), *data, f"data.batch_size={SAMPLES}")
    return composed(f"{group}={name}")[group]


@cache
def batches(model: str) -> list[Batch]:
    return list(islice(build_data(part("model", model)).train_batches, STEPS))


def gan_of(model: str, objective: str, stabilizers: list[str]) -> GAN:
    config = part("model", model) | {"objective": part("objective", objective)}
    config["stabilize"] = {key: node for name in stabilizers for key, node in part("stabilize", name).items()}
    check(config["stabilize"], "stabilize")
    return build_gan(config)


def trains_or_is_refused(model: str, objective: str, stabilizers: list[str], **options: Any) -> bool:
    try:
        gan = gan_of(model, objective, stabilizers)
    except InputError as refusal:
        assert "use " in str(refusal)  # noqa: PT017
        assert "\n" not in str(refusal)  # noqa: PT017
        return False
    train(gan, batches(model), **options)
    means = gan.means.pop()
    assert all(math.isfinite(value) for value in means.values())
    assert gan.training_steps == STEPS
    return True


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("model", MODELS)
def test_every_stabilizer_trains_or_is_refused(model: str, objective: str) -> None:
    trained = [name for name in STABILIZERS if trains_or_is_refused(model, objective, [name])]
    updates = part("model", model)["model"]
    in_pairs = (updates["discriminator_updates"], updates["generator_batches"]) == ("joint", 1)
    if in_pairs or objective != "relativistic":
        assert "none" in trained


@pytest.mark.parametrize("model", MODELS)
def test_every_stabilizer_trains_in_half_precision_too(model: str) -> None:
    for name in STABILIZERS:
        trains_or_is_refused(model, own(model), [name], precision="bf16-mixed")


def own(model: str) -> str:
    """The name of the model's own objective."""
    node = part("model", model)["objective"]
    return next(name for name in OBJECTIVES if part("objective", name) == node)


@pytest.mark.parametrize("first", STABILIZERS)
def test_every_pair_of_stabilizers_trains_or_is_refused(first: str) -> None:
    for second in STABILIZERS[STABILIZERS.index(first) + 1 :]:
        trains_or_is_refused("dcgan", "bce", [first, second])


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
