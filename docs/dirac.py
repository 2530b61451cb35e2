"""The GAN that is solved exactly, measured and drawn: ``python docs/dirac.py`` writes docs/images/dirac.png.

Each panel is the way of the real training step through the plane of the two weights, from the square to the red dot.
Its title is the contraction of a step at the equilibrium, measured and in closed form: the size of the larger
eigenvalue. Below 1 the players get there; at 1 they go round it for ever, or stay where nothing moves the generator.
"""

import logging
import warnings
from collections.abc import Callable
from functools import partial
from math import log
from pathlib import Path

import lightning as L
import numpy
import torch
from hydra import compose, initialize_config_dir
from lightning.pytorch.callbacks import Callback
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from typing_extensions import override

from gans.config.build import build
from gans.config.resolve import resolve
from gans.data.batches import Dataset, SequentialLoader
from gans.errors import InputError
from gans.figures.trajectory import walk
from gans.gan import GAN
from gans.models.dirac import DiracDiscriminator, DiracGenerator
from gans.objectives import Objective
from gans.stabilize import Stabilizer, Stabilizers
from gans.stabilize.gradient_penalties import R1, R2, WGANGP
from gans.stabilize.weights import EMA, WeightClipping

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "dirac.png"
RATE = 0.2
Point = tuple[float, float]
START = (0.6, 0.2)
STEPS = 150

Technique = Callable[[], Stabilizer]

STABILIZERS: dict[str, tuple[Technique, float | None]] = {
    "none": (Stabilizer, 0.0),
    "R1": (partial(R1, 0.3), 0.3),
    "R2": (partial(R2, 0.3), 0.3),
    "WGAN-GP": (partial(WGANGP, 0.15), None),
    "WGAN-GP to 0": (partial(WGANGP, 0.15, target=0.0), 0.3),
    "weight clipping": (partial(WeightClipping, 0.1), 0.0),
    "EMA": (partial(EMA, 0.95), 0.0),
}
"""Each technique, and w where it adds w psi to the slope of the discriminator's loss near the equilibrium; none where
that slope jumps there."""

FORCES = {
    "bce": 1 / 4,
    "minimax": 1 / 4,
    "msle": log(4 / 3) / 6,
    "least_squares": 0.0,  # a discriminator that says 0 of all is content with the fakes, wherever they are
    "hinge": 1.0,
    "relativistic": 1 / 4,
    "wasserstein": 1.0,
    "wasserstein_bounded": 1 / 16,
}
"""Minus the product of both players' slopes in a fake's score, at score 0."""


class Recorder(Callback):
    """Where both weights are after each step; of an average, where it is."""

    def __init__(self, start: Point) -> None:
        self.path = [start]

    @override
    def on_train_batch_end(self, trainer: L.Trainer, pl_module: GAN, *_: object) -> None:
        theta = pl_module.stabilizers.sampling_generator(pl_module.generator).get_parameter("theta")
        self.path.append((theta.item(), pl_module.discriminator.get_parameter("psi").item()))


def path(
    objective: Objective, stabilizer: Stabilizer, start: tuple[float, float], steps: int
) -> NDArray[numpy.float64]:
    """(theta, psi) before the first step and after each, shape (1 + steps, 2)."""
    gan = GAN(
        DiracGenerator(start[0]).double(),
        DiracDiscriminator(start[1]).double(),
        objective,
        Stabilizers({"it": stabilizer}),
        partial(torch.optim.SGD, lr=RATE),
        partial(torch.optim.SGD, lr=RATE),
        # alternating: the mean over reals and the mean over fakes have weight 1
        discriminator_updates="joint" if objective.compares_pairs else "alternating",
        discriminator_fakes="training",
    )
    recorder = Recorder(start)
    zeros = Dataset(torch.zeros(steps, 1, dtype=torch.float64), torch.zeros(steps, dtype=torch.int64))
    data = SequentialLoader(zeros, batch_size=1)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    trainer = L.Trainer(max_epochs=1, enable_model_summary=False, callbacks=[recorder], **quiet)
    trainer.fit(gan, train_dataloaders=data)
    return numpy.array(recorder.path)


def measured(objective: Objective, stabilizer: Technique) -> float:
    """The size of the larger eigenvalue of a step at (0, 0), from two steps close to it."""
    tiny = 1e-4
    matrix = [path(objective, stabilizer(), start, 1)[1] / tiny for start in ((tiny, 0.0), (0.0, tiny))]
    return float(abs(numpy.linalg.eigvals(numpy.stack(matrix, 1))).max())


def closed_form(force: float, strength: float) -> float:
    """Of a step whose determinant is 1 - h w, and whose trace is 2 - h w - h² times the force."""
    return float(abs(numpy.roots([1, -(2 - RATE * strength - RATE**2 * force), 1 - RATE * strength])).max())


def objectives() -> dict[str, Objective]:
    """Every objective in conf/objective."""
    found = {}
    for file in sorted((ROOT / "conf" / "objective").glob("*.yaml")):
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            node = resolve(compose("config", overrides=["data=digits", f"objective={file.stem}"]))["objective"]
        found[file.stem] = build(node, "objective")
    return found


def panel(axes: Axes, game: str, objective: Objective, stabilizer: Technique, strength: float | None) -> None:
    axes.tick_params(labelsize=6)
    try:
        theta, psi = path(objective, stabilizer(), START, STEPS).T
    except InputError:
        axes.set_title("refused", fontsize=8)
        axes.set_xticks([])
        axes.set_yticks([])
        return
    label = axes.get_ylabel()
    walk(axes, theta, psi)
    axes.set_xlabel("")
    axes.set_ylabel(label)
    if strength is None:
        axes.set_title("its slope jumps at ψ = 0", fontsize=8)
    elif not isinstance(stabilizer(), EMA):  # an average follows the game and does not change it
        found = measured(objective, stabilizer)
        axes.set_title(f"{found:.4f}, closed form {closed_form(FORCES[game], strength):.4f}", fontsize=8)


def picture() -> Figure:
    games = objectives()
    figure = Figure(figsize=(2.4 * len(STABILIZERS), 2.2 * len(games)), layout="constrained")
    grid = figure.subplots(len(games), len(STABILIZERS), squeeze=False)
    for row, (game, objective) in zip(grid, games.items(), strict=True):
        row[0].set_ylabel(game, fontsize=9)
        for axes, (stabilizer, strength) in zip(row, STABILIZERS.values(), strict=True):
            panel(axes, game, objective, stabilizer, strength)
    for axes, name in zip(grid[0], STABILIZERS, strict=True):
        axes.set_title(f"{name}\n{axes.get_title()}", fontsize=9)
    figure.supxlabel("θ, where the generator's samples are", fontsize=10)
    figure.supylabel("ψ, the discriminator's slope", fontsize=10)
    return figure


if __name__ == "__main__":
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    picture().savefig(PICTURE, dpi=70)
    Image.open(PICTURE).convert("RGB").quantize(32, Image.Quantize.FASTOCTREE).save(PICTURE, optimize=True)
    print(PICTURE)
