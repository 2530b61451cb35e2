"""Loss values against the formulas of the reports, in float64, and their behaviour far from the middle."""

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gans.objectives import (
    BinaryCrossEntropy,
    Hinge,
    LeastSquares,
    MeanSquaredLogarithmicError,
    Minimax,
    Objective,
    RelativisticPairing,
    Wasserstein,
)
from gans.update import Samples, Turn

OBJECTIVES = [
    BinaryCrossEntropy(), Minimax(), MeanSquaredLogarithmicError(), LeastSquares(), Hinge(), RelativisticPairing(),
    Wasserstein(), Wasserstein(bounded=True),
]  # fmt: skip
scores = st.lists(st.floats(-12, 12), min_size=1, max_size=8)


def turn_of(values: list[float], target: float) -> Turn:
    """A turn whose samples are scores themselves, judged by the identity."""
    images = torch.tensor(values, dtype=torch.float64)
    count = len(values)
    side = Samples(images, torch.zeros(count), torch.full((count,), target, dtype=torch.float64), torch.ones(count).bool())
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


@pytest.mark.parametrize("objective", [MeanSquaredLogarithmicError(), Minimax()])
def test_msle_and_minimax_train_the_discriminator_on_cross_entropy(objective: Objective) -> None:
    turn = turn_of([-1.0, 0.5], 0.0)
    torch.testing.assert_close(objective.discriminator(turn), BinaryCrossEntropy().discriminator(turn))


@given(scores)
def test_the_minimax_generator_minimizes_what_the_discriminator_maximizes(values: list[float]) -> None:
    numpy.testing.assert_allclose(
        Minimax().generator(turn_of(values, 1.0)).numpy(), numpy.log(1 - sigmoid(values)), rtol=1e-6, atol=1e-10
    )


@given(scores, st.sampled_from([0.0, 1.0, 0.9, 1.1]))
def test_least_squares_equals_its_formula(values: list[float], target: float) -> None:
    expected = (numpy.array(values) - target) ** 2 / 2
    for loss in (LeastSquares().discriminator, LeastSquares().generator):
        numpy.testing.assert_allclose(loss(turn_of(values, target)).numpy(), expected, rtol=1e-12)


@given(scores, st.sampled_from([-1.0, 1.0]))
def test_hinge_equals_its_formula(values: list[float], target: float) -> None:
    expected = numpy.maximum(0, 1 - target * numpy.array(values))
    numpy.testing.assert_allclose(Hinge().discriminator(turn_of(values, target)).numpy(), expected, rtol=1e-12)
    numpy.testing.assert_allclose(Hinge().generator(turn_of(values, 1.0)).numpy(), -numpy.array(values))


@given(st.lists(st.tuples(st.floats(-12, 12), st.floats(-12, 12)), min_size=1, max_size=6))
def test_relativistic_pairing_compares_each_fake_with_a_real(pairs: list[tuple[float, float]]) -> None:
    fake, real = (torch.tensor(values, dtype=torch.float64) for values in zip(*pairs, strict=True))
    fakes, reals = (Samples(images, *torch.zeros(3, len(images))) for images in (fake, real))
    turn = Turn(lambda images, _: images[:, None], fakes, reals)
    turn.__dict__["outputs"] = torch.cat((fake, real))[:, None]
    lead = (real - fake).tolist()
    numpy.testing.assert_allclose(RelativisticPairing().discriminator(turn), -numpy.log(sigmoid(lead)), rtol=1e-6)
    numpy.testing.assert_allclose(
        RelativisticPairing().generator(turn), -numpy.log(sigmoid([-value for value in lead])), rtol=1e-6
    )


@given(scores, st.sampled_from([-1.0, 1.0, 0.93]), st.booleans())
def test_wasserstein_is_target_times_critic(values: list[float], target: float, bounded: bool) -> None:
    critic = sigmoid(values) if bounded else numpy.array(values)
    objective = Wasserstein(bounded=bounded)
    for loss in (objective.discriminator, objective.generator):
        numpy.testing.assert_allclose(loss(turn_of(values, target)).numpy(), target * critic, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("objective", [objective for objective in OBJECTIVES if not objective.pairs])
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

    def judge(images: Tensor, _: Tensor) -> Tensor:
        return (slope * images)[:, None]

    for _ in range(rounds):
        sides = [
            Samples(images, images, torch.full((1,), target), torch.tensor([wanted]))
            for images, target, wanted in (
                (fake.detach(), objective.fake_target, False),
                (real, objective.real_target, True),
            )
        ]
        (gradient,) = torch.autograd.grad(objective.discriminator(Turn(judge, sides[0], sides[1])).mean(), slope)
        slope.data -= 0.1 * gradient
        towards = Samples(fake, fake, torch.full((1,), objective.real_target), torch.tensor([True]))
        beside = sides[1] if objective.pairs else towards.none()
        (gradient,) = torch.autograd.grad(objective.generator(Turn(judge, towards, beside)).mean(), fake)
        fake.data -= 0.1 * gradient
        if fake.item() > 0.9:
            break
    return fake.detach()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_generator_moves_towards_the_data(objective: Objective) -> None:
    # a flipped sign (PyTorch-GAN#17) would drive the fake away from the data
    assert descend(objective).item() > 0.9


@pytest.mark.parametrize("bounded", [True, False])
def test_the_wasserstein_critic_is_right_when_it_scores_reals_low(bounded: bool) -> None:
    believed = Wasserstein(bounded=bounded).predicts_real(torch.tensor([-0.1, 0.1]))
    assert believed.tolist() == [True, False]
