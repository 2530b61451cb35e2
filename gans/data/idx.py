"""Base class of MNIST and its drop-in replacements: four files in idx format, downloaded and verified."""

import gzip
import hashlib
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy
import torch
import torchvision
from filelock import FileLock
from torch import Tensor

from gans.data.batches import Dataset
from gans.data.images import ImageData
from gans.errors import InputError, one_line


class IdxData(ImageData):
    """Reads the compressed files in ``<root>/<title>/raw``. Downloads them on first use and verifies them at each use.

    torchvision also extracts the files. The extracted ones are not read, because it has no checksums for them.

    Args:
        root: the data root, in torchvision's layout.

    Raises:
        InputError: in ``prepare_data`` if the download fails, in ``setup`` if a file has a wrong checksum.
    """

    original: ClassVar[type[torchvision.datasets.MNIST]]
    """torchvision's class of the data set."""
    algorithm: ClassVar[str] = "MD5"
    """The algorithm of the checksums."""

    def __init__(self, root: str, **options: Any) -> None:
        super().__init__(**options)
        self.root = Path(root)

    @property
    def title(self) -> str:
        """The name of the data set and of its folder."""
        return self.original.__name__

    @property
    def raw(self) -> Path:
        return self.root / self.title / "raw"

    @property
    def checksums(self) -> dict[str, str]:
        """Checksums by file name, in order: training images, training labels, test images, test labels."""
        return dict(self.original.resources)

    @property
    def missing(self) -> list[str]:
        return [name for name in self.checksums if not (self.raw / name).is_file()]

    def prepare_data(self) -> None:
        """Download missing files. Of several processes, only one downloads."""
        if not self.missing:
            return
        try:
            self.raw.mkdir(parents=True, exist_ok=True)
            with FileLock(self.root / f".{self.title}.lock"):
                if self.missing:
                    self.download(self.missing)
        except (OSError, RuntimeError) as error:
            raise InputError(
                f"{self.title} is not in '{self.raw}' and can't be downloaded ({one_line(error)}): put its files there "
                f"({', '.join(self.checksums)}), name the folder that holds {self.title}/ with data.root=... or "
                "GANS_DATA_ROOT, or use data=digits, which needs no download"
            ) from error

    def download(self, missing: list[str]) -> None:
        # into an empty folder: torchvision downloads nothing if extracted files exist, and an interrupted download must
        # leave no incomplete file
        with TemporaryDirectory(dir=self.raw) as folder:
            downloaded = Path(self.original(folder, download=True).raw_folder)
            for name in missing:
                os.replace(downloaded / name, self.raw / name)

    def read(self) -> tuple[Dataset, Dataset]:
        train_pixels, train_labels, test_pixels, test_labels = (
            parse_idx(self._verified(self.raw / name, expected)) for name, expected in self.checksums.items()
        )
        return Dataset(train_pixels[:, None], train_labels.long()), Dataset(test_pixels[:, None], test_labels.long())

    def _verified(self, path: Path, expected: str) -> bytes:
        """The decompressed content of a file."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(f"can't read '{path}': {error.strerror}") from error
        # usedforsecurity=False: the checksum only detects damage, so MD5 is fine even where a policy disables it
        found = hashlib.new(self.algorithm.replace("-", ""), content, usedforsecurity=False).hexdigest()
        if found != expected:
            raise InputError(
                f"'{path}' is not {self.title}'s file: it is damaged or altered ({self.algorithm} {found[:12]}..., "
                f"expected {expected[:12]}...). Delete it to download it again"
            )
        return gzip.decompress(content) if path.suffix == ".gz" else content


def parse_idx(content: bytes) -> Tensor:
    """The uint8 array of an idx file: two zeros, type, number of dimensions, big-endian sizes, values."""
    dimensions = content[3]
    shape = numpy.frombuffer(content, ">i4", dimensions, offset=4)
    return torch.tensor(numpy.frombuffer(content, numpy.uint8, offset=4 + 4 * dimensions).reshape(shape))
