"""Each stabilizer against the law of its technique, and what it must refuse."""

import copy
import math
from collections.abc import Callable
from functools import partial

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from typing_extensions import override

from gans.config.build import validate
from gans.data.batches import Batch
from gans.errors import InputError
from gans.gan import GAN
from gans.models.dirac import DiracDiscriminator, DiracGenerator
from gans.objectives import BinaryCrossEntropy, Wasserstein
from gans.randomness import Streams
from gans.stabilize import Stabilizer, Stabilizers
from gans.stabilize.batches import WithDeviation, wider
from gans.stabilize.generator_losses import Unrolling, move_of
from gans.stabilize.gradient_penalties import DRAGAN, R1, R2, WGANGP, GradientPenalty
from gans.stabilize.inputs import (
    AUGMENTATIONS,
    AdaptiveAugmentation,
    DiffAugment,
    InstanceNoise,
    brightness,
    contrast,
    cutout,
    translation,
)
from gans.stabilize.labels import FixedLabelSmoothing, NoisyLabels
from gans.stabilize.layers import WEIGHTED
from gans.stabilize.rhythm import optimistic
from gans.stabilize.weights import EMA
from gans.update import Samples, Turn, pack_samples, mean_terms, total
from tests.conftest import composed
from tests.test_gan import random_batch, same, train, weights

RANDOM = Streams(0, "train")


def turn_with(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Turn:
    fakes, reals = (Samples(images, *torch.zeros(3, len(images))) for images in (fake, real))
    return Turn(lambda images, _: critic(images)[:, None], fakes, reals)


def images_of(seed: int, count: int = 6) -> Tensor:
    return torch.randn(count, 1, 4, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- gradient penalties -----------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.integers(0, 1000), st.floats(0.1, 20))
def test_the_penalties_of_a_linear_critic_are_exact(seed: int, weight: float) -> None:
    """Per sample, over all its pixels: a norm per pixel (PyTorch-GAN#20) would give other values."""
    slope = images_of(seed, 1)[0]
    turn = turn_with(lambda images: (images * slope).sum((1, 2, 3)), images_of(seed + 1), images_of(seed + 2))
    norm = slope.norm().item()
    centred, zero = weight * (norm - 1) ** 2, weight / 2 * norm**2
    expected = {R1(weight): zero, R2(weight): zero, WGANGP(weight): centred, DRAGAN(weight): centred}
    for penalty, value in expected.items():
        (charged,) = penalty.penalties(turn, RANDOM).values()
        numpy.testing.assert_allclose(charged.detach(), numpy.full(6, value), rtol=1e-5)


def test_where_each_penalty_looks() -> None:
    """Of the critic ||x||² / 2 the gradient is x itself, so the penalty tells the place."""
    real, fake = images_of(1), images_of(2)
    turn = turn_with(lambda images: images.square().sum((1, 2, 3)) / 2, real, fake)
    squares = [images.square().sum((1, 2, 3)) for images in (real, fake)]
    torch.testing.assert_close(R1(2.0).penalties(turn, RANDOM)["r1"].double(), squares[0], rtol=1e-5, atol=0)
    torch.testing.assert_close(R2(2.0).penalties(turn, RANDOM)["r2"].double(), squares[1], rtol=1e-5, atol=0)

    norms = WGANGP(1.0, target=0.0).penalties(turn, Streams(0, "train"))["wgan_gp"].sqrt().double()
    share = torch.rand(6, 1, 1, 1, generator=Streams(0, "train")("wgan_gp"), dtype=torch.float64)
    between = (fake + share * (real - fake)).flatten(1).norm(dim=1)
    torch.testing.assert_close(norms, between, rtol=1e-4, atol=0)

    around = DRAGAN(1.0, target=0.0, spread=1e-9).penalties(turn, RANDOM)["dragan"].sqrt().double()
    torch.testing.assert_close(around, squares[0].sqrt(), rtol=1e-4, atol=0)

    around = DRAGAN(1.0, target=0.0, spread=0.5).penalties(turn, Streams(0, "train"))["dragan"].sqrt().double()
    random = Streams(0, "train")("dragan")
    noise, share = torch.rand(real.shape, generator=random), torch.rand(6, 1, 1, 1, generator=random)
    deviation = (real - real.mean()).square().mean().sqrt()
    noised = (real + share * 0.5 * deviation * noise).flatten(1).norm(dim=1)
    assert (noised / squares[0].sqrt() - 1).abs().max() > 0.01
    torch.testing.assert_close(around, noised, rtol=1e-4, atol=0)


def test_the_critic_learns_from_the_penalty_and_the_generator_does_not() -> None:
    slope = torch.ones(1, 4, 5, dtype=torch.float64, requires_grad=True)
    fake = images_of(2).requires_grad_()
    turn = turn_with(lambda images: (images * slope).sum((1, 2, 3)), images_of(1), fake)
    R2(3.0).penalties(turn, RANDOM)["r2"].mean().backward()
    torch.testing.assert_close(slope.grad, 3.0 * slope.detach())  # d/dw of 3/2 ||w||²
    assert fake.grad is None


def test_a_lazy_penalty_is_paid_seldom_and_as_much_in_all() -> None:
    turn = turn_with(lambda images: images.sum((1, 2, 3)), images_of(1), images_of(2))

    def paid(interval: int) -> float:
        terms = [R1(10.0, interval).penalties(turn, Streams(0, "train", step)) for step in range(16)]
        assert sum(bool(term) for term in terms) == 16 // interval
        return sum(float(term["r1"].mean().detach()) for term in terms if term)

    assert paid(1) == pytest.approx(paid(4)) == pytest.approx(paid(16))


@pytest.mark.parametrize("name", ["r1", "r2", "wgan_gp", "dragan"])
def test_a_penalty_per_sample_is_refused_where_batch_norm_mixes_samples(
    make_gan: Callable[..., GAN], name: str
) -> None:
    with pytest.raises(InputError, match=rf"stabilize\.{name} .*BatchNorm mixes.*model=dcgan"):
        make_gan("model=acgan", f"stabilize={name}")
    gan = make_gan("model=dcgan", f"stabilize={name}")
    train(gan, [random_batch()])
    means = gan.means.pop()
    assert means["discriminator_loss"] == pytest.approx(
        means["discriminator_adversarial"] + means[f"discriminator_{name}"], rel=1e-4
    )


@pytest.mark.parametrize("name", ["wgan_gp", "dragan"])
def test_a_slope_that_clipped_weights_cannot_have_is_refused(make_gan: Callable[..., GAN], name: str) -> None:
    both = ("model=dcgan", f"stabilize=[{name},weight_clipping]")
    with pytest.raises(InputError, match=rf"weight_clipping,{name}\].*use one of them"):
        make_gan(*both)
    make_gan(*both, f"stabilize.{name}.target=0")


@pytest.mark.parametrize("order", ["label_smoothing,fixed_label_smoothing", "fixed_label_smoothing,label_smoothing"])
def test_two_ways_of_smoothing_are_refused(make_gan: Callable[..., GAN], order: str) -> None:
    with pytest.raises(InputError, match="use one of them"):
        make_gan("model=dcgan", f"stabilize=[{order}]")


def test_wgan_gp_is_refused_for_a_bounded_critic(make_gan: Callable[..., GAN]) -> None:
    with pytest.raises(InputError, match="rules out: use objective=wasserstein"):
        make_gan("model=wgan", "stabilize=wgan_gp", "model.discriminator_fakes=training")


def test_a_penalty_is_paid_once_a_step_where_reals_and_fakes_come_in_turns(make_gan: Callable[..., GAN]) -> None:
    paid = []

    class Spy(GradientPenalty):
        name = "spy"

        @override
        def penalty(self, turn: Turn, random: Streams) -> Tensor:
            paid.append((len(turn.fake.images), len(turn.real.images)))
            return turn.real.images.sum((1, 2, 3))

    gan = make_gan("model=dcgan", "model.discriminator_updates=alternating")
    gan.stabilizers = Stabilizers({"spy": Spy(1.0)})
    train(gan, [random_batch()])
    assert paid == [(8, 8)]


# --- weights ----------------------------------------------------------------------------------------------------


def test_clipping_bounds_every_weight_of_the_critic_alone(make_gan: Callable[..., GAN]) -> None:
    gan = make_gan("model=wgan", "objective=wasserstein", "stabilize=weight_clipping")
    train(gan, [random_batch()])
    assert max(weight.abs().max() for weight in gan.discriminator.parameters()) <= 0.01
    assert max(weight.abs().max() for weight in gan.generator.parameters()) > 0.01


def test_clipping_and_spectral_norm_together_are_refused(make_gan: Callable[..., GAN]) -> None:
    for order in ("spectral_norm,weight_clipping", "weight_clipping,spectral_norm"):
        with pytest.raises(InputError, match="use one of them"):
            make_gan(f"stabilize=[{order}]")


@pytest.mark.parametrize("model", ["dcgan", "acgan", "projection"])
def test_spectral_norm_gives_every_weight_matrix_norm_one(make_gan: Callable[..., GAN], model: str) -> None:
    gan = make_gan(f"model={model}", "stabilize=spectral_norm")

    def norms() -> list[float]:
        layers = [module for module in gan.discriminator.modules() if isinstance(module, WEIGHTED)]
        gan.discriminator.eval()
        found = [torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2).item() for layer in layers]
        gan.discriminator.train()
        return found

    train(gan, [random_batch(seed=seed) for seed in range(40)])
    assert norms() == pytest.approx([1.0] * len(norms()), abs=5e-2)  # one power iteration a pass follows moving weights
    with torch.no_grad():
        for _ in range(300):
            gan.discriminate(*random_batch(10))
    assert norms() == pytest.approx([1.0] * len(norms()), abs=1e-3)


def test_the_moving_average_equals_its_recurrence_and_draws_the_samples(make_gan: Callable[..., GAN]) -> None:
    gan = make_gan("model=dcgan", "stabilize=ema", "stabilize.ema.decay=0.9")
    expected = [weight.detach().double().clone() for weight in gan.generator.parameters()]
    (ema,) = gan.stabilizers
    assert isinstance(ema, EMA)

    class Follow(EMA):
        def after_generator(self, gan: GAN) -> None:
            for value, weight in zip(expected, gan.generator.parameters(), strict=True):
                value.mul_(0.9).add_(weight.detach().double(), alpha=0.1)

    gan.stabilizers.named["follow"] = Follow()
    train(gan, [random_batch(seed=seed) for seed in range(5)])
    for value, weight in zip(expected, ema.average.parameters(), strict=True):
        torch.testing.assert_close(weight.double(), value, rtol=1e-4, atol=1e-6)
    for kept, now in zip(ema.average.buffers(), gan.generator.buffers(), strict=True):
        assert torch.equal(kept, now)
    inputs = gan.generator.inputs(4, Streams(1, "x")("latent"), None)
    del gan.stabilizers.named["follow"]
    torch.testing.assert_close(gan.sample(inputs), gan.to_unit(copy.deepcopy(ema.average).eval()(*inputs.arguments)))
    assert not torch.equal(gan.sample(inputs), gan.to_unit(copy.deepcopy(gan.generator).eval()(*inputs.arguments)))


# --- inputs -----------------------------------------------------------------------------------------------------


def test_instance_noise_has_its_deviation_and_fades() -> None:
    noise = InstanceNoise(0.2, steps=100)
    images = torch.zeros(2000, 1, 4, 4)
    for step, deviation in ((0, 0.2), (50, 0.1), (75, 0.05)):
        seen = noise.see(images, Streams(0, "train", step))
        assert seen.std().item() == pytest.approx(deviation, rel=0.02)
        assert seen.mean().item() == pytest.approx(0, abs=0.01)
    for step in (100, 5000):
        assert noise.see(images, Streams(0, "train", step)) is images
    assert InstanceNoise(0.2, steps=None).see(images, Streams(0, "train", 5000)).std().item() == pytest.approx(
        0.2, rel=0.02
    )


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentations_are_differentiable_and_treat_each_image_by_itself(name: str) -> None:
    images = torch.rand(5, 2, 8, 12, dtype=torch.float64)

    def same_draw(images: Tensor) -> Tensor:
        return AUGMENTATIONS[name](images, torch.Generator().manual_seed(3))

    assert torch.autograd.gradcheck(same_draw, images.clone().requires_grad_())
    seen = same_draw(images)
    assert seen.shape == images.shape
    changed = images.clone()
    changed[2] += 1
    others = [0, 1, 3, 4]
    torch.testing.assert_close(same_draw(changed)[others], seen[others])
    alike = same_draw(images[:1].expand(5, -1, -1, -1))
    assert not all(torch.allclose(alike[0], alike[index]) for index in range(1, 5))


@pytest.mark.parametrize("augment", [brightness, contrast])
def test_brightness_and_contrast_leave_the_expectation(augment: Callable[..., Tensor]) -> None:
    image = torch.rand(1, 1, 6, 6)
    seen = augment(image.expand(60_000, -1, -1, -1), torch.Generator().manual_seed(0))
    torch.testing.assert_close(seen.mean(0), image[0], atol=0.01, rtol=0)
    assert seen.std(0).mean() > 0.03


def test_translation_moves_whole_images_by_up_to_an_eighth() -> None:
    image = torch.zeros(1, 1, 16, 16)
    image[0, 0, 7, 9] = 1
    seen = translation(image.expand(3000, -1, -1, -1), torch.Generator().manual_seed(0))
    assert torch.equal(seen.sum((1, 2, 3)), torch.ones(3000))
    places = seen.nonzero()[:, 2:]
    assert places.min(0).values.tolist() == [5, 7]
    assert places.max(0).values.tolist() == [9, 11]


def test_cutout_removes_a_square_of_half_the_size_or_its_part_inside() -> None:
    seen = cutout(torch.ones(3000, 1, 8, 8), torch.Generator().manual_seed(0))
    removed = (seen == 0).sum((1, 2, 3))
    assert removed.max() == 16
    assert removed.min() == 4  # about a corner
    assert (seen[0, 0] == 0).any(0).sum() in (2, 3, 4)


def test_an_augmentation_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match=r"diff_augment.policy\[0\]=blur: "):
        validate(composed("data=digits", "stabilize=diff_augment", "stabilize.diff_augment.policy=[blur]"))
    assert DiffAugment([]).see(torch.ones(1, 1, 2, 2), RANDOM).tolist() == [[[[1.0, 1.0], [1.0, 1.0]]]]


# --- labels -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("two_sided", [True, False])
def test_fixed_smoothing_moves_targets_by_a_share_of_their_distance(two_sided: bool) -> None:
    for objective, expected in (
        (BinaryCrossEntropy(), (0.9, 0.1 if two_sided else 0.0)),
        (Wasserstein(), (0.8, -0.8 if two_sided else -1.0)),
    ):
        plain = torch.full((3,), objective.real_target), torch.full((3,), objective.fake_target)
        real, fake = FixedLabelSmoothing(0.1, two_sided).targets(*plain, objective, RANDOM)
        assert real.tolist() == pytest.approx([expected[0]] * 3)
        assert fake.tolist() == pytest.approx([expected[1]] * 3)


@pytest.mark.parametrize("probability", [0.0, 0.05, 0.2, 0.5])
def test_label_noise_scales_the_wasserstein_gradient_by_one_minus_twice_its_probability(probability: float) -> None:
    objective, count = Wasserstein(), 200_000
    slope = torch.tensor(1.0, requires_grad=True)
    values = torch.rand(2 * count, generator=torch.Generator().manual_seed(0))
    targets = [torch.full((count,), target) for target in (objective.fake_target, objective.real_target)]

    def gradient(fake_targets: Tensor, real_targets: Tensor) -> float:
        fakes, reals = (
            Samples(images, images, told, images)
            for images, told in zip(values.split(count), (fake_targets, real_targets), strict=True)
        )
        turn = Turn(lambda images, _: (slope * (images + 1))[:, None], fakes, reals)
        (found,) = torch.autograd.grad(objective.discriminator(turn)[:count].mean(), slope)
        return found.item()

    real, fake = NoisyLabels(probability).targets(targets[1], targets[0], objective, Streams(0, "train"))
    clean, noisy = gradient(*targets), gradient(fake, real)
    assert noisy == pytest.approx((1 - 2 * probability) * clean, abs=0.02)


@pytest.mark.parametrize("name", ["label_smoothing", "fixed_label_smoothing", "noisy_labels"])
def test_label_stabilizers_are_refused_where_nothing_is_told(make_gan: Callable[..., GAN], name: str) -> None:
    with pytest.raises(InputError, match=rf"stabilize\.{name} .*RelativisticPairing.*use another one"):
        make_gan("objective=relativistic", f"stabilize={name}")


# --- rhythm -----------------------------------------------------------------------------------------------------


def test_two_time_scales_set_the_ratio_of_the_learning_rates(make_gan: Callable[..., GAN]) -> None:
    generator, discriminator = make_gan("stabilize=two_time_scales").configure_optimizers()
    assert discriminator.param_groups[0]["lr"] == pytest.approx(4 * generator.param_groups[0]["lr"])


def test_the_generator_rests_in_all_but_every_fifth_step(make_gan: Callable[..., GAN]) -> None:
    gan = make_gan("stabilize=discriminator_steps")
    before = weights(gan.generator), weights(gan.discriminator)
    train(gan, [random_batch(seed=seed) for seed in range(4)])
    assert same(before[0], weights(gan.generator))
    assert not same(before[1], weights(gan.discriminator))
    assert "generator_loss" not in gan.means.pop()
    train(gan, [random_batch(seed=4)])
    assert not same(before[0], weights(gan.generator))
    assert "generator_loss" in gan.means.pop()


def test_optimistic_adam_equals_its_algorithm() -> None:
    """Daskalakis et al. 2018, algorithm 1, in plain numbers."""
    rate, beta1, beta2, epsilon = 0.1, 0.5, 0.9, 1e-8
    weight = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    optimizer = optimistic(torch.optim.Adam([weight], lr=rate, betas=(beta1, beta2), eps=epsilon))
    expected, first, second, before = numpy.array([1.0, -2.0]), 0.0, 0.0, None
    for step in range(1, 8):
        gradient = numpy.cos(expected) + expected
        weight.grad = weight.detach().cos() + weight.detach()
        optimizer.step()
        first = beta1 * first + (1 - beta1) * gradient
        second = beta2 * second + (1 - beta2) * gradient**2
        update = -rate * first / (1 - beta1**step) / (numpy.sqrt(second / (1 - beta2**step)) + epsilon)
        expected = expected + 2 * update - (update if before is None else before)
        before = update
        numpy.testing.assert_allclose(weight.detach(), expected, rtol=1e-9)


def test_both_players_are_optimistic(make_gan: Callable[..., GAN]) -> None:
    gan = make_gan("model=dcgan", "stabilize=optimism")
    train(gan, [random_batch(seed=seed) for seed in range(2)])
    optimizers = gan.optimizers()
    assert isinstance(optimizers, list)
    for optimizer, network in zip(optimizers, (gan.generator, gan.discriminator), strict=True):
        assert all("previous_update" in optimizer.state[weight] for weight in network.parameters())


def test_optimism_converges_where_plain_steps_spiral_out() -> None:
    """min over x, max over y of x y: each optimistic step contracts, each plain one expands by sqrt(1 + h²)."""

    def distance(wrap: Callable[[torch.optim.Optimizer], torch.optim.Optimizer]) -> float:
        x, y = (nn.Parameter(torch.tensor(1.0, dtype=torch.float64)) for _ in range(2))
        optimizer = wrap(torch.optim.SGD([x, y], lr=0.1))
        for _ in range(1000):
            x.grad, y.grad = y.detach().clone(), -x.detach().clone()
            optimizer.step()
        return math.hypot(x.item(), y.item())

    assert distance(lambda optimizer: optimizer) == pytest.approx(math.sqrt(2) * 1.01**500, rel=1e-6)
    assert distance(optimistic) < 0.02


def test_what_an_optimistic_optimizer_remembers_is_in_its_state() -> None:
    def steps(optimizer: torch.optim.Optimizer, weight: nn.Parameter, count: int) -> None:
        for _ in range(count):
            weight.grad = weight.detach() + 1
            optimizer.step()

    whole, first, second = (nn.Parameter(torch.tensor([3.0])) for _ in range(3))

    def make(weight: Tensor) -> torch.optim.Optimizer:
        return optimistic(torch.optim.Adam([weight], lr=0.1))

    steps(make(whole), whole, 6)
    optimizer = make(first)
    steps(optimizer, first, 3)
    second.data.copy_(first.data)
    resumed = make(second)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    steps(resumed, second, 3)
    assert torch.equal(whole, second)


# --- several samples judged as one ------------------------------------------------------------------------------


@given(st.integers(1, 9), st.integers(1, 4))
def test_packs_hold_each_sample_in_order_and_the_last_is_filled_up(count: int, pack_size: int) -> None:
    images = torch.arange(count * 6).reshape(count, 2, 3)
    packs, labels = pack_samples(images, torch.arange(count), pack_size)
    assert packs.shape == (-(-count // pack_size), 2 * pack_size, 3)
    members = packs.unflatten(1, (pack_size, 2)).flatten(0, 1)
    assert torch.equal(members[:count], images)
    assert torch.equal(members[count:], images[torch.arange(len(members) - count) % count])
    assert labels.tolist() == list(range(0, count, pack_size))


def test_packing_makes_the_discriminator_a_function_of_sets_of_one_kind(make_gan: Callable[..., GAN]) -> None:
    gan = make_gan("stabilize=packing", "stabilize.packing.samples=3")
    shown: list[Tensor] = []
    gan.discriminator.register_forward_pre_hook(lambda _, arguments: shown.append(arguments[0].detach()))
    batch = random_batch(6)
    turn = gan.discriminator_turn(batch, Streams(0, "train"))
    assert turn.scores.shape == turn.both.targets.shape == (4,)
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
    wide = wider(layer, 4)
    assert (wide.bias is None) is (layer.bias is None)
    assert wide(samples).std().item() == pytest.approx(layer(torch.randn(shape)).std().item(), rel=0.05)
    assert wide(samples).shape == layer(torch.randn(shape)).shape


@pytest.mark.parametrize("order", ["packing,spectral_norm", "spectral_norm,packing"])
def test_packing_goes_with_spectral_norm_in_either_order(make_gan: Callable[..., GAN], order: str) -> None:
    gan = make_gan(f"stabilize=[{order}]")
    first = next(module for module in gan.discriminator.modules() if isinstance(module, nn.Conv2d))
    train(gan, [random_batch(seed=seed) for seed in range(40)])
    gan.discriminator.eval()
    assert first.in_channels == 2
    assert torch.linalg.matrix_norm(first.weight.detach().flatten(1), 2).item() == pytest.approx(1, abs=1e-3)


def test_the_penalty_of_a_pack_is_about_all_its_samples(
    make_gan: Callable[..., GAN], monkeypatch: pytest.MonkeyPatch
) -> None:
    gan = make_gan("stabilize=[packing,r1]", "stabilize.r1.weight=2.0")
    slope = torch.randn(2, 28, 28, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(gan, "discriminate", lambda images, _: (images * slope).sum((1, 2, 3))[:, None])
    turn = gan.discriminator_turn(random_batch(8), Streams(0, "train"))
    (charged,) = gan.stabilizers.penalties(turn, RANDOM).values()
    torch.testing.assert_close(charged.detach(), slope.square().sum().expand(4))


def test_packing_is_refused_where_samples_have_classes(make_gan: Callable[..., GAN]) -> None:
    for model in ("acgan", "projection"):
        with pytest.raises(InputError, match=r"several classes as one.*use a model"):
            make_gan(f"model={model}", "stabilize=packing")


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


@pytest.mark.parametrize("name", ["minibatch_deviation", "none"])
def test_the_deviation_is_of_reals_or_of_fakes_alone(make_gan: Callable[..., GAN], name: str) -> None:
    gan = make_gan(f"stabilize={name}")
    shown: list[int] = []
    gan.discriminator.register_forward_pre_hook(lambda _, arguments: shown.append(len(arguments[0])))
    turn = gan.discriminator_turn(random_batch(8), Streams(0, "train"))
    assert turn.scores.shape == (16,)
    assert shown == ([8, 8] if name == "minibatch_deviation" else [16])


def test_apart_changes_what_batch_norm_sees_and_nothing_else(make_gan: Callable[..., GAN]) -> None:
    def losses(model: str) -> list[float]:
        found = []
        for updates in ("joint", "separate"):
            gan = make_gan(f"model={model}", f"model.discriminator_updates={updates}", "model.discriminator.dropout=0")
            torch.manual_seed(0)
            turn = gan.discriminator_turn(random_batch(8), Streams(0, "train"))
            found.append(total(mean_terms(gan.discriminator_terms(turn))).item())
        return found

    joint, apart = losses("dcgan")
    assert joint == pytest.approx(apart, rel=1e-5)
    joint, apart = losses("acgan")
    assert joint != pytest.approx(apart, rel=1e-5)


# --- what the generator pays -------------------------------------------------------------------------------------


def test_feature_matching_is_the_distance_of_mean_features(make_gan: Callable[..., GAN]) -> None:
    gan = make_gan("stabilize=feature_matching", "model.discriminator.dropout=0")
    body = nn.Sequential(*list(gan.discriminator.get_submodule("layers").children())[:-1])
    against = gan.discriminator_turn(random_batch(8), Streams(0, "train"))
    turn = gan.generator_turn(random_batch(8), Streams(0, "train", 1))
    terms = gan.stabilizers.generator_terms({"adversarial": turn.scores, "class": turn.scores}, turn, against)
    difference = body(turn.fake.images).mean(0) - body(against.real.images).mean(0)
    assert list(terms) == ["feature_matching", "class"]
    assert terms["feature_matching"].shape == (8,)
    torch.testing.assert_close(terms["feature_matching"].mean(), difference.square().sum(), rtol=1e-4, atol=0)

    train(gan, [random_batch()])
    means = gan.means.pop()
    assert means["generator_loss"] == pytest.approx(means["generator_feature_matching"])


def test_feature_matching_asks_nothing_of_fakes_that_are_the_reals(make_gan: Callable[..., GAN]) -> None:
    gan = make_gan("stabilize=feature_matching", "model.discriminator.dropout=0")
    against = gan.discriminator_turn(random_batch(8), Streams(0, "train"))
    turn = Turn(against.judge, against.real._replace(images=against.real.images.flip(0)), against.real.none())
    term = gan.stabilizers.generator_terms({}, turn, against)["feature_matching"]
    assert term.max().item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("steps", [1, 3])
def test_unrolling_goes_through_the_discriminators_answer(steps: int) -> None:
    """D(x) = psi x, the Wasserstein objective, gradient descent of rate r: each step moves psi by r theta / 2.

    After D's own step, the generator's slope is psi + k r theta; without the gradient through the k unrolled steps it
    would be psi + k r theta / 2.
    """
    theta, psi, rate, step = 0.8, 0.3, 0.25, 0.1
    gan = GAN(
        DiracGenerator(theta), DiracDiscriminator(psi), Wasserstein(), Stabilizers({"it": Unrolling(steps)}),
        partial(torch.optim.SGD, lr=step), partial(torch.optim.SGD, lr=rate),
    )  # fmt: skip
    train(gan, [Batch(torch.zeros(1, 1), torch.zeros(1).long())])
    psi += rate * theta / 2
    assert gan.discriminator.get_parameter("psi").item() == pytest.approx(psi, rel=1e-5)
    moved = gan.generator.get_parameter("theta").item()
    assert moved == pytest.approx(theta - step * (psi + steps * rate * theta), rel=1e-5)


@pytest.mark.parametrize("make", [partial(torch.optim.Adam, betas=(0.0, 0.9)), partial(torch.optim.RMSprop, alpha=0.9)])
def test_an_unrolled_step_is_the_optimizers_own(make: Callable[..., torch.optim.Optimizer]) -> None:
    """After many equal slopes it moves each weight by the learning rate, as the optimizer does, and never further."""
    weight = nn.Parameter(torch.zeros(3))
    optimizer = make([weight], lr=0.01)
    slope = torch.tensor([1e-3, -2.0, 50.0])
    for _ in range(200):
        weight.grad = slope.clone()
        before = weight.detach().clone()
        optimizer.step()
    move = move_of(optimizer, weight)
    torch.testing.assert_close(before - weight, move(slope), rtol=1e-3, atol=0)
    assert move(100 * slope).abs().tolist() == pytest.approx([0.01] * 3, rel=1e-3)
    assert move(slope / 2).tolist() == pytest.approx((move(slope) / 2).tolist(), rel=1e-4)


class Watched(Unrolling):
    """Sees whether the discriminator is left as it was, and how much the unrolled steps change."""

    def generator_terms(self, terms: dict[str, Tensor], turn: Turn, against: Turn) -> dict[str, Tensor]:
        gan = self.gan()
        assert gan is not None
        before = copy.deepcopy(gan.discriminator.state_dict())
        found = super().generator_terms(terms, turn, against)
        self.kept = all(torch.equal(before[name], now) for name, now in gan.discriminator.state_dict().items())
        self.change = (found["adversarial"] - terms["adversarial"]).abs().mean().item()
        return found


@pytest.mark.parametrize("model", ["acgan", "dcgan"])
def test_unrolling_leaves_the_discriminator_as_it_is_and_matters(make_gan: Callable[..., GAN], model: str) -> None:
    gan = make_gan(f"model={model}")
    watched = Watched()
    watched.attach(gan)
    gan.stabilizers.named["watched"] = watched
    train(gan, [random_batch()])
    assert watched.kept
    assert watched.change > 0.01


def test_unrolling_and_feature_matching_together_are_refused(make_gan: Callable[..., GAN]) -> None:
    for order in ("feature_matching,unrolling", "unrolling,feature_matching"):
        with pytest.raises(InputError, match="use one of them"):
            make_gan(f"stabilize=[{order}]")


# --- adaptive augmentation ---------------------------------------------------------------------------------------


def test_adaptive_augmentation_does_nothing_at_0_and_augments_all_at_1() -> None:
    augment = AdaptiveAugmentation(policy=["brightness"])
    images = torch.zeros(500, 1, 4, 4)
    assert torch.equal(augment.see(images, Streams(0, "train")), images)
    augment.probability.fill_(1)
    assert bool((augment.see(images, Streams(0, "train")) != 0).all())
    augment.probability.fill_(0.3)
    changed = (augment.see(images, Streams(0, "train")) != 0).flatten(1)
    assert bool((changed.all(1) == changed.any(1)).all())
    assert changed[:, 0].float().mean().item() == pytest.approx(0.3, abs=0.08)


@pytest.mark.parametrize("kind", [DiffAugment, AdaptiveAugmentation])
def test_all_augmentations_of_a_policy_are_made_in_its_order(kind: Callable[[], Stabilizer]) -> None:
    augment, images = kind(), images_of(3, count=8)
    if isinstance(augment, AdaptiveAugmentation):
        augment.probability.fill_(1)
    name = "diff_augment" if isinstance(augment, DiffAugment) else "adaptive_augmentation"
    random, expected = Streams(0, "train")(name), images
    for each in (brightness, contrast, translation, cutout):
        if isinstance(augment, AdaptiveAugmentation):
            torch.rand((8, 1, 1, 1), generator=random)  # which images: all
        expected = each(expected, random)
    assert torch.equal(augment.see(images, Streams(0, "train")), expected)


@pytest.mark.parametrize("name", ["diff_augment", "adaptive_augmentation"])
def test_images_in_0_to_1_are_augmented_as_those_in_minus_1_to_1(make_gan: Callable[..., GAN], name: str) -> None:
    wide, narrow = (make_gan(f"model={model}", f"stabilize={name}").stabilizers for model in ("dcgan", "autoencoder"))
    for stabilizers in (wide, narrow):
        for augment in stabilizers:
            if isinstance(augment, AdaptiveAugmentation):
                augment.probability.fill_(0.7)
    images = images_of(3, count=8).clamp(-1, 1)
    augmented = narrow.see((images + 1) / 2, Streams(0, "train"))
    expected = (wide.see(images, Streams(0, "train")) + 1) / 2
    torch.testing.assert_close(augmented, expected, rtol=0, atol=1e-6)
    assert not torch.allclose(augmented, (images + 1) / 2)


def test_its_probability_follows_the_verdicts_on_reals(make_gan: Callable[..., GAN]) -> None:
    gan = make_gan("stabilize=adaptive_augmentation")
    (ada,) = gan.stabilizers
    assert isinstance(ada, AdaptiveAugmentation)

    def after(share: float, steps: int) -> float:
        """Of 10 real samples, that share is taken for real; the fakes don't count."""
        scores = torch.cat((torch.ones(10), torch.where(torch.arange(10) < 10 * share, 1.0, -1.0)))
        side = Samples(torch.zeros(10, 1, 2, 2), *torch.zeros(3, 10))
        for _ in range(steps):
            ada.after_discriminator(gan, [Turn(lambda *_: scores[:, None], side, side)])
            gan.training_steps += 1
        return ada.probability.item()

    rise = ada.interval * 10 / ada.ramp
    assert after(0.9, 3) == 0  # r_t = 0.8 > 0.6, once the interval is over
    assert after(0.9, 1) == pytest.approx(rise)
    assert after(0.9, 8) == pytest.approx(3 * rise)
    assert after(0.7, 4) == pytest.approx(2 * rise)  # r_t = 0.4
    assert after(0.0, 40) == 0


def test_augmentations_are_refused_for_points(make_gan: Callable[..., GAN]) -> None:
    for name in ("diff_augment", "adaptive_augmentation"):
        with pytest.raises(InputError, match=rf"{name} augments images.*use stabilize=instance_noise"):
            make_gan("model=mlp", "data=ring", f"stabilize={name}")


# --- falling learning rates --------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["learning_rate_decay,two_time_scales", "two_time_scales,learning_rate_decay"])
def test_learning_rates_fall_linearly_and_stay(make_gan: Callable[..., GAN], order: str) -> None:
    gan = make_gan(
        f"stabilize=[{order}]", "stabilize.learning_rate_decay.steps=4", "stabilize.learning_rate_decay.final=0.2"
    )
    rates: list[tuple[float, ...]] = []

    class Watch(Stabilizer):
        def after_generator(self, gan: GAN) -> None:
            rates.append(tuple(each.param_groups[0]["lr"] for each in gan.optimizers()))

    gan.stabilizers.named["watch"] = Watch()
    train(gan, [random_batch(seed=seed) for seed in range(6)])
    shares = [1.0, 0.8, 0.6, 0.4, 0.2, 0.2]
    numpy.testing.assert_allclose(rates, [(1e-3 * share, 4e-3 * share) for share in shares], rtol=1e-6)


def test_spectral_norm_is_refused_where_there_is_no_weight_matrix(make_gan: Callable[..., GAN]) -> None:
    with pytest.raises(InputError, match=r"spectral_norm divides weight matrices.*use another model"):
        make_gan("model=dirac", "data=dirac", "stabilize=spectral_norm")
    with pytest.raises(InputError, match=r"some that begin at 0.*use another model"):
        make_gan("model=residual", "stabilize=spectral_norm")


def test_adaptive_augmentation_is_refused_where_scores_only_compare(make_gan: Callable[..., GAN]) -> None:
    for objective in ("relativistic", "wasserstein"):
        with pytest.raises(InputError, match=r"adaptive_augmentation .* they compare: use stabilize=diff_augment"):
            make_gan(f"objective={objective}", "stabilize=adaptive_augmentation")


def test_adaptive_augmentation_reads_the_scores_that_were_played(make_gan: Callable[..., GAN]) -> None:
    """Also where reals and fakes come in turns: no further pass of the discriminator."""
    gan = make_gan("model=acgan", "stabilize=adaptive_augmentation")
    passes: list[int] = []
    gan.discriminator.register_forward_pre_hook(lambda _, arguments: passes.append(len(arguments[0])))
    train(gan, [random_batch()])
    assert passes == [8, 8, 16]


def test_feature_matching_is_refused_where_it_would_not_ask_for_a_class(make_gan: Callable[..., GAN]) -> None:
    with pytest.raises(InputError, match=r"nothing would ask for one: use model=acgan"):
        make_gan("model=projection", "stabilize=feature_matching")


def test_members_of_a_pack_are_augmented_each_by_itself(
    make_gan: Callable[..., GAN], monkeypatch: pytest.MonkeyPatch
) -> None:
    gan = make_gan("stabilize=[packing,diff_augment]", "stabilize.diff_augment.policy=[brightness]")
    monkeypatch.setattr(gan, "discriminate", lambda images, _: images.mean((2, 3)))
    shifts = gan.judge(Streams(0, "train"))(torch.zeros(50, 2, 28, 28), torch.zeros(50))
    assert (shifts[:, 0] - shifts[:, 1]).abs().min() > 0
