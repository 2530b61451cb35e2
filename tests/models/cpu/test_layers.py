"""Exchanging a network's layers for faster ones changes its speed and nothing else."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gans.gan import GAN
from gans.generator import Generator
from gans.models.cpu.layers import use_fast_layers, use_plain_layers
from gans.randomness import Streams
from tests.training import MODELS, batches_of, gan_of


def classes(network: nn.Module) -> list[type[nn.Module]]:
    return [type(module) for module in network.modules()]


def can_be_faster(layer: nn.Module) -> bool:
    """Dropout, and convolutions that see more than a place at once, the same in both directions."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        return layer.kernel_size != (1, 1) and layer.groups == 1
    return isinstance(layer, nn.Dropout)


def outputs_and_gradients(network: nn.Module, arguments: tuple[Tensor, ...]) -> list[Tensor]:
    """In double precision, in training, with all gradients."""
    first, *others = arguments
    values = first.double().requires_grad_()
    network = network.double()
    torch.manual_seed(0)
    made = network(values, *others)
    wanted = [values, *network.parameters()]
    gradients = torch.autograd.grad(made.square().sum(), wanted, allow_unused=True, materialize_grads=True)
    return [made, *gradients]


def without_dropout(network: nn.Module) -> nn.Module:
    """Masks come from random numbers that each layer draws in its own way: see test_dropout."""
    for layer in network.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    return network


def arguments_of(gan: GAN, model: str) -> dict[str, tuple[Tensor, ...]]:
    """What each network is called with."""
    (batch, *_) = batches_of(model)
    labels = (batch.labels,) if gan.discriminator_takes_classes else ()
    inputs = gan.generator.inputs(len(batch.images), Streams(0, "train")("latent"), batch)
    return {"generator": inputs.arguments, "discriminator": (batch.images, *labels)}


@pytest.mark.parametrize("model", MODELS)
def test_fast_and_plain_networks_are_the_same_function_with_the_same_weights(model: str) -> None:
    gan = gan_of(model)
    for name, arguments in arguments_of(gan, model).items():
        fast = gan.get_submodule(name)
        plain = use_plain_layers(copy.deepcopy(fast))
        assert not any(kind.__module__.startswith("gans.models.cpu") for kind in classes(plain))
        assert classes(use_fast_layers(copy.deepcopy(plain))) == classes(fast)
        for one, other in zip(fast.modules(), plain.modules(), strict=True):
            assert (type(one) is not type(other)) is can_be_faster(other), other
        assert fast.state_dict().keys() == plain.state_dict().keys()
        found, expected = (outputs_and_gradients(without_dropout(each), arguments) for each in (fast, plain))
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other)


def test_weights_go_from_one_kind_to_the_other() -> None:
    fast = gan_of("dcgan").generator
    plain = use_plain_layers(copy.deepcopy(fast))
    assert isinstance(plain, Generator)
    plain.load_state_dict(fast.state_dict())
    fast.load_state_dict(plain.state_dict())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize(
    "layer",
    [nn.Conv2d(48, 32, 3), nn.Conv2d(1, 32, 3), nn.ConvTranspose2d(48, 32, 3)],
    ids=["many channels", "images", "transposed"],
)
def test_a_forward_pass_is_one_power_iteration(layer: nn.Conv2d | nn.ConvTranspose2d, dtype: torch.dtype) -> None:
    """Under spectral norm, with as many of them as plain layers have."""
    torch.manual_seed(0)
    layer.reset_parameters()
    images = torch.randn(2, layer.in_channels, 6, 6, dtype=dtype, requires_grad=True)
    fast, plain = use_fast_layers(copy.deepcopy(layer)), copy.deepcopy(layer)
    assert type(fast) is not type(plain)
    states = []
    for network in (fast, plain):
        torch.manual_seed(0)  # of the first vectors
        spectral_norm(network.to(dtype))
        begun = copy.deepcopy(network.state_dict())
        network(images)
        states.append(network.state_dict())
        changed = not all(torch.equal(value, begun[name]) for name, value in states[-1].items())
        assert changed or dtype == torch.bfloat16  # whose few digits may all stay
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.Conv2d(4, 4, 3, dilation=2),
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 4, (3, 5)),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 4, 1),
        nn.ConvTranspose2d(4, 4, 3, stride=(1, 2)),
    ],
)
def test_a_convolution_that_the_fast_ones_cannot_do_stays(layer: nn.Module) -> None:
    assert type(use_fast_layers(copy.deepcopy(layer))) is type(layer)


def test_a_class_of_ones_own_stays() -> None:
    class Own(nn.Conv2d):
        pass

    assert type(use_fast_layers(Own(4, 4, 3))) is Own
