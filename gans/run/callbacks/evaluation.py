"""Evaluation of generated samples, at every validation and in the final test."""

from collections.abc import Iterable

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from gans.data.batches import Batch, Dataset, SequentialLoader
from gans.data.progress import ProgressBar
from gans.files import write_arrays, write_json
from gans.gan import GAN
from gans.metrics.evaluator import Evaluator, GeneratedSamples, MetricResults, Subset
from gans.randomness import Streams
from gans.run.folder import RunFolder
from gans.sampling import Sampling

ROWS = 500
ALL = Sampling()


class Evaluation(Callback):
    """Logs ``val/...`` and ``test/...`` metrics, and writes floors.json and the metrics' artifacts.

    The latents are the same each time. Their random streams are independent of training's.

    Args:
        sampling: how samples are chosen in the final test; at validations all are used.
    """

    def __init__(self, evaluator: Evaluator, run: RunFolder, sampling: Sampling) -> None:
        self.evaluator = evaluator
        self.run = run
        self.sampling: dict[Subset, Sampling] = {"val": ALL, "test": sampling}
        self.left_out: dict[str, str] = {}
        self.floors: dict[Subset, dict[str, float]] = {}

    def setup(self, trainer: L.Trainer, pl_module: GAN, stage: str) -> None:
        self.evaluator.features.to(trainer.strategy.root_device)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: GAN) -> None:
        if "val" not in self.floors:  # not at the start: floors take seconds to compute
            write_json(self.run.floors_file, self._floors("val", pl_module))
        self._evaluate("val", pl_module)

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: GAN) -> None:
        validated = any(name.startswith("val/") for name in RunFolder(self.run.path).curves)
        if validated and not self.run.floors_file.is_file():  # it is lost
            write_json(self.run.floors_file, self._floors("val", pl_module))
        self._floors("test", pl_module)
        results = self._evaluate("test", pl_module)
        self.left_out = results.left_out
        for name, arrays in results.artifacts.items():
            write_arrays(self.run.samples_file(name), **arrays)

    def _evaluate(self, subset: Subset, gan: GAN) -> MetricResults:
        samples = generate_for(gan, self.evaluator.held_out(subset), self.sampling[subset])
        results = self.evaluator.evaluate(subset, samples)
        self.log_dict({f"{subset}/{name}": value for name, value in results.values.items()}, logger=False)
        return results

    def _floors(self, subset: Subset, gan: GAN) -> dict[str, float]:
        if subset not in self.floors:
            network = gan.generator
            self.floors[subset] = self.evaluator.floors(
                subset, conditional=network.takes_classes, transforms=network.takes_images
            )
        return self.floors[subset]


def generate_for(gan: GAN, held_out: Dataset, sampling: Sampling = ALL) -> GeneratedSamples:
    """Generate a sample for each held-out sample: of its class or from its image, if the generator takes these."""
    batches = (batch.to(gan.device) for batch in SequentialLoader(held_out, ROWS))
    parts = ((batch, batch.labels) for batch in batches)
    images, labels = _generate(gan, sampling, "evaluation", len(held_out.labels), parts)
    return GeneratedSamples(
        images=images,
        labels=labels,
        more=lambda count: generate_more(gan, count, sampling),
        conditional=gan.generator.takes_classes,
        transforms=gan.generator.takes_images,
        sampling=sampling.protocol,
    )


def generate_more(gan: GAN, count: int, sampling: Sampling = ALL) -> tuple[Tensor, Tensor]:
    """Samples of a generator that takes classes, with cyclic class indices 0, 1, ..., 0, 1, ..."""
    classes = torch.arange(count, device=gan.device) % gan.generator.class_count
    return _generate(gan, sampling, "evaluation/more", count, ((None, part) for part in classes.split(ROWS)))


def _generate(
    gan: GAN, sampling: Sampling, stream: str, count: int, parts: Iterable[tuple[Batch | None, Tensor]]
) -> tuple[Tensor, Tensor]:
    """``count`` samples and their labels on the host, for parts with images, if the generator takes them, and class
    indices."""
    make_inputs = sampling.inputs_of(gan.generator, gan)
    images, labels = [], []
    with ProgressBar("generating", count, "images") as bar:
        for number, (batch, classes) in enumerate(parts):
            random = Streams(gan.seed, stream, number, gan.device)
            inputs = make_inputs(len(classes), random("latent"), batch, classes)
            images.append(gan.sample(inputs).cpu())
            labels.append(inputs.labels.cpu())
            bar.update(len(classes))
    return torch.cat(images), torch.cat(labels)
