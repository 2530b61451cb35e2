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
from gans.data.source import Source
from gans.data.stacked import Stacked
from gans.errors import InputError
from gans.features.files import is_shipped, network_name, require_describable, save_features
from gans.features.network import FeatureNetwork
from gans.features.training import accuracy, jitter, train_classifier
from gans.files import cache_folder, require_writable
from gans.machine import emulates_bfloat16
from gans.randomness import derive_seed


def make_features(options: dict[str, Any]) -> Path:
    """Train and save a feature network. Returns the path of its card.

    Raises:
        InputError: before training, for data other than all images of a source, white on black, and for a folder that
            can't be written; after it, if the network knows too little.
    """
    config = check_options(FeaturesConfig, options)
    validate_choice(config.data, "data", "data")
    folder = Path(config.output) if config.output else cache_folder() / "features"
    data = require_whole_source(read_data(config.data, config.seed))
    if config.output is None and is_shipped(data.source, data.data_sha256):
        raise InputError(
            f"the feature network of data={data.source} comes with the package: give output=... to train another one"
        )
    require_writable(folder)
    network = train_features(data, config)
    test_accuracy = accuracy(network, lambda images: network(images).logits, data.test_images)
    require_useful(test_accuracy, data, config.least_accuracy)
    card = {
        "data_sha256": data.data_sha256,
        "classes": data.class_names,
        "command": shlex.join(["python", Path(sys.argv[0]).name, *sys.argv[1:]]),
        "training_images": len(data.train_images.labels),
        "test_images": len(data.test_images.labels),
        "test_accuracy": round(test_accuracy, 5),
        "torch": torch.__version__,
    }
    return save_features(network, network_name(data.source, data.data_sha256), folder, card)


def require_whole_source(data: Source) -> ImageData:
    """Refuse data that no feature network learns, or options that take something from them."""
    if isinstance(data, Stacked):
        raise InputError(f"stacked digits are described by the feature network of single ones: use data={data.source}")
    if not isinstance(data, ImageData):
        raise InputError(f"data={data.source} needs no feature network: use other data, such as data=mnist")
    require_describable(data)
    for option in ("invert", "limit", "replacement", "val_size", "label_noise"):
        if getattr(data, option):
            raise InputError(f"data.{option}: a feature network needs all images of a source, white on black")
    everything = list(range(len(data.class_names)))
    if data.classes != everything:
        raise InputError(f"data.classes: a feature network needs all classes of a source in order: use {everything}")
    if len(everything) < 2:
        raise InputError(f"data={data.source} has one class, from which a classifier learns nothing: use metric=none")
    return data


def require_useful(test_accuracy: float, data: ImageData, least: float | None) -> None:
    """Refuse a network whose test accuracy is too low.

    Args:
        least: the lowest accuracy; None: half of the errors of always naming the test set's most frequent class.
    """
    frequent = data.test_images.labels.bincount().max().item() / len(data.test_images.labels)
    needed = (1 + frequent) / 2 if least is None else least
    if test_accuracy < needed:
        raise InputError(
            f"the feature network is not saved, since it knows too little: its test accuracy is {test_accuracy:.3f}, "
            f"and {needed:.3f} is needed ({frequent:.3f} is that of always naming one class). Train longer with "
            "epochs=..., or accept a lower one with least_accuracy=..."
        )


def train_features(data: ImageData, config: FeaturesConfig) -> FeatureNetwork:
    """AdamW with a one-cycle learning rate (Smith and Topin 2018) on jittered images."""
    torch.manual_seed(derive_seed(config.seed, "features"))
    network = FeatureNetwork(classes=len(data.class_names)).to(memory_format=torch.channels_last)
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
