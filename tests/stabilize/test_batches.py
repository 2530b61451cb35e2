"""Discriminators that judge several samples at once."""

from itertools import permutations

import numpy
import pytest
import torch
from torch import Tensor, nn

from gans.randomness import Streams
from gans.stabilize.batches import WithDeviation, wider
from gans.update import pack_samples
from tests.training import gan_of, random_batch, train


def test_packing_makes_the_discriminator_a_function_of_sets_of_one_kind() -> None:
    gan = gan_of("dcgan", stabilizers=["packing"], changes={"stabilize.packing.samples": 3})
    shown: list[Tensor] = []
    gan.discriminator.register_forward_pre_hook(lambda _, arguments: shown.append(arguments[0].detach()))
    batch = random_batch(6)
    scored = gan.discriminator_batch(batch, Streams(0, "train")).forward()
    assert scored.scores.shape == scored.targets.shape == (4,)
    real = 2 * batch.images - 1
    torch.testing.assert_close(shown[0][2:], real.view(2, 3, 28, 28))  # two packs of fakes, then two of reals

    gan.discriminator.eval()
    scores = gan.discriminate(*pack_samples(real, batch.labels, 3))[:, 0]
    for member in range(6):
        other = real.clone()
        other[member] = -1
        changed = gan.discriminate(*pack_samples(other, batch.labels, 3))[:, 0] != scores
        assert changed.tolist() == [member < 3, member >= 3]


@pytest.mark.parametrize("layer", [nn.Linear(50, 400), nn.Conv2d(6, 300, 3, stride=2, padding=1, bias=False)])
def test_a_wider_layer_gives_outputs_of_the_same_size(layer: nn.Linear | nn.Conv2d) -> None:
    torch.manual_seed(0)
    nn.init.normal_(layer.weight, 0, 0.1)
    shape = (200, 50) if isinstance(layer, nn.Linear) else (200, 6, 8, 8)
    samples, _ = pack_samples(torch.randn(4 * shape[0], *shape[1:]), torch.zeros(4 * shape[0]), 4)
    wide, narrow = wider(layer, 4), layer(torch.randn(shape))
    assert (wide.bias is None) is (layer.bias is None)
    assert wide(samples).std().item() == pytest.approx(narrow.std().item(), rel=0.05)
    assert wide(samples).shape == narrow.shape


@pytest.mark.parametrize("order", permutations(["packing", "spectral_norm"]))
def test_packing_goes_with_spectral_norm_in_either_order(order: tuple[str, str]) -> None:
    gan = gan_of("dcgan", stabilizers=order)
    first = next(module for module in gan.discriminator.modules() if isinstance(module, nn.Conv2d))
    train(gan, [random_batch(2)])
    with torch.no_grad():
        for _ in range(60):  # one power iteration each
            gan.discriminate(torch.zeros(1, 2, 28, 28), torch.zeros(1))
    gan.discriminator.eval()
    assert first.in_channels == 2
    assert torch.linalg.matrix_norm(first.weight.detach().flatten(1), 2).item() == pytest.approx(1, abs=1e-2)


def test_the_last_layer_sees_the_mean_deviation_of_the_features_over_the_batch() -> None:
    layer = nn.Linear(5, 2)
    wide = WithDeviation(layer)
    features = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    deviation = numpy.std(features.numpy(), axis=0).mean()
    expected = layer(features) + deviation * wide.layer.weight[:, -1]
    torch.testing.assert_close(wide(features), expected, rtol=1e-4, atol=1e-6)

    same_features = features[:1].expand(7, 5).clone().requires_grad_()
    wide(same_features).sum().backward()
    assert same_features.grad is not None
    assert bool(same_features.grad.isfinite().all())  # where all samples are equal, too


@pytest.mark.parametrize(("stabilizers", "passes"), [(["minibatch_deviation"], [8, 8]), ([], [16])])
def test_the_deviation_is_of_reals_or_of_fakes_alone(stabilizers: list[str], passes: list[int]) -> None:
    gan = gan_of("dcgan", stabilizers=stabilizers)
    shown: list[int] = []
    gan.discriminator.register_forward_pre_hook(lambda _, arguments: shown.append(len(arguments[0])))
    batch = gan.discriminator_batch(random_batch(), Streams(0, "train")).forward()
    assert batch.scores.shape == (16,)
    assert shown == passes
