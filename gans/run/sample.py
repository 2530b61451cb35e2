"""Samples of a trained generator as arrays: drawn from seeds, or on walks between them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from gans.config.build import build, read_data
from gans.config.schema import USE_ALL, SampleChoice
from gans.config.validate import validate_choice
from gans.data.batches import Batch, Dataset
from gans.data.pixels import UNIT, rescale, to_display, to_pixels
from gans.data.progress import ProgressBar
from gans.errors import InputError
from gans.gan import GAN
from gans.generator import Classes, Inputs
from gans.randomness import Streams
from gans.run.folder import run_of
from gans.run.trained import TrainedGenerator, find_weights, load_gan, load_generator
from gans.sampling.base import Sampling
from gans.sampling.latents import INTERPOLATIONS, truncate
from gans.update import NO_CLASS

BATCH = 500
"""Samples that are generated at once."""
MOST = 1_000_000
"""Samples that a command makes at most."""

Labels = NDArray[numpy.int64]


@dataclass(frozen=True)
class LabelledSamples:
    """Generated samples."""

    images: NDArray[Any]
    """Images, uint8, shape (n, height, width), or channels last; or points, float32, shape (n, dimensions)."""
    labels: Labels
    """The requested classes, or those of the input images, shape (n,); -1 if there are none. ``KnownClasses`` says what
    the numbers mean."""
    inputs: NDArray[numpy.uint8] | None
    """The input images of a generator that transforms images."""


@dataclass(frozen=True)
class Walks:
    """Generated images on the ways between samples."""

    images: NDArray[numpy.uint8]
    """Shape (walks, frames, height, width), or channels last."""
    labels: Labels
    """The class of each image, shape (walks, frames); -1 between two classes, or if there are none."""


@dataclass(frozen=True)
class KnownClasses:
    """The classes that a generator was trained on."""

    numbers: list[int]
    """The label of each index that the generator takes."""
    names: list[str]
    """``names[label]`` is a class's name."""

    @classmethod
    def of(cls, chosen: Classes, source: Mapping[int, str]) -> "KnownClasses":
        """The classes that ``data.classes`` chooses; labels are the source's numbers.

        Args:
            source: the names of all of the source's classes. If they are not known, labels are the chosen numbers, or
                where some are names the positions in ``chosen``.
        """
        number_of = {name: number for number, name in source.items()}
        found = [number_of.get(str(each), each) for each in chosen]
        numbers = [each for each in found if isinstance(each, int)]
        if len(numbers) < len(found):
            return cls(list(range(len(chosen))), list(map(str, chosen)))
        return cls(numbers, [source.get(each, str(each)) for each in range(max([*numbers, *source], default=-1) + 1)])

    @property
    def chosen_names(self) -> list[str]:
        return [self.names[number] for number in self.numbers]

    def numbered(self) -> Iterator[tuple[int, str]]:
        return zip(self.numbers, self.chosen_names, strict=True)

    def indices(self, wanted: Sequence[int | str]) -> list[int]:
        """The index of each class, by its name or label; an InputError for others."""
        found = [self.names.index(str(each)) if str(each) in self.names else each for each in wanted]
        unknown = [each for each, number in zip(wanted, found, strict=True) if number not in self.numbers]
        if unknown or not wanted:
            known = [name if name == str(number) else f'{number} ("{name}")' for number, name in self.numbered()]
            raise InputError(f"classes={list(wanted)}: choose from those that it was trained on, {', '.join(known)}")
        return [self.numbers.index(int(number)) for number in found]

    def to_labels(self, indices: Tensor) -> Labels:
        """The labels of class indices; ``NO_CLASS`` stays."""
        numbers = torch.tensor([*self.numbers, NO_CLASS])  # NO_CLASS, -1, finds itself
        return numbers[indices.cpu()].numpy()


class Sampler:
    """Draws samples with a trained generator.

    Args:
        gan: the generator's GAN, if ``sampling`` needs its discriminator.
        data_root: replaces ``data.root`` of its config, for a generator that transforms held-out images.
        trust: packages, beside this one and torch, that its config may name.
    """

    def __init__(
        self,
        trained: TrainedGenerator,
        classes: KnownClasses,
        sampling: Sampling,
        gan: GAN | None,
        data_root: str | None = None,
        trust: Sequence[str] = (),
    ) -> None:
        self.trained = trained
        self.classes = classes
        self.sampling = sampling
        self.gan = gan
        self.data_root = data_root
        self.trust = trust

    def require_match(self, choice: SampleChoice) -> None:
        """Refuse what this generator can't be asked for, with an InputError."""
        network = self.trained.network
        if choice.classes is not None and not network.takes_classes:
            raise InputError("classes: this generator takes no classes: use a conditional one, such as model=acgan's")
        if choice.truncation is not None and not network.has_normal_latents:
            raise InputError(
                f"truncation={choice.truncation} cuts off normal latents, and this generator takes other inputs: leave "
                "truncation out"
            )
        if choice.truncation is not None and self.sampling.protocol is not None:
            raise InputError(
                f"truncation={choice.truncation} and sampling={self.sampling.choice} both choose latents: use one"
            )
        if choice.walk is None and choice.interpolation is not None:
            raise InputError(f"interpolation={choice.interpolation} is of a walk: add walk=8, or leave it out")
        if choice.walk is not None:
            self._require_walk(choice, choice.walk)

    def _require_walk(self, choice: SampleChoice, walk: int) -> None:
        network = self.trained.network
        if self.sampling.protocol is not None:
            raise InputError(
                f"walk={walk} passes through samples that sampling={self.sampling.choice} would not keep: use one of "
                "them"
            )
        if network.takes_images or network.makes_points:
            what = "transforms images, and has no latents" if network.takes_images else "makes points, not images"
            raise InputError(f"walk={walk} leads from one generated image to the next, but this generator {what}")
        if choice.interpolation == "spherical" and not network.has_normal_latents:
            raise InputError(
                "interpolation=spherical is for normal latents, and this generator has others: use interpolation=linear"
            )
        if choice.count == 1 and len(choice.classes or []) < 2:
            also = ", or classes=[...] with two classes" if network.takes_classes else ""
            raise InputError(f"walk={walk} leads from one sample to the next, but count=1: use count=2 or more{also}")
        stops = self.classes.indices(choice.classes) if choice.classes is not None else []
        if any(first == second for first, second in pairwise(stops)):
            raise InputError(f"classes={choice.classes}: a walk from a class to itself stands still: name another one")
        if (total := choice.count * (walk + 1) * max(1, len(stops) - 1)) > MOST:
            raise InputError(f"count={choice.count} and walk={walk} are {total:,} images: make at most {MOST:,}")

    @torch.no_grad()
    def draw(self, choice: SampleChoice, seed: int) -> LabelledSamples:
        """``count`` samples, a function of the seed and the requested classes.

        With several classes, each has an equal share, in order: [3, 7] and 4 samples give 3, 3, 7, 7.
        """
        self.require_match(choice)
        inputs = self._inputs(choice, seed)
        return LabelledSamples(
            images=self._generate(inputs),
            labels=self.classes.to_labels(inputs.labels),
            inputs=to_array(inputs.arguments[0]) if self.trained.network.takes_images else None,
        )

    @torch.no_grad()
    def walk(self, choice: SampleChoice, seed: int) -> Walks:
        """From each sample of the seed to the next, or with several classes each from class to class.

        There are ``walk`` images between two. Those at the ends are the seed's samples to the bit.
        """
        assert choice.walk is not None
        self.require_match(choice)
        network = self.trained.network
        interpolate = INTERPOLATIONS[choice.interpolation or ("spherical" if network.has_normal_latents else "linear")]
        stops, images = self._stops(choice, seed)
        frames, labels = [images[0]], [stops[0].labels]
        steps = choice.walk + 1
        with ProgressBar("walking", (len(stops) - 1) * choice.walk, "frames") as bar:
            for start, end, last in zip(stops, stops[1:], images[1:], strict=False):
                for step in range(1, steps):
                    pairs = zip(parts(start), parts(end), strict=True)
                    made = [network.between(first, second, step / steps, interpolate) for first, second in pairs]
                    frames.append(numpy.concatenate([self._to_array(each) for each in made]))
                    labels.append(torch.where(start.labels == end.labels, start.labels, NO_CLASS))
                    bar.update()
                frames.append(last)
                labels.append(end.labels)
        return Walks(
            numpy.stack(frames, 1),
            numpy.stack([self.classes.to_labels(each) for each in labels], 1),
        )

    def _stops(self, choice: SampleChoice, seed: int) -> tuple[list[Inputs], list[NDArray[Any]]]:
        """The inputs between which walks lead, of all walks together, and their samples."""
        if len(choice.classes or []) < 2:
            inputs = self._inputs(choice, seed)
            images = self._generate(inputs)
            return [select(inputs, slice(-1)), select(inputs, slice(1, None))], [images[:-1], images[1:]]
        first, *others = self.classes.indices(choice.classes or [])
        inputs = self._inputs(choice.model_copy(update={"classes": [self.classes.chosen_names[first]]}), seed)
        of_others = [torch.full_like(inputs.labels, index) for index in others]
        stops = [inputs, *(Inputs((inputs.arguments[0], labels), labels) for labels in of_others)]
        return stops, [self._generate(each) for each in stops]

    def _inputs(self, choice: SampleChoice, seed: int) -> Inputs:
        network = self.trained.network
        batch = self._held_out(choice.count, seed) if network.takes_images else None
        count, classes = choice.count, None
        if network.takes_classes:
            names = self.classes.chosen_names if choice.classes is None else choice.classes
            wanted = torch.tensor(self.classes.indices(names))
            classes = wanted[torch.arange(count) * len(wanted) // count]
        make_inputs = self.sampling.inputs_of(network, self.gan)  # for each seed anew: it remembers what it has seen
        inputs = make_inputs(count, Streams(seed, "generate")("latent"), batch, classes)
        if choice.truncation is not None:
            latents, *others = inputs.arguments
            inputs = inputs._replace(arguments=(truncate(latents, choice.truncation), *others))
        return inputs

    def _generate(self, inputs: Inputs) -> NDArray[Any]:
        """Samples as ``to_array`` makes them. Part by part, since floats take four times the memory of pixels."""
        made = []
        with ProgressBar("generating", len(inputs.labels), "images") as bar:
            for part in parts(inputs):
                made.append(self._to_array(self.trained.network(*part.arguments)))
                bar.update(len(part.labels))
        return numpy.concatenate(made)

    def _to_array(self, samples: Tensor) -> NDArray[Any]:
        return to_array(rescale(samples, self.trained.network.pixel_range, UNIT))

    def _held_out(self, count: int, seed: int) -> Batch:
        """``count`` random test images of the run's data."""
        images = self._test_images
        if count > len(images.labels):
            raise InputError(f"count={count} is more than the {len(images.labels)} test images: use a smaller count")
        order = torch.randperm(len(images.labels), generator=Streams(seed, "generate")("images"))
        return images.select(order[:count]).to_batch()

    @cached_property
    def _test_images(self) -> Dataset:
        config = self.trained.config
        data_config = config["data"] | ({"root": self.data_root} if self.data_root else {})
        validate_choice(data_config, "data", "data", trusted=self.trust)
        return read_data(data_config, config["seed"]).test_images


def load_sampler(
    path: Path,
    trust: Sequence[str] = (),
    data_root: str | None = None,
    sampling_config: Mapping[str, Any] = USE_ALL,
) -> Sampler:
    """The sampler of a run folder, a checkpoint or an exported generator.

    Raises:
        InputError: if it is none of these, is damaged, or can't be sampled in this way.
    """
    validate_choice(sampling_config, "sampling", "sampling")
    sampling: Sampling = build(dict(sampling_config), "sampling")
    file = find_weights(path, whole=sampling.needs_discriminator)
    trained = load_generator(file, trust)
    gan = load_gan(file, trust) if sampling.needs_discriminator else None
    if gan:
        sampling.require_match(gan)
    run = run_of(path)
    # an exported generator may lie outside of its run
    names = run.class_names if run else {}
    chosen = trained.config["data"].get("classes")
    classes = KnownClasses.of(chosen if isinstance(chosen, list) else [], names)
    if data_root is not None and not trained.network.takes_images:
        raise InputError(f"data_root={data_root}: this generator needs no images: leave it out")
    return Sampler(trained, classes, sampling, gan, data_root, trust)


def select(inputs: Inputs, rows: slice) -> Inputs:
    """Some of the inputs."""
    return Inputs(tuple(argument[rows] for argument in inputs.arguments), inputs.labels[rows])


def parts(inputs: Inputs) -> list[Inputs]:
    """The inputs in batches."""
    return [select(inputs, slice(start, start + BATCH)) for start in range(0, len(inputs.labels), BATCH)]


def to_array(images: Tensor) -> NDArray[Any]:
    return to_display(images if images.ndim == 2 else to_pixels(images)).numpy()
