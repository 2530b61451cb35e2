"""Inception's features, for images without classes: those of the published FID (Heusel et al. 2017)."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

from gans.data.extractor import ExtractedFeatures
from gans.data.pixels import with_channels
from gans.data.progress import ProgressBar
from gans.errors import InputError, one_line

OUTPUTS = ["2048", "logits_unbiased"]
ROWS = 50


@dataclass(frozen=True)
class Inception:
    """torch-fidelity's InceptionV3, in inference mode."""

    network: torch.nn.Module
    name: str = "inceptionv3"

    @cached_property
    def sha256(self) -> str:
        digest = hashlib.sha256()
        for value in self.network.state_dict().values():
            digest.update(value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def to(self, device: torch.device) -> None:
        self.network.to(device)

    @torch.no_grad()
    def extract(self, samples: Tensor) -> ExtractedFeatures:
        """Features (n, 2048) and logits (n, 1008) of uint8 images (n, 1 or 3, height, width), on the host."""
        device = next(self.network.parameters()).device
        parts = []
        with torch.autocast(device.type, enabled=False), ProgressBar("Inception", len(samples), "images") as bar:
            for part in with_channels(samples, 3).split(ROWS):
                parts.append([value.float().cpu() for value in self.network(part.to(device))])
                bar.update(len(part))
        return ExtractedFeatures(*(torch.cat(column) for column in zip(*parts, strict=True)))


def load_inception(source: str) -> Inception:
    """The network, whose weights are downloaded at first use into torch.hub's folder.

    Args:
        source: the data's, for the error message.

    Raises:
        InputError: if they can't be had.
    """
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(URL_INCEPTION_V3).name
    try:
        with ProgressBar("Inception's weights"):
            return Inception(FeatureExtractorInceptionV3("inception-v3-compat", list(OUTPUTS)))
    except Exception as error:  # of the network, of torch.hub, or a damaged file
        raise InputError(
            f"data={source} has no classes, so its metrics need Inception, whose weights can't be had "
            f"({one_line(error)}): put {file.name} of torch-fidelity's release v0.2.0 into '{file.parent}', or use "
            "metric=none"
        ) from error
