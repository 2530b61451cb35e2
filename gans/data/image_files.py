"""Image files of any format and size -> uint8 arrays of one shape."""

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from safetensors.torch import load_file, save
from torch import Tensor

from gans.data.class_names import is_image
from gans.data.progress import ProgressBar
from gans.errors import InputError, one_line, warn_once
from gans.files import cache_folder, replacing

SHOWN = 5
"""The most files that a message names."""
THREADS = 8
"""Pillow decodes outside of Python's lock, and a network's files answer late."""
CACHE_VERSION = 2
"""Part of the cache's keys. Increase it with each change of what becomes of a file."""


def find_images(folder: Path) -> list[Path]:
    """The image files in a folder and the folders in it, sorted; links are followed, each folder once.

    Other files are named in a warning. Hidden files and folders, such as ``.DS_Store``, are not looked at.

    Raises:
        InputError: if a folder can't be read.
    """
    images: list[Path] = []
    others: list[Path] = []
    for path in _files(folder, set()):
        (images if is_image(path) else others).append(path)
    if others:
        warn_once(f"left out of '{folder}', as no images: {some(others)}; {len(others):,} in all")
    return sorted(images)


def _files(folder: Path, seen: set[Path]) -> Iterator[Path]:
    real = folder.resolve()
    if real in seen:
        return
    seen.add(real)
    try:
        entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except OSError as error:
        raise InputError(f"can't read the folder '{folder}': {error.strerror or error}") from error
    for entry in entries:
        if is_folder(entry):
            yield from _files(folder / entry.name, seen)
        else:
            yield folder / entry.name


def is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def read_images(paths: Sequence[Path], size: int, channels: int, title: str) -> tuple[Tensor, Tensor]:
    """The images that can be read, uint8 (n, channels, size, size), and the indices of their paths, (n,).

    Each is scaled until its shorter side fits, and cut to a square in the middle (Lanczos, as antialiasing needs).
    Those that can't be read are named in a warning. The result is kept in the user's cache, under a hash of the paths,
    sizes and dates of the files, if all could be read.
    """
    return cached(_key(paths, size, channels), len(paths), lambda: _read_images(paths, size, channels, title))


def _read_images(paths: Sequence[Path], size: int, channels: int, title: str) -> tuple[Tensor, Tensor]:
    content = torch.empty((len(paths), channels, size, size), dtype=torch.uint8)
    problems: dict[int, str] = {}

    def read(index: int) -> None:
        try:
            content[index] = torch.from_numpy(read_image(paths[index], size, channels))
        except Exception as error:  # Pillow's decoders raise almost anything
            problems[index] = one_line(error)

    with ignored_warnings(), ProgressBar(title, len(paths), "images") as bar, ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(read, range(len(paths))):
            bar.update()
    if problems:
        first = sorted(problems)
        reasons = "; ".join(f"'{paths[index]}' ({problems[index]})" for index in first[:SHOWN])
        more = f", and {len(problems) - SHOWN:,} more" if len(problems) > SHOWN else ""
        warn_once(f"{len(problems):,} of {len(paths):,} image files can't be used and are left out: {reasons}{more}")
    kept = torch.tensor([index for index in range(len(paths)) if index not in problems], dtype=torch.int64)
    return content[kept], kept


@contextmanager
def ignored_warnings() -> Iterator[None]:
    """Pillow warns of large images and odd metadata that it reads well; what it can't read is an error."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def read_image(path: Path, size: int, channels: int) -> NDArray[numpy.uint8]:
    """The first frame as uint8 (channels, size, size), turned as its EXIF says, on white where it is transparent."""
    with Image.open(path) as opened:
        opened.draft("RGB" if channels == 3 else "L", (2 * size, 2 * size))  # large JPEGs are decoded smaller
        image = ImageOps.exif_transpose(opened)
        image = ImageOps.fit(to_eight_bits(image, channels), (size, size), Image.Resampling.LANCZOS)
        return numpy.array(image).reshape(size, size, channels).transpose(2, 0, 1)


def to_eight_bits(image: Image.Image, channels: int) -> Image.Image:
    """Grey or RGB of 8 bits: 16 bits are scaled, palettes and CMYK converted, transparent images put on white.

    Raises:
        ValueError: if a value is not in the range of the image's type.
    """
    if image.mode in ("F", "I") or image.mode.startswith("I;16"):
        values = numpy.asarray(image, dtype=numpy.float64)
        guessed = 1 if values.max() <= 1 else 255 if values.max() <= 255 else 65535
        largest = 65535 if image.mode.startswith("I;16") else guessed
        if not (values.min() >= 0 and values.max() <= largest):  # also NaN
            found = f"{values.min():g} to {values.max():g}" if numpy.isfinite(values).all() else "not all finite"
            raise ValueError(f"its values are {found}: scale them to 0 to 1, to 0 to 255 or to 0 to 65,535")
        image = Image.fromarray((values / largest * 255).round().clip(0, 255).astype(numpy.uint8))
    if image.mode == "LAB":  # Pillow knows no direct way to grey
        image = image.convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB" if channels == 3 else "L")


def cached(key: str, count: int, make: Callable[[], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """What ``make`` returns, from the user's cache if it has it. Only ``count`` images, all of them, are kept there:
    those that could not be read are tried and named each time."""
    path = cache_folder() / "images" / f"{key}.safetensors"
    try:
        tensors = load_file(path)
        return tensors["content"], tensors["indices"]
    except Exception:  # it is not there, or damaged: it only saves time
        content, indices = make()
    if len(indices) < count or not count:
        return content, indices
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(save({"content": content, "indices": indices}))
    except OSError as error:
        warn_once(f"'{path.parent}' can't be written ({error.strerror or error}), so every run reads the images again")
    return content, indices


def _key(paths: Sequence[Path], size: int, channels: int) -> str:
    digest = hashlib.sha256(json.dumps([CACHE_VERSION, size, channels]).encode())
    for path in paths:
        try:
            found: Any = path.stat()
            state = [found.st_size, found.st_mtime_ns]
        except OSError:  # a broken link, which reading names
            state = []
        digest.update(json.dumps([str(path.absolute()), *state]).encode(errors="surrogateescape"))
    return digest.hexdigest()[:24]


def some(paths: Sequence[Path]) -> str:
    """The first of some files."""
    return ", ".join(f"'{path}'" for path in sorted(paths)[:SHOWN]) + (", ..." if len(paths) > SHOWN else "")
