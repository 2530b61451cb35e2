"""The training step: whose weights move, on which samples, with which random numbers."""

import pytest
import torch
from torch import Tensor, nn
from typing_extensions import override

from gans.randomness import Streams
from gans.stabilize import Stabilizer
from gans.stabilize.base import StabilizedGAN
from gans.update import PlayerBatch, ScoredBatch, Terms, mean_terms, total
from tests.training import gan_of, points_gan, random_batch, random_points, same, train, weights

UPDATES = ["joint", "separate", "alternating"]


class Between(Stabilizer):
    """Keeps the weights between the two players' updates."""

    @override
    def after_discriminator(self, gan: StabilizedGAN, batches: list[ScoredBatch]) -> None:
        self.weights = weights(gan.generator), weights(gan.discriminator)


@pytest.mark.parametrize("updates", UPDATES)
def test_each_player_moves_its_own_weights_only(updates: str) -> None:
    between = Between()
    gan = points_gan(between, discriminator_updates=updates)
    before = weights(gan.generator), weights(gan.discriminator)
    train(gan, [random_points()])
    after = weights(gan.generator), weights(gan.discriminator)
    assert same(before[0], between.weights[0])
    assert not same(before[1], between.weights[1])
    assert not same(between.weights[0], after[0])
    assert same(between.weights[1], after[1])
    assert all(weight.requires_grad for weight in gan.parameters())


class Replay(Stabilizer):
    """The discriminator's scores in each update, beside those that its weights of that moment give."""

    def __init__(self) -> None:
        super().__init__()
        self.now: list[Tensor] = []
        self.played: list[Tensor] = []

    @override
    def attach(self, gan: StabilizedGAN) -> None:
        self.forward_now = gan.discriminator.forward  # not a part of this module

    @override
    def transform_inputs(self, images: Tensor, random: Streams) -> Tensor:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
            self.now.append(self.forward_now(images)[:, 0])
        return images

    @override
    def after_discriminator(self, gan: StabilizedGAN, batches: list[ScoredBatch]) -> None:
        self.played += [batch.scores for batch in batches]

    @override
    def generator_terms(
        self, gan: StabilizedGAN, terms: Terms, batch: ScoredBatch, discriminator_batch: PlayerBatch
    ) -> Terms:
        self.played.append(batch.scores)
        return terms


@pytest.mark.parametrize(("updates", "passes"), [("joint", 2), ("alternating", 3)])
def test_in_half_precision_each_update_meets_the_discriminator_that_has_moved(updates: str, passes: int) -> None:
    """Autocast may keep a copy of the weights from before an update."""
    replay = Replay()
    train(points_gan(replay, rate=0.1, discriminator_updates=updates), [random_points()], precision="bf16-mixed")
    assert len(replay.played) == len(replay.now) == passes
    for now, played in zip(replay.now, replay.played, strict=True):
        assert now.dtype == torch.bfloat16
        torch.testing.assert_close(played.detach(), now.float())


@pytest.mark.parametrize(("model", "passes"), [("dcgan", [16, 8]), ("acgan", [8, 8, 16]), ("autoencoder", [16, 8])])
def test_what_the_discriminator_is_shown_in_one_step(model: str, passes: list[int]) -> None:
    """Reports A and B: fakes and reals as one batch, then fakes; ACGAN: reals, fakes, then twice as many fakes."""
    gan, batch = gan_of(model), random_batch()
    shown: list[Tensor] = []
    gan.discriminator.register_forward_pre_hook(lambda _, arguments: shown.append(arguments[0].detach()))
    low, high = gan.generator.pixel_range
    train(gan, [batch])
    assert [len(images) for images in shown] == passes
    torch.testing.assert_close(shown[0][-8:], low + (high - low) * batch.images)  # fakes first, where they are there
    assert not torch.equal(shown[-1][:8], shown[-2][:8])  # the generator's fakes are fresh


@pytest.mark.parametrize(("mode", "moves"), [("inference", False), ("training", True)])
def test_mode_of_the_generator_that_makes_the_discriminators_fakes(mode: str, moves: bool) -> None:
    gan = points_gan(discriminator_fakes=mode)
    (norm,) = (module for module in gan.generator.modules() if isinstance(module, nn.BatchNorm1d))
    assert norm.running_mean is not None
    before = norm.running_mean.clone()
    assert not gan.discriminator_batch(random_points(), Streams(0, "train")).fake.images.requires_grad
    assert torch.equal(norm.running_mean, before) is not moves
    assert gan.generator.training
    assert gan.generator_batch(random_points(), Streams(0, "train")).fake.images.requires_grad


def test_the_autoencoder_is_shown_the_negatives_of_the_same_images() -> None:
    gan, batch = gan_of("autoencoder"), random_batch()
    shown: list[Tensor] = []
    gan.generator.register_forward_pre_hook(lambda _, arguments: shown.append(arguments[0]))
    found = gan.discriminator_batch(batch, Streams(0, "train"))
    torch.testing.assert_close(shown[0], 1 - batch.images)
    torch.testing.assert_close(found.real.images, batch.images)


@pytest.mark.parametrize("model", ["acgan", "autoencoder"])
def test_a_run_is_a_function_of_its_seed(model: str) -> None:
    """Initial weights and all random numbers of training, whoever else draws random numbers."""

    def trained(seed: int) -> tuple[list[Tensor], list[Tensor]]:
        gan = gan_of(model, stabilizers=["label_smoothing", "noisy_labels"], changes={"seed": seed})
        initial = weights(gan)
        train(gan, [random_batch(4)])
        return initial, weights(gan)

    first = trained(0)
    torch.rand(7)
    again, other = trained(0), trained(3)
    assert same(first[0], again[0])
    assert same(first[1], again[1])
    assert not same(first[0], other[0])


def test_another_branch_trains_from_the_same_weights_with_other_random_numbers() -> None:
    gans = [points_gan(seed=1, branch=branch) for branch in (0, 0, 2)]
    assert same(weights(gans[0]), weights(gans[2]))
    first, again, branched = (weights(train(gan, [random_points()])) for gan in gans)
    assert same(first, again)
    assert not same(first, branched)


def test_a_penalty_adds_to_the_loss_and_gets_its_own_curve() -> None:
    class Three(Stabilizer):
        @override
        def penalties(self, batch: PlayerBatch, random: Streams) -> dict[str, Tensor]:
            return {"three": torch.full((len(batch.both.images),), 3.0, requires_grad=True)}

    means = train(points_gan(Three()), [random_points()]).means.pop()
    assert means["discriminator_three"] == 1.5  # beside half of the objective, as the mean over fakes and reals is
    assert means["discriminator_loss"] == pytest.approx(means["discriminator_adversarial"] + 1.5)


def test_separate_passes_change_what_batch_norm_sees_and_nothing_else() -> None:
    def losses(model: str) -> list[float]:
        found = []
        for updates in ("joint", "separate"):
            changes = {"model.discriminator_updates": updates, "model.discriminator.dropout": 0.0}
            gan = gan_of(model, changes=changes)
            batch = gan.discriminator_batch(random_batch(), Streams(0, "train")).forward()
            found.append(total(mean_terms(gan.discriminator_terms(batch))).item())
        return found

    joint, separate = losses("dcgan")
    assert joint == pytest.approx(separate, rel=1e-5)
    joint, separate = losses("acgan")  # its discriminator has BatchNorm
    assert joint != pytest.approx(separate, rel=1e-5)


def test_held_out_figures_are_of_all_images_and_change_nothing() -> None:
    """The weighted mean over batches of different sizes, without stabilizers' targets, the same each time."""
    gan = gan_of("dcgan", stabilizers=["noisy_labels", "ema"], changes={"stabilize.noisy_labels.flip_probability": 1.0})
    plain = gan_of("dcgan")
    gan.eval(), plain.eval()
    with torch.no_grad():
        for each in (gan, plain):
            each.validation_step(random_batch(8), 0)
            each.validation_step(random_batch(2, seed=1), 1)
    found, expected = gan.held_out_means.pop(), plain.held_out_means.pop()
    assert found == pytest.approx(expected)
    assert {"discriminator_loss", "generator_loss", "discriminator_accuracy", "generator_accuracy"} <= found.keys()
    assert gan.means.pop() == {}
