"""Making the feature network of a source of images: ``python features.py data=mnist``."""

import shlex
import sys
from pathlib import Path

import torch
from torch.optim.lr_scheduler import OneCycleLR

from gans.building import build_data, check
from gans.cache import cache_folder
from gans.data.images import ImageData
from gans.errors import InputError
from gans.features.files import save_features
from gans.features.network import FeatureNetwork
from gans.features.training import accuracy, jitter, train_classifier
from gans.randomness import derive_seed
from gans.settings import Recipe


def make_features(recipe: Recipe) -> Path:
    """Train a feature network on all training images of a source, and write it with its accuracy on the test images.

    Raises:
        InputError: for data that are not the whole source, white on black.
    """
    check(recipe.data, "data")
    data = build_data(recipe.model_dump())
    if not isinstance(data, ImageData):
        raise InputError(f"data={data.source} needs no feature network: use other data, such as data=mnist")
    for option in ("invert", "limit", "replacement", "val_size", "label_noise"):
        if getattr(data, option):
            raise InputError(f"data.{option}: a feature network is trained on all of a source, white on black")
    network = train_features(data, recipe)
    images = len(data.train_images.labels)
    right = accuracy(network, lambda inputs: network(inputs).logits, data.test_images)
    card = {
        "command": shlex.join(["python", Path(sys.argv[0]).name, *sys.argv[1:]]),
        "training_images": images,
        "test_images": len(data.test_images.labels),
        "test_accuracy": round(right, 5),
        "torch": torch.__version__,
    }
    folder = Path(recipe.output) if recipe.output else cache_folder() / "features"
    return save_features(network, data.source, folder, card)


def train_features(data: ImageData, recipe: Recipe) -> FeatureNetwork:
    """AdamW with a one-cycle learning rate (Smith and Topin 2018) on jittered images."""
    torch.manual_seed(derive_seed(recipe.seed, "features"))
    network = FeatureNetwork(classes=10).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    total = recipe.epochs * len(data.train_batches)
    for _ in train_classifier(
        lambda images: network(images).logits,
        optimizer,
        data.train_images,
        epochs=recipe.epochs,
        batch_size=data.batch_size,
        seed=recipe.seed,
        scheduler=OneCycleLR(optimizer, recipe.learning_rate, total_steps=total),
        augment=jitter,
        precision=torch.bfloat16,
        title="feature network",
    ):
        pass
    return network.eval()
