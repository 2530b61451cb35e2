"""The residual networks begin as R3GAN's do."""

import pytest
import torch

from gans.models.residual import Block, ResidualDiscriminator, ResidualGenerator


def test_a_block_begins_as_the_identity_and_learns() -> None:
    block = Block(16, blocks=4)
    values = torch.randn(3, 16, 7, 7)
    assert torch.equal(block(values), values)
    block(values).square().sum().backward()
    last = block.layers[-1].get_parameter("weight")
    assert last.grad is not None
    assert last.grad.abs().max() > 0


def test_signals_keep_their_size_at_the_start() -> None:
    torch.manual_seed(0)
    generator, discriminator = ResidualGenerator([64, 32, 16]), ResidualDiscriminator([16, 32, 64])
    images = generator(torch.randn(50, 64))
    assert images.shape == (50, 1, 28, 28)
    assert 0.2 < images.std().item() < 3
    scores = discriminator(torch.randn(50, 1, 28, 28))
    assert scores.shape == (50, 1)
    assert 0.05 < scores.std().item() < 20


def test_nothing_is_normalized_and_samples_do_not_mix() -> None:
    torch.manual_seed(0)
    generator, discriminator = ResidualGenerator([16, 16, 8], blocks=1), ResidualDiscriminator([8, 16, 16], blocks=1)
    latents = torch.randn(4, 64)
    together = discriminator(generator(latents))
    one_by_one = torch.cat([discriminator(generator(latent[None])) for latent in latents])
    torch.testing.assert_close(together, one_by_one, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_other_channels(channels: int) -> None:
    generator = ResidualGenerator([8, 8, 8], channels=channels, blocks=1)
    assert generator.basis.shape == (8, 7, 7)
    images = generator(torch.randn(2, 64))
    assert ResidualDiscriminator([8, 8, 8], channels=channels, blocks=1)(images).shape == (2, 1)
