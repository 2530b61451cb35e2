"""Handwritten digits that come with scikit-learn: no download."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from gans.data.batches import Dataset
from gans.data.images import ImageData


class Digits(ImageData):
    """1,797 images of 8x8 pixels (Alpaydin and Kaynak 1998), resized to 28x28: 1,400 for training, 397 for test."""

    source = "digits"

    def read(self) -> tuple[Dataset, Dataset]:
        source = load_digits()
        small = torch.from_numpy(source.images / 16).float()[:, None]
        pixels = F.interpolate(small, size=(28, 28), mode="bicubic").clamp(0, 1).mul(255).round().to(torch.uint8)
        images = Dataset(pixels, torch.from_numpy(source.target).long())
        # the test set is the same for every split_seed
        train, test = train_test_split(range(len(images.labels)), test_size=397, stratify=source.target, random_state=0)
        return images.select(torch.tensor(train)), images.select(torch.tensor(test))
