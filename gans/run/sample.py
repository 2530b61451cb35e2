"""Samples of a trained generator, written as a labelled grid, an array or single images."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gans.config.build import build_sampling, read_data
from gans.config.schema import GenerateConfig
from gans.config.validate import validate_choice
from gans.data.batches import Batch
from gans.data.pixels import to_display, to_pixels
from gans.data.progress import ProgressBar
from gans.errors import InputError
from gans.figures.drawing import BLUE, MANY, set_title
from gans.figures.files import FigureFolder, padded
from gans.figures.names import row_label, run_title
from gans.figures.sheets import in_rows, picture
from gans.files import require_writable
from gans.randomness import Streams
from gans.run.export import TrainedGenerator, find_weights, load_gan, load_generator
from gans.run.folder import RunFolder, new_folder
from gans.sampling.base import MakeInputs
from gans.update import NO_CLASS

BATCH = 500


SHOWN = 400
"""The most images in a grid."""


@dataclass(frozen=True)
class LabelledSamples:
    """Generated samples."""

    images: NDArray[Any]
    """Images, uint8, shape (n, height, width), or channels last; or points, float32, shape (n, dimensions)."""
    labels: NDArray[numpy.int64]
    """The requested digits, or those of the input images, shape (n,); -1 if there are none."""
    inputs: NDArray[numpy.uint8] | None
    """The input images of a generator that transforms images."""


def generate(request: GenerateConfig) -> Path:
    """Write ``grid.png``, with ``npz`` also ``images.npz`` and with ``pngs`` also ``0000.png``, ..., to a new folder.

    The grid is written in each of ``formats``.

    Returns the folder.
    """
    validate_choice(request.sampling, "sampling", "sampling")
    sampling = build_sampling(request.sampling)
    file = find_weights(Path(request.run), whole=sampling.needs_discriminator)
    trained = load_generator(file, request.trust)
    gan = load_gan(file, request.trust) if sampling.needs_discriminator else None
    if gan:
        sampling.require_match(gan)
    output = Path(request.output) if request.output else _run_folder(Path(request.run)) / "generated"
    require_writable(output.parent)
    samples = draw_samples(trained, request, sampling.inputs_of(trained.network, gan))
    are_points = samples.images.ndim == 2
    if are_points and request.pngs:
        raise InputError("pngs: this generator makes points, not images: use npz=true")
    folder = new_folder(output.parent, output.name)
    title = f"{run_title(trained.config)}\ntraining step {trained.training_steps:,}, generated with seed {request.seed}"
    title += f", sampling={sampling.choice}" if sampling.protocol else ""
    with ProgressBar("drawing the grid"):
        FigureFolder(folder, request.formats).save("grid", (_scatter if are_points else _grid)(samples, title))
    if request.npz:
        with ProgressBar("writing images.npz"):
            numpy.savez_compressed(folder / "images.npz", images=samples.images, labels=samples.labels)
    if request.pngs:
        with ProgressBar("writing images", len(samples.images), "images") as bar:
            for index, image in enumerate(samples.images):
                Image.fromarray(image).save(folder / f"{padded(index, len(samples.images) - 1)}.png")
                bar.update()
    return folder


@torch.no_grad()
def draw_samples(trained: TrainedGenerator, request: GenerateConfig, make_inputs: MakeInputs) -> LabelledSamples:
    """``count`` samples, a function of the seed and the requested classes."""
    network, digits = trained.network, trained.config["data"].get("digits", [NO_CLASS])
    classes = _class_indices(request, digits)
    if classes is not None and not network.takes_classes:
        raise InputError("classes: this generator takes no classes: use a conditional one, such as model=acgan's")
    batch = _held_out(trained.config, request) if network.takes_images else None
    count = len(batch.labels) if batch else request.count
    if classes is None and network.takes_classes:
        classes = torch.arange(count) * len(digits) // count
    inputs = make_inputs(count, Streams(request.seed, "generate")("latent"), batch, classes)
    low, high = network.pixel_range
    made = []
    with ProgressBar("generating", count, "images") as bar:
        for part in zip(*(argument.split(BATCH) for argument in inputs.arguments), strict=True):
            made.append(network(*part))
            bar.update(len(made[-1]))
    images = (torch.cat(made) - low) / (high - low)
    labels = inputs.labels.numpy()
    return LabelledSamples(
        images=_to_array(images),
        labels=numpy.where(labels < 0, labels, numpy.array(digits)[labels]),
        inputs=_to_array(inputs.arguments[0]) if network.takes_images else None,
    )


def _run_folder(path: Path) -> Path:
    """The run folder that a path names; for an exported generator outside of one, the file's folder."""
    with suppress(InputError):
        return RunFolder.around(path).path
    return path.parent


def _class_indices(request: GenerateConfig, digits: list[int]) -> Tensor | None:
    """The class index of each sample, in equal shares in order: [3, 7] and 4 samples give 3, 3, 7, 7."""
    if request.classes is None:
        return None
    unknown = [digit for digit in request.classes if digit not in digits]
    if unknown or not request.classes:
        raise InputError(f"classes={request.classes}: choose from the digits that it was trained on, {digits}")
    chosen = torch.tensor([digits.index(digit) for digit in request.classes])
    return chosen[torch.arange(request.count) * len(chosen) // request.count]


def _held_out(config: dict[str, Any], request: GenerateConfig) -> Batch:
    """``count`` random test images of the run's data."""
    data_config = config["data"] | ({"root": request.data_root} if request.data_root else {})
    validate_choice(data_config, "data", "data", trusted=request.trust)
    images = read_data(data_config, config["seed"]).test_images
    if request.count > len(images.labels):
        raise InputError(
            f"count={request.count} is more than the {len(images.labels)} test images: use a smaller count"
        )
    order = torch.randperm(len(images.labels), generator=Streams(request.seed, "generate")("images"))
    return images.select(order[: request.count]).to_batch()


def _to_array(images: Tensor) -> NDArray[Any]:
    return to_display(images if images.ndim == 2 else to_pixels(images)).numpy()


def _scatter(samples: LabelledSamples, title: str) -> Figure:
    """A scatter plot of points in one or two dimensions."""
    figure = Figure(figsize=(6, 6), layout="constrained")
    set_title(figure, *title.splitlines())
    axes = figure.subplots()
    points = samples.images
    axes.scatter(points[:, 0], points[:, 1:].sum(1), s=5, color=BLUE, rasterized=len(points) > MANY)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel("x₁")
    axes.set_ylabel("x₂")
    return figure


def _grid(samples: LabelledSamples, title: str) -> Figure:
    """The first images in rows, labelled with their classes; rows of inputs, if any, above their outputs."""
    if len(samples.images) > SHOWN:
        title += f", the first {SHOWN} of {len(samples.images):,}"
    rows = in_rows(samples.images[:SHOWN])
    labels = [row_label(part) for part in in_rows(samples.labels[:SHOWN].tolist())]
    if samples.inputs is not None:
        rows = [row for pair in zip(in_rows(samples.inputs[:SHOWN]), rows, strict=True) for row in pair]
        labels = [label for name in labels for label in (name or "input", "output")]
    return picture(rows, title, labels)
