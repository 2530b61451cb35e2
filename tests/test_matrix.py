"""Every choice beside every other: it takes training steps, or is refused in a sentence that says what to use.

Whether a combination is refused depends on two of its choices, so that pairs are tested: of models as they are
configured, and where no model is asked for, of a tiny GAN that goes with everything. A slow test compares triples with
what the pairs say.
"""

import math
import re
import runpy
from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from gans.config.build import build_data, build_gan
from gans.config.compatibility import require_match, require_trainer
from gans.data.batches import Batch
from gans.errors import InputError
from gans.gan import GAN
from tests.configs import ROOT, names
from tests.training import (
    MODELS,
    OBJECTIVES,
    STABILIZERS,
    batches_of,
    gan_of,
    small_config,
    small_options,
    tiny_batches,
    tiny_gan,
    train,
)

IN_TWO_STEPS = {"discriminator_steps.steps": 2, "top_k.interval": 1, "top_k.decay": 0.5, "lookahead.steps": 2}
"""With which the generator moves in two steps, and techniques that wait act in them."""

FAST = ("dcgan", "acgan", "autoencoder", "mlp")
IN_CI = [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in MODELS]
"""Models; those with the networks of another one are left to CI."""


def measured(gan: GAN, batches: Sequence[Batch], **options: Any) -> dict[str, float]:
    """What is measured of a GAN in a training step for each batch: all finite, of both players."""
    means = train(gan, batches, **options).means.pop()
    assert gan.training_steps == len(batches)
    assert {"discriminator_loss", "generator_loss"} <= means.keys()
    assert all(math.isfinite(value) for value in means.values()), means
    return means


def check_answer(error: InputError) -> None:
    """A refusal is one line that says what to use."""
    assert "use " in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize("stabilizer", STABILIZERS)
@pytest.mark.parametrize("model", IN_CI)
def test_every_stabilizer_trains_with_every_model_or_is_refused(model: str, stabilizer: str) -> None:
    own = {name: value for name, value in IN_TWO_STEPS.items() if name.startswith(f"{stabilizer}.")}
    changes = {f"stabilize.{name}": value for name, value in own.items()}
    try:
        gan = gan_of(model, None, [stabilizer], changes)
    except InputError as error:
        check_answer(error)
        assert stabilizer != "none"
    else:
        measured(gan, batches_of(model)[: 2 if own else 1])


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("model", IN_CI)
def test_every_objective_trains_with_every_model_or_is_refused(model: str, objective: str) -> None:
    """Refused are pairs of fakes and reals where there are none."""
    options = small_options(f"model={model}")["model"]
    has_pairs = options["discriminator_updates"] != "alternating" and options["generator_batches"] == 1
    if objective == "relativistic" and not has_pairs:
        with pytest.raises(InputError) as refused:
            gan_of(model, objective)
        check_answer(refused.value)
    else:
        measured(gan_of(model, objective), batches_of(model)[:1])


@pytest.mark.parametrize("stabilizer", STABILIZERS)
@pytest.mark.slow
def test_every_stabilizer_trains_with_every_objective_or_is_refused(stabilizer: str) -> None:
    for objective in OBJECTIVES:
        try:
            gan = tiny_gan(objective, [stabilizer], IN_TWO_STEPS)
        except InputError as error:
            check_answer(error)
            assert objective != "bce"
        else:
            measured(gan, tiny_batches())


EXCLUSIVE = (
    {"feature_matching", "unrolling"},
    {"feature_matching", "top_k"},
    {"top_k", "unrolling"},
    {"fixed_label_smoothing", "label_smoothing"},
    {"spectral_norm", "weight_clipping"},
    {"weight_clipping", "wgan_gp"},
    {"dragan", "weight_clipping"},
)


@cache
def left_by(*stabilizers: str) -> dict[str, Tensor]:
    """The state after two training steps with these stabilizers."""
    gan = tiny_gan("bce", stabilizers, IN_TWO_STEPS)
    measured(gan, tiny_batches())
    return gan.state_dict()


@pytest.mark.parametrize("first", STABILIZERS)
@pytest.mark.slow
def test_every_pair_of_stabilizers_trains_as_neither_does_alone_or_is_refused(first: str) -> None:
    """In either order; the pairs that do not go together are those that say so."""
    for second in STABILIZERS[STABILIZERS.index(first) + 1 :]:
        if {first, second} in EXCLUSIVE:
            for pair in ([first, second], [second, first]):
                with pytest.raises(InputError, match="use one of them"):
                    tiny_gan("bce", pair)
            continue
        tiny_gan("bce", [second, first])
        both = left_by(first, second)
        for one, other in ((first, second), (second, first)):
            alone = left_by(one)
            changed = both.keys() != alone.keys() or any(not torch.equal(both[name], alone[name]) for name in alone)
            assert changed or other == "none", f"{other} changes nothing of {one}"


@pytest.mark.parametrize("model", MODELS)
def test_every_model_trains_in_half_precision(model: str) -> None:
    assert measured(gan_of(model), batches_of(model)[:1], precision="bf16-mixed")  # and that it is finite


@pytest.mark.slow
@pytest.mark.parametrize("stabilizer", STABILIZERS)
def test_every_stabilizer_trains_in_half_precision(stabilizer: str) -> None:
    """The same is measured as in single precision."""
    halved, whole = (
        measured(tiny_gan("bce", [stabilizer], IN_TWO_STEPS), tiny_batches(), precision=precision)
        for precision in ("bf16-mixed", "32-true")
    )
    assert halved.keys() == whole.keys()


@pytest.mark.parametrize("experiment", names("experiment"))
def test_every_experiment_fits_its_data_and_trains(experiment: str) -> None:
    """On data like its own; its trainer and its data are built too."""
    config = small_config(f"experiment={experiment}")
    require_trainer(config.trainer)
    data, gan = build_data(config), build_gan(config)
    require_match(gan, data)
    train(gan, list(data.train_batches)[:1])
    assert gan.training_steps == 1
    assert all(math.isfinite(value) for value in gan.means.pop().values())


@pytest.mark.slow
def test_the_page_of_what_goes_with_what_is_of_this_code() -> None:
    """Of the stabilizers that it names: a new one works without it. A model, an objective and a stabilizer together are
    refused as a pair of them is, if any; all pairs of the three groups are among these triples."""
    script = runpy.run_path(str(ROOT / "docs" / "combinations.py"))
    written = script["PAGE"].read_text(encoding="utf-8")
    named = {"none", *re.findall(r"^\| `(\w+)` \|", written, re.MULTILINE)}
    options = script["options"]()
    options["stabilize"] = [name for name in options["stabilize"] if name in named]
    assert set(options["stabilize"]) == named
    assert script["page"](options) == written, "run python docs/combinations.py"

    refusal = script["refusal"]
    for (row, model), (column, name) in product(enumerate(MODELS), enumerate(STABILIZERS)):
        objective = OBJECTIVES[(row + column) % len(OBJECTIVES)]
        pairs = (
            refusal(model, objective),
            refusal(model, stabilizers=(name,)),
            refusal(objective=objective, stabilizers=(name,)),
        )
        expected = {pair for pair in pairs if pair is not None} or {None}
        assert refusal(model, objective, (name,)) in expected, (model, objective, name)
