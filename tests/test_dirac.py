"""The GAN that is solved exactly, through the real training step.

Mescheder, Geiger and Nowozin 2018, "Which training methods for GANs do actually converge?": the generator is a number
theta, the discriminator D(x) = psi x, the data are 0. At the equilibrium (0, 0) a step is a matrix, whose eigenvalues
say whether training converges, and how fast.
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from itertools import product
from math import exp, log, pi
from typing import Literal

import numpy
import pytest
import torch
from numpy.typing import NDArray

from gans.config.build import build
from gans.data.batches import Batch
from gans.gan import GAN
from gans.models.dirac import DiracDiscriminator, DiracGenerator
from gans.objectives import BinaryCrossEntropy, Objective, Wasserstein
from gans.stabilize import Stabilizer, Stabilizers
from gans.stabilize.gradient_penalties import R1, R2, WGANGP
from gans.stabilize.weights import EMA, WeightClipping
from tests.training import OBJECTIVES, gan_of, option, train

STEP = 0.2
Point = tuple[float, float]
Updates = Literal["joint", "separate", "alternating"]


def dirac(
    start: Point,
    objective: Objective,
    stabilizers: Mapping[str, Stabilizer],
    rates: Point = (STEP, STEP),
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
        discriminator_updates=updates or ("joint" if objective.compares_pairs else "alternating"),
    )


def walk(gan: GAN, steps: int = 1) -> NDArray[numpy.float64]:
    """(theta, psi) after so many training steps."""
    train(gan, [Batch(torch.zeros(1, 1, dtype=torch.float64), torch.zeros(1).long())] * steps)
    theta, psi = gan.generator.get_parameter("theta"), gan.discriminator.get_parameter("psi")
    return numpy.array([theta.item(), psi.item()])


def sigmoid(value: float) -> float:
    return 1 / (1 + exp(-value))


Slope = Callable[[float], float]

# the slope of the discriminator's loss of a fake, and of the generator's loss, in the fake's score s
SLOPES: dict[str, tuple[Slope, Slope]] = {
    "bce": (sigmoid, lambda s: sigmoid(s) - 1),
    "minimax": (sigmoid, lambda s: -sigmoid(s)),
    "msle": (sigmoid, lambda s: 2 * log((1 + sigmoid(s)) / 2) * sigmoid(s) * (1 - sigmoid(s)) / (1 + sigmoid(s))),
    "least_squares": (lambda s: s, lambda s: s - 1),
    "hinge": (lambda s: float(s > -1), lambda _: -1.0),
    "relativistic": (sigmoid, lambda s: sigmoid(s) - 1),
    "wasserstein": (lambda _: -1.0, lambda _: 1.0),
    "wasserstein_bounded": (lambda s: -sigmoid(s) * (1 - sigmoid(s)), lambda s: sigmoid(s) * (1 - sigmoid(s))),
}
# what each technique adds to the slope of the discriminator's loss in psi
PENALTIES: dict[str, tuple[Callable[[], Stabilizer], Slope]] = {
    "none": (Stabilizer, lambda _: 0.0),
    "r1": (lambda: R1(0.3), lambda psi: 0.3 * psi),
    "r1, critical": (lambda: R1(1.0), lambda psi: psi),
    "r2": (lambda: R2(0.3), lambda psi: 0.3 * psi),
    "wgan_gp": (lambda: WGANGP(0.4), lambda psi: 0.8 * (abs(psi) - 1) * float(numpy.sign(psi))),
    "wgan_gp to 0": (lambda: WGANGP(0.4, target=0.0), lambda psi: 0.8 * psi),
}


@cache
def played(objective: str) -> Objective:
    return build(option("objective", objective), "objective")


def one_step(objective: str, penalty: str, theta: float, psi: float) -> Point:
    """The closed form of a training step: first the discriminator, then the generator against the new one."""
    of_discriminator, of_generator = SLOPES[objective]
    psi -= STEP * (of_discriminator(psi * theta) * theta + PENALTIES[penalty][1](psi))
    theta -= STEP * of_generator(psi * theta) * psi
    return theta, psi


# each objective alone, and each penalty beside one objective of each kind: what a penalty adds is the objective's loss
PAIRS = [(objective, "none") for objective in OBJECTIVES] + [
    (objective, penalty)
    for objective in ("bce", "wasserstein", "relativistic")
    for penalty in PENALTIES
    if penalty != "none"
]


@pytest.mark.parametrize(("objective", "penalty"), PAIRS)
def test_a_step_is_the_closed_form(objective: str, penalty: str) -> None:
    for point in ((0.3, 0.2), (-0.8, 0.5), (1.5, -0.7)):
        measured = walk(dirac(point, played(objective), {"it": PENALTIES[penalty][0]()}))
        numpy.testing.assert_allclose(measured, one_step(objective, penalty, *point), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("objective", "penalty"), [pair for pair in PAIRS if pair[1] != "wgan_gp"])
def test_the_contraction_per_step_is_the_closed_form(objective: str, penalty: str) -> None:
    """Of a step's matrix: the product of both eigenvalues is 1 - h w of a penalty's slope w psi.

    WGAN-GP is left out: its slope jumps at psi = 0, so that the equilibrium attracts nothing.
    """
    strength = PENALTIES[penalty][1](1.0)
    first, second = (slope(0.0) for slope in SLOPES[objective])
    expected = numpy.array(
        [
            [1 + STEP**2 * first * second, -STEP * second * (1 - STEP * strength)],
            [-STEP * first, 1 - STEP * strength],
        ]
    )
    measured = linearized(played(objective), PENALTIES[penalty][0])
    numpy.testing.assert_allclose(measured, expected, atol=1e-4)
    assert numpy.linalg.det(measured) == pytest.approx(1 - STEP * strength, abs=1e-4)
    sizes = [sorted(abs(numpy.linalg.eigvals(matrix))) for matrix in (measured, expected)]
    assert sizes[0] == pytest.approx(sizes[1], abs=1e-4)


def linearized(
    objective: Objective, stabilizer: Callable[[], Stabilizer] = Stabilizer, rates: Point = (STEP, STEP)
) -> NDArray[numpy.float64]:
    """The matrix of one training step at the equilibrium (0, 0), from two steps close to it."""
    tiny = 1e-4
    starts = ((tiny, 0.0), (0.0, tiny))
    return numpy.stack([walk(dirac(start, objective, {"it": stabilizer()}, rates)) / tiny for start in starts], axis=1)


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
    alone = [linearized(objective, stabilizer, rates) for rates in ((STEP, 0.0), (0.0, STEP))]
    eigenvalues = numpy.linalg.eigvals(sum(alone) - numpy.eye(2))
    # two equal eigenvalues, as at the critical weight, move by the root of an error
    numpy.testing.assert_allclose(numpy.prod(eigenvalues).real, modulus**2, atol=1e-4)
    numpy.testing.assert_allclose(abs(eigenvalues).mean(), modulus, atol=1e-4)


def test_the_players_go_round_the_equilibrium_for_ever() -> None:
    """63 alternating steps of angle 2 asin(0.05) are one whole turn: the generator is back where it started."""
    start = (0.01, 0.0)
    steps = round(2 * pi / (2 * numpy.arcsin(STEP * 0.5 / 2)))
    gan = dirac(start, BinaryCrossEntropy(), {})
    assert walk(gan, steps // 2)[0] < -0.009
    end = walk(gan, steps - steps // 2)
    assert numpy.linalg.norm(end - numpy.array(start)) < 0.05 * numpy.linalg.norm(start)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_clipping_keeps_the_discriminator_in_its_box(objective: str) -> None:
    slope, of_generator = SLOPES[objective]
    theta, psi = walk(dirac((3.0, 0.0), played(objective), {"it": WeightClipping(0.01)}))
    assert psi == pytest.approx(numpy.clip(-STEP * slope(0.0) * 3.0, -0.01, 0.01))
    assert theta == pytest.approx(3.0 - STEP * of_generator(psi * 3.0) * psi, rel=1e-6)


def test_clipping_changes_nothing_inside_its_box() -> None:
    clipped, free = (
        walk(dirac((0.3, 0.2), BinaryCrossEntropy(), {"it": each})) for each in (WeightClipping(10.0), Stabilizer())
    )
    assert clipped.tolist() == free.tolist()


def test_the_moving_average_follows_the_turning_generator_at_its_rate() -> None:
    ema, start = EMA(0.9), (0.3, 0.2)
    walk(dirac(start, BinaryCrossEntropy(), {"it": ema}), steps=12)
    average, theta, psi = start[0], *start
    for _ in range(12):
        theta, psi = one_step("bce", "none", theta, psi)
        average = 0.9 * average + 0.1 * theta
    assert ema.average.get_parameter("theta").item() == pytest.approx(average, rel=1e-4)


@pytest.mark.parametrize("stabilizer", ["none", "r1"])
def test_the_shipped_model_plays_the_published_game(stabilizer: str) -> None:
    """``model=dirac`` as it is composed, with a penalty of the weight that is given."""
    changes = {"model.generator.theta": 0.3, "model.discriminator.psi": 0.2, "data.batch_size": 1}
    if stabilizer == "r1":
        changes["stabilize.r1.weight"] = 0.3
    gan = gan_of("dirac", "bce", [stabilizer], changes)
    train(gan, [Batch(torch.zeros(1, 1), torch.zeros(1).long())])
    moved = [gan.generator.get_parameter("theta").item(), gan.discriminator.get_parameter("psi").item()]
    assert moved == pytest.approx(one_step("bce", stabilizer, 0.3, 0.2), rel=1e-5)


@pytest.mark.parametrize(
    ("objective", "updates"),
    [*product(["bce", "wasserstein"], ["joint", "separate", "alternating"]), ("relativistic", "joint"),
     ("relativistic", "separate")],
)  # fmt: skip
def test_a_penalty_weighs_the_same_in_every_kind_of_update(objective: str, updates: Updates) -> None:
    """As beside E[fakes] + E[reals], of which a joint update pays the mean: both move the discriminator half as far."""
    game, (slope, _) = played(objective), SLOPES[objective]
    theta, psi = 0.3, 0.2
    moved = walk(dirac((theta, psi), game, {"it": R1(0.7)}, (0.0, STEP), updates))
    share = 1.0 if game.compares_pairs or updates == "alternating" else 0.5
    assert moved[1] == pytest.approx(psi - STEP * share * (slope(psi * theta) * theta + 0.7 * psi), rel=1e-5)


def test_every_shipped_objective_has_its_slopes_here() -> None:
    assert set(OBJECTIVES) == set(SLOPES)
