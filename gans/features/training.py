"""Training of image classifiers: the feature network, and the classifier of ``synthetic_accuracy``."""

import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from gans.data.batches import Dataset, SequentialLoader, ShuffledLoader
from gans.data.progress import ProgressBar
from gans.randomness import Streams


def train_classifier(
    classify: Callable[[Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
    images: Dataset,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    scheduler: LRScheduler | None = None,
    augment: Callable[[Tensor, torch.Generator], Tensor] = lambda images, _: images,
    precision: torch.dtype = torch.float32,
    title: str,
) -> Iterator[int]:
    """Minimize cross-entropy. Yields the number of finished epochs after each epoch.

    Args:
        classify: images (n, channels, height, width) in [0, 1] -> logits (n, classes).
        scheduler: stepped after each batch.
        augment: (images, random generator) -> augmented images.
        precision: dtype of the forward pass, by autocast.
        title: title of the progress bar.
    """
    device = optimizer.param_groups[0]["params"][0].device
    batches = ShuffledLoader(images, batch_size, seed)
    with ProgressBar(title, epochs * len(batches), "batches") as bar:
        for epoch in range(epochs):
            random = Streams(seed, "classifier", epoch)("augmentation")
            for batch in batches:
                with torch.autocast(device.type, precision, enabled=precision != torch.float32):
                    inputs = augment(batch.images, random).to(device, memory_format=torch.channels_last)
                    logits = classify(inputs)
                loss = F.cross_entropy(logits.float(), batch.labels.to(device))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if scheduler is not None:
                    scheduler.step()
                bar.update()
            bar.note(epoch=f"{epoch + 1}", loss=f"{loss.item():.4f}")
            yield epoch + 1


@torch.no_grad()
def accuracy(network: nn.Module, classify: Callable[[Tensor], Tensor], images: Dataset) -> float:
    """The share of correctly classified images, with the network in inference mode."""
    was_training = network.training
    network.eval()
    device = next(network.parameters()).device
    correct = torch.zeros((), device=device)
    for batch in SequentialLoader(images, 500):
        correct += (classify(batch.images.to(device)).argmax(1) == batch.labels.to(device)).sum()
    network.train(was_training)
    return correct.item() / len(images.labels)


def jitter(images: Tensor, random: torch.Generator) -> Tensor:
    """Rotate each image by up to 10 degrees, scale by 0.9 to 1.1, shear by up to 0.1 and shift by up to 2 pixels.

    Bilinear interpolation, black padding. Shape and range stay the same.
    """
    count, side = len(images), images.shape[-1]
    drawn = torch.rand(count, 5, generator=random) * 2 - 1
    angle, scale, shear = drawn[:, 0] * math.radians(10), 1 + 0.1 * drawn[:, 1], 0.1 * drawn[:, 2]
    shift = drawn[:, 3:] * 2 * 2 / side
    cosine, sine = angle.cos() * scale, angle.sin() * scale
    rows = torch.stack((cosine, shear - sine, shift[:, 0], sine, cosine, shift[:, 1]), 1)
    grid = F.affine_grid(rows.reshape(count, 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)
