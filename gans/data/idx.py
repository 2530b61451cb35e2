"""Base class of MNIST and its drop-in replacements: four files in idx format, downloaded and verified."""

import gzip
import hashlib
import math
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar
from urllib.parse import urlsplit

import numpy
import torch
import torchvision
from torch import Tensor
from torchvision.datasets.utils import download_url

from gans.data.batches import Dataset
from gans.data.images import ImageData
from gans.errors import InputError, one_line
from gans.files import making_folder, only_one

GZIP = b"\x1f\x8b"
"""The first bytes of a compressed file."""


class IdxData(ImageData):
    """Reads the four files in ``<root>/<title>/raw``. Downloads missing ones on first use.

    A file may be compressed or not, and named ``-idx3-ubyte`` or, as on Kaggle, ``.idx3-ubyte``. The checksum of the
    file or of its decompressed content is verified at each use.

    Args:
        root: the data root, in torchvision's layout.

    Raises:
        InputError: in ``prepare_data`` if the download fails, in ``setup`` if a file has a wrong checksum.
    """

    verifies_files = True
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
        """The names of the files that are not there, in a form whose checksum is known."""
        return [name for name in self.checksums if not any(map(self._has_checksum, self._files(name)))]

    def prepare_data(self) -> None:
        """Download missing files. Of several processes, only one downloads. A failure leaves no trace."""
        if not self.missing:
            return
        lock = self.root / f".{self.title}.lock"
        try:
            with making_folder(self.raw):
                try:
                    with only_one(lock, "downloads these files"):
                        self._download(self.missing)
                finally:
                    lock.unlink(missing_ok=True)
        except OSError as error:
            raise self._not_there(f"can't be put there ({error.strerror or one_line(error)})") from error

    def _download(self, names: list[str]) -> None:
        published = dict(self.original.resources)
        with TemporaryDirectory(dir=self.raw) as folder:  # an interrupted download must leave no incomplete file
            for name in names:
                file = name if name in published else f"{name}.gz"
                path = Path(folder) / file
                self._fetch(file, published[file], path)
                if file != name:
                    path.write_bytes(gzip.decompress(path.read_bytes()))
                os.replace(path, self.raw / name)

    def _fetch(self, file: str, md5: str, path: Path) -> None:
        """Download a file from the first mirror that has it."""
        failures = []
        for mirror in self.original.mirrors:
            try:
                download_url(f"{mirror}{file}", str(path.parent), file, md5)
                return
            except (OSError, RuntimeError) as error:
                if path.exists() and isinstance(error, OSError) and error.errno:
                    raise  # it can't be written
                reason = getattr(error, "reason", error)
                failures.append(f"{urlsplit(mirror).hostname}: {getattr(reason, 'strerror', None) or one_line(reason)}")
        raise self._not_there(f"{file} can't be downloaded ({'; '.join(failures)})")

    def _not_there(self, problem: str) -> InputError:
        others = [path.name for name in self.checksums for path in self._files(name) if not self._has_checksum(path)]
        found = f"; {', '.join(others)} can't be verified, only compressed files can" if others else ""
        return InputError(
            f"{self.title} is not in '{self.raw}', and {problem}{found}. Put its files there "
            f"({', '.join(self.checksums)}), name the folder of {self.title}/ with data.root=..., or use data=digits"
        )

    def read(self) -> tuple[Dataset, Dataset]:
        train_pixels, train_labels, test_pixels, test_labels = map(self._parse, self.checksums)
        return Dataset(train_pixels[:, None], train_labels.long()), Dataset(test_pixels[:, None], test_labels.long())

    def _parse(self, name: str) -> Tensor:
        """The array of the file of this name that has its checksum; an InputError if none has."""
        problems = []
        for path in filter(self._has_checksum, self._files(name)):
            try:
                content = path.read_bytes()
            except OSError as error:
                problems.append(f"can't read '{path}': {error.strerror}")
                continue
            expected, found, wrong = self.checksums[name], self._checksum(content), ""
            is_expected = found == expected
            if content.startswith(GZIP):
                try:
                    content = gzip.decompress(content)
                    is_expected = is_expected or self._checksum(content) == expected
                except (OSError, EOFError, zlib.error):
                    wrong = "can't be decompressed"
            if is_expected:
                return parse_idx(content)
            problems.append(
                f"'{path}' is not {self.title}'s file: it is damaged or altered ({self.algorithm} {found[:12]}..., "
                f"expected {expected[:12]}...; {wrong or form_of(content)})"
            )
        raise InputError("; ".join(problems or [f"'{self.raw / name}' is lost"]) + ". Delete it to download it again")

    def _checksum(self, content: bytes) -> str:
        # usedforsecurity=False: the checksum only detects damage, so MD5 is fine even where a policy disables it
        return hashlib.new(self.algorithm.replace("-", ""), content, usedforsecurity=False).hexdigest()

    def _files(self, name: str) -> Iterator[Path]:
        """The files of this name in all its forms. Some archives put each file into a folder of its own name."""
        for path in sorted((*self.raw.glob("*ubyte*"), *self.raw.glob("*ubyte/*ubyte*"))):
            if path.is_file() and _plain(path.name) == _plain(name):
                yield path

    def _has_checksum(self, path: Path) -> bool:
        """Whether the checksum of such a file is known; of some data sets it is for compressed files only."""
        return path.suffix == ".gz" or not all(name.endswith(".gz") for name in self.checksums)


def _plain(name: str) -> str:
    """A file's name without what varies."""
    return name.removesuffix(".gz").replace(".idx", "-idx")


def parse_idx(content: bytes) -> Tensor:
    """The uint8 array of an idx file: two zeros, type, number of dimensions, big-endian sizes, values."""
    dimensions = content[3]
    shape = numpy.frombuffer(content, ">i4", dimensions, offset=4)
    return torch.tensor(numpy.frombuffer(content, numpy.uint8, offset=4 + 4 * dimensions).reshape(shape))


def form_of(content: bytes) -> str:
    """What the header of a file says, in words."""
    if len(content) < 4 or content[:3] != b"\0\0\x08" or len(content) < 4 + 4 * content[3]:
        return "not an idx file"
    shape = numpy.frombuffer(content, ">i4", content[3], offset=4).tolist()
    length = 4 + 4 * content[3] + math.prod(shape)
    if len(content) != length:
        return f"{len(content):,} bytes instead of {length:,}"
    return f"an idx file of {'x'.join(map(str, shape))} bytes"
