"""Stabilizers that give the generator another aim than the discriminator as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import ref

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer
from typing_extensions import override

from gans.errors import InputError
from gans.stabilize.base import Stabilizer
from gans.stabilize.layers import last_layer
from gans.update import PlayerBatch, Samples, ScoredBatch, mean_terms, total

if TYPE_CHECKING:
    from gans.gan import GAN


class FeatureMatching(Stabilizer):
    """The generator pays ||mean f(real) - mean f(fake)||² and not the objective (Salimans et al. 2016, section 3.1).

    f is what the discriminator's last layer is given.
    """

    def attach(self, gan: GAN) -> None:
        if gan.discriminator_takes_classes:
            raise InputError(
                "stabilize.feature_matching asks for the features of reals, and this discriminator's features do not "
                "depend on the class, so that nothing would ask for one: use model=acgan"
            )
        _, layer = last_layer(gan, "feature_matching")
        self.layer = [layer]  # in a list, so that the discriminator's layer does not count as a part of this

    def generator_terms(
        self, terms: dict[str, Tensor], batch: ScoredBatch, discriminator_batch: PlayerBatch
    ) -> dict[str, Tensor]:
        with torch.no_grad():
            wanted = self.features(batch, discriminator_batch.real).mean(0)
        distance = (self.features(batch, batch.fake).mean(0) - wanted).square().sum()
        others = {name: term for name, term in terms.items() if name != "adversarial"}
        return {"feature_matching": distance.expand(len(batch.fake.images))} | others

    def features(self, batch: ScoredBatch, samples: Samples) -> Tensor:
        """f of each sample, shape (n, d), float32."""
        given: list[Tensor] = []
        watch = self.layer[0].register_forward_pre_hook(lambda _, arguments: given.append(arguments[0]))
        try:
            batch.score(samples.images, samples.labels)
        finally:
            watch.remove()
        return given[0].float()


class Unrolling(Stabilizer):
    """The generator faces the discriminator as it would be some steps later (Metz et al. 2017, equations 7 and 8).

    Its gradient goes through those steps, in which the discriminator would answer to the same fakes. In each, weights
    go down the slope of the objective as far as the discriminator's own optimizer would take them, see ``move_of``:
    with unaltered targets, without penalties, clipping or momentum. Nothing of the steps is kept.

    Args:
        steps: the default is theirs for images (section 3.3).
    """

    def __init__(self, steps: PositiveInt = 5) -> None:
        super().__init__()
        self.steps = steps

    def attach(self, gan: GAN) -> None:
        if any(isinstance(other, FeatureMatching) for other in gan.stabilizers):
            raise InputError(
                "stabilize=[feature_matching,unrolling]: the generator pays for features in place of the scores that "
                "unrolling is about: use one of them"
            )
        self.gan = ref(gan)

    @override
    def generator_terms(
        self, terms: dict[str, Tensor], batch: ScoredBatch, discriminator_batch: PlayerBatch
    ) -> dict[str, Tensor]:
        gan = self.gan()
        assert gan is not None
        scoring = Scoring(gan.discriminator, batch)
        own = dict(scoring.named_parameters())
        _, optimizer = gan.optimizers()
        moves = {name: move_of(optimizer, weight) for name, weight in own.items()}
        weights = {name: weight.detach().requires_grad_() for name, weight in own.items()}
        fake = batch.fake.first(len(discriminator_batch.fake.images))
        fake = fake.with_target(gan.objective.fake_target, desired_real=False)
        real = discriminator_batch.real.with_target(gan.objective.real_target, desired_real=True)
        for _ in range(self.steps):
            answer = PlayerBatch(scoring.with_weights(weights), fake, real, batch.separate_forward)
            loss = total(mean_terms(gan.discriminator_terms(answer.forward())))
            slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
            weights = {
                name: weight - moves[name](slope) for (name, weight), slope in zip(weights.items(), slopes, strict=True)
            }
        unrolled = PlayerBatch(scoring.with_weights(weights), batch.fake, batch.real, batch.separate_forward)
        return gan.generator_terms(unrolled.forward())


def move_of(optimizer: Optimizer, weight: nn.Parameter) -> Callable[[Tensor], Tensor]:
    """From a slope to how far the optimizer moves a weight against it, differentiable.

    By the learning rate times the slope; where the optimizer keeps mean square slopes (Adam, RMSprop), divided by their
    root, or by the slope's own size where that is larger, so that no weight moves further than the learning rate.
    """
    group = next(group for group in optimizer.param_groups if any(weight is other for other in group["params"]))
    state = optimizer.state[weight]
    if "exp_avg_sq" in state:
        squares = state["exp_avg_sq"] / (1 - group["betas"][1] ** state["step"])
    elif "square_avg" in state:
        squares = state["square_avg"]
    else:
        return lambda slope: group["lr"] * slope
    return lambda slope: group["lr"] * slope / (torch.maximum(squares, slope.detach().square()).sqrt() + group["eps"])


class Scoring(nn.Module):
    """A batch's ``score`` with the discriminator's weights as arguments. Its buffers, such as BatchNorm's, stay."""

    def __init__(self, discriminator: nn.Module, batch: ScoredBatch) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.score = batch.score

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.score(images, labels)

    def with_weights(self, weights: dict[str, Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
        buffers = {name: buffer.clone() for name, buffer in self.named_buffers()}
        return lambda images, labels: functional_call(self, weights | buffers, (images, labels))
