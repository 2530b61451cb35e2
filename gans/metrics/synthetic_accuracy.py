"""Train on synthetic, test on real: accuracy of a classifier of generated images (Bie et al. 2023, section 4)."""

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import nn
from typing_extensions import override

from gans.data.batches import Dataset
from gans.features.training import accuracy, train_classifier
from gans.metrics.base import EvaluationData, ImageMetric
from gans.randomness import derive_seed

PROTOCOLS = {"short": (3_000, 3), "full": (60_000, 10)}
"""Numbers of images and epochs. The full one is published; it takes many minutes on a CPU, the short one seconds."""


LEAST, LEAST_PIXELS = 24, 8
"""Images: of fewer, not even two would select the epoch. Pixels of a side, which is halved three times."""


class SyntheticAccuracy(ImageMetric):
    """``synthetic_accuracy``: the accuracy on held-out images of a CNN trained on generated images only.

    The CNN trains with Adam at 1e-3 and batch size 64, or fewer if there are fewer images. A twelfth of the generated
    images (5,000 of 60,000) selects the best epoch. The metric's name has the numbers of all generated images and of
    epochs.

    Args:
        protocol: short, or the published one; ``PROTOCOLS`` has the numbers.
        images: number of images to generate, at most as many as the source has training images, in a test with those of
            validation; None for the protocol's.
        epochs: number of training epochs; None for the protocol's.

    Raises:
        ValueError: if the full protocol is asked for with other numbers.
    """

    values = ("synthetic_accuracy",)
    uses_features = False

    def __init__(
        self,
        protocol: Literal["short", "full"] = "short",
        images: Annotated[int, Field(ge=LEAST)] | None = None,
        epochs: PositiveInt | None = None,
        during_training: bool = False,
    ) -> None:
        super().__init__(during_training)
        self.images, self.epochs = PROTOCOLS[protocol]
        if protocol == "full" and (images or epochs):
            raise ValueError(
                f"protocol=full is {self.images} images and {self.epochs} epochs: leave out images and epochs, or add "
                "metric.synthetic_accuracy.protocol=short"
            )
        self.images, self.epochs = images or self.images, epochs or self.epochs

    def applies(self, data: EvaluationData) -> bool:
        is_large = super().applies(data) and min(data.real.images.shape[-2:]) >= LEAST_PIXELS
        return is_large and data.conditional and data.classes_are_known and data.source_size >= LEAST

    def compute(self, data: EvaluationData) -> dict[str, float]:
        assert self.epochs is not None
        images = data.more(self.image_count(data))
        real = Dataset(data.real.images, data.real.labels)
        classes = data.real.logits.shape[1]
        return {"synthetic_accuracy": accuracy_of_training_on(images, real, self.epochs, classes)}

    @override
    def image_count(self, data: EvaluationData) -> int:
        return min(self.images, data.source_size)


def accuracy_of_training_on(images: Dataset, real: Dataset, epochs: int, classes: int) -> float:
    """Train a CNN on images, select the epoch by a twelfth of them, and return its accuracy on real images."""
    random = torch.Generator().manual_seed(derive_seed(0, "synthetic_accuracy"))
    order = torch.randperm(len(images.labels), generator=random)
    held_out, train = images.select(order[: len(order) // 12]), images.select(order[len(order) // 12 :])
    # Lightning tests without gradients; the network is made on the CPU, and the random numbers of GPUs stay as they are
    with torch.random.fork_rng([]), torch.inference_mode(False), torch.enable_grad():
        torch.default_generator.manual_seed(derive_seed(0, "synthetic_accuracy/weights"))
        network = make_classifier(classes, images.content.shape[1:])
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
        best, best_state = -1.0, network.state_dict()
        for _ in train_classifier(
            network, optimizer, train, epochs=epochs, batch_size=min(64, len(train.labels)), seed=0,
            title="synthetic_accuracy",
        ):  # fmt: skip
            value = accuracy(network, network, held_out)
            if value > best:
                best, best_state = value, copy.deepcopy(network.state_dict())
    network.load_state_dict(best_state)
    return accuracy(network, network, real)


def make_classifier(classes: int, shape: Sequence[int] = (1, 28, 28)) -> nn.Sequential:
    """3x3 convolutions of 32, 64 and 128 channels, each with ReLU and 2x2 max-pooling, then a linear layer.

    Args:
        shape: channels, height and width of the images.
    """
    channels, height, width = shape
    layers: list[nn.Module] = []
    for channels_in, channels_out in pairwise((channels, 32, 64, 128)):
        layers += [nn.Conv2d(channels_in, channels_out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * (height // 8) * (width // 8), classes))
    return network.to(memory_format=torch.channels_last)
