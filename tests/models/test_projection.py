"""The conditional GAN: how it is told classes, against the formulas."""

import pytest
import torch

from gans.models.projection import (
    ConditionalBatchNorm,
    ProjectionDiscriminator,
    ProjectionGAN,
    ProjectionGenerator,
)
from gans.randomness import Streams
from tests.training import gan_of, random_batch

CLASSES = [0, 3, 7]


def test_the_class_acts_through_its_embedding_alone() -> None:
    """Miyato and Koyama 2018, equation 4: scores of the same image differ by <embedding difference, features>."""
    torch.manual_seed(0)
    network = ProjectionDiscriminator(CLASSES, width=16)
    images = torch.randn(5, 1, 28, 28)
    first, second = (network(images, torch.full((5,), label)) for label in (0, 2))
    features = network.body(images).sum((2, 3))
    expected = features @ (network.embedding.weight[0] - network.embedding.weight[2])
    torch.testing.assert_close((first - second)[:, 0], expected, rtol=1e-4, atol=1e-4)
    assert network.psi.bias.shape == (1,)


def test_conditional_batch_norm_scales_and_shifts_by_class() -> None:
    norm = ConditionalBatchNorm(4, 3)
    values = 5 + 2 * torch.randn(200, 4, 3, 3)
    classes = torch.arange(200) % 3
    plain = norm(values, norm.scale_and_shift(classes))
    torch.testing.assert_close(plain.mean((0, 2, 3)), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(plain.std((0, 2, 3)), torch.ones(4), atol=1e-2, rtol=0)
    with torch.no_grad():
        norm.scale_and_shift.weight[1] = torch.tensor([3.0] * 4 + [0.5] * 4)
    scaled = norm(values, norm.scale_and_shift(classes))
    torch.testing.assert_close(scaled[1::3], 3 * plain[1::3] + 0.5)
    torch.testing.assert_close(scaled[0::3], plain[0::3])


def test_the_generator_makes_what_it_is_asked_for() -> None:
    torch.manual_seed(0)
    network = ProjectionGenerator(CLASSES, latent_size=8, width=16).eval()
    with torch.no_grad():
        for norm in network.norms:
            norm.get_parameter("scale_and_shift.weight").normal_()
    inputs = network.inputs(6, Streams(0, "x")("latent"), None, torch.tensor([2, 2, 2, 0, 0, 0]))
    assert inputs.labels.tolist() == [2, 2, 2, 0, 0, 0]
    images = network(*inputs.arguments)
    assert images.shape == (6, 1, 28, 28)
    assert images.abs().max() <= 1
    other = network(inputs.arguments[0], torch.tensor([2, 2, 2, 1, 1, 1]))
    assert [torch.equal(one, two) for one, two in zip(images, other, strict=True)] == [True] * 3 + [False] * 3


def test_drawn_classes_are_uniform() -> None:
    network = ProjectionGenerator(CLASSES, latent_size=2, width=4)
    labels = network.inputs(3000, Streams(0, "x")("latent"), None).labels
    assert torch.bincount(labels, minlength=3).tolist() == pytest.approx([1000] * 3, abs=110)  # four deviations


def test_both_players_samples_are_scored_by_their_class() -> None:
    gan = gan_of("projection")
    assert isinstance(gan, ProjectionGAN)
    shown: list[torch.Tensor] = []
    gan.discriminator.register_forward_pre_hook(lambda _, arguments: shown.append(arguments[1]))
    batch = random_batch(8)
    first = gan.discriminator_batch(batch, Streams(0, "train")).forward()
    second = gan.generator_batch(batch, Streams(0, "train")).forward()
    assert torch.equal(first.fake.labels, batch.labels)  # so that pairs are of one class
    assert torch.equal(shown[0], torch.cat((first.fake.labels, batch.labels)))
    assert torch.equal(shown[1], second.fake.labels)


def test_held_out_fakes_are_of_the_classes_of_the_reals_beside_them() -> None:
    gan, batch = gan_of("projection", "relativistic"), random_batch(8)
    shown: list[torch.Tensor] = []
    gan.discriminator.register_forward_pre_hook(lambda _, arguments: shown.append(arguments[1]))
    gan.validation_step(batch, 0)
    assert [labels.tolist() for labels in shown] == [batch.labels.tolist() * 2] * 2
