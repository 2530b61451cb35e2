"""Loss values against the formulas of the reports, in float64, and their behaviour far from the middle."""

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gans.objectives import BinaryCrossEntropy, MeanSquaredLogarithmicError, Objective, Wasserstein
from gans.turn import Side, Turn

scores = st.lists(st.floats(-12, 12), min_size=1, max_size=8)


def turn_of(values: list[float], target: float) -> Turn:
    """A turn whose samples are scores themselves, judged by the identity."""
    images = torch.tensor(values, dtype=torch.float64)
    count = len(values)
    side = Side(images, torch.zeros(count), torch.full((count,), target, dtype=torch.float64), torch.ones(count).bool())
    turn = Turn(lambda images, _: images[:, None], side, side.none())
    turn.__dict__["outputs"] = images[:, None]  # keep float64: the turn itself casts to float32
    return turn


def sigmoid(values: list[float]) -> numpy.ndarray:
    return 1 / (1 + numpy.exp(-numpy.array(values, dtype=numpy.float64)))


@given(scores, st.floats(-0.1, 1.1))
def test_cross_entropy_equals_its_formula(values: list[float], target: float) -> None:
    probability = sigmoid(values)
    expected = -target * numpy.log(probability) - (1 - target) * numpy.log(1 - probability)
    measured = BinaryCrossEntropy().discriminator(turn_of(values, target))
    numpy.testing.assert_allclose(measured.numpy(), expected, rtol=1e-7, atol=1e-10)


@given(scores)
def test_msle_equals_keras_formula(values: list[float]) -> None:
    expected = (numpy.log1p(1.0) - numpy.log1p(sigmoid(values))) ** 2
    measured = MeanSquaredLogarithmicError().generator(turn_of(values, 1.0))
    numpy.testing.assert_allclose(measured.numpy(), expected, rtol=1e-6, atol=1e-12)


def test_msle_trains_the_discriminator_on_cross_entropy() -> None:
    turn = turn_of([-1.0, 0.5], 0.0)
    expected = BinaryCrossEntropy().discriminator(turn)
    torch.testing.assert_close(MeanSquaredLogarithmicError().discriminator(turn), expected)


@given(scores, st.sampled_from([-1.0, 1.0, 0.93]), st.booleans())
def test_wasserstein_is_target_times_critic(values: list[float], target: float, bounded: bool) -> None:
    critic = sigmoid(values) if bounded else numpy.array(values)
    objective = Wasserstein(bounded=bounded)
    for loss in (objective.discriminator, objective.generator):
        numpy.testing.assert_allclose(loss(turn_of(values, target)).numpy(), target * critic, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "objective", [BinaryCrossEntropy(), MeanSquaredLogarithmicError(), Wasserstein(), Wasserstein(bounded=True)]
)
@pytest.mark.parametrize("score", [-200.0, 200.0])
def test_losses_and_gradients_stay_finite_far_out(objective: Objective, score: float) -> None:
    for loss in (objective.discriminator, objective.generator):
        value = torch.tensor([score], requires_grad=True)
        turn = turn_of([score], objective.real_target)
        turn.__dict__["outputs"] = value[:, None]
        loss(turn).sum().backward()
        assert value.grad is not None
        assert value.grad.isfinite().all()
        assert loss(turn).isfinite().all()


def descend(objective: Objective, rounds: int = 200) -> Tensor:
    """A one-number generator against a linear discriminator: data at 1, the fake starts at -1."""
    fake = torch.tensor([-1.0], requires_grad=True)
    slope = torch.zeros(1, requires_grad=True)
    real = torch.tensor([1.0])
    judge = lambda images, _: (slope * images)[:, None]  # noqa: E731
    for _ in range(rounds):
        sides = [
            Side(images, images, torch.full((1,), target), torch.tensor([wanted]))
            for images, target, wanted in (
                (fake.detach(), objective.fake_target, False),
                (real, objective.real_target, True),
            )
        ]
        (gradient,) = torch.autograd.grad(objective.discriminator(Turn(judge, *sides)).mean(), slope)
        slope.data -= 0.1 * gradient
        towards = Side(fake, fake, torch.full((1,), objective.real_target), torch.tensor([True]))
        (gradient,) = torch.autograd.grad(objective.generator(Turn(judge, towards, towards.none())).mean(), fake)
        fake.data -= 0.1 * gradient
        if fake.item() > 0.9:
            break
    return fake.detach()


@pytest.mark.parametrize(
    "objective", [BinaryCrossEntropy(), MeanSquaredLogarithmicError(), Wasserstein(), Wasserstein(bounded=True)]
)
def test_the_generator_moves_towards_the_data(objective: Objective) -> None:
    # a flipped sign (PyTorch-GAN#17) would drive the fake away from the data
    assert descend(objective).item() > 0.9


@pytest.mark.parametrize("bounded", [True, False])
def test_the_wasserstein_critic_is_right_when_it_scores_reals_low(bounded: bool) -> None:
    believed = Wasserstein(bounded=bounded).believes_real(torch.tensor([-0.1, 0.1]))
    assert believed.tolist() == [True, False]
