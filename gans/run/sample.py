"""Images from a trained generator, written as a labelled grid and, if asked, one by one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gans.config.build import read_data
from gans.config.schema import GenerateConfig
from gans.config.validate import validate_choice
from gans.data.batches import Batch
from gans.data.pixels import as_shown, to_pixels
from gans.errors import InputError
from gans.figures.drawing import COLUMNS, pad_row, picture, save
from gans.randomness import Streams
from gans.run.export import TrainedGenerator, load_generator, weights_of
from gans.run.folder import new_folder
from gans.update import NO_CLASS

BATCH = 500


@dataclass(frozen=True)
class Sheet:
    """Generated images, and what they are."""

    images: NDArray[Any]
    """uint8, shape (n, height, width), perhaps with channels last; or points, float32, shape (n, dimensions)."""
    labels: NDArray[numpy.int64]
    """The digit asked for or shown to the generator, shape (n,); -1 where there is none."""
    inputs: NDArray[numpy.uint8] | None
    """The images that the generator was shown, for one that transforms images."""


def generate(request: GenerateConfig) -> Path:
    """Write ``grid.png``, and ``images.npz`` and ``0000.png``, ... if asked, to a new folder, which is returned."""
    trained = load_generator(weights_of(Path(request.run)), request.trust)
    sheet = draw_samples(trained, request)
    of_points = sheet.images.ndim == 2
    if of_points and request.pngs:
        raise InputError("pngs: this generator makes points, not images: use npz=true")
    where = Path(request.output) if request.output else _home(Path(request.run)) / "generated"
    folder = new_folder(where.parent, where.name)
    save((_scatter if of_points else _grid)(sheet, trained), folder / "grid.png")
    if request.npz:
        numpy.savez_compressed(folder / "images.npz", images=sheet.images, labels=sheet.labels)
    if request.pngs:
        for index, image in enumerate(sheet.images):
            Image.fromarray(image).save(folder / f"{index:04d}.png")
    return folder


@torch.no_grad()
def draw_samples(trained: TrainedGenerator, request: GenerateConfig) -> Sheet:
    """``count`` images; the same for the same seed, whatever else is asked for."""
    network, digits = trained.network, trained.config["data"].get("digits", [NO_CLASS])
    classes = _class_indices(request, digits)
    if classes is not None and not network.takes_classes:
        raise InputError("classes: this generator can't be asked for a digit; model=acgan's can")
    batch = _held_out(trained.config, request) if network.takes_images else None
    count = len(batch.labels) if batch else request.count
    if classes is None and network.takes_classes:
        classes = torch.arange(count) * len(digits) // count
    inputs = network.inputs(count, Streams(request.seed, "generate")("latent"), batch, classes)
    parts = zip(*(argument.split(BATCH) for argument in inputs.arguments), strict=True)
    low, high = network.pixel_range
    images = (torch.cat([network(*part) for part in parts]) - low) / (high - low)
    labels = inputs.labels.numpy()
    return Sheet(
        images=_shown(images),
        labels=numpy.where(labels < 0, labels, numpy.array(digits)[labels]),
        inputs=_shown(inputs.arguments[0]) if network.takes_images else None,
    )


def _home(path: Path) -> Path:
    """The run folder of a checkpoint, where it is in one; else the folder that it is in."""
    folder = path if path.is_dir() else path.parent
    return folder.parent if folder.name == "checkpoints" else folder


def _class_indices(request: GenerateConfig, digits: list[int]) -> Tensor | None:
    """The classes asked for, in turn, in order: [3, 7] and 4 images give 3, 3, 7, 7."""
    if request.classes is None:
        return None
    unknown = [digit for digit in request.classes if digit not in digits]
    if unknown or not request.classes:
        raise InputError(f"classes={request.classes}: choose from the digits it was trained on, {digits}")
    chosen = torch.tensor([digits.index(digit) for digit in request.classes])
    return chosen[torch.arange(request.count) * len(chosen) // request.count]


def _held_out(config: dict[str, Any], request: GenerateConfig) -> Batch:
    """The first ``count`` test images of the run's data, in a random order of their own."""
    data_config = config["data"] | ({"root": request.data_root} if request.data_root else {})
    validate_choice(data_config, "data", "data", trusted=request.trust)
    images = read_data(data_config, config["seed"]).test_images
    if request.count > len(images.labels):
        raise InputError(f"count={request.count} is more than the {len(images.labels)} held-out images it transforms")
    order = torch.randperm(len(images.labels), generator=Streams(request.seed, "generate")("images"))
    return images.at(order[: request.count]).to_batch()


def _shown(images: Tensor) -> NDArray[Any]:
    return as_shown(images if images.ndim == 2 else to_pixels(images)).numpy()


def _scatter(sheet: Sheet, trained: TrainedGenerator) -> Figure:
    """Points of the plane, or of a line."""
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.subplots()
    axes.scatter(sheet.images[:, 0], sheet.images[:, 1:].sum(1), s=5)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_title(f"{type(trained.network).__name__}, training step {trained.training_steps:,}", fontsize=10)
    return figure


def _grid(sheet: Sheet, trained: TrainedGenerator) -> Figure:
    """The images in rows of ten with their digits, each row of inputs above its outputs where there are inputs."""
    columns = min(COLUMNS, len(sheet.images))
    rows, names = [], []
    for start in range(0, len(sheet.images), columns):
        part = slice(start, start + columns)
        shown = [str(digit) for digit in sheet.labels[part] if digit >= 0]
        digits = " ".join(shown if len(set(shown)) > 1 else shown[:1])
        if sheet.inputs is not None:
            rows.append(pad_row(sheet.inputs[part], columns))
            names.append(digits)
        rows.append(pad_row(sheet.images[part], columns))
        names.append("output" if sheet.inputs is not None else digits)
    title = f"{type(trained.network).__name__}, training step {trained.training_steps:,}"
    return picture(numpy.concatenate(rows), columns, title, names)
