"""The command generate.py: samples of a trained generator as a labelled grid, a film, an array or single images."""

import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from gans.config.schema import GenerateConfig
from gans.data.progress import ProgressBar
from gans.errors import InputError
from gans.figures.drawing import BLUE, MANY, set_title
from gans.figures.files import FigureFolder, in_style, one_line_for_missing_letters, padded
from gans.figures.names import row_label, run_title
from gans.figures.sheets import film_frame, in_rows, picture
from gans.run.output import new_whole_folder, output_folder
from gans.run.sample import LabelledSamples, Sampler, Walks, load_sampler

SHOWN = 400
"""The most images in a grid, and in a frame of a film."""


def generate(request: GenerateConfig) -> Path:
    """Write a new folder, of several seeds with a folder ``seed<n>`` for each, and return it.

    It gets ``grid.png``, or the grid in each of ``formats``; with ``walk`` also ``film.gif``, with ``npz`` also
    ``images.npz``, and with ``pngs`` also the folder ``pngs``. An error leaves nothing there.
    """
    sampler = load_sampler(Path(request.run), request.trust, request.data_root, request.sampling)
    require_match(sampler, request)
    output = output_folder(request.output, Path(request.run), "generated")
    with new_whole_folder(output) as folder, one_line_for_missing_letters(), in_style():
        for seed in request.seed:
            of_seed = folder / f"seed{seed}" if len(request.seed) > 1 else folder
            of_seed.mkdir(exist_ok=True)
            (write_samples if request.walk is None else write_walks)(sampler, request, seed, of_seed)
    return folder


def require_match(sampler: Sampler, request: GenerateConfig) -> None:
    """Refuse what can't be drawn or written, before anything is."""
    sampler.require_match(request)
    if request.pngs and sampler.trained.network.makes_points:
        raise InputError("pngs: this generator makes points, not images: use npz=true")
    if request.pngs and request.walk is not None:
        raise InputError("pngs=true writes samples, but with walk=... most images lie between them: use npz=true")


def write_samples(sampler: Sampler, request: GenerateConfig, seed: int, folder: Path) -> None:
    samples = sampler.draw(request, seed)
    draw_figure = scatter if sampler.trained.network.makes_points else grid
    with ProgressBar("drawing the grid"):
        figure = draw_figure(samples, title(sampler, request, seed), dict(enumerate(sampler.classes.names)))
        FigureFolder(folder, request.formats).save("grid", figure)
    if request.npz:
        write_npz(folder, sampler, samples)
    if request.pngs:
        write_pngs(folder / "pngs", samples, sampler.classes.names)


def write_walks(sampler: Sampler, request: GenerateConfig, seed: int, folder: Path) -> None:
    walks = sampler.walk(request, seed)
    figures = FigureFolder(folder, request.formats)
    with ProgressBar("drawing the walks"):
        figures.save("grid", walk_grid(walks, title(sampler, request, seed), sampler.classes.names))
        figures.save_film("film", film(walks), last=1)
    if request.npz:
        write_npz(folder, sampler, walks)


def write_npz(folder: Path, sampler: Sampler, made: LabelledSamples | Walks) -> None:
    """``images``, ``labels``, and ``class_names``: the class of a sample is ``class_names[label]``."""
    names = numpy.array(sampler.classes.names if (made.labels >= 0).any() else [], dtype=str)
    with ProgressBar("writing images.npz"):
        numpy.savez_compressed(folder / "images.npz", images=made.images, labels=made.labels, class_names=names)


def write_pngs(folder: Path, samples: LabelledSamples, names: Sequence[str]) -> None:
    """One PNG for each image, named after its number; of images with classes in a folder for each class."""
    safe = dict(enumerate(safe_names(names))) | {-1: ""}
    with ProgressBar("writing images", len(samples.images), "images") as bar:
        for index, (image, label) in enumerate(zip(samples.images, samples.labels.tolist(), strict=True)):
            place = folder / safe[label]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(place / f"{padded(index, len(samples.images) - 1)}.png")
            bar.update()


def safe_names(names: Sequence[str]) -> list[str]:
    """Names as folders of any system may be called, each different: others than these get their number in front."""
    plain = [re.sub(r"[^\w+. -]+", "_", name)[:60].strip(". ") for name in names]
    lower = [name.lower() for name in plain]
    return [
        name if name and lower.count(name.lower()) == 1 and not RESERVED.fullmatch(name) else f"{number}_{name}"
        for number, name in enumerate(plain)
    ]


RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?|\d+_.*", re.IGNORECASE)
"""Names that Windows keeps for devices, and those that look like a number put in front."""


def title(sampler: Sampler, request: GenerateConfig, seed: int) -> str:
    trained = sampler.trained
    second = [f"training step {trained.training_steps:,}, generated with seed {seed}"]
    second += [f"truncation={request.truncation:g}"] if request.truncation is not None else []
    second += [f"sampling={sampler.sampling.choice}"] if sampler.sampling.protocol else []
    return f"{run_title(trained.config)}\n{', '.join(second)}"


def scatter(samples: LabelledSamples, title: str, _: object) -> Figure:
    """A scatter plot of points: of their first two dimensions, or of one."""
    figure = Figure(figsize=(6, 6), layout="constrained")
    set_title(figure, *title.splitlines())
    axes = figure.subplots()
    points = samples.images
    in_plane = points.shape[1] > 1
    second = points[:, 1] if in_plane else numpy.zeros(len(points))
    axes.scatter(points[:, 0], second, s=5, color=BLUE, rasterized=len(points) > MANY)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel("x₁")
    if in_plane:
        axes.set_ylabel("x₂")
    else:
        axes.set_yticks([])
    return figure


def grid(samples: LabelledSamples, title: str, names: dict[int, str]) -> Figure:
    """The first images in rows, labelled with their classes; rows of inputs, if any, above their outputs."""
    if len(samples.images) > SHOWN:
        title += f", the first {SHOWN} of {len(samples.images):,}"
    classes = samples.labels[:SHOWN].tolist()
    rows = in_rows(samples.images[:SHOWN], classes)
    labels = [row_label(part, names) for part in in_rows(classes, classes)]
    if samples.inputs is not None:
        rows = [row for pair in zip(in_rows(samples.inputs[:SHOWN], classes), rows, strict=True) for row in pair]
        labels = [label for name in labels for label in (name or "input", "output")]
    return picture(rows, title, labels)


def walk_grid(walks: Walks, title: str, names: Sequence[str]) -> Figure:
    """The first walks, each a row, labelled with the classes at which it stops."""
    count = max(1, SHOWN // walks.images.shape[1])
    if len(walks.images) > count:
        title += f", the first {count} of {len(walks.images):,} walks"
    labels = [
        "–".join(names[label] for label, _ in groupby(label for label in row if label >= 0))
        for row in walks.labels.tolist()
    ]
    return picture(list(walks.images[:count]), title, labels[:count])


def film(walks: Walks) -> list[Image.Image]:
    """The first walks all at once, forth and back, so that the film has no jump where it starts again."""
    last = walks.images.shape[1] - 1
    frames: list[NDArray[Any]] = [walks.images[:SHOWN, index] for index in (*range(last), *range(last, 0, -1))]
    shares = [index / last for index in (*range(last), *range(last, 0, -1))]
    return [film_frame(in_rows(images), f"{share:.0%}") for images, share in zip(frames, shares, strict=True)]
