"""Training the feature network of a source, which is done once per user."""

from dataclasses import dataclass
from math import ceil
from typing import Any

import torch
from torch.optim.lr_scheduler import OneCycleLR

from gans.data.batches import Dataset
from gans.data.source import Source
from gans.errors import InputError
from gans.features.files import image_shape
from gans.features.network import FeatureNetwork, Shape
from gans.features.training import accuracy, jitter, train_classifier
from gans.machine import emulates_bfloat16
from gans.randomness import derive_seed

EPOCHS, LEAST_STEPS = 24, 500


@dataclass(frozen=True)
class Recipe:
    """How a feature network learns: AdamW, one cycle of learning rates (Smith and Topin 2018), jittered images."""

    seed: int = 0
    epochs: int | None = None
    """None: 24, or as many as 500 steps take."""
    batch_size: int = 128
    """Of fewer training images all are in each step."""
    learning_rate: float = 3e-3
    """The highest one of the cycle."""
    weight_decay: float = 1e-2
    least_accuracy: float | None = None
    """Test accuracy below which a network is refused; None: at most half the errors of always predicting the most
    frequent class."""


def learn_features(data: Source, recipe: Recipe) -> tuple[FeatureNetwork, dict[str, Any]]:
    """The network of a data module's source, in inference mode, and what its card says.

    Args:
        data: a data module, set up, whose source has labelled images.

    Raises:
        InputError: if the network knows too little to be of use.
    """
    labelled = data.labelled_images()
    assert labelled
    train, test = labelled
    shape = image_shape(data)
    network = train_features(train, len(data.class_names), shape, recipe)
    test_accuracy = accuracy(network, lambda images: network(images).logits, test)
    require_useful(test_accuracy, test, recipe.least_accuracy)
    return network, {
        "data_sha256": data.data_sha256,
        "classes": data.class_names,
        "shape": shape,
        "training_images": len(train.labels),
        "test_images": len(test.labels),
        "test_accuracy": round(test_accuracy, 5),
        "torch": torch.__version__,
    }


def train_features(train: Dataset, classes: int, shape: Shape, recipe: Recipe) -> FeatureNetwork:
    torch.manual_seed(derive_seed(recipe.seed, "features"))
    network = FeatureNetwork(classes, shape).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    batch_size = min(recipe.batch_size, len(train.labels))
    batches = len(train.labels) // batch_size
    epochs = recipe.epochs or max(EPOCHS, ceil(LEAST_STEPS / batches))
    for _ in train_classifier(
        lambda images: network(images).logits,
        optimizer,
        train,
        epochs=epochs,
        batch_size=batch_size,
        seed=recipe.seed,
        scheduler=OneCycleLR(optimizer, recipe.learning_rate, total_steps=epochs * batches),
        augment=jitter,
        precision=torch.float32 if emulates_bfloat16("cpu") else torch.bfloat16,
        title="feature network",
    ):
        pass
    if not all(bool(torch.isfinite(values).all()) for values in network.state_dict().values()):
        raise InputError(
            f"the feature network has weights that are not finite after training with learning_rate="
            f"{recipe.learning_rate}: use a smaller one"
        )
    return network.eval()


def require_useful(test_accuracy: float, test: Dataset, least: float | None) -> None:
    """Refuse a network whose test accuracy is too low.

    Args:
        least: the lowest accuracy; None: at most half the errors of always predicting the most frequent class.
    """
    frequent = test.labels.bincount().max().item() / len(test.labels)
    needed = (1 + frequent) / 2 if least is None else least
    if test_accuracy < needed:
        raise InputError(
            f"the feature network is not saved, since it knows too little: its test accuracy is {test_accuracy:.3f}, "
            f"and {needed:.3f} is needed ({frequent:.3f} is that of always predicting the most frequent class). Train "
            "longer with features.py and epochs=..., or accept a lower one with least_accuracy=..."
        )
