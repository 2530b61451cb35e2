"""Judging images from anywhere by the metrics of a run's test."""

import os
import sys
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from gans.config.build import build_each, make_evaluator, read_data
from gans.config.schema import EvaluateConfig
from gans.config.validate import check_options, validate_choice
from gans.data.batches import Dataset
from gans.data.class_names import ONLY, find_classes, listed
from gans.data.folder import read_all
from gans.data.images import ImageData
from gans.errors import InputError
from gans.files import making_folder, require_writable
from gans.metrics.base import Metric
from gans.metrics.evaluator import Evaluator, GeneratedSamples
from gans.randomness import derive_seed
from gans.run.generate import safe_names
from gans.run.test_results import CheckpointResults, TestResults, read_results
from gans.update import NO_CLASS


def evaluate(options: dict[str, Any]) -> Path:
    """Judge images against the test images of a data set. Prints the figures, and returns the file that holds them.

    The figures have the names that they have in a run's test: with as many images of each kind, they can be compared.

    Raises:
        InputError: before anything is computed, for images that don't fit the data, or without metrics.
    """
    config = check_options(EvaluateConfig, options)
    validate_choice(config.data, "data", "data")
    for name, node in config.metric.items():
        validate_choice(node, "metric", f"metric.{name}")
    source, file = places(config)
    find_classes(source)  # before a data set is downloaded
    data = read_held_out(config)
    given = read_given(source, data)
    count = min(config.evaluated_images, len(given.labels))
    metrics: dict[str, Metric] = build_each(config.metric, "metric")
    if training := [f"metric.{name}" for name, metric in metrics.items() if metric.epochs is not None]:
        raise InputError(f"{training[0]} trains on images that a generator makes, and there is none: leave it out")
    evaluator = make_evaluator(metrics, config.data, data, count)
    if evaluator is None:
        raise InputError("metric=none computes nothing: use metric=[fid], for example")
    results = judge(evaluator, given)
    if not results.checkpoints["given"].results:
        classes = "" if bool((given.labels != NO_CLASS).all()) else ", which have no classes"
        raise InputError(f"nothing can be computed of these images{classes}: {'; '.join(results.reasons())}")
    with making_folder(file.parent):
        results.write(file)
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print(results.table(str(source), console.width))
    return file


def places(config: EvaluateConfig) -> tuple[Path, Path]:
    """Where the images are, and the file for the results, which can be written."""
    source = Path(os.path.abspath(config.images))  # without "..", which is no name
    if not source.name:
        raise InputError(f"images={config.images} is the root of all files: name a folder or an .npz file")
    file = Path(config.output) if config.output else source.with_name(f"{source.name}-evaluation.json")
    require_writable(file.parent)
    if file.is_dir():
        raise InputError(f"output={file} is a folder: name a file, such as {file / 'evaluation.json'}")
    if file.exists() and not is_evaluation(file):
        raise InputError(f"output={file} exists, and is no evaluation that could be replaced: name another file")
    return source, file


def read_held_out(config: EvaluateConfig) -> ImageData:
    """The data whose test images judge; an InputError for options that are of training."""
    data = read_data(config.data, seed=0)
    if not isinstance(data, ImageData):
        raise InputError(
            "evaluate.py judges images by those of a data set with one class each, and not points or stacked digits: "
            "use data=mnist, for example"
        )
    for option, usual in {"label_noise": 0, "replacement": False, "batch_size": 1}.items():
        if getattr(data, option) != usual:
            raise InputError(f"data.{option} is of training, and has no effect here: leave it out")
    if data.limit is not None and "neighbours" not in config.metric:
        raise InputError("data.limit is of the training images, which metric=[neighbours] alone compares: leave it out")
    return data


def is_evaluation(file: Path) -> bool:
    """Whether a file is one that ``evaluate`` has written."""
    try:
        return "given" in read_results(file).checkpoints
    except InputError:
        return False


def read_given(source: Path, data: ImageData) -> Dataset:
    """The images in the data's size and channels, with class indices of the data as labels, or ``NO_CLASS``."""
    names = find_classes(source)
    _, channels, size, _ = data.test_images.content.shape
    images = read_all(source, names, size, channels)
    if not len(images.labels):
        raise InputError(f"'{source}' has no images that can be read")
    if names == [ONLY]:
        return images._replace(labels=torch.full_like(images.labels, NO_CLASS))
    own = [data.class_names[number] for number in data.classes]
    every = data.class_names
    of_folder = dict(zip(safe_names(every), every, strict=True))  # as generate.py calls the folders of its PNGs
    names = [name if name in own else of_folder.get(name, name) for name in names]
    if unknown := [name for name in names if name not in own]:
        raise InputError(
            f"'{source}' has the classes {listed(unknown)}, which data={data.source} has not: its classes are "
            f"{listed(own)}. Rename those of the images, or give the images without classes"
        )
    index_of = torch.tensor([own.index(name) for name in names])
    return images._replace(labels=index_of[images.labels])


def judge(evaluator: Evaluator, given: Dataset) -> TestResults:
    """The figures of as many given images as the evaluator has held-out ones; of more a random part is used."""
    count = len(evaluator.held_out("test").labels)
    labelled = bool((given.labels != NO_CLASS).all())
    order = torch.randperm(len(given.labels), generator=torch.Generator().manual_seed(derive_seed(0, "evaluate")))
    chosen = given.select(order[:count].sort().values).to_batch()
    found = evaluator.evaluate("test", GeneratedSamples(chosen.images, chosen.labels, no_more, labelled, False))
    return TestResults(
        held_out_images=len(evaluator.data.test_images.labels),
        evaluated_images=count,
        features=evaluator.features.sha256,
        checkpoints={"given": CheckpointResults(training_steps=None, results=found.values)},
        floors=evaluator.floors("test", conditional=labelled, transforms=False),
        left_out=found.left_out,
    )


def no_more(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    raise InputError(f"a metric needs {count:,} further images of a generator, and there is none: leave it out")
