"""Training and saving the feature network of a source: ``python features.py data=mnist``."""

import shlex
import sys
from pathlib import Path
from typing import Any

import torch
from torch.optim.lr_scheduler import OneCycleLR

from gans.config.build import read_data
from gans.config.schema import FeaturesConfig
from gans.config.validate import check_options, validate_choice
from gans.data.images import ImageData
from gans.errors import InputError
from gans.features.files import save_features
from gans.features.network import FeatureNetwork
from gans.features.training import accuracy, jitter, train_classifier
from gans.files import cache_folder
from gans.machine import emulates_bfloat16
from gans.randomness import derive_seed


def make_features(options: dict[str, Any]) -> Path:
    """Train and save a feature network; an InputError for data other than all images of a source, white on black."""
    config = check_options(FeaturesConfig, options)
    validate_choice(config.data, "data", "data")
    data = read_data(config.data, config.seed)
    if not isinstance(data, ImageData):
        raise InputError(f"data={data.source} needs no feature network: use other data, such as data=mnist")
    for option in ("invert", "limit", "replacement", "val_size", "label_noise"):
        if getattr(data, option):
            raise InputError(f"data.{option}: a feature network needs all images of a source, white on black")
    network = train_features(data, config)
    test_accuracy = accuracy(network, lambda images: network(images).logits, data.test_images)
    card = {
        "command": shlex.join(["python", Path(sys.argv[0]).name, *sys.argv[1:]]),
        "training_images": len(data.train_images.labels),
        "test_images": len(data.test_images.labels),
        "test_accuracy": round(test_accuracy, 5),
        "torch": torch.__version__,
    }
    folder = Path(config.output) if config.output else cache_folder() / "features"
    return save_features(network, data.source, folder, card)


def train_features(data: ImageData, config: FeaturesConfig) -> FeatureNetwork:
    """AdamW with a one-cycle learning rate (Smith and Topin 2018) on jittered images."""
    torch.manual_seed(derive_seed(config.seed, "features"))
    network = FeatureNetwork(classes=10).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    total = config.epochs * len(data.train_batches)
    for _ in train_classifier(
        lambda images: network(images).logits,
        optimizer,
        data.train_images,
        epochs=config.epochs,
        batch_size=data.batch_size,
        seed=config.seed,
        scheduler=OneCycleLR(optimizer, config.learning_rate, total_steps=total),
        augment=jitter,
        precision=torch.float32 if emulates_bfloat16("cpu") else torch.bfloat16,
        title="feature network",
    ):
        pass
    return network.eval()
