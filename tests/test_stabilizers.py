"""Each stabilizer against the law of its technique, and what it must refuse."""

import copy
import math
from collections.abc import Callable

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gans.errors import InputError
from gans.gan import GAN
from gans.objectives import BinaryCrossEntropy, Wasserstein
from gans.randomness import Streams
from gans.settings import validate
from gans.stabilize import Stabilizers
from gans.stabilize.gradient_penalties import DRAGAN, R1, R2, WGANGP, GradientPenalty
from gans.stabilize.inputs import AUGMENTATIONS, DiffAugment, InstanceNoise, brightness, contrast, cutout, translation
from gans.stabilize.labels import FixedLabelSmoothing, NoisyLabels
from gans.stabilize.rhythm import optimistic
from gans.stabilize.weights import EMA
from gans.turn import Side, Turn
from tests.conftest import composed
from tests.test_gan import random_batch, same, train, weights

RANDOM = Streams(0, "train")


def turn_with(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Turn:
    sides = [Side(images, *torch.zeros(3, len(images))) for images in (fake, real)]
    return Turn(lambda images, labels: critic(images)[:, None], *sides)  # noqa: ARG005


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


def test_wgan_gp_is_refused_for_a_bounded_critic(make_gan: Callable[..., GAN]) -> None:
    with pytest.raises(InputError, match="rules out: use objective=wasserstein"):
        make_gan("model=wgan", "stabilize=wgan_gp", "model.discriminator_fakes=training")


def test_a_penalty_is_paid_once_a_step_where_reals_and_fakes_come_in_turns(make_gan: Callable[..., GAN]) -> None:
    paid = []

    class Spy(GradientPenalty):
        name = "spy"

        def penalty(self, turn: Turn, random: Streams) -> Tensor:  # noqa: ARG002
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


@pytest.mark.parametrize("model", ["dcgan", "acgan"])
def test_spectral_norm_gives_every_weight_matrix_norm_one(make_gan: Callable[..., GAN], model: str) -> None:
    gan = make_gan(f"model={model}", "stabilize=spectral_norm")

    def norms() -> list[float]:
        layers = [module for module in gan.discriminator.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
        gan.discriminator.eval()
        found = [torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2).item() for layer in layers]
        gan.discriminator.train()
        return found

    train(gan, [random_batch(seed=seed) for seed in range(40)])
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
    same_draw = lambda images: AUGMENTATIONS[name](images, torch.Generator().manual_seed(3))  # noqa: E731
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
        sides = [
            Side(images, images, told, images)
            for images, told in zip(values.split(count), (fake_targets, real_targets), strict=True)
        ]
        turn = Turn(lambda images, _: (slope * (images + 1))[:, None], *sides)
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
    make = lambda weight: optimistic(torch.optim.Adam([weight], lr=0.1))  # noqa: E731
    steps(make(whole), whole, 6)
    optimizer = make(first)
    steps(optimizer, first, 3)
    second.data.copy_(first.data)
    resumed = make(second)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    steps(resumed, second, 3)
    assert torch.equal(whole, second)
