"""The step: whose weights move, on which batches, and at the published rate on the one GAN that is solved exactly."""

from collections.abc import Callable, Iterator
from typing import Any

import lightning as L
import numpy
import pytest
import torch
from torch import Tensor, nn
from typing_extensions import override

from gans.data.batches import Batch
from gans.gan import GAN
from gans.randomness import Streams
from gans.stabilize import Stabilizer, Stabilizers
from gans.update import Turn

MODELS = ["dcgan", "acgan", "wgan", "autoencoder"]


class Listed:
    """Given batches as a loader; a bare list of tuples would be taken for several loaders."""

    def __init__(self, batches: list[Batch]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.batches)


def train(gan: GAN, batches: list[Batch], **options: Any) -> L.Trainer:
    """The batches once each, through the real trainer."""
    silent = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    trainer = L.Trainer(max_epochs=1, enable_model_summary=False, **silent, **options)
    trainer.fit(gan, Listed(batches))
    return trainer


def random_batch(count: int = 8, seed: int = 0) -> Batch:
    random = torch.Generator().manual_seed(seed)
    return Batch(torch.rand(count, 1, 28, 28, generator=random), torch.arange(count) % 10)


def weights(network: nn.Module) -> list[Tensor]:
    return [value.detach().clone() for value in network.parameters()]


def same(before: list[Tensor], after: list[Tensor]) -> bool:
    return all(torch.equal(old, new) for old, new in zip(before, after, strict=True))


class Spy(Stabilizer):
    """Keeps the weights between the two players' updates, and what the discriminator was shown."""

    @override
    def after_discriminator(self, gan: GAN, turns: list[Turn]) -> None:
        self.between = weights(gan.generator), weights(gan.discriminator)


@pytest.mark.parametrize("model", MODELS)
def test_each_player_moves_its_own_weights_only(make_gan: Callable[..., GAN], model: str) -> None:
    gan = make_gan(f"model={model}")
    spy = Spy()
    gan.stabilizers = Stabilizers({"spy": spy})
    before = weights(gan.generator), weights(gan.discriminator)
    train(gan, [random_batch()])
    after = weights(gan.generator), weights(gan.discriminator)
    assert same(before[0], spy.between[0])
    assert not same(before[1], spy.between[1])
    assert not same(spy.between[0], after[0])
    assert same(spy.between[1], after[1])
    assert all(value.requires_grad for value in gan.parameters())


class Replay(Stabilizer):
    """What the discriminator says in each update, beside what its weights of that moment say."""

    def __init__(self, discriminator: nn.Module) -> None:
        super().__init__()
        self.judge = discriminator.forward  # not a part of this module
        self.now: list[Tensor] = []

    @override
    def see(self, images: Tensor, random: Streams) -> Tensor:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
            self.now.append(self.judge(images)[:, 0])
        return images

    @override
    def after_discriminator(self, gan: GAN, turns: list[Turn]) -> None:
        self.said = [turn.scores for turn in turns]

    @override
    def generator_terms(self, terms: dict[str, Tensor], turn: Turn, against: Turn) -> dict[str, Tensor]:
        self.said.append(turn.scores)
        return terms


@pytest.mark.parametrize("model", ["dcgan", "acgan"])
def test_in_half_precision_too_each_update_meets_the_discriminator_that_has_moved(
    make_gan: Callable[..., GAN], model: str
) -> None:
    """Autocast may keep a copy of the weights from before an update."""
    gan = make_gan(f"model={model}", "model.discriminator.dropout=0", "model.discriminator_optimizer.lr=0.1")
    replay = Replay(gan.discriminator)
    gan.stabilizers = Stabilizers({"replay": replay})
    train(gan, [random_batch()], precision="bf16-mixed")
    assert len(replay.said) == (3 if model == "acgan" else 2)
    for now, said in zip(replay.now, replay.said, strict=True):
        assert now.dtype == torch.bfloat16
        torch.testing.assert_close(said.detach(), now.float())


@pytest.mark.parametrize(("model", "passes"), [("dcgan", [64, 32]), ("acgan", [32, 32, 64]), ("autoencoder", [64, 32])])
def test_what_the_discriminator_is_shown_in_one_step(
    make_gan: Callable[..., GAN], model: str, passes: list[int]
) -> None:
    """DCGAN: one batch of 32 fakes and 32 reals, then 32 fakes. ACGAN: 32 reals, 32 fakes, then 64 fakes."""
    gan = make_gan(f"model={model}")
    shown: list[Tensor] = []
    gan.discriminator.register_forward_pre_hook(lambda _, arguments: shown.append(arguments[0].detach()))
    batch = random_batch(32)
    low, high = gan.generator.pixel_range
    real = low + (high - low) * batch.images
    train(gan, [batch])
    assert [len(images) for images in shown] == passes
    if model == "acgan":
        torch.testing.assert_close(shown[0], real)
    else:
        torch.testing.assert_close(shown[0][32:], real)  # fakes first
    assert not torch.equal(shown[-1][:32], shown[0][:32])  # the generator's fakes are fresh


@pytest.mark.parametrize(("mode", "moves"), [("inference", False), ("training", True)])
def test_mode_of_the_generator_that_makes_the_discriminators_fakes(
    make_gan: Callable[..., GAN], mode: str, moves: bool
) -> None:
    gan = make_gan(f"model.discriminator_fakes={mode}")
    norm = next(module for module in gan.generator.modules() if isinstance(module, nn.BatchNorm2d))
    assert norm.running_mean is not None
    before = norm.running_mean.clone()
    gan.discriminator_turn(random_batch(), Streams(0, "train"))
    assert torch.equal(norm.running_mean, before) is not moves
    assert gan.generator.training


def test_the_discriminators_fakes_carry_no_gradient_and_the_generators_do(make_gan: Callable[..., GAN]) -> None:
    gan = make_gan()
    random = Streams(0, "train")
    assert not gan.discriminator_turn(random_batch(), random).fake.images.requires_grad
    assert gan.generator_turn(random_batch(), random).fake.images.requires_grad


def test_the_autoencoder_is_shown_the_negatives_of_the_same_images(make_gan: Callable[..., GAN]) -> None:
    gan = make_gan("model=autoencoder")
    batch = random_batch()
    shown: list[Tensor] = []
    gan.generator.register_forward_pre_hook(lambda _, arguments: shown.append(arguments[0]))
    turn = gan.discriminator_turn(batch, Streams(0, "train"))
    torch.testing.assert_close(shown[0], 1 - batch.images)
    torch.testing.assert_close(turn.real.images, batch.images)


def test_acgan_pays_cross_entropy_of_logits(make_gan: Callable[..., GAN]) -> None:
    """Softmax before cross-entropy (PyTorch-GAN#141) would not reach these values."""
    gan = make_gan("model=acgan")
    logits = torch.tensor([[0.0, 10.0, *[-10.0] * 9], [0.0, -10.0, 10.0, *[-10.0] * 8]])
    side = gan._side(torch.zeros(2, 1, 28, 28), torch.tensor([0, 0]), desired_real=True)
    turn = Turn(lambda *_: logits, side, side.none())
    expected = [numpy.log(numpy.exp(values).sum()) - values[0] for values in logits[:, 1:].double().numpy()]
    numpy.testing.assert_allclose(gan.discriminator_terms(turn)["class"].numpy(), expected, rtol=1e-5, atol=1e-6)
    assert gan.accuracies(turn)["class_accuracy"].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("model", MODELS)
def test_one_seed_gives_the_same_weights_and_another_does_not(make_gan: Callable[..., GAN], model: str) -> None:
    def trained(seed: int, disturb: bool) -> list[Tensor]:
        gan = make_gan(f"model={model}", f"seed={seed}", "stabilize=[label_smoothing,noisy_labels]")
        if disturb:
            torch.rand(7)  # someone else draws from the global generator
        train(gan, [random_batch(seed=1), random_batch(seed=2)])
        return weights(gan)

    first = trained(0, disturb=False)
    assert same(first, trained(0, disturb=True))
    assert not same(first, trained(3, disturb=False))


def test_a_second_term_adds_to_the_loss_and_gets_its_own_curve(make_gan: Callable[..., GAN]) -> None:
    class Three(Stabilizer):
        @override
        def penalties(self, turn: Turn, random: Streams) -> dict[str, Tensor]:
            return {"three": torch.full_like(turn.scores, 3.0)}

    gan = make_gan()
    gan.stabilizers = Stabilizers({"three": Three()})
    train(gan, [random_batch()])
    means = gan.means.pop()
    assert means["discriminator_three"] == 1.5  # beside half of the objective, as the mean over fakes and reals is
    assert means["discriminator_loss"] == pytest.approx(means["discriminator_adversarial"] + 1.5)
