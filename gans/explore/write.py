"""``explore.py``: one HTML page on which a trained generator runs."""

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from gans.config.schema import ExploreConfig
from gans.data.batches import Batch
from gans.data.pixels import UNIT, rescale
from gans.data.progress import ProgressBar
from gans.errors import InputError
from gans.explore.page import Scores, render
from gans.explore.program import Program, write_program
from gans.explore.weights import pack, round_weights
from gans.export.facts import facts_of
from gans.export.network import TRIED, Exportable, ImageNetwork, exportable
from gans.files import write_text
from gans.gan import GAN
from gans.models.cpu.layers import use_plain_layers
from gans.run.checkpoint_files import newest_whole
from gans.run.folder import RunFolder, run_of
from gans.run.output import new_whole_folder, output_folder
from gans.run.trained import find_weights, load_gan, load_generator

LARGEST = 100_000_000
"""The largest page, in bytes: browsers open larger ones slowly or not at all."""
GREY_LEVELS = 2
"""How far rounded weights may move a pixel, of 255 levels."""
SCORED = 100
"""Real and generated images whose scores the page tells, at most."""


@dataclass(frozen=True)
class Explorer:
    file: Path
    notes: list[str]
    """What was left out, and why."""


class ScoreNetwork(nn.Module):
    """A discriminator whose images are in [0, 1]; its class indices are used by a conditional one only."""

    def __init__(self, gan: GAN) -> None:
        super().__init__()
        self.gan = gan

    def forward(self, images: Tensor, classes: Tensor) -> Tensor:
        return self.gan.discriminate(rescale(images, UNIT, self.gan.generator.pixel_range), classes)


def explore(request: ExploreConfig) -> Explorer:
    """Write ``explore.html`` to a new folder.

    Raises:
        InputError: if there is no trained generator of images, or if the browser can't run it.
    """
    path = Path(request.run)
    file, no_score = find_moment(path)
    trained, gan = load_generator(file, request.trust), None if no_score else plain(load_gan(file, request.trust))
    made = exportable(trained, request.trust)  # a run in training may have deleted the checkpoint by now
    refuse_others(made, path)
    run = run_of(path)
    output = output_folder(request.output, path, "explore")
    with ProgressBar("writing the page"):
        programs = {"generator": write_program(made.network, made.inputs(1))}
        refuse_rounding(made)
        scores = None
        if gan is not None:
            try:
                discriminator = write_discriminator(gan, made)
                scores = score_samples(gan, made, run)
                programs["discriminator"] = discriminator
            except InputError as error:
                no_score = str(error)
        is_bright = made.generator.takes_images and inputs_are_bright(made, run)
        page = render(made, facts_of(made, run), run, pack(programs), scores, no_score, is_bright)
    if len(page) > LARGEST:
        raise InputError(
            f"the page would have {len(page) / 1e6:.0f} MB, more than the {LARGEST / 1e6:.0f} MB that browsers open "
            "well: use a generator with fewer parameters"
        )
    with new_whole_folder(output) as folder:
        write_text(folder / "explore.html", page)
    return Explorer(folder / "explore.html", [f"without the discriminator's score: {no_score}"] if no_score else [])


def refuse_others(made: Exportable, path: Path) -> None:
    """Refuse a generator of points, and one with inputs that the page can't make."""
    generator = made.generator
    if generator.makes_points:
        raise InputError(f"'{path}' makes points, not images: explore.py is for models of images; see figures/ instead")
    if not (generator.takes_images or generator.has_normal_latents or generator.has_uniform_latents):
        raise InputError(
            f"'{path}': {type(generator).__name__} draws its latents by its own inputs, and the page can draw normal "
            "and uniform ones only: use generate.py; if they are uniform in [-1, 1], let the class say "
            "has_uniform_latents = True"
        )


def find_moment(path: Path) -> tuple[Path, str | None]:
    """A checkpoint, which has the discriminator of the same moment; else the generator, and why there is no score."""
    generator = find_weights(path)
    try:
        return find_weights(path, whole=True), None
    except InputError:
        run = run_of(path)
        has_checkpoint = run is not None and newest_whole(run.checkpoints, "last") is not None
        other = f": use run={run.path}" if run and has_checkpoint else ", and there is no checkpoint"
        return generator, f"'{generator}' holds the generator alone{other}"


def plain(gan: GAN) -> GAN:
    """The GAN with the layers of torch.nn alone, whose weights are what parametrizations, such as spectral norm, make.

    Its networks are in inference mode, in which these stay the same.
    """
    for layer in [*gan.modules()]:
        for name in [*layer.parametrizations] if is_parametrized(layer) else ():
            remove_parametrizations(layer, name)
    return use_plain_layers(gan).to(memory_format=torch.contiguous_format)


@torch.no_grad()
def write_discriminator(gan: GAN, made: Exportable) -> Program:
    """The program of a discriminator; an InputError if it can't score one image alone, or can't run in the browser."""
    count = gan.stabilizers.pack_size
    if count > 1:
        raise InputError(f"stabilize.packing scores {count} images at once")
    network, images, classes = ScoreNetwork(gan).eval(), made.network(*made.inputs(2)), torch.zeros(2).long()
    together, alone = network(images, classes)[:1], network(images[:1], classes[:1])
    if not torch.allclose(together, alone, rtol=1e-3, atol=1e-5):
        raise InputError("an image's score depends on the other images of the batch")
    return write_program(network, (images[:1], classes[:1]))


@torch.no_grad()
def refuse_rounding(made: Exportable) -> None:
    """An InputError if the page's weights, which are float16, make other images."""
    rounded = ImageNetwork(deepcopy(made.generator)).eval()
    round_weights(rounded)
    inputs = made.inputs(TRIED)
    levels = 255 * float((rounded(*inputs) - made.network(*inputs)).abs().max())
    if not levels <= GREY_LEVELS:
        raise InputError(
            f"with weights of 16 bits this generator's images differ by {levels:.1f} of 255 grey levels, more than "
            f"{GREY_LEVELS}: it can't be shown truly in the browser; export.py writes it with all bits"
        )


@torch.no_grad()
def score_samples(gan: GAN, made: Exportable, run: RunFolder | None) -> Scores:
    """The discriminator's mean scores of generated and, if the run has some, real training images.

    A generator that takes images gets the training images; an InputError if there are none.
    """
    network, real = ScoreNetwork(gan).eval(), training_images(run)
    if made.generator.takes_images and real is None:
        raise InputError("there is no run folder with training images, of which this generator makes others")
    inputs = made.inputs(len(real.images) if made.generator.takes_images and real else SCORED, batch=real)
    classes = inputs[1] if made.generator.takes_classes else torch.zeros(len(inputs[0]), dtype=torch.int64)
    fake = float(network(made.network(*inputs), classes)[:, 0].mean())
    return Scores(fake, None if real is None else float(network(*real)[:, 0].mean()))


def inputs_are_bright(made: Exportable, run: RunFolder | None) -> bool:
    """Whether the images that a generator takes are mostly bright; without training images, as ``invert`` says."""
    training = training_images(run)
    if training is None:
        return not made.config["data"].get("invert")
    return float(made.inputs(len(training.images), training)[0].mean()) > 0.5


def training_images(run: RunFolder | None) -> Batch | None:
    """Some of a run's real training images; None if it has none."""
    if run is None or not run.samples_file("data").is_file():
        return None
    images, labels = run.data_samples
    chosen = torch.linspace(0, len(labels) - 1, min(SCORED, len(labels))).long()
    pixels = torch.from_numpy(images)[chosen].float() / 255
    return Batch(pixels[:, None] if pixels.ndim == 3 else pixels.movedim(3, 1), torch.from_numpy(labels)[chosen])
