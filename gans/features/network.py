"""A small classifier. Its last hidden layer gives the features of an image."""

from math import ceil

from torch import Tensor, nn

from gans.data.extractor import ExtractedFeatures

FEATURES = 64
Shape = tuple[int, int, int]
"""Channels, height and width of images."""
IMAGE_SHAPE = (1, 28, 28)
SMALLEST = 8
"""The smallest side that is described, in pixels."""


class FeatureNetwork(nn.Module):
    """White-on-black images (n, channels, height, width) in [0, 1] -> features (n, 64) and logits (n, classes).

    It has 178,154 parameters for ten classes and 28x28x1.

    The features are the output of the last hidden layer's BatchNorm, before the ReLU. They have mean 0 and variance 1
    over the training images and are about Gaussian in each class.
    """

    def __init__(self, classes: int, shape: Shape = IMAGE_SHAPE) -> None:
        super().__init__()
        self.shape = shape
        channels, *sides = shape
        height, width = (ceil(side / 4) // 2 for side in sides)
        self.body = nn.Sequential(
            nn.Conv2d(channels, 32, 5, padding=2),
            *_normalized(32),
            nn.Conv2d(32, 32, 3, stride=2, padding=1),
            *_normalized(32),
            nn.Conv2d(32, 64, 3, padding=1),
            *_normalized(64),
            nn.Conv2d(64, 64, 3, stride=2, padding=1),
            *_normalized(64),
            nn.Conv2d(64, 96, 3, padding=1),
            *_normalized(96),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(96 * height * width, FEATURES, bias=False),
            nn.BatchNorm1d(FEATURES, affine=False),
        )
        self.head = nn.Sequential(nn.ReLU(), nn.Dropout(0.2), nn.Linear(FEATURES, classes))

    def forward(self, images: Tensor) -> ExtractedFeatures:
        features = self.body(images)
        return ExtractedFeatures(features.float(), self.head(features).float())


def _normalized(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels), nn.ReLU()
