"""Files of trained feature networks, in this package or in the user's cache."""

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
from gans.data.progress import ProgressBar
from gans.errors import InputError
from gans.features.network import FeatureNetwork
from gans.files import cache_folder

VERSION = 1
"""Part of every name. Increase it with each change of network or training: values are not comparable then."""
SHIPPED = Path(__file__).parent / "weights"
ROWS = 500


@dataclass(frozen=True)
class TrainedFeatureNetwork:
    """A trained feature network, in inference mode."""

    name: str
    """The source of its training images, with the version: mnist1."""
    sha256: str
    network: FeatureNetwork

    def to(self, device: torch.device) -> None:
        self.network.to(device)

    @torch.no_grad()
    def extract(self, pixels: Tensor) -> ExtractedFeatures:
        """Features and logits of white-on-black images (n, channels, height, width), uint8; on the host.

        Each channel is an image of its own: features are concatenated; the joint class of several channels has the sum
        of their log-probabilities as its logit.
        """
        channels = pixels.shape[1]
        if channels == 1:
            return self._extract_channel(pixels)
        images, indices = distinct(pixels.reshape(-1, 1, *pixels.shape[2:]))
        features, logits = self._extract_channel(images)
        return join_channels(
            [ExtractedFeatures(features[rows], logits[rows]) for rows in indices.reshape(-1, channels).unbind(1)]
        )

    def _extract_channel(self, pixels: Tensor) -> ExtractedFeatures:
        device = next(self.network.parameters()).device
        parts = []
        with torch.autocast(device.type, enabled=False), ProgressBar("features", len(pixels), "images") as bar:
            for part in pixels.split(ROWS):
                images = part.to(device).float().div_(255).contiguous(memory_format=torch.channels_last)
                parts.append(ExtractedFeatures(*(value.cpu() for value in self.network(images))))
                bar.update(len(part))
        return ExtractedFeatures(*(torch.cat(column) for column in zip(*parts, strict=True)))


def distinct(images: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct images among uint8 images (n, ...), and the index of each image among them, shape (n,).

    Stacked MNIST's training set has 384,000 digits, but only 55,000 distinct ones.
    """
    numbers: dict[bytes, int] = {}
    indices = [numbers.setdefault(image.tobytes(), len(numbers)) for image in images.numpy()]
    content = numpy.frombuffer(bytearray().join(numbers), numpy.uint8)
    return torch.from_numpy(content).reshape(-1, *images.shape[1:]), torch.tensor(indices)


def join_channels(channels: list[ExtractedFeatures]) -> ExtractedFeatures:
    """Combine the features and logits of several channels."""
    first, *others = channels
    for other in others:
        pairs = first.logits.log_softmax(1)[:, :, None] + other.logits.log_softmax(1)[:, None]
        first = ExtractedFeatures(torch.cat((first.features, other.features), 1), pairs.flatten(1))
    return first


def save_features(network: FeatureNetwork, source: str, folder: Path, card: dict[str, Any]) -> Path:
    """Write ``<name>.safetensors``, and its SHA-256 and the card to ``<name>.json``."""
    path = folder / f"{source}{VERSION}.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps({"sha256": sha256, **card}, indent=2) + "\n", encoding="utf-8")
    return path


def load_features(source: str) -> TrainedFeatureNetwork:
    """The feature network of a source; an InputError if there is none, or if its checksum is wrong."""
    name = f"{source}{VERSION}"
    folders = (SHIPPED, cache_folder() / "features")
    path = next((file for folder in folders if (file := folder / f"{name}.safetensors").is_file()), None)
    if path is None:
        raise InputError(
            f"there is no feature network for data={source} yet: train one with python features.py data={source}, "
            "or use metric=none"
        )
    card = path.with_suffix(".json")
    try:
        expected = json.loads(card.read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError) as error:
        raise InputError(f"can't read the checksum in '{card}': {error}") from error
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise InputError(
            f"'{path}' is damaged or altered (SHA-256 {found[:12]}..., expected {expected[:12]}...): install the "
            f"package again, or run python features.py data={source}"
        )
    weights = load(content)
    network = FeatureNetwork(classes=len(weights["head.2.bias"]))
    network.load_state_dict(weights)
    return TrainedFeatureNetwork(name, found, network.eval().to(memory_format=torch.channels_last))
