"""Losses against their formulas, in float64, and their behaviour far from the middle."""

from collections.abc import Callable
from functools import partial

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from gans.config.build import build
from gans.errors import InputError
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
from gans.update import PlayerBatch, ScoredBatch
from tests.training import OBJECTIVES, option, samples_of, scored_batch

Array = NDArray[numpy.float64]

SHIPPED: dict[str, Objective] = {name: build(option("objective", name), name) for name in OBJECTIVES}
scores = st.lists(st.floats(-12, 12), min_size=1, max_size=8).map(numpy.array)


def sigmoid(values: Array) -> Array:
    return 1 / (1 + numpy.exp(-values))


def cross_entropy(score: Array, target: float) -> Array:
    return -target * numpy.log(sigmoid(score)) - (1 - target) * numpy.log(1 - sigmoid(score))


Formula = Callable[[Array, float], Array]

FORMULAS: list[tuple[Objective, Formula, Formula]] = [
    (BinaryCrossEntropy(), cross_entropy, cross_entropy),
    (Minimax(), cross_entropy, lambda s, _: numpy.log(1 - sigmoid(s))),  # minus what the discriminator pays
    # Keras's mean_squared_logarithmic_error between 1 and D
    (
        MeanSquaredLogarithmicError(),
        cross_entropy,
        lambda s, _: (numpy.log1p(1.0) - numpy.log1p(sigmoid(s))) ** 2,
    ),
    (LeastSquares(), lambda s, t: (s - t) ** 2 / 2, lambda s, t: (s - t) ** 2 / 2),
    (Hinge(), lambda s, t: numpy.maximum(0, 1 - t * s), lambda s, _: -s),
    (Wasserstein(), lambda s, t: t * s, lambda s, t: t * s),
    (Wasserstein(bounded=True), lambda s, t: t * sigmoid(s), lambda s, t: t * sigmoid(s)),
]


@pytest.mark.parametrize(("objective", "discriminator", "generator"), FORMULAS)
@given(score=scores, target=st.floats(-1.1, 1.1))
def test_losses_equal_their_formulas(
    objective: Objective, discriminator: Formula, generator: Formula, score: Array, target: float
) -> None:
    """Also of targets that label stabilizers have altered."""
    batch = scored_batch(torch.tensor(score), target)
    numpy.testing.assert_allclose(objective.discriminator(batch), discriminator(score, target), rtol=1e-6, atol=1e-10)
    numpy.testing.assert_allclose(objective.generator(batch), generator(score, target), rtol=1e-6, atol=1e-10)


@given(st.lists(st.tuples(st.floats(-12, 12), st.floats(-12, 12)), min_size=1, max_size=6).map(numpy.array))
def test_relativistic_pairing_compares_each_fake_with_a_real(pairs: Array) -> None:
    fake, real = pairs.T
    batch = scored_batch(torch.tensor(fake), real=torch.tensor(real))
    softplus = partial(numpy.logaddexp, 0)  # -log(sigmoid(-x)), without the rounding of a sigmoid near 1
    numpy.testing.assert_allclose(RelativisticPairing().discriminator(batch), softplus(fake - real), rtol=1e-6)
    numpy.testing.assert_allclose(RelativisticPairing().generator(batch), softplus(real - fake), rtol=1e-6)


def test_every_shipped_objective_has_a_formula_here() -> None:
    assert set(SHIPPED.values()) == {objective for objective, _, _ in FORMULAS} | {RelativisticPairing()}


@pytest.mark.parametrize("score", [-200.0, 200.0])
@pytest.mark.parametrize("objective", SHIPPED.values(), ids=SHIPPED)
def test_losses_and_gradients_stay_finite_far_out(objective: Objective, score: float) -> None:
    for loss in (objective.discriminator, objective.generator):
        value = torch.tensor([score], requires_grad=True)
        paid = loss(scored_batch(value, objective.real_target, -value.detach() if objective.compares_pairs else None))
        paid.sum().backward()
        assert value.grad is not None
        assert value.grad.isfinite().all()
        assert paid.isfinite().all()


@pytest.mark.parametrize("objective", SHIPPED.values(), ids=SHIPPED)
def test_the_generator_moves_towards_the_data(objective: Objective) -> None:
    """A one-number generator against a linear discriminator: data at 1, the fake starts at -1. A flipped sign
    (PyTorch-GAN#17) would drive the fake away from the data."""
    fake, slope = torch.tensor([-1.0], requires_grad=True), torch.zeros(1, requires_grad=True)

    def score(images: Tensor, _: Tensor) -> Tensor:
        return (slope * images)[:, None]

    def scored(fake: Tensor, target: float, real: int = 1) -> ScoredBatch:
        reals = samples_of(torch.ones(1), objective.real_target, desired_real=True)
        return PlayerBatch(score, samples_of(fake, target), reals.first(real), False).forward()

    for _ in range(200):
        loss = objective.discriminator(scored(fake.detach(), objective.fake_target)).mean()
        slope.data -= 0.2 * torch.autograd.grad(loss, slope)[0]
        loss = objective.generator(scored(fake, objective.real_target, real=int(objective.compares_pairs))).mean()
        fake.data -= 0.2 * torch.autograd.grad(loss, fake)[0]
        if fake.item() > 0.9:
            break
    assert fake.item() > 0.9


@pytest.mark.parametrize("objective", SHIPPED.values(), ids=SHIPPED)
def test_verdicts_agree_with_what_the_discriminator_is_paid_for(objective: Objective) -> None:
    """Of two scores, the one that it is paid more for as a real's, beside as a fake's, is taken for real."""
    values = torch.tensor([-2.0, 2.0])
    if objective.compares_pairs:  # the pair costs less where the real is above the fake
        first, second = objective.discriminator(scored_batch(values.flip(0), real=values))
    else:
        as_real, as_fake = (
            objective.discriminator(scored_batch(values, target))
            for target in (objective.real_target, objective.fake_target)
        )
        first, second = as_real - as_fake
    assert first != second
    assert objective.predicts_real(values).tolist() == [bool(first < second), bool(second < first)]
    assert objective.sign_of_real == (1 if second < first else -1)


@pytest.mark.parametrize("kind", [BinaryCrossEntropy, Minimax, Hinge, Wasserstein])
def test_targets_that_would_teach_the_wrong_way_are_refused(kind: type[Objective]) -> None:
    with pytest.raises(InputError, match=r"counts scores (above|below) 0 as real"):
        kind(real_target=kind.fake_target, fake_target=kind.real_target)
    for each in (kind, LeastSquares):
        with pytest.raises(InputError, match="both 1"):
            each(real_target=1.0, fake_target=1.0)
    assert LeastSquares(real_target=0.0, fake_target=1.0).sign_of_real == -1


def test_least_squares_takes_the_nearer_target() -> None:
    scores = torch.tensor([-0.2, 0.2, 0.6])
    assert LeastSquares().predicts_real(scores).tolist() == [False, False, True]
    assert LeastSquares(real_target=1.0, fake_target=-1.0).predicts_real(scores).tolist() == [False, True, True]
