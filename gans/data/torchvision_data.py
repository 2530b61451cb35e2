"""Base class of further data sets of torchvision, which downloads them, and verifies what it downloads."""

from abc import abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy
import torch

from gans.data.batches import Dataset
from gans.data.images import ImageData
from gans.errors import InputError, one_line
from gans.files import making_folder, only_one


class TorchvisionData(ImageData):
    """Reads ``<root>/<name of the data set>``, where torchvision keeps it. Downloads it on first use.

    Args:
        root: the data root.

    Raises:
        InputError: in ``prepare_data`` if it is not there and can't be downloaded.
    """

    def __init__(self, root: str, **options: Any) -> None:
        super().__init__(**options)
        self.root = Path(root)

    @property
    def folder(self) -> Path:
        """Where the files are; it does not remain if the download fails."""
        return self.root

    @abstractmethod
    def original(self, train: bool, download: bool) -> Any:
        """torchvision's data set: with ``data``, images (n, height, width) or channels last, and ``targets``."""

    def prepare_data(self) -> None:
        with suppress(Exception):  # all is there already, perhaps where nothing can be written
            self._verify(download=False)
            return
        try:
            with making_folder(self.folder):
                lock = self.folder / f".{self.source}.lock"
                try:
                    with only_one(lock, "downloads or verifies these files"):
                        self._verify(download=True)
                finally:
                    lock.unlink(missing_ok=True)
        except Exception as error:  # of the network, of archives, of the disk
            raise InputError(
                f"data={self.source} can't be read from '{self.root}', nor be put there ({one_line(error)}): delete "
                "damaged files there, name another folder with data.root=..., or use data=digits"
            ) from error

    def _verify(self, download: bool) -> None:
        for train in (True, False):
            self.original(train, download)

    def read(self) -> tuple[Dataset, Dataset]:
        train, test = (self._part(self.original(train, download=False)) for train in (True, False))
        return train, test

    def _part(self, original: Any) -> Dataset:
        pixels = torch.as_tensor(numpy.asarray(original.data))
        content = pixels[:, None] if pixels.ndim == 3 else pixels.movedim(3, 1)
        return Dataset(content.contiguous(), torch.as_tensor(original.targets).long())
