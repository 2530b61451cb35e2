"""Mistakes in classes of one's own are refused in one line that names the class, before training where they can be."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from typing_extensions import override

from gans.config.build import build_data
from gans.config.compatibility import require_match
from gans.data.source import Source
from gans.errors import InputError
from gans.gan import GAN
from gans.models.mlp import MaxoutDiscriminator, MLPGenerator
from gans.objectives import BinaryCrossEntropy, Objective
from gans.randomness import Streams
from gans.stabilize import Stabilizer, Stabilizers
from gans.stabilize.base import StabilizedGAN
from gans.stabilize.gradient_penalties import R1
from gans.update import PlayerBatch, ScoredBatch, Terms
from tests.conftest import run_config
from tests.training import points_gan, random_points, train


@pytest.fixture(scope="module")
def points() -> Source:
    return build_data(run_config("data=ring", "model=mlp"))


def refusal(do: Callable[[], object]) -> str:
    with pytest.raises(InputError) as refused:
        do()
    assert "\n" not in str(refused.value)
    return str(refused.value)


def changed(loss: Callable[[ScoredBatch], Tensor]) -> Objective:
    @dataclass(frozen=True)
    class Own(BinaryCrossEntropy):
        @override
        def discriminator(self, batch: ScoredBatch) -> Tensor:
            return loss(batch)

    return Own()


@pytest.mark.parametrize(
    "loss",
    [
        lambda batch: (batch.scores - batch.targets[:, None]).square(),
        lambda batch: batch.outputs.square(),
        lambda batch: batch.scores.mean(),
        lambda batch: 1.0,
    ],
    ids=["(n, n)", "(n, 1)", "()", "a number"],
)
def test_a_loss_that_is_not_one_value_per_sample(points: Source, loss: Callable[[ScoredBatch], Tensor]) -> None:
    gan = points_gan(objective=changed(loss))
    assert "Own" in refusal(lambda: require_match(gan, points))


def test_a_loss_of_the_generator_alone(points: Source) -> None:
    @dataclass(frozen=True)
    class Own(BinaryCrossEntropy):
        @override
        def generator(self, batch: ScoredBatch) -> Tensor:
            return batch.scores[:, None] - batch.scores

    assert "Own" in refusal(lambda: require_match(points_gan(objective=Own()), points))


class Penalty(Stabilizer):
    """One penalty of this name, with the values of the scores in this shape."""

    def __init__(self, name: str, *shape: int) -> None:
        super().__init__()
        self.name, self.shape = name, shape or (-1,)

    @override
    def penalties(self, batch: PlayerBatch, random: Streams) -> Terms:
        return {self.name: batch.scored().scores.reshape(self.shape)}


@pytest.mark.parametrize("updates", ["joint", "alternating"])
@pytest.mark.parametrize(
    ("name", "others"), [("adversarial", ()), ("r1", (R1(),)), ("mine", (Penalty("mine"),)), ("loss", ())]
)
def test_a_penalty_whose_name_is_taken(name: str, others: tuple[Stabilizer, ...], updates: str) -> None:
    gan = points_gan(*others, Penalty(name), discriminator_updates=updates)
    assert f"'{name}'" in refusal(lambda: train(gan, [random_points()]))


def test_a_penalty_called_as_an_accuracy() -> None:
    assert "'accuracy'" in refusal(lambda: train(points_gan(Penalty("accuracy")), [random_points()]))


def test_penalties_with_names_of_their_own_add_up() -> None:
    means = train(points_gan(Penalty("one"), Penalty("other")), [random_points()]).means.pop()
    parts = [means[f"discriminator_{name}"] for name in ("adversarial", "one", "other")]
    assert means["discriminator_loss"] == pytest.approx(sum(parts))


def test_a_penalty_or_a_generators_term_that_is_not_one_value_per_sample() -> None:
    assert "Penalty" in refusal(lambda: train(points_gan(Penalty("mine", 1, -1)), [random_points()]))

    class Own(Stabilizer):
        @override
        def generator_terms(
            self, gan: StabilizedGAN, terms: Terms, batch: ScoredBatch, discriminator_batch: PlayerBatch
        ) -> Terms:
            return terms | {"mine": batch.scores - batch.scores[:, None]}

    assert "Own" in refusal(lambda: train(points_gan(Own()), [random_points()]))


def gan_with(generator: nn.Module | None = None, discriminator: nn.Module | None = None) -> GAN:
    adam = partial(torch.optim.Adam, lr=1e-3)
    return GAN(
        generator or MLPGenerator(width=8, depth=1),  # type: ignore[arg-type]
        discriminator or MaxoutDiscriminator(width=8, depth=1, pieces=2),
        BinaryCrossEntropy(),
        Stabilizers(),
        adam,
        adam,
    )


@pytest.mark.parametrize("layers", [[nn.Linear(2, 2)], [nn.Linear(2, 1), nn.Flatten(0)]], ids=["(n, 2)", "(n,)"])
def test_a_discriminator_that_makes_not_one_score_per_sample(points: Source, layers: list[nn.Module]) -> None:
    class Own(nn.Sequential): ...

    assert "Own" in refusal(lambda: require_match(gan_with(discriminator=Own(*layers)), points))
