"""Trained feature networks as files: shipped with the package, or trained by a user and kept in the user's cache."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch
from safetensors.torch import load, save_file
from torch import Tensor

from gans.data.extractor import ExtractedFeatures
from gans.errors import InputError
from gans.features.network import FeatureNetwork
from gans.files import cache_folder

VERSION = 1
"""Part of every name, so that figures of different networks or training recipes are never taken for each other."""
SHIPPED = Path(__file__).parent / "weights"
ROWS = 500


@dataclass(frozen=True)
class TrainedFeatureNetwork:
    """A trained feature network, in inference mode."""

    name: str
    """The source of its training images and the version, as it appears in the names of figures: mnist1."""
    sha256: str
    network: FeatureNetwork

    def to(self, device: torch.device) -> None:
        self.network.to(device)

    @torch.no_grad()
    def extract(self, pixels: Tensor) -> ExtractedFeatures:
        """Features and logits of white-on-black images (n, channels, height, width), uint8; on the host.

        Several channels are described one by one, each different one once: their features are joined, and there is a
        class for each sequence of classes, with the sum of their log-probabilities.
        """
        channels = pixels.shape[1]
        if channels == 1:
            return self._extracted(pixels)
        each, which = distinct(pixels.reshape(-1, 1, *pixels.shape[2:]))
        features, logits = self._extracted(each)
        return join_channels(
            [ExtractedFeatures(features[rows], logits[rows]) for rows in which.reshape(-1, channels).unbind(1)]
        )

    def _extracted(self, pixels: Tensor) -> ExtractedFeatures:
        """Of images with one channel."""
        device = next(self.network.parameters()).device
        parts = []
        with torch.autocast(device.type, enabled=False):
            for part in pixels.split(ROWS):
                images = part.to(device).float().div_(255).contiguous(memory_format=torch.channels_last)
                parts.append(ExtractedFeatures(*(value.cpu() for value in self.network(images))))
        return ExtractedFeatures(*(torch.cat(column) for column in zip(*parts, strict=True)))


def distinct(images: Tensor) -> tuple[Tensor, Tensor]:
    """Each different one of the uint8 images (n, ...) once, and for each of the images which of these it is, (n,).

    The 384,000 digits in stacked MNIST's training set are draws from 55,000.
    """
    numbers: dict[bytes, int] = {}
    which = [numbers.setdefault(image.tobytes(), len(numbers)) for image in images.numpy()]
    content = numpy.frombuffer(bytearray().join(numbers), numpy.uint8)
    return torch.from_numpy(content).reshape(-1, *images.shape[1:]), torch.tensor(which)


def join_channels(channels: list[ExtractedFeatures]) -> ExtractedFeatures:
    """What is seen in several channels, as one description; one channel stays as it is."""
    first, *others = channels
    for other in others:
        pairs = first.logits.log_softmax(1)[:, :, None] + other.logits.log_softmax(1)[:, None]
        first = ExtractedFeatures(torch.cat((first.features, other.features), 1), pairs.flatten(1))
    return first


def features_name(source: str) -> str:
    return f"{source}{VERSION}"


def save_features(network: FeatureNetwork, source: str, folder: Path, card: dict[str, Any]) -> Path:
    """Write ``<name>.safetensors`` and, beside it, ``<name>.json``: its SHA-256 and the card."""
    path = folder / f"{features_name(source)}.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps({"sha256": sha256, **card}, indent=2) + "\n", encoding="utf-8")
    return path


def load_features(source: str) -> TrainedFeatureNetwork:
    """The feature network of a source of images.

    Raises:
        InputError: where there is none yet, and where its file is not the one that its checksum was taken of.
    """
    name = features_name(source)
    folders = (SHIPPED, cache_folder() / "features")
    path = next((file for folder in folders if (file := folder / f"{name}.safetensors").is_file()), None)
    if path is None:
        raise InputError(
            f"there is no feature network for data={source} yet: train it with python features.py data={source}, "
            "or train without evaluation by metric=none"
        )
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    expected = _card(path)["sha256"]
    if found != expected:
        raise InputError(
            f"'{path}' is not the feature network that was trained (SHA-256 {found[:12]}..., expected "
            f"{expected[:12]}...): install the package again, or run python features.py data={source}"
        )
    weights = load(content)
    network = FeatureNetwork(classes=len(weights["head.2.bias"]))
    network.load_state_dict(weights)
    return TrainedFeatureNetwork(name, found, network.eval().to(memory_format=torch.channels_last))


def _card(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"'{path.with_suffix('.json')}', which holds its checksum, can't be read: {error}") from error
