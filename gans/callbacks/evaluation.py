"""Evaluation: generated images judged at every validation and in the test, without a trace in training."""

from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from typing_extensions import override

from gans.data.batches import Batch, Stored
from gans.files import write_arrays, write_json
from gans.gan import GAN
from gans.memory import give_freed_memory_back
from gans.metrics.evaluator import Evaluator, Findings, Generated, Subset, gather_rows
from gans.randomness import Streams

ROWS = 500


class Evaluation(Callback):
    """Logs ``val/...`` and ``test/...`` figures, and writes floors.json and the metrics' exhibits.

    The generated images are a function of the weights and the run's seed: the same latents each time. All random
    numbers come from streams of their own.
    """

    def __init__(self, evaluator: Evaluator, folder: Path) -> None:
        self.evaluator = evaluator
        self.folder = folder
        self.left_out: dict[str, str] = {}
        self.floors: dict[Subset, dict[str, float]] = {}

    @override
    def setup(self, trainer: L.Trainer, pl_module: GAN, stage: str) -> None:
        self.evaluator.features.to(trainer.strategy.root_device)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: GAN) -> None:
        if "val" not in self.floors:  # not before: the real images take seconds, for which training need not wait
            write_json(self.folder / "floors.json", self._floors("val", pl_module))
        self._judge("val", trainer, pl_module)

    @override
    def on_validation_end(self, trainer: L.Trainer, pl_module: GAN) -> None:
        give_freed_memory_back()  # thousands of images and what describes them: more than training needs

    @override
    def on_test_end(self, trainer: L.Trainer, pl_module: GAN) -> None:
        give_freed_memory_back()  # a sweep's process may go on with another member

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: GAN) -> None:
        self._floors("test", pl_module)
        findings = self._judge("test", trainer, pl_module)
        self.left_out = findings.left_out
        samples = self.folder / "samples"
        samples.mkdir(exist_ok=True)
        for name, arrays in findings.exhibits.items():
            write_arrays(samples / f"{name}.npz", **arrays)

    def _judge(self, subset: Subset, trainer: L.Trainer, gan: GAN) -> Findings:
        made = generate_for(gan, self.evaluator.held_out(subset), trainer.global_rank, trainer.world_size)
        findings = self.evaluator.judge(subset, made)
        self.log_dict({f"{subset}/{name}": value for name, value in findings.values.items()}, logger=False)
        return findings

    def _floors(self, subset: Subset, gan: GAN) -> dict[str, float]:
        if subset not in self.floors:
            network = gan.generator
            self.floors[subset] = self.evaluator.floors(
                subset, conditional=network.takes_classes, transforms=network.takes_images
            )
        return self.floors[subset]


def generate_for(gan: GAN, held_out: Stored, process: int = 0, processes: int = 1) -> Generated:
    """One image for each held-out one: of its class, if the generator takes classes; of it, if it takes images.

    Each process makes every n-th image of each chunk; a chunk's latents don't depend on how many processes there are.
    """
    network = gan.generator
    images, labels = [], []
    for chunk, start in enumerate(range(0, len(held_out.labels), ROWS)):
        part = held_out.at(slice(start, start + ROWS)).to_batch()
        batch = Batch(*(rows.to(gan.device) for rows in part))
        random = Streams(gan.seed, "evaluation", chunk, gan.device)
        inputs = network.inputs(len(batch.labels), random("latent"), batch, batch.labels)
        mine = slice(process, None, processes)
        images.append(gather_rows(gan.sample(inputs.part(mine))).cpu())
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
    labels = torch.arange(count) % len(gan.classes)
    for chunk, classes in enumerate(labels.split(ROWS)):
        random = Streams(gan.seed, "evaluation/more", chunk, gan.device)
        inputs = gan.generator.inputs(len(classes), random("latent"), None, classes.to(gan.device))
        images.append(gan.sample(inputs).cpu())
    return torch.cat(images), labels
