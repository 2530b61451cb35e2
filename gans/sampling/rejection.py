"""Rejection sampling by the discriminator's scores."""

import math
from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from gans.data.batches import Batch
from gans.data.progress import ProgressBar
from gans.errors import InputError, TrainingError
from gans.gan import GAN
from gans.generator import Generator, Inputs
from gans.sampling.base import MakeInputs, Sampling

TRIED = 500
"""Samples that are scored at once, and how many scores of a class are remembered."""
LEAST_OF_CLASS = 10
"""Samples of each class among them, at the least."""
First = Annotated[int, Field(gt=0, le=1_000_000)]


class RejectionSampling(Sampling):
    """DRS: keeps a sample x with probability sigmoid(F(x)), and tries others in place of the rest.

    F(x) = s - m - log(1 - exp(s - m - 1e-8)) - gamma (Azadi et al. 2019, equation 8), where s is the score of x and m
    the largest score that was seen. With gamma = 0 and the best discriminator, whose score is the log ratio of data and
    generated densities, the kept samples have the data's distribution, but few are kept. So gamma is a percentile of
    the other terms of F among the 500 latest samples of the class: the higher, the fewer are kept, and the closer the
    kept samples' distribution is to the data's.

    m and gamma are those of the sample's class, if the generator takes classes. The paper trains the discriminator
    further first; here it stays as it is at the end of training. With noisy or smoothed targets scores are smaller than
    log ratios, so that more samples are kept than should be; with minibatch deviation a score depends on the others.

    Args:
        percentile: the paper's is 80 for ImageNet.
        first: samples that are scored before the first is kept, to estimate m; the paper's.
    """

    choice = "drs"
    needs_discriminator = True

    def __init__(self, percentile: Annotated[int, Field(ge=0, le=99)] = 80, first: First = 10_000) -> None:
        self.percentile = percentile
        self.first = first

    @property
    def protocol(self) -> str | None:
        return f"{self.percentile}drs"

    def require_match(self, gan: GAN) -> None:
        if not gan.objective.scores_are_log_ratios:
            raise InputError(
                "sampling=drs takes scores for log ratios of densities, which those of "
                f"{type(gan.objective).__name__} are not: use sampling=all, or another objective, such as objective=bce"
            )
        if gan.generator.takes_images:
            raise InputError(
                "sampling=drs tries other latents, but this generator transforms images: use sampling=all, or another "
                "model, such as model=dcgan"
            )
        if gan.generator.class_count > TRIED // LEAST_OF_CLASS:
            raise InputError(
                f"sampling=drs compares samples of the same class, and tries {TRIED} at once: with the "
                f"{gan.generator.class_count} classes of this generator there are too few of each: use sampling=all"
            )
        if gan.stabilizers.pack_size > 1:
            raise InputError(
                "sampling=drs needs a score of each sample, but with stabilize.packing several samples have one: use "
                "sampling=all"
            )

    def inputs_of(self, generator: Generator, gan: GAN | None) -> MakeInputs:
        assert gan is not None
        kept = self.chooser(scores_of(gan))

        def draw(count: int, random: torch.Generator, classes: Tensor | None) -> tuple[Inputs, Tensor]:
            inputs = generator.inputs(count, random, None, classes)
            return inputs, kept(inputs, random)

        is_first = True

        def make_inputs(count: int, random: torch.Generator, _: Batch | None, classes: Tensor | None) -> Inputs:
            nonlocal is_first
            if is_first:
                all_classes = torch.arange(self.first, device=random.device) % max(1, generator.class_count)
                with ProgressBar("scoring the first samples", self.first, "samples") as bar:
                    for part in all_classes.split(TRIED):
                        draw(len(part), random, part)
                        bar.update(len(part))
                is_first = False
            return fill(count, lambda slots: draw(len(slots), random, None if classes is None else classes[slots]))

        return make_inputs

    def chooser(self, score: Callable[[Inputs], Tensor]) -> Callable[[Inputs, torch.Generator], Tensor]:
        """A function that says which samples are kept, bool, shape (n,). It remembers scores."""
        latest: dict[int, Tensor] = {}  # by class
        largest: dict[int, float] = {}

        def kept(inputs: Inputs, random: torch.Generator) -> Tensor:
            scores, labels = score(inputs).cpu().double(), inputs.labels.cpu()
            if not bool(scores.isfinite().all()):
                raise TrainingError("the discriminator's scores of samples are not finite: its weights have diverged")
            terms = torch.empty_like(scores)
            for label in labels.unique().tolist():
                of_class = labels == label
                found = scores[of_class]
                latest[label] = torch.cat((latest.get(label, found[:0]), found))[-TRIED:]
                largest[label] = max(largest.get(label, -math.inf), found.max().item())
                gamma = logit_of_share(latest[label] - largest[label]).quantile(self.percentile / 100)
                terms[of_class] = logit_of_share(found - largest[label]) - gamma
            return torch.rand(scores.shape, generator=random, device=random.device).cpu() < terms.sigmoid()

        return kept


def logit_of_share(below: Tensor) -> Tensor:
    """F without gamma, of log ratios below the largest one: its sigmoid is exp(below)."""
    return below - torch.log1p(-torch.exp(below - 1e-8))


def scores_of(gan: GAN) -> Callable[[Inputs], Tensor]:
    """The discriminator's scores of samples by their inputs, shape (n,)."""
    generator = gan.stabilizers.sampling_generator(gan.generator)

    @torch.no_grad()
    def scores(inputs: Inputs) -> Tensor:
        fake = gan.fake_samples(generator, inputs, desired_real=False)
        return gan.discriminate(fake.images, fake.labels)[:, 0]

    return scores


def fill(count: int, draw: Callable[[Tensor], tuple[Inputs, Tensor]]) -> Inputs:
    """``count`` kept inputs.

    Args:
        draw: makes inputs for slots, which are indices up to ``count``, and says which are kept.
    """
    chosen: list[Tensor] = []
    missing = torch.ones(count, dtype=torch.bool)
    with ProgressBar("choosing samples", count, "samples") as bar:
        while len(slots := missing.nonzero()[:TRIED, 0]):
            slots = slots.repeat(-(-TRIED // len(slots)))[:TRIED]
            inputs, kept = draw(slots)
            pairs = zip(slots.tolist(), range(len(slots)), kept.tolist(), strict=True)
            first = {slot: row for slot, row, is_kept in reversed([*pairs]) if is_kept}  # of each slot
            drawn = [*inputs.arguments, inputs.labels]
            chosen = chosen or [values.new_empty((count, *values.shape[1:])) for values in drawn]
            filled = torch.tensor(list(first), dtype=torch.int64)
            for values, new in zip(chosen, drawn, strict=True):
                values[filled.to(values.device)] = new[list(first.values())]
            missing[filled] = False
            bar.update(len(first))
    *arguments, labels = chosen
    return Inputs(tuple(arguments), labels)
