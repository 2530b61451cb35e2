"""Rejection sampling: of densities that are known, and within a run."""

from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
import torch
from torch import Tensor, nn

from gans.errors import InputError, TrainingError
from gans.gan import GAN
from gans.generator import Inputs
from gans.randomness import Streams
from gans.run import commands
from gans.run.folder import RunFolder
from gans.run.generate import generate
from gans.run.identity import same_runs
from gans.run.test_results import read_results
from gans.sampling.rejection import RejectionSampling, fill, logit_of_share
from tests.configs import narrow
from tests.run.runs import request, start
from tests.run.runs import test_again as retest
from tests.training import MODELS, OBJECTIVES, gan_of, points_gan, scored_batch, tiny_gan


def stream() -> torch.Generator:
    return Streams(0, "sampling")("latent")


def numbers(values: Tensor, labels: Tensor | None = None) -> Inputs:
    """Inputs that are single numbers."""
    return Inputs((values,), torch.zeros(len(values), dtype=torch.int64) if labels is None else labels)


def test_without_gamma_a_sample_is_kept_with_its_share_of_the_largest_ratio() -> None:
    below = -torch.logspace(-6, 2, 50, dtype=torch.float64)
    torch.testing.assert_close(logit_of_share(below).sigmoid(), below.exp(), rtol=0.02, atol=1e-12)
    assert logit_of_share(torch.zeros(1, dtype=torch.float64)).sigmoid() > 0.9999


@pytest.mark.parametrize("percentile", [50, 95])
def test_the_kept_samples_have_the_density_of_the_algorithm(percentile: int) -> None:
    """Of x from N(0, 1) with the scores -|x|, against numerical integration."""
    kept = RejectionSampling(percentile, 1).chooser(lambda inputs: -inputs.arguments[0].abs())
    random = stream()
    values = torch.randn(200_000, generator=random, dtype=torch.float64)
    chosen = values[kept(numbers(values), random)].abs()
    grid = numpy.linspace(1e-4, 6, 60_000)
    terms = -grid - numpy.log1p(-numpy.exp(-grid - 1e-8))
    density = numpy.exp(-(grid**2) / 2)
    inside = numpy.cumsum(density) / density.sum()
    gamma = terms[numpy.searchsorted(inside, 1 - percentile / 100)]
    weight = density / (1 + numpy.exp(gamma - terms))
    assert len(chosen) / len(values) == pytest.approx(weight.sum() / density.sum(), rel=0.03)
    assert chosen.mean().item() == pytest.approx((grid * weight).sum() / weight.sum(), rel=0.03)


def test_a_class_that_the_discriminator_likes_less_is_kept_as_often() -> None:
    kept = RejectionSampling(80, 1).chooser(lambda inputs: inputs.arguments[0] - 100.0 * inputs.labels)
    values, labels = torch.randn(10_000, generator=stream()), torch.arange(10_000) % 2
    chosen = kept(numbers(values, labels), stream())
    shares = [chosen[labels == label].float().mean().item() for label in (0, 1)]
    assert shares[0] == pytest.approx(shares[1], rel=0.15)
    assert values[chosen].mean() > 0.5


def test_a_rare_class_is_kept_as_often() -> None:
    """Though there are a few of it among the samples that are scored at once."""
    kept = RejectionSampling(80, 1).chooser(lambda inputs: inputs.arguments[0])
    labels, random = (torch.arange(500) < 2).long(), stream()
    values = torch.randn(1000, 500, generator=random)
    chosen = torch.stack([kept(numbers(each, labels), random) for each in values]).float()
    assert chosen[500:, :2].mean().item() == pytest.approx(chosen[500:, 2:].mean().item(), rel=0.15)


def test_every_slot_gets_a_kept_input_of_its_own() -> None:
    asked = 0

    def draw(slots: Tensor) -> tuple[Inputs, Tensor]:
        nonlocal asked
        asked += len(slots)
        return numbers(slots * 10.0, slots), torch.rand(len(slots), generator=random) < 0.2

    random = stream()
    inputs = fill(1234, draw)
    assert torch.equal(inputs.labels, torch.arange(1234))
    assert torch.equal(inputs.arguments[0], 10.0 * torch.arange(1234))
    assert asked < 1.5 * 1234 / 0.2


def test_scores_that_are_not_finite_end_it() -> None:
    kept = RejectionSampling().chooser(lambda inputs: inputs.arguments[0] * numpy.nan)
    with pytest.raises(TrainingError, match="not finite"):
        kept(numbers(torch.ones(3)), stream())


class HalfPlane(nn.Module):
    """Scores points by their first coordinate."""

    def forward(self, points: Tensor) -> Tensor:
        return 100 * points[:, :1]


def test_points_that_a_discriminator_finds_real_are_drawn_by_their_inputs_alone() -> None:
    gan = points_gan()
    gan.discriminator = HalfPlane()
    gan.eval()

    def drawn(sampling: RejectionSampling, count: int = 300) -> Tensor:
        inputs = sampling.inputs_of(gan.generator, gan)(count, stream(), None, None)
        return gan.generator(*inputs.arguments)[:, 0].detach()

    plain = gan.generator(*gan.generator.inputs(300, stream(), None).arguments)[:, 0].detach()
    mild, strict = drawn(RejectionSampling(50, 500)), drawn(RejectionSampling(95, 500))
    assert plain.mean() < mild.mean() < strict.mean()
    assert torch.equal(strict, drawn(RejectionSampling(95, 500)))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_only_scores_that_are_log_ratios_choose_samples(objective: str) -> None:
    """The best discriminator between N(1, 1) and N(0, 1) has the score x - 1/2, up to a constant; the loss's slope in
    its scores is 0 there."""
    gan = tiny_gan(objective)
    where = torch.linspace(-4, 4, 401, dtype=torch.float64)
    data, made = (torch.exp(-((where - mean) ** 2) / 2) for mean in (1.0, 0.0))
    scores = (where - 0.5).requires_grad_()
    if gan.objective.compares_pairs:
        loss = nn.functional.softplus(scores[:, None] - scores) * made[:, None] * data  # fakes, reals
    else:
        as_real, as_fake = (
            gan.objective.discriminator(scored_batch(scores, target))
            for target in (gan.objective.real_target, gan.objective.fake_target)
        )
        loss = as_real * data + as_fake * made
    (slope,) = torch.autograd.grad(loss.sum(), scores)
    is_best = bool((slope.abs()[100:300] < 1e-3 * slope.abs().max().clamp(min=1)).all())
    assert is_best == gan.objective.scores_are_log_ratios
    if is_best:
        RejectionSampling().require_match(gan)
    else:
        with pytest.raises(InputError, match="use sampling=all"):
            RejectionSampling().require_match(gan)


MANY_CLASSES = {f"model.{network}.classes": list(range(51)) for network in ("generator", "discriminator")}


@pytest.mark.parametrize(
    "make",
    [
        lambda: gan_of("autoencoder"),
        lambda: gan_of("dcgan", stabilizers=["packing"]),
        lambda: gan_of("acgan", changes=MANY_CLASSES),
    ],
    ids=["images", "packs", "classes"],
)
def test_samples_without_latents_or_scores_of_their_own_are_refused(make: Callable[[], GAN]) -> None:
    with pytest.raises(InputError, match="use sampling=all"):
        RejectionSampling().require_match(make())


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.slow
def test_samples_of_every_model_can_be_chosen_or_are_refused(model: str) -> None:
    """Of the classes that are asked for."""
    gan, sampling = gan_of(model), RejectionSampling(50, first=20)
    gan.eval()
    if not gan.objective.scores_are_log_ratios or gan.generator.takes_images:
        with pytest.raises(InputError, match="use sampling=all"):
            sampling.require_match(gan)
        return
    sampling.require_match(gan)
    classes = torch.arange(6) % 3
    inputs = sampling.inputs_of(gan.generator, gan)(6, stream(), None, classes)
    assert gan.sample(inputs).isfinite().all()
    if gan.generator.takes_classes:
        assert torch.equal(inputs.labels, classes)


# --- within a run -----------------------------------------------------------------------------------------------------

DRS = ("sampling=drs", "sampling.first=500")


@pytest.mark.slow
def test_a_run_tells_which_samples_its_metrics_are_of(tmp_path: Path) -> None:
    """Training and validation stay the same; testing again with another sampling measures the other samples."""
    options = ("model=dcgan", *narrow("model=dcgan"), "metric=[fid]", "trainer.max_steps=2")
    plain, chosen = start(tmp_path / "plain", *options), start(tmp_path / "drs", *options, *DRS)
    assert plain.curves.keys() == chosen.curves.keys()
    of_plain, of_chosen = (read_results(run.test_results_file) for run in (plain, chosen))
    assert "fid_70_digits1" in of_plain.checkpoints["last"].results
    assert "fid_70_80drs_digits1" in of_chosen.checkpoints["last"].results
    assert "fid_70_digits1" not in of_chosen.checkpoints["last"].results
    assert of_plain.floors == of_chosen.floors
    assert (
        f"{of_chosen.floors['fid_70_digits1']:.4g}" in of_chosen.table("run").columns[-2].cells
    )  # beside the figure of DRS

    sampling, every = chosen.config["sampling"], plain.config["sampling"]
    for choice, expected in ((sampling, of_chosen), (every, of_plain)):
        config = commands.read_config(RunFolder(plain.path), [], sampling=choice)
        tested = commands.test(RunFolder(plain.path), config)
        assert read_results(plain.test_results_file).checkpoints == expected.checkpoints
        assert tested.config["sampling"] == choice  # so the same test again has the same samples
        retest(RunFolder(plain.path))
        assert read_results(plain.test_results_file).checkpoints == expected.checkpoints
        same = {run.path for run in same_runs(chosen.config, [RunFolder(plain.path), chosen])}
        assert (plain.path in same) == (choice == sampling)

    made = [generate(request(plain.path, count=9, npz=True, **given)) for given in ({}, *2 * [{"sampling": sampling}])]
    images = [numpy.load(folder / "images.npz")["images"] for folder in made]
    assert images[0].shape == images[1].shape
    assert not numpy.array_equal(images[0], images[1])
    assert numpy.array_equal(images[1], images[2])


@pytest.mark.slow
def test_an_exported_generator_has_no_discriminator_to_choose_by(tmp_path: Path) -> None:
    run = start(tmp_path / "runs", "model=dcgan", "metric=none", "trainer.max_steps=1")
    sampling = {"_target_": "gans.sampling.rejection.RejectionSampling", "first": 10}
    with pytest.raises(InputError, match="checkpoint"):
        generate(request(run.generator_file, count=2, sampling=sampling))
    assert generate(request(run.path, count=2, sampling=sampling)).parent == run.path
