"""The GAN that is solved exactly, through the real training step.

Mescheder, Geiger and Nowozin 2018, "Which training methods for GANs do actually converge?": the generator is a number
theta, the discriminator D(x) = psi x, the data are 0. At the equilibrium (0, 0) a step is a matrix, whose eigenvalues
say whether training converges, and how fast.
"""

from collections.abc import Callable, Mapping
from functools import partial
from math import exp, log
from typing import Literal

import numpy
import pytest
import torch

from gans.config.build import build_gan
from gans.data.batches import Batch
from gans.gan import GAN
from gans.models.dirac import DiracDiscriminator, DiracGenerator
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
from gans.stabilize import Stabilizer, Stabilizers
from gans.stabilize.gradient_penalties import R1, R2, WGANGP
from gans.stabilize.weights import EMA, WeightClipping
from tests.conftest import composed
from tests.test_gan import train

STEP = 0.2


Point = tuple[float, float]
Updates = Literal["joint", "separate", "alternating"]


def dirac(
    start: Point,
    objective: Objective,
    rates: Point,
    stabilizers: Mapping[str, Stabilizer],
    updates: Updates | None = None,
) -> GAN:
    """Where the objective doesn't compare them, reals and fakes come in turns, so that each mean has weight 1."""
    return GAN(
        DiracGenerator(start[0]).double(),
        DiracDiscriminator(start[1]).double(),
        objective,
        Stabilizers(stabilizers),
        partial(torch.optim.SGD, lr=rates[0]),
        partial(torch.optim.SGD, lr=rates[1]),
        discriminator_updates=updates or ("joint" if objective.pairs else "alternating"),
    )


def walk(
    start: Point,
    objective: Objective,
    steps: int = 1,
    rates: Point = (STEP, STEP),
    stabilizers: Mapping[str, Stabilizer] | None = None,
) -> numpy.ndarray:
    gan = dirac(start, objective, rates, stabilizers or {})
    train(gan, [Batch(torch.zeros(1, 1, dtype=torch.float64), torch.zeros(1).long())] * steps)
    theta, psi = gan.generator.get_parameter("theta"), gan.discriminator.get_parameter("psi")
    return numpy.array([theta.item(), psi.item()])


def sigmoid(value: float) -> float:
    return 1 / (1 + exp(-value))


# the slope of the discriminator's loss of a fake, and of the generator's loss, in the fake's score s
SLOPES: dict[str, tuple[Objective, Callable[[float], float], Callable[[float], float]]] = {
    "bce": (BinaryCrossEntropy(), sigmoid, lambda s: sigmoid(s) - 1),
    "minimax": (Minimax(), sigmoid, lambda s: -sigmoid(s)),
    "msle": (
        MeanSquaredLogarithmicError(),
        sigmoid,
        lambda s: 2 * log((1 + sigmoid(s)) / 2) * sigmoid(s) * (1 - sigmoid(s)) / (1 + sigmoid(s)),
    ),
    "least_squares": (LeastSquares(), lambda s: s, lambda s: s - 1),
    "hinge": (Hinge(), lambda s: float(s > -1), lambda _: -1.0),
    "relativistic": (RelativisticPairing(), sigmoid, lambda s: sigmoid(s) - 1),
    "wasserstein": (Wasserstein(), lambda _: -1.0, lambda _: 1.0),
    "wasserstein_bounded": (
        Wasserstein(bounded=True),
        lambda s: -sigmoid(s) * (1 - sigmoid(s)),
        lambda s: sigmoid(s) * (1 - sigmoid(s)),
    ),
}
# what each technique adds to the slope of the discriminator's loss in psi
PENALTIES: dict[str, tuple[Callable[[], Stabilizer], Callable[[float], float]]] = {
    "none": (Stabilizer, lambda _: 0.0),
    "r1": (lambda: R1(0.3), lambda psi: 0.3 * psi),
    "r1, critical": (lambda: R1(1.0), lambda psi: psi),
    "r2": (lambda: R2(0.3), lambda psi: 0.3 * psi),
    "wgan_gp": (lambda: WGANGP(0.4), lambda psi: 0.8 * (abs(psi) - 1) * numpy.sign(psi)),
    "wgan_gp to 0": (lambda: WGANGP(0.4, target=0.0), lambda psi: 0.8 * psi),
}
POINTS = [(0.3, 0.2), (-0.8, 0.5), (1.5, -0.7)]


def one_step(objective: str, penalty: str, theta: float, psi: float) -> tuple[float, float]:
    """The closed form of a training step: first the discriminator, then the generator against the new one."""
    _, of_discriminator, of_generator = SLOPES[objective]
    psi -= STEP * (of_discriminator(psi * theta) * theta + PENALTIES[penalty][1](psi))
    theta -= STEP * of_generator(psi * theta) * psi
    return theta, psi


def refused(objective: str, penalty: str) -> bool:
    return objective == "wasserstein_bounded" and penalty.startswith("wgan_gp")


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("objective", SLOPES)
def test_a_step_is_the_closed_form(objective: str, penalty: str) -> None:
    if refused(objective, penalty):
        return
    for point in POINTS:
        measured = walk(point, SLOPES[objective][0], stabilizers={"it": PENALTIES[penalty][0]()})
        numpy.testing.assert_allclose(measured, one_step(objective, penalty, *point), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("penalty", [name for name in PENALTIES if name != "wgan_gp"])
@pytest.mark.parametrize("objective", SLOPES)
def test_the_contraction_per_step_is_the_closed_form(objective: str, penalty: str) -> None:
    """Of a step's matrix: the product of both eigenvalues is 1 - h w of a penalty's slope w psi.

    WGAN-GP is left out: its slope jumps at psi = 0, so that the equilibrium attracts nothing.
    """
    if refused(objective, penalty):
        return
    played, of_discriminator, of_generator = SLOPES[objective]
    strength = PENALTIES[penalty][1](1.0)
    first, second = of_discriminator(0.0), of_generator(0.0)
    expected = numpy.array(
        [
            [1 + STEP**2 * first * second, -STEP * second * (1 - STEP * strength)],
            [-STEP * first, 1 - STEP * strength],
        ]
    )
    measured = linearized(played, (STEP, STEP), PENALTIES[penalty][0])
    numpy.testing.assert_allclose(measured, expected, atol=1e-4)
    assert numpy.linalg.det(measured) == pytest.approx(1 - STEP * strength, abs=1e-4)
    sizes = [sorted(abs(numpy.linalg.eigvals(matrix))) for matrix in (measured, expected)]
    assert sizes[0] == pytest.approx(sizes[1], abs=1e-4)


@pytest.mark.parametrize("objective", SLOPES)
def test_clipping_keeps_the_discriminator_in_its_box_and_changes_nothing_inside(objective: str) -> None:
    played = SLOPES[objective][0]
    inside = walk(POINTS[0], played, stabilizers={"it": WeightClipping(10.0)})
    numpy.testing.assert_allclose(inside, walk(POINTS[0], played))
    theta, psi = walk((3.0, 0.0), played, steps=1, stabilizers={"it": WeightClipping(0.01)})
    free = walk((3.0, 0.0), played)[1]
    assert psi == pytest.approx(numpy.clip(free, -0.01, 0.01))
    assert theta == pytest.approx(3.0 - STEP * SLOPES[objective][2](psi * 3.0) * psi, rel=1e-6)


@pytest.mark.parametrize("objective", SLOPES)
def test_the_moving_average_follows_the_turning_generator_at_its_rate(objective: str) -> None:
    """Of the closed form's own steps."""
    ema, start = EMA(0.9), POINTS[0]
    walk(start, SLOPES[objective][0], steps=12, stabilizers={"it": ema})
    average, theta, psi = start[0], *start
    for _ in range(12):
        theta, psi = one_step(objective, "none", theta, psi)
        average = 0.9 * average + 0.1 * theta
    assert ema.average.get_parameter("theta").item() == pytest.approx(average, rel=1e-4)


@pytest.mark.parametrize("objective", SLOPES)
def test_the_moving_average_forgets_at_its_decay(objective: str) -> None:
    """It adds one eigenvalue to those of the game, at whose equilibrium nothing else moves."""
    average = EMA(0.9)
    gan = dirac((0.0, 0.0), SLOPES[objective][0], (STEP, STEP), {"it": average})
    average.average.get_parameter("theta").data.fill_(0.5)
    train(gan, [Batch(torch.zeros(1, 1, dtype=torch.float64), torch.zeros(1).long())] * 5)
    assert gan.generator.get_parameter("theta").item() == 0
    assert average.average.get_parameter("theta").item() == pytest.approx(0.5 * 0.9**5, abs=1e-6)


@pytest.mark.parametrize("stabilizer", ["none", "r1"])
def test_the_shipped_model_plays_the_published_game(stabilizer: str) -> None:
    """``model=dirac`` as it is composed, and a penalty of the weight that is given."""
    options = ["model=dirac", f"stabilize={stabilizer}", "model.generator.theta=0.3", "model.discriminator.psi=0.2"]
    config = composed(*options, *(["stabilize.r1.weight=0.3"] if stabilizer == "r1" else []))
    gan = build_gan(config)
    train(gan, [Batch(torch.zeros(1, 1), torch.zeros(1).long())])
    moved = [gan.generator.get_parameter("theta").item(), gan.discriminator.get_parameter("psi").item()]
    assert moved == pytest.approx(one_step("bce", stabilizer, 0.3, 0.2), rel=1e-5)


@pytest.mark.parametrize("updates", ["joint", "separate", "alternating"])
@pytest.mark.parametrize("objective", SLOPES)
def test_a_penalty_weighs_the_same_beside_the_objective_in_every_kind_of_update(
    objective: str, updates: Updates
) -> None:
    """As beside E[fakes] + E[reals], of which a joint update pays the mean: both move the discriminator half as far."""
    played, slope, _ = SLOPES[objective]
    if played.pairs and updates == "alternating":
        return
    theta, psi = 0.3, 0.2
    gan = dirac((theta, psi), played, (0.0, STEP), {"it": R1(0.7)}, updates)
    train(gan, [Batch(torch.zeros(1, 1, dtype=torch.float64), torch.zeros(1).long())])
    share = 1.0 if played.pairs or updates == "alternating" else 0.5
    expected = psi - STEP * share * (slope(psi * theta) * theta + 0.7 * psi)
    assert gan.discriminator.get_parameter("psi").item() == pytest.approx(expected, rel=1e-5)


def linearized(objective: Objective, rates: Point, stabilizer: Callable[[], Stabilizer] = Stabilizer) -> numpy.ndarray:
    """The matrix of one training step at the equilibrium (0, 0), from two steps close to it."""
    tiny = 1e-4
    starts = ((tiny, 0.0), (0.0, tiny))
    moved = [walk(start, objective, 1, rates, {"it": stabilizer()}) / tiny for start in starts]
    return numpy.stack(moved, axis=1)


@pytest.mark.parametrize(
    ("objective", "stabilizer", "modulus"),
    [
        (BinaryCrossEntropy(), Stabilizer, 1.00499),
        (Wasserstein(), Stabilizer, 1.0198),
        (BinaryCrossEntropy(), lambda: R1(0.3), 0.97468),
        (BinaryCrossEntropy(), lambda: R1(1.0), 0.900),
    ],
)
def test_simultaneous_steps_move_at_the_published_rate(
    objective: Objective, stabilizer: Callable[[], Stabilizer], modulus: float
) -> None:
    """Both players' moves from the same point: each player alone, the other standing still."""
    alone = [linearized(objective, rates, stabilizer) for rates in ((STEP, 0.0), (0.0, STEP))]
    eigenvalues = numpy.linalg.eigvals(sum(alone) - numpy.eye(2))
    # two equal eigenvalues, as at the critical weight, move by the root of an error
    numpy.testing.assert_allclose(numpy.prod(eigenvalues).real, modulus**2, atol=1e-4)
    numpy.testing.assert_allclose(abs(eigenvalues).mean(), modulus, atol=1e-4)


def test_dirac_gan_keeps_turning_over_many_steps() -> None:
    """63 alternating steps of angle 2 asin(0.05) are one whole turn: the generator is back where it started."""
    start = (0.01, 0.0)
    angle = 2 * numpy.arcsin(STEP * 0.5 / 2)
    steps = round(2 * numpy.pi / angle)
    end = walk(start, BinaryCrossEntropy(), steps)
    assert numpy.linalg.norm(end - numpy.array(start)) < 0.05 * numpy.linalg.norm(start)
    half = walk(start, BinaryCrossEntropy(), steps // 2)
    assert half[0] < -0.009
