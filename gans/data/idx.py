"""What MNIST and the data sets made in its image share: four files in its idx format, downloaded and verified."""

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

from gans.data.batches import Images
from gans.data.images import ImageData
from gans.errors import InputError


class IdxData(ImageData):
    """Reads ``<root>/<title>/raw``, downloading on first use; every file is verified, and what was verified is read.

    The files are those that torchvision downloads, compressed: it knows their checksums. What it extracts beside them
    is not looked at, because of that it knows none. A source names torchvision's class.

    Args:
        root: the data root, torchvision's layout.

    Raises:
        InputError: in ``prepare_data``, where the data can't be had, and for a file that is not theirs.
    """

    original: ClassVar[type[torchvision.datasets.MNIST]]
    algorithm: ClassVar[str] = "MD5"
    """Of the checksums."""

    def __init__(self, root: str, **options: Any) -> None:
        super().__init__(**options)
        self.root = Path(root)

    @property
    def title(self) -> str:
        """Of the data set, and of its folder."""
        return self.original.__name__

    @property
    def raw(self) -> Path:
        return self.root / self.title / "raw"

    @property
    def checksums(self) -> dict[str, str]:
        """Of the files that are read, by name: images and labels for training, images and labels for test."""
        return dict(self.original.resources)

    @property
    def missing(self) -> list[str]:
        return [name for name in self.checksums if not (self.raw / name).is_file()]

    def prepare_data(self) -> None:
        """Download what is missing, with a progress bar; of several processes, one does."""
        if not self.missing:
            return
        try:
            self.raw.mkdir(parents=True, exist_ok=True)
            with FileLock(self.root / f".{self.title}.lock"):
                if self.missing:
                    self.download(self.missing)
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(
                f"{self.title} is not in '{self.raw}' and can't be downloaded ({reason}): put its four files there "
                f"({', '.join(self.checksums)}), name the folder above {self.title}/ with data.root=... or "
                "GANS_DATA_ROOT, or use data=digits, which needs no download"
            ) from error

    def download(self, missing: list[str]) -> None:
        # in a folder of its own: beside extracted files torchvision would download nothing, and a download that is
        # interrupted leaves no part of a file
        with TemporaryDirectory(dir=self.raw) as folder:
            downloaded = Path(self.original(folder, download=True).raw_folder)
            for name in missing:
                os.replace(downloaded / name, self.raw / name)

    def read(self) -> tuple[Images, Images]:
        train_pixels, train_labels, test_pixels, test_labels = (
            parsed(self._verified(self.raw / name, expected)) for name, expected in self.checksums.items()
        )
        return Images(train_pixels[:, None], train_labels.long()), Images(test_pixels[:, None], test_labels.long())

    def _verified(self, path: Path, expected: str) -> bytes:
        """What a file holds, extracted."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(f"can't read '{path}': {error.strerror}") from error
        # against damage, not against malice, and so allowed where MD5 is otherwise switched off
        found = hashlib.new(self.algorithm.replace("-", ""), content, usedforsecurity=False).hexdigest()
        if found != expected:
            raise InputError(
                f"'{path}' is not {self.title}'s file: it is damaged or altered ({self.algorithm} {found[:12]}..., "
                f"expected {expected[:12]}...). Delete it, and it is downloaded again"
            )
        return gzip.decompress(content) if path.suffix == ".gz" else content


def parsed(content: bytes) -> Tensor:
    """The values of an idx file of bytes: after two zeros, the type and the number of dimensions come the size of each,
    big-endian, and the values."""
    dimensions = content[3]
    shape = numpy.frombuffer(content, ">i4", dimensions, offset=4)
    return torch.tensor(numpy.frombuffer(content, numpy.uint8, offset=4 + 4 * dimensions).reshape(shape))
