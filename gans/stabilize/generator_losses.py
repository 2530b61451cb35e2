"""Stabilizers that replace the generator's loss."""

from collections.abc import Callable
from math import ceil
from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer

from gans.errors import InputError
from gans.stabilize.base import StabilizedGAN, Stabilizer, refuse_beside
from gans.stabilize.layers import last_layer
from gans.update import PlayerBatch, Samples, ScoredBatch, Terms, mean_terms, total


class FeatureMatching(Stabilizer):
    """The generator minimizes ||mean f(real) - mean f(fake)||² instead (Salimans et al. 2016, section 3.1).

    f are the inputs of the discriminator's last layer.
    """

    def attach(self, gan: StabilizedGAN) -> None:
        if gan.discriminator_takes_classes:
            raise InputError(
                "stabilize.feature_matching matches features that do not depend on the class in this discriminator, so "
                "the generator would not learn classes: use model=acgan"
            )
        _, layer = last_layer(gan, "feature_matching")
        self.layer = [layer]  # a list, so that the discriminator's layer does not become a submodule

    def generator_terms(
        self, gan: StabilizedGAN, terms: Terms, batch: ScoredBatch, discriminator_batch: PlayerBatch
    ) -> Terms:
        with torch.no_grad():
            real = self.features(batch, discriminator_batch.real).mean(0)
        distance = (self.features(batch, batch.fake).mean(0) - real).square().sum()
        others = {name: term for name, term in terms.items() if name != "adversarial"}
        return {"feature_matching": distance.expand(len(batch.fake.images))} | others

    def features(self, batch: ScoredBatch, samples: Samples) -> Tensor:
        """f of each sample, shape (n, d), float32."""
        inputs: list[Tensor] = []
        with self.layer[0].register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0])):
            batch.score(samples.images, samples.labels)
        return inputs[0].float()


class TopK(Stabilizer):
    """The generator learns from the k fakes of a batch with the best scores alone (Sinha et al. 2020, equation 2).

    k begins as the whole batch and is multiplied by ``decay`` every ``interval`` training steps, until it is ``final``
    times the batch; it is rounded up. In the paper an interval is an epoch, and decay is 0.99.
    """

    def __init__(
        self,
        decay: Annotated[float, Field(gt=0, lt=1)] = 0.99,
        interval: PositiveInt = 400,
        final: Annotated[float, Field(gt=0, lt=1)] = 0.5,
    ) -> None:
        super().__init__()
        self.decay = decay
        self.interval = interval
        self.final = final

    def attach(self, gan: StabilizedGAN) -> None:
        refuse_beside(gan, "top_k", Unrolling, "unrolling computes its loss from future scores of all fakes")
        refuse_beside(gan, "top_k", FeatureMatching, "feature matching's loss is of the batch as a whole")
        self.sign = gan.objective.sign_of_real  # once, since it waits for a tensor

    def generator_terms(
        self, gan: StabilizedGAN, terms: Terms, batch: ScoredBatch, discriminator_batch: PlayerBatch
    ) -> Terms:
        scores, _ = batch.scores_by_kind
        best = (self.sign * scores).topk(self.count(len(scores), gan.training_steps)).indices
        return {name: values[best] for name, values in terms.items()}

    def count(self, fakes: int, step: int) -> int:
        """k of so many fakes in a training step, counted from 0."""
        return ceil(fakes * max(self.final, self.decay ** (step // self.interval)) - 1e-9)  # 0.1 * 30 is above 3


class Unrolling(Stabilizer):
    """The generator's loss uses the discriminator after ``steps`` more updates (Metz et al. 2017, equations 7 and 10).

    The updates are on the generator's fakes, and its gradient flows through them. Each is a step of gradient descent on
    the objective, as long as the discriminator's optimizer would make it (``move_of``), with unaltered targets and
    without penalties, clipping or momentum. Afterwards the discriminator is as before.

    Args:
        steps: the default is one of the paper's, which compares 0, 1, 5 and 10 (section 3.3).
    """

    def __init__(self, steps: PositiveInt = 5) -> None:
        super().__init__()
        self.steps = steps

    def attach(self, gan: StabilizedGAN) -> None:
        why = "feature matching replaces the loss that unrolling computes from future scores"
        refuse_beside(gan, "unrolling", FeatureMatching, why)

    def generator_terms(
        self, gan: StabilizedGAN, terms: Terms, batch: ScoredBatch, discriminator_batch: PlayerBatch
    ) -> Terms:
        scoring = Scoring(gan.discriminator, batch)
        parameters = dict(scoring.named_parameters())
        _, optimizer = gan.optimizers()
        moves = {name: move_of(optimizer, weight) for name, weight in parameters.items()}
        weights = {name: weight.detach().requires_grad_() for name, weight in parameters.items()}
        fake = batch.fake.first(len(discriminator_batch.fake.images))
        fake = fake.with_target(gan.objective.fake_target, desired_real=False)
        real = discriminator_batch.real.with_target(gan.objective.real_target, desired_real=True)
        for _ in range(self.steps):
            unrolled = PlayerBatch(scoring.with_weights(weights), fake, real, discriminator_batch.separate_forward)
            loss = gan.updates_per_batch * total(mean_terms(gan.discriminator_terms(unrolled.forward())))
            gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
            named = zip(weights.items(), gradients, strict=True)
            weights = {name: weight - moves[name](gradient) for (name, weight), gradient in named}
        unrolled = PlayerBatch(scoring.with_weights(weights), batch.fake, batch.real, batch.separate_forward)
        return gan.generator_terms(unrolled.forward())


def move_of(optimizer: Optimizer, weight: nn.Parameter) -> Callable[[Tensor], Tensor]:
    """A differentiable function from a weight's gradient to the step that the optimizer would subtract.

    The step is the learning rate times the gradient. If the optimizer keeps mean squared gradients (Adam, RMSprop), it
    is divided by their root, or by the gradient's magnitude if larger, so that no weight moves further than the
    learning rate.
    """
    group = next(group for group in optimizer.param_groups if any(weight is other for other in group["params"]))
    state = optimizer.state[weight]
    if "exp_avg_sq" in state:
        squares = state["exp_avg_sq"] / (1 - group["betas"][1] ** state["step"])
    elif "square_avg" in state:
        squares = state["square_avg"]
    else:
        return lambda grad: group["lr"] * grad
    return lambda grad: group["lr"] * grad / (torch.maximum(squares, grad.detach().square()).sqrt() + group["eps"])


class Scoring(nn.Module):
    """A batch's ``score`` as a function of the discriminator's weights; buffers, such as BatchNorm's, do not change."""

    def __init__(self, discriminator: nn.Module, batch: ScoredBatch) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.score = batch.score

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.score(images, labels)

    def with_weights(self, weights: dict[str, Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
        buffers = {name: buffer.clone() for name, buffer in self.named_buffers()}
        return lambda images, labels: functional_call(self, weights | buffers, (images, labels))
