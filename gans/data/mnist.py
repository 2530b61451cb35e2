"""MNIST (LeCun et al. 1998): 60,000 training and 10,000 test images of handwritten digits, 28x28."""

import hashlib
from pathlib import Path
from typing import Any

import torchvision

from gans.data.batches import Images
from gans.data.images import ImageData
from gans.errors import InputError

SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


class MNIST(ImageData):
    """Reads ``<root>/MNIST/raw``, downloading on first use; every file is verified before it is read.

    Args:
        root: the data root, torchvision's layout.

    Raises:
        InputError: in ``prepare_data``, where MNIST can't be had, and for a file that is not MNIST's.
    """

    source = "mnist"

    def __init__(self, root: str, **options: Any) -> None:
        super().__init__(**options)
        self.root = Path(root)

    @property
    def raw(self) -> Path:
        return self.root / "MNIST" / "raw"

    def prepare_data(self) -> None:
        """Download what is missing, with a progress bar."""
        missing = [name for name in SHA256 if not (self.raw / name).is_file()]
        if not missing:
            return
        try:
            torchvision.datasets.MNIST(str(self.root), download=True)
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(
                f"MNIST is not in '{self.raw}' and can't be downloaded ({reason}): put its four files there "
                f"({', '.join(SHA256)}), name the folder above MNIST/ with data.root=... or GANS_DATA_ROOT, "
                "or use data=digits, which needs no download"
            ) from error

    def read(self) -> tuple[Images, Images]:
        for name, expected in SHA256.items():
            self._verify(self.raw / name, expected)
        train, test = (torchvision.datasets.MNIST(str(self.root), train=train) for train in (True, False))
        return Images(train.data[:, None], train.targets), Images(test.data[:, None], test.targets)

    @staticmethod
    def _verify(path: Path, expected: str) -> None:
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise InputError(f"can't read '{path}': {error.strerror}") from error
        if found != expected:
            raise InputError(
                f"'{path}' is not MNIST's file: it is damaged or altered (SHA-256 {found[:12]}..., expected "
                f"{expected[:12]}...). Delete it, and it is downloaded again"
            )
