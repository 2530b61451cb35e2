"""Images of the user's own: a folder of class folders, a folder of images, or an .npz file of arrays."""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy
import torch
from pydantic import PositiveInt
from sklearn.model_selection import train_test_split
from torch import Tensor

from gans.data.batches import Dataset
from gans.data.class_names import (
    DAMAGE,
    PARTS,
    array_in,
    class_folders,
    find_classes,
    has_parts,
    is_array_file,
    labels_in,
    unreadable,
)
from gans.data.image_files import find_images, read_images
from gans.data.images import ImageData, SetSize, fitted, whole_number
from gans.data.pixels import with_channels
from gans.errors import InputError
from gans.machine import free_memory

TEST_SHARE = 0.2


class Folder(ImageData):
    """Images in class folders, or in one folder without classes, or in one .npz file.

    A folder of class folders has a class for each; folders within them belong to the class. Folders named train and
    test, each with the same class folders, are the source's own split. An .npz file has ``images``, uint8 (n, height,
    width) or (n, height, width, 3), may have ``labels`` (n,), and may have ``class_names``.

    Args:
        root: the folder or file.
        size, channels: of the images in memory: each file is scaled until its shorter side fits, and cut to a square.
        test_size: images for the test, a number or a share, stratified by class and the same for every ``split_seed``;
            None: the images of the folder ``test``, or else a fifth.

    Raises:
        InputError: in ``setup``, if there are no images, or too many for this machine's memory.
    """

    source = "folder"

    def __init__(
        self,
        root: str,
        size: PositiveInt = 28,
        channels: Literal[1, 3] = 1,
        test_size: SetSize | None = None,
        **options: Any,
    ) -> None:
        super().__init__(size=size, channels=channels, **options)
        self.root = Path(root)
        self.shape = size, channels
        self.test_size = test_size

    @cached_property
    def class_names(self) -> list[str]:
        return find_classes(self.root)

    def read(self) -> tuple[Dataset, Dataset]:
        if not has_parts(self.root):
            return self._divided(read_all(self.root, self.class_names, *self.shape))
        if self.test_size is not None:
            raise InputError(
                f"data.test_size={self.test_size} has no effect, since '{self.root}' has a folder of test images: use "
                "data.test_size=null, or move all images into class folders"
            )
        train, test = (read_folder(self.root / part, self.class_names, *self.shape) for part in PARTS)
        return train, test

    def _divided(self, images: Dataset) -> tuple[Dataset, Dataset]:
        """Training and test images, which are the same for every ``split_seed``."""
        total = len(images.labels)
        size = whole_number(TEST_SHARE if self.test_size is None else self.test_size, images.labels)
        if not total:
            raise InputError(f"'{self.root}' has no images")
        counts = images.labels.bincount(minlength=len(self.class_names))
        if rare := [name for name, count in zip(self.class_names, counts.tolist(), strict=True) if count < 2]:
            raise InputError(f"'{self.root}': a class needs two images or more, but {', '.join(rare)} has fewer")
        if not len(self.class_names) <= size <= total - len(self.class_names):
            raise InputError(
                f"data.test_size={self.test_size}: {size} of {total} images can't be divided among "
                f"{len(self.class_names)} classes: use another size, or more images"
            )
        train, test = train_test_split(
            torch.arange(total).numpy(), test_size=size, stratify=images.labels.numpy(), random_state=0
        )
        return images.select(torch.as_tensor(train).sort().values), images.select(torch.as_tensor(test).sort().values)


def read_all(root: Path, names: list[str], size: int, channels: int) -> Dataset:
    """All images in a folder or an .npz file that can be read.

    Args:
        names: of the classes, as ``find_classes`` returns them.
    """
    if is_array_file(root):
        images = read_arrays(root, channels)
        height, width = images.content.shape[2:]
        if height != width:
            raise InputError(f"'{root}': images of {height}x{width} are not square: crop them first")
        return fitted(images, size, channels)
    return read_folder(root, names, size, channels)


def read_folder(folder: Path, names: list[str], size: int, channels: int) -> Dataset:
    """The images in the class folders of a folder; if it has none, those in it, with label 0."""
    if has_parts(folder):
        raise InputError(f"'{folder}' has the folders train and test: name one of them, such as '{folder / 'test'}'")
    present = class_folders(folder)
    places = [folder / name for name in names if name in present] if present else [folder]
    files = [find_images(place) for place in places]
    paths = [path for of_class in files for path in of_class]
    require_memory(folder, len(paths), size, channels)
    labels = [names.index(place.name) if present else 0 for place in places]
    counts = [len(of_class) for of_class in files]
    of_path = torch.tensor(labels, dtype=torch.int64).repeat_interleave(torch.tensor(counts, dtype=torch.int64))
    content, kept = read_images(paths, size, channels, f"reading '{folder.name}'")
    return Dataset(content, of_path[kept])


def require_memory(folder: Path, count: int, size: int, channels: int) -> None:
    """Say how much memory images take if it is much, and refuse what does not fit."""
    needed, free = 3 * count * channels * size**2, free_memory()
    text = f"{count:,} images of {size}x{size}x{channels} take {needed / 1e9:.1f} GB while they are read and divided"
    if needed > free:
        raise InputError(
            f"'{folder}': {text}, but {free / 1e9:.1f} GB are free: use a smaller data.size, or fewer images"
        )
    if needed > 1e9:
        print(text, flush=True)


def read_arrays(path: Path, channels: int) -> Dataset:
    """The images of an .npz file, with class indices as labels."""
    try:
        with numpy.load(path) as arrays:
            images = array_in(arrays, "images", path)
            labels = labels_in(arrays, len(images), path)
    except DAMAGE as error:
        raise unreadable(path, error) from error
    is_of_images = images.ndim in (3, 4) and min(images.shape[1:3]) > 0 and (*images.shape, 1)[3] in (1, 3)
    if images.dtype != numpy.uint8 or not is_of_images:
        raise InputError(
            f"'{path}': images must be uint8, (n, height, width) or (n, height, width, 3), not {images.dtype}, "
            f"{images.shape}"
        )
    if labels.shape != images.shape[:1]:
        raise InputError(f"'{path}': {len(images)} images need as many labels, not {labels.shape}")
    content = torch.from_numpy(images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2).copy())
    return Dataset(with_channels(content, channels), _indices(labels))


def _indices(labels: Any) -> Tensor:
    """Labels as indices into the file's classes."""
    _, indices = numpy.unique(labels, return_inverse=True)
    return torch.from_numpy(indices.reshape(-1)).long()
