"""Evaluation: generated images judged at every validation and in the test, without a trace in training."""

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from typing_extensions import override

from gans.data.batches import Batch, Dataset
from gans.files import write_arrays, write_json
from gans.gan import GAN
from gans.metrics.evaluator import Evaluator, Generated, MetricResults, Subset
from gans.randomness import Streams
from gans.run.folder import RunFolder

ROWS = 500


class Evaluation(Callback):
    """Logs ``val/...`` and ``test/...`` figures, and writes floors.json and the metrics' artifacts.

    The generated images are a function of the weights and the run's seed: the same latents each time. All random
    numbers come from streams of their own.
    """

    def __init__(self, evaluator: Evaluator, run: RunFolder) -> None:
        self.evaluator = evaluator
        self.run = run
        self.left_out: dict[str, str] = {}
        self.floors: dict[Subset, dict[str, float]] = {}

    @override
    def setup(self, trainer: L.Trainer, pl_module: GAN, stage: str) -> None:
        self.evaluator.features.to(trainer.strategy.root_device)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: GAN) -> None:
        if "val" not in self.floors:  # not before: the real images take seconds, for which training need not wait
            write_json(self.run.floors_file, self._floors("val", pl_module))
        self._evaluate("val", pl_module)

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: GAN) -> None:
        self._floors("test", pl_module)
        results = self._evaluate("test", pl_module)
        self.left_out = results.left_out
        for name, arrays in results.artifacts.items():
            write_arrays(self.run.samples_file(name), **arrays)

    def _evaluate(self, subset: Subset, gan: GAN) -> MetricResults:
        results = self.evaluator.evaluate(subset, generate_for(gan, self.evaluator.held_out(subset)))
        self.log_dict({f"{subset}/{name}": value for name, value in results.values.items()}, logger=False)
        return results

    def _floors(self, subset: Subset, gan: GAN) -> dict[str, float]:
        if subset not in self.floors:
            network = gan.generator
            self.floors[subset] = self.evaluator.floors(
                subset, conditional=network.takes_classes, transforms=network.takes_images
            )
        return self.floors[subset]


def generate_for(gan: GAN, held_out: Dataset) -> Generated:
    """One image for each held-out one: of its class, if the generator takes classes; of it, if it takes images."""
    network = gan.generator
    images, labels = [], []
    for chunk, start in enumerate(range(0, len(held_out.labels), ROWS)):
        part = held_out.at(slice(start, start + ROWS)).to_batch()
        batch = Batch(*(rows.to(gan.device) for rows in part))
        random = Streams(gan.seed, "evaluation", chunk, gan.device)
        inputs = network.inputs(len(batch.labels), random("latent"), batch, batch.labels)
        images.append(gan.sample(inputs).cpu())
        labels.append(inputs.labels.cpu())
    return Generated(
        images=torch.cat(images),
        labels=torch.cat(labels),
        more=lambda count: generate_more(gan, count),
        conditional=network.takes_classes,
        transforms=network.takes_images,
    )


def generate_more(gan: GAN, count: int) -> tuple[Tensor, Tensor]:
    """Images of a generator that takes classes, as many of each as can be, in turn."""
    images = []
    labels = torch.arange(count) % gan.generator.class_count
    for chunk, classes in enumerate(labels.split(ROWS)):
        random = Streams(gan.seed, "evaluation/more", chunk, gan.device)
        inputs = gan.generator.inputs(len(classes), random("latent"), None, classes.to(gan.device))
        images.append(gan.sample(inputs).cpu())
    return torch.cat(images), labels
