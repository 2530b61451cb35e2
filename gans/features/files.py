"""Files of trained feature networks, in this package or in the user's cache."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy
import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from gans.data.extractor import ExtractedFeatures
from gans.data.progress import ProgressBar
from gans.data.source import Source
from gans.errors import InputError
from gans.features.network import IMAGE_SHAPE, SMALLEST, FeatureNetwork, Shape
from gans.files import cache_folder, making_folder, replacing, write_json

VERSION = 1
"""Part of every name. Increase it with each change of network or training: values are not comparable then."""
SHIPPED = Path(__file__).parent / "weights"
REINSTALL = "install the package again"
ROWS = 500
HEX = 8
"""Digits of a digest in names."""


@dataclass(frozen=True)
class TrainedFeatureNetwork:
    """A trained feature network, in inference mode."""

    name: str
    """The ``network_name`` of its training images: mnist1."""
    sha256: str
    network: FeatureNetwork

    def to(self, device: torch.device) -> None:
        self.network.to(device)

    @torch.no_grad()
    def extract(self, pixels: Tensor) -> ExtractedFeatures:
        """Features and logits of white-on-black images (n, channels, height, width), uint8; on the host.

        Where the network describes images of one channel, each of several is an image of its own: features are
        concatenated; the joint class of the channels has the sum of their log-probabilities as its logit.
        """
        channels = pixels.shape[1]
        if channels == self.network.shape[0]:
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


class Card(BaseModel):
    """The JSON file of a network, which names its weights and says what it was trained on."""

    model_config = ConfigDict(extra="allow", frozen=True)

    file: Annotated[str, Field(pattern=r"^[\w-]+\.safetensors$")]
    """The file of weights, in the same folder."""
    sha256: str
    """The digest of that file."""
    data_sha256: str
    """The ``data_sha256`` of the source that it was trained on."""
    classes: list[str]
    """The names of the source's classes."""
    shape: Shape = IMAGE_SHAPE
    """The images that it describes."""
    test_accuracy: float


def network_name(source: str, data_sha256: str) -> str:
    """mnist1 for data whose network comes with the package; for others with part of the digest, letters1-3fa9c2d1."""
    return _plain(source) if is_shipped(source, data_sha256) else f"{_plain(source)}-{data_sha256[:HEX]}"


def is_shipped(source: str, data_sha256: str) -> bool:
    """Whether the network of these data comes with the package."""
    path = SHIPPED / f"{_plain(source)}.json"
    return path.is_file() and read_card(path, REINSTALL).data_sha256 == data_sha256


def save_features(network: FeatureNetwork, name: str, folder: Path, card: dict[str, Any]) -> Path:
    """Write the weights, and ``<name>.json``, the card that names them. Returns the card's path.

    The card changes last and at once: whoever writes, a reader finds one network with its own card.
    """
    content = save({key: value.contiguous() for key, value in network.state_dict().items()})
    sha256 = hashlib.sha256(content).hexdigest()
    path, file = folder / f"{name}.json", f"{name}-{sha256[:HEX]}.safetensors"
    checked = Card.model_validate({"file": file, "sha256": sha256, **card})
    with making_folder(folder):
        try:
            old = read_card(path, "").file
        except InputError:
            old = file
        with replacing(folder / file) as weights:
            weights.write(content)
        write_json(path, checked.model_dump())
        if old != file:
            (folder / old).unlink(missing_ok=True)
    return path


def load_features(source: str) -> TrainedFeatureNetwork:
    """The feature network of a source that comes with the package."""
    path = SHIPPED / f"{_plain(source)}.json"
    return _load(path, read_card(path, REINSTALL), REINSTALL)


def load_saved(card: Path) -> TrainedFeatureNetwork:
    """The network of a card that ``save_features`` has written."""
    return _load(card, read_card(card, ""), "")


def find_features(data: Source) -> TrainedFeatureNetwork | None:
    """The feature network that was trained on the data's own source; None if neither package nor user's cache has it.

    Args:
        data: a data module, set up.

    Raises:
        InputError: if it is damaged.
    """
    if is_shipped(data.source, data.data_sha256):
        return load_features(data.source)
    path = cached_card(data)
    if not path.is_file():
        return None
    again = f"delete '{path}' to train it again"
    card = read_card(path, again)
    if card.data_sha256 != data.data_sha256:
        raise InputError(f"'{path}' is of other images than data={data.source}: {again}")
    return _load(path, card, again)


def cached_card(data: Source) -> Path:
    """The card, in the user's cache, of the network of these data."""
    return cache_folder() / "features" / f"{network_name(data.source, data.data_sha256)}.json"


def image_shape(data: Source) -> Shape:
    """The shape of the images that a feature network describes: of one channel, if each is an image of its own.

    Raises:
        InputError: for images that are too small.
    """
    channels, height, width = data.train_pool.content.shape[1:]
    if min(height, width) < SMALLEST:
        raise InputError(
            f"feature networks describe images of {SMALLEST}x{SMALLEST} or more, but those of data={data.source} are "
            f"{height}x{width}: use metric=none, or a larger data.size"
        )
    return (1 if data.stacks_channels else channels, height, width)


def read_card(path: Path, repair: str) -> Card:
    """A network's card; an InputError with the way to repair it if it can't be read or lacks something."""
    try:
        return Card.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is damaged, or of another version"
        raise InputError(f"can't read the feature network's card '{path}': {reason}: {repair}") from error


def _plain(source: str) -> str:
    """The begin of a name; "_64_" in it would look like the number of images in a metric's name."""
    return re.sub("_(?=[0-9])", "", source) + str(VERSION)


def _load(path: Path, card: Card, repair: str) -> TrainedFeatureNetwork:
    """The network of a card."""
    file = path.with_name(card.file)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"can't read '{file}' ({error.strerror}): {repair}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != card.sha256:
        raise InputError(
            f"'{file}' is damaged or altered (SHA-256 {found[:12]}..., expected {card.sha256[:12]}...): {repair}"
        )
    network = FeatureNetwork(len(card.classes), card.shape)
    try:
        network.load_state_dict(load(content))
    except (SafetensorError, RuntimeError) as error:
        raise InputError(f"'{file}' is no feature network of this version: {repair}") from error
    return TrainedFeatureNetwork(path.stem, found, network.eval().to(memory_format=torch.channels_last))
